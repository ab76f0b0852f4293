"""Small state that every worker sees: compacted one-partition topics, read whole at start and then followed.

Writing is producing and waiting to read it back; nothing here is ever written from memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.waiting_for_brokers import once_there


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest value under a key, when it was produced (ns UTC), and where it stands."""

    value: bytes
    at_ns: int
    offset: int


async def standing(bootstrap: str, topic: str) -> list[bytes]:
    """The values that stand on a topic now, for somebody who does not follow it. Brokers that are away are waited for;
    raises aiokafka's errors when that takes too long."""
    told = Broadcasts(bootstrap, (topic,))
    await told.start()
    try:
        return [entry.value for entry in told.table(topic).values()]
    finally:
        await told.stop()


class Broadcasts:
    """Follows a set of broadcast topics with one consumer that belongs to no group."""

    def __init__(self, bootstrap: str, topics: Sequence[str], *, passed_on: Collection[str] = ()) -> None:
        """`passed_on`: those of the topics whose records listeners are told of, and that have no table. A topic with
        ever new keys would be held here for ever, whatever becomes of it at the brokers."""
        self._bootstrap = bootstrap
        self._passed_on = frozenset(passed_on)
        self._tables: dict[str, dict[bytes, Entry]] = {topic: {} for topic in topics}
        self._positions = dict.fromkeys(topics, 0)
        self._heard_s = dict.fromkeys(topics, 0.0)
        self._answers: dict[str, tuple[int | None, float]] = dict.fromkeys(topics, (None, 0.0))
        """aiokafka's name for the newest answer to a fetch of the topic, and when it was first seen."""
        self._listeners: list[Callable[[str, bytes, Entry | None], None]] = []
        self._reading: list[tuple[str, int, asyncio.Future[None]]] = []
        self._consumer: Any = None  # aiokafka is untyped
        self._task: asyncio.Task[None] | None = None
        self.overtaken: Callable[[str, bytes, bytes], bool] = lambda _topic, _standing, _late: False
        """(topic, value that stands, value that is read): whether the latter was written too late to count."""
        self.on_overtaken: Callable[[str, bytes, bytes], None] = lambda _topic, _key, _standing: None
        """Told of the (topic, key, value) that stands in spite of a later record: compaction would keep that one."""
        self.on_failure: Callable[[BaseException], None] | None = None
        """Told when following has ended with an error: from then on nothing is heard, a halt neither."""

    def table(self, topic: str) -> dict[bytes, Entry]:
        """The live values of a topic by key; none of one that is passed on. Not to be changed."""
        return self._tables[topic]

    @property
    def following(self) -> bool:
        """Whether everything up to now was read, and what comes is."""
        return self._task is not None and not self._task.done()

    def silent_s(self, topic: str) -> float:
        """Seconds since anything was read from the topic; infinite before the first record."""
        heard_s = self._heard_s[topic]
        return time.monotonic() - heard_s if heard_s else float("inf")

    def unanswered_s(self, topic: str) -> float:
        """Seconds since a broker last answered a fetch of the topic, with records or without; infinite before that.
        Topics have leaders of their own: that one is heard says nothing of another."""
        answer, answered_s = self._answers[topic]
        return time.monotonic() - answered_s if answer is not None else float("inf")

    def listen(self, listener: Callable[[str, bytes, Entry | None], None]) -> None:
        """`listener(topic, key, entry)` is told of every record read from now on; None for a deletion."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Read every topic to its present end, then go on following. Brokers that are away are waited for; raises
        aiokafka's errors when that takes too long."""
        partitions = [TopicPartition(topic, 0) for topic in self._tables]
        ends = await once_there("broadcasts", lambda: self._begin(partitions))
        try:
            while any([await self._consumer.position(tp) < ends[tp] for tp in partitions]):
                await self._read(timeout_ms=200)
        except BaseException:  # cut short by a rebalance: it begins again after the next recovery
            consumer, self._consumer = self._consumer, None
            await consumer.stop()
            raise
        self._task = asyncio.create_task(self._follow(), name="broadcasts")
        self._task.add_done_callback(self._ended)

    async def _begin(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Connect and go to the beginning; returns the ends."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # the default leaves out what stands, a halt too, where a place is lost
            fetch_max_wait_ms=100,
        )
        try:
            await consumer.start()
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer
        return ends

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._consumer is not None:
            await self._consumer.stop()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and self.on_failure is not None:
            self.on_failure(error)

    async def read_back(self, topic: str, offset: int) -> None:
        """Wait until the record at `offset` has been read here."""
        if self._positions[topic] > offset:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading.append((topic, offset, future))
        await future

    async def _follow(self) -> None:
        while True:
            await self._read(timeout_ms=500)

    async def _read(self, timeout_ms: int) -> None:
        for tp, records in (await self._consumer.getmany(timeout_ms=timeout_ms)).items():
            for record in records:
                self._take(tp.topic, record)
            self._heard_s[tp.topic] = time.monotonic()
        for tp in self._consumer.assignment():
            answer = self._consumer.last_poll_timestamp(tp)
            if answer != self._answers[tp.topic][0]:
                self._answers[tp.topic] = answer, time.monotonic()
        if self._reading:
            self._reading = [waiting for waiting in self._reading if not self._released(waiting)]

    def _take(self, topic: str, record: Any) -> None:  # Any: aiokafka's ConsumerRecord
        key = record.key or b""
        entry = None if record.value is None else Entry(record.value, record.timestamp * 1_000_000, record.offset)
        standing = self._tables[topic].get(key)
        if entry is not None and standing is not None and self.overtaken(topic, standing.value, entry.value):
            self._positions[topic] = record.offset + 1
            if self._task is not None:  # not while the past is read again
                self.on_overtaken(topic, key, standing.value)
            return
        if entry is None:
            self._tables[topic].pop(key, None)
        elif topic not in self._passed_on:
            self._tables[topic][key] = entry
        self._positions[topic] = record.offset + 1
        for listener in self._listeners:
            listener(topic, key, entry)

    def _released(self, waiting: tuple[str, int, asyncio.Future[None]]) -> bool:
        topic, offset, future = waiting
        if not future.done() and self._positions[topic] > offset:
            future.set_result(None)
        return future.done()
