"""Reading the topic `position-snapshots`, which is the archive of what positions were at regular moments (P02).

No table keeps snapshots: whoever asks has the topic read, between two moments, newest first or oldest first, some
thousand records for a page. The cursor is the offset.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.schemas import PositionSnapshot
from streams.waiting_for_brokers import once_there

_BLOCK = 1_000
"""Records of one read. With 2 kB each it is what a broker sends in one go."""

_MAX_READ = 50_000
"""Records that one page may read: about a second."""

_MS = 1_000_000
_LATE_MS = 86_460_000
"""A snapshot is on the topic so much later than its moment, at the most: the longest interval, and a minute."""

_decode = msgspec.json.Decoder(PositionSnapshot).decode


@dataclass(frozen=True, slots=True)
class SnapshotPage:
    """What was found; `resume` is the offset to go on from, None at the end."""

    found: tuple[PositionSnapshot, ...]
    resume: int | None
    read: int


class SnapshotLog:
    """Reads one topic. Every question has a consumer of its own, for as long as it takes."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic

    async def taken(self, partition: int, moment_ns: int) -> frozenset[str]:
        """Ids of the snapshots of this moment, or of later ones, that are there. Waits while brokers are away: the
        worker that asks goes on with the next moment afterwards."""
        return await once_there("the watch of positions", lambda: self._taken(partition, moment_ns))

    async def _taken(self, partition: int, moment_ns: int) -> frozenset[str]:
        found: set[str] = set()
        async with self._consumer() as consumer:
            place = TopicPartition(self._topic, partition)
            low, high = await self._window(consumer, place, moment_ns, None)
            for record in await _read(consumer, place, low, high):
                picture = _picture(record)
                if picture is not None and picture.moment_ns >= moment_ns:
                    found.add(picture.event_id)
        return frozenset(found)

    async def page(
        self,
        partition: int,
        symbol: str,
        category: str = "",
        *,
        limit: int,
        from_ns: int | None = None,
        to_ns: int | None = None,
        resume: int | None = None,
        descending: bool = True,
    ) -> SnapshotPage:
        """The symbol's snapshots (a category's, or all) of moments from `from_ns` to before `to_ns`, up to `limit`."""
        found: list[PositionSnapshot] = []
        read, key = 0, symbol.encode()
        async with self._consumer() as consumer:
            place = TopicPartition(self._topic, partition)
            low, high = await self._window(consumer, place, from_ns, to_ns)
            if resume is not None:
                low, high = (low, min(high, resume)) if descending else (max(low, resume), high)
            while low < high:
                if read >= _MAX_READ:
                    return SnapshotPage(tuple(found), high if descending else low, read)
                start, end = (max(low, high - _BLOCK), high) if descending else (low, min(high, low + _BLOCK))
                records = await _read(consumer, place, start, end)
                read += end - start
                for record in reversed(records) if descending else records:
                    picture = _picture(record) if record.key == key else None
                    if picture is None or not _within(picture.moment_ns, from_ns, to_ns):
                        continue
                    if category not in {"", picture.instrument.category}:
                        continue
                    if len(found) == limit:
                        after = record.offset + 1 if descending else record.offset
                        return SnapshotPage(tuple(found), after, read)
                    found.append(picture)
                low, high = (low, start) if descending else (end, high)
        return SnapshotPage(tuple(found), None, read)

    async def _window(
        self, consumer: Any, place: TopicPartition, from_ns: int | None, to_ns: int | None
    ) -> tuple[int, int]:
        """First and end offset of what may have been taken in that time."""
        low = (await consumer.beginning_offsets([place]))[place]
        high = (await consumer.end_offsets([place]))[place]
        if from_ns is not None:
            at = (await consumer.offsets_for_times({place: max(0, from_ns // _MS)}))[place]
            low = high if at is None else max(low, at.offset)
        if to_ns is not None:
            at = (await consumer.offsets_for_times({place: max(0, to_ns // _MS + _LATE_MS)}))[place]
            high = high if at is None else min(high, at.offset)
        return low, high

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[Any]:  # Any: aiokafka is untyped
        consumer = await once_there("a reader of snapshots", self._started)
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def _started(self) -> Any:  # Any: aiokafka is untyped
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        return consumer


async def _read(consumer: Any, place: TopicPartition, start: int, end: int) -> list[Any]:  # Any: aiokafka is untyped
    """The records from an offset to before another, in their order."""
    if start >= end:
        return []
    consumer.assign([place])
    consumer.seek(place, start)
    found: list[Any] = []
    while await consumer.position(place) < end:
        for records in (await consumer.getmany(place, timeout_ms=200)).values():
            found += [record for record in records if record.offset < end]
        await asyncio.sleep(0)
    return found


def _picture(record: Any) -> PositionSnapshot | None:  # Any: aiokafka is untyped
    try:
        return _decode(record.value or b"")
    except msgspec.DecodeError:
        return None  # nobody of ours writes such


def _within(moment_ns: int, from_ns: int | None, to_ns: int | None) -> bool:
    return (from_ns is None or moment_ns >= from_ns) and (to_ns is None or moment_ns < to_ns)
