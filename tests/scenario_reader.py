"""What scenarios read: records of topics, from their beginning, as a user's own program would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

T = TypeVar("T")
Row = dict[str, Any]  # Any: JSON

LOOK_EVERY_S = 0.03


async def until(found: Callable[[], Awaitable[T | None]], within_s: float, what: str) -> T:
    """What `found` gives once it gives something: for conditions that only a question can tell."""
    end_s = time.monotonic() + within_s
    while True:
        if (result := await found()) is not None:
            return result
        assert time.monotonic() < end_s, f"{what} did not come within {within_s:g} s"
        await asyncio.sleep(LOOK_EVERY_S)


@dataclass(frozen=True, slots=True)
class Seen:
    """A record of a topic as its reader saw it. `body` is its JSON, None where it is none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: dict[str, bytes]
    body: Any  # Any: JSON

    @property
    def source(self) -> str:
        """Topic-partition-offset."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    def says(self, fields: Mapping[str, object]) -> bool:
        """Whether the body has all these fields; `signal__signal_id` looks into `signal`."""
        return all(_field(self.body, name) == wanted for name, wanted in fields.items())


def _field(body: Any, name: str) -> object:  # Any: JSON
    for part in name.split("__"):
        body = body.get(part) if isinstance(body, dict) else None
    return body


@dataclass(slots=True)
class Reader:
    """Reads topics from their beginning, as a user's own program would, and keeps everything."""

    bootstrap: str
    topics: tuple[str, ...]
    records: dict[str, list[Seen]] = field(default_factory=dict)
    _consumer: Any = None  # Any: aiokafka is untyped
    _task: asyncio.Task[None] | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self) -> None:
        """Connect, and read from now on."""
        self.records = {topic: [] for topic in self.topics}
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=20
        )
        await self._consumer.start()
        await self._consumer._client.force_metadata_update()
        places = [
            TopicPartition(topic, number)
            for topic in self.topics
            for number in self._consumer.partitions_for_topic(topic) or ()
        ]
        self._consumer.assign(places)
        await self._consumer.seek_to_beginning(*places)
        self._task = asyncio.create_task(self._read(), name="scenario-reader")

    async def stop(self) -> None:
        """Disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._consumer is not None:
            await self._consumer.stop()

    async def until(self, found: Callable[[], T | None], within_s: float, what: str) -> T:
        """What `found` gives once it gives something. Raises `AssertionError` at the deadline."""
        end_s = time.monotonic() + within_s
        async with self._news:
            while True:
                if (result := found()) is not None:
                    return result
                try:
                    async with asyncio.timeout(end_s - time.monotonic()):
                        await self._news.wait()
                except TimeoutError:
                    raise AssertionError(f"{what} did not come within {within_s:g} s") from None

    async def _read(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=100)
            async with self._news:
                for place, batch in batches.items():
                    self.records[place.topic] += [_seen(record) for record in batch]
                self._news.notify_all()


def _seen(record: Any) -> Seen:  # Any: aiokafka is untyped
    try:
        body = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        body = None
    return Seen(
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value or b"",
        {name: bytes(value) for name, value in record.headers},
        body,
    )
