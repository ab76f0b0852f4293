"""Kafka as far as the order of steps can see it: logs, acknowledgements, committed offsets, and what a crash loses."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from app.transport.partitioner import partition_of
from simulation.effects import Effects, Life
from simulation.virtual_time import SimulatedClock
from streams.ports import Headers
from streams.record import Source
from streams.topics import Topics
from tables.receipt import Receipt

TopicPartition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Stored:
    """A record in a log."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ns: int


class Broker:
    """Append-only logs by topic and partition, and the group's committed offsets. Survives every process."""

    def __init__(self, partitions: int, clock: SimulatedClock) -> None:
        self.partitions = partitions
        self.logs: dict[TopicPartition, list[Stored]] = defaultdict(list)
        self.committed: dict[TopicPartition, int] = {}
        self._clock = clock
        self._waiting: dict[TopicPartition, list[asyncio.Future[None]]] = defaultdict(list)

    def append(self, at: TopicPartition, key: bytes | None, value: bytes | None, headers: Headers = ()) -> int:
        """Append; returns the offset."""
        log = self.logs[at]
        log.append(Stored(key, value, headers, self._clock.now_ns()))
        for future in self._waiting.pop(at, ()):
            if not future.done():
                future.set_result(None)
        return len(log) - 1

    def end(self, at: TopicPartition) -> int:
        """The offset that the next record gets."""
        return len(self.logs[at])

    def partition_of(self, key: bytes) -> int:
        """By murmur2, as every producer."""
        return partition_of(key, self.partitions)

    def all(self, topic: str) -> list[tuple[Source, Stored]]:
        """Every record of a topic, partition by partition."""
        return [
            (Source(topic, partition, offset), stored)
            for partition in range(self.partitions)
            for offset, stored in enumerate(self.logs[topic, partition])
        ]

    async def beyond(self, at: TopicPartition, position: int) -> None:
        """Wait until there is a record at `position`."""
        while self.end(at) <= position:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[at].append(future)
            await future


@dataclass(slots=True)
class _Staged:
    key: bytes | None
    value: bytes | None
    headers: Headers
    receipt: Receipt
    on_ack: Callable[[int], None] | None


class StagedLog:
    """The `Log` port of one process: what is appended is staged, reaches the broker later, is acknowledged later
    still; in order within a partition, in no order between partitions."""

    def __init__(
        self, broker: Broker, life: Life, effects: Effects, chance: random.Random, slow: float, topics: Topics
    ) -> None:
        self._broker = broker
        self._life = life
        self._effects = effects
        self._chance = chance
        self._slow = slow
        self._events = topics.order_events
        self._staged: dict[TopicPartition, deque[_Staged]] = defaultdict(deque)
        self._busy: set[TopicPartition] = set()
        self._idle: list[asyncio.Future[None]] = []
        self.acknowledged: dict[TopicPartition, int] = defaultdict(int)
        """Per partition the end of what this process knows to be durable."""
        self.before_event: Callable[[int, Headers], None] = lambda _partition, _headers: None

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        receipt: Receipt,
        headers: Headers = (),
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        """Stage a record."""
        self._effects.happens(self._life, f"stage {topic}-{partition} {_shown(key)}")
        if topic == self._events:
            self.before_event(partition, headers)
        receipt.expect()
        at = (topic, partition)
        self._staged[at].append(_Staged(key, value, headers, receipt, on_ack))
        if at not in self._busy:
            self._busy.add(at)
            self._later(self._send, at)

    async def publish(
        self, topic: str, key: bytes, value: bytes, headers: Headers = (), partition: int | None = None
    ) -> Source:
        """Stage a record and wait for its acknowledgement."""
        where = self._broker.partition_of(key) if partition is None else partition
        offsets: list[int] = []
        receipt = Receipt()
        self.append(topic, where, key, value, receipt, headers, offsets.append)
        await receipt.durable()
        return Source(topic, where, offsets[0])

    async def room(self) -> None:
        """There always is."""

    def partition_of(self, key: bytes) -> int:
        """By murmur2."""
        return self._broker.partition_of(key)

    async def flushed(self) -> None:
        """Wait until nothing is staged."""
        while self._busy:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(future)
            await future

    def lost(self) -> None:
        """The process is gone: of what was under way a prefix per partition still reaches the broker."""
        for at in sorted(self._staged):
            queue = self._staged[at]
            for _ in range(self._chance.randint(0, len(queue))):
                self._to_broker(at, queue.popleft())
            if queue:
                self._effects.note(f"lost {len(queue)} records for {at[0]}-{at[1]}")
        self._staged.clear()

    # -- under way -----------------------------------------------------------------------------------------------

    def _later(self, step: Callable[[TopicPartition], None], at: TopicPartition) -> None:
        delay_s = self._chance.uniform(0.0005, 0.01)
        if self._chance.random() < self._slow:
            delay_s = self._chance.uniform(0.1, 3.0)
        asyncio.get_running_loop().call_later(delay_s, self._life.guarded(lambda: step(at)))

    def _send(self, at: TopicPartition) -> None:
        queue = self._staged[at]
        batch = [queue.popleft() for _ in range(self._chance.randint(1, len(queue)))]
        ends = [self._to_broker(at, staged) for staged in batch]
        self._effects.happens(self._life, f"appended {at[0]}-{at[1]} up to {ends[-1]}")
        self._later(lambda where: self._acknowledge(where, batch, ends), at)

    def _to_broker(self, at: TopicPartition, staged: _Staged) -> int:
        return self._broker.append(at, staged.key, staged.value, staged.headers)

    def _acknowledge(self, at: TopicPartition, batch: list[_Staged], offsets: list[int]) -> None:
        self._effects.happens(self._life, f"acknowledge {at[0]}-{at[1]} up to {offsets[-1]}")
        self.acknowledged[at] = offsets[-1] + 1
        if self._staged[at]:
            self._later(self._send, at)
        else:
            self._busy.discard(at)
            if not self._busy:
                idle, self._idle = self._idle, []
                for future in idle:
                    if not future.done():
                        future.set_result(None)
        for staged, offset in zip(batch, offsets, strict=True):
            if staged.on_ack is not None:
                staged.on_ack(offset)
        for staged in batch:
            staged.receipt.settle()


def _shown(key: bytes | None) -> str:
    return "-" if key is None else key.decode(errors="replace")
