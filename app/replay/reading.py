"""What a replay needs of the broker: how far the topics go, how far the workers have come, and the records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app.topic_creation import ClusterSilent, TopicsUnfit, check_topics
from app.transport.group_offsets import committed_offsets
from app.transport.topic_reader import Connection, offsets_of, read_topics
from domain.errors import OrderManagerError
from streams.record import Record
from streams.topics import Topics

NS_PER_MS = 1_000_000
BEGIN_LIMIT_S = 10.0
"""So long a check waits for a broker to begin with: one that is there answers sooner. Workers wait through its
restarts; who checks wants to know that nobody is there, or that it is another place."""
_LOOKED_AT = 100
"""Offsets that may be markers without records: one or two for each partition and producer."""

OnRecord = Callable[[Record], None]
Offsets = dict[tuple[str, int], int]
"""(topic, partition) → offset."""


class CannotCompare(OrderManagerError):  # noqa: N818 -- the words name it well without a suffix
    """A ledger could not be read, or would not stand still."""


@asynccontextmanager
async def readable():  # type: ignore[no-untyped-def]  # a context that yields nothing
    """Errors of the broker, and topics that are not there, in our words."""
    try:
        yield
    except (KafkaError, OSError) as error:
        raise CannotCompare("TOPICS_UNREADABLE", f"{type(error).__name__}: {error}") from error


async def topics_are_there(bootstrap: str, topics: Topics) -> None:
    """Raises `CannotCompare` if nobody answers at `bootstrap`, or not all that is read is there as it has to be. To ask
    for what is not there by its name takes a reader minutes, and may make it."""
    read = {*topics.inputs, *topics.changelogs, topics.order_events, topics.position_events}
    try:
        await check_topics(bootstrap, topics, only=read, timeout_s=BEGIN_LIMIT_S)
    except ClusterSilent as error:
        raise CannotCompare("NO_BROKER", f"{error.sentence} (ORDERMANAGER_KAFKA_BOOTSTRAP)") from error
    except TopicsUnfit as error:
        settings = "ORDERMANAGER_TOPIC_PREFIX, ORDERMANAGER_PARTITIONS"
        raise CannotCompare("NO_TOPICS", f"at {bootstrap}: {error.sentence} ({settings})") from error


def partitions_of(topics: Iterable[str], partitions: int) -> list[tuple[str, int]]:
    """Every partition of each topic."""
    return [(topic, partition) for topic in topics for partition in range(partitions)]


async def bounds(connection: Connection, places: Iterable[tuple[str, int]]) -> tuple[Offsets, Offsets]:
    """(oldest offset, end) of each place; the end is the offset of the record to come."""
    found = await offsets_of(connection, [TopicPartition(*place) for place in places])
    starts = {(tp.topic, tp.partition): low for tp, (low, _) in found.items()}
    return starts, {(tp.topic, tp.partition): end for tp, (_, end) in found.items()}


async def committed(connection: Connection, group: str, places: Iterable[tuple[str, int]]) -> Offsets:
    """What the workers have finished: every record before it, with all that it caused, is durable."""
    partitions = [TopicPartition(*place) for place in places]
    admin: Any = AIOKafkaAdminClient(**connection)  # Any: aiokafka is untyped
    try:
        await admin.start()
        known = await committed_offsets(admin, group, partitions)
    finally:
        await admin.close()
    return {(tp.topic, tp.partition): offset for tp, offset in known.items()}


async def first_after(connection: Connection, places: Iterable[tuple[str, int]], time_ms: int) -> dict[Any, int | None]:
    """Each place's first offset whose record is later than `time_ms`; None where there is none."""
    consumer: Any = AIOKafkaConsumer(**connection, group_id=None, enable_auto_commit=False)  # Any: aiokafka is untyped
    await consumer.start()
    try:
        wanted = {TopicPartition(*place): time_ms + 1 for place in places}
        consumer.assign(list(wanted))
        found = await consumer.offsets_for_times(wanted)
        return {(tp.topic, tp.partition): None if at is None else at.offset for tp, at in found.items()}
    finally:
        await consumer.stop()


async def read_all(
    connection: Connection, starts: Offsets, ends: Offsets, on_record: OnRecord, after_run: Callable[[], object] = bool
) -> None:
    """Hand over each record between start and end, in the order of each partition; `after_run` now and then."""

    def run(tp: TopicPartition, raws: list[Any]) -> None:
        for raw in raws:
            on_record(
                Record(
                    topic=tp.topic,
                    partition=tp.partition,
                    offset=raw.offset,
                    key=raw.key,
                    value=raw.value,
                    headers=tuple(raw.headers),
                    timestamp_ns=raw.timestamp * NS_PER_MS,
                )
            )
        after_run()

    await read_topics(connection, starts, ends, run)


async def how_many(connection: Connection, starts: Offsets, ends: Offsets) -> int:
    """Records from `starts` to before `ends`. Markers of producers' transactions have offsets and are none: few offsets
    are looked at, many are counted as records."""
    left = {place: end for place, end in ends.items() if starts[place] < end}
    offsets, found = sum(end - starts[place] for place, end in left.items()), 0
    if offsets > _LOOKED_AT:
        return offsets

    def count(_tp: TopicPartition, raws: list[Any]) -> None:
        nonlocal found
        found += len(raws)

    await read_topics(connection, starts, left, count)
    return found


def only(offsets: Mapping[tuple[str, int], int], topic: str) -> Offsets:
    """Those of one topic."""
    return {place: offset for place, offset in offsets.items() if place[0] == topic}
