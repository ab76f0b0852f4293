"""Reading ranges of topics outside the group: changelogs at recovery, and what stands in a hole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from streams.waiting_for_brokers import once_there

FETCH_BYTES = 4 << 20
FETCH_AT_ONCE_BYTES = 16 << 20
"""Of all partitions together: what a catch-up holds while the tables take it up."""
MAX_RECORDS = 2_000
"""Of one read: applied in one go, so it bounds how long the loop stands still (about 10 ms)."""

Connection = Mapping[str, Any]
"""Arguments of an aiokafka client that say how to reach the brokers."""

READ_COMMITTED = "read_committed"
"""What a producer took back by aborting its transaction was never said."""

OnRecords = Callable[[TopicPartition, list[Any]], None]


@asynccontextmanager
async def _consumer(connection: Connection):  # type: ignore[no-untyped-def]  # yields an untyped AIOKafkaConsumer
    consumer = await once_there("a reader of topics", lambda: _started(connection))
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _started(connection: Connection) -> Any:
    consumer = AIOKafkaConsumer(
        **connection,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=READ_COMMITTED,
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_bytes=FETCH_AT_ONCE_BYTES,
        max_poll_records=MAX_RECORDS,
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
    except BaseException:
        await consumer.stop()
        raise
    return consumer


async def offsets_of(connection: Connection, partitions: list[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
    """(oldest offset, end offset) of each partition; the end is the offset of the record to come."""

    async def ask() -> dict[TopicPartition, tuple[int, int]]:
        async with _consumer(connection) as consumer:
            consumer.assign(partitions)
            low = await consumer.beginning_offsets(partitions)
            end = await consumer.end_offsets(partitions)
            return {tp: (low[tp], end[tp]) for tp in partitions}

    return await once_there("asking for the ends of topics", ask)


async def read_topics(
    connection: Connection, starts: Mapping[Any, int], ends: Mapping[Any, int], on_records: OnRecords
) -> None:
    """Read each partition from its start to before its end, handing over records in offset order.

    An end is reached by position, not by a last record: compaction may have taken that. While brokers are away it
    waits: fetches are repeated by aiokafka.
    """
    open_ends = {TopicPartition(*tp): end for tp, end in ends.items() if starts[tp] < end}
    if not open_ends:
        return
    async with _consumer(connection) as consumer:
        consumer.assign(list(open_ends))
        for tp in open_ends:
            consumer.seek(tp, starts[tp])
        while open_ends:
            for tp, records in (await consumer.getmany(*open_ends, timeout_ms=200)).items():
                wanted = [record for record in records if record.offset < open_ends[tp]]
                if wanted:
                    on_records(tp, wanted)
                await asyncio.sleep(0)
            for tp in list(open_ends):
                if await consumer.position(tp) >= open_ends[tp]:
                    del open_ends[tp]
                    consumer.pause(tp)
