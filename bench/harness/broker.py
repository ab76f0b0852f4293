"""The broker of a benchmark, its topics and its load.

All benchmarks of one `make bench` share a broker: the environment's `BENCH_BOOTSTRAP` names it. Alone, a benchmark
starts its own, in a directory that goes with it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from app.kafka.broker import LocalKafka, free_ports
from app.kafka.options import KafkaOptions

ENVIRONMENT = "BENCH_BOOTSTRAP"
HEAP_MIB = 512
BATCH_BYTES = 1 << 20

COMPACTED = {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"}


USABLE_S, POLL_S = 20.0, 0.1


@asynccontextmanager
async def own_broker(directory: Path) -> AsyncIterator[LocalKafka]:
    """A broker in `directory`, ended with the context."""
    port, controller_port = free_ports(2)
    broker = LocalKafka(
        KafkaOptions(
            directory, port, controller_port, max_heap_mib=HEAP_MIB, with_parent=True,
            extra={"group.min.session.timeout.ms": "1000"},
        )
    )  # fmt: skip
    await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()


@asynccontextmanager
async def broker() -> AsyncIterator[str]:
    """The bootstrap address of a broker: the shared one, or one of its own."""
    shared = os.environ.get(ENVIRONMENT)
    if shared:
        yield shared
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with own_broker(Path(directory) / "kafka") as own:
            yield own.bootstrap


def unique(prefix: str) -> str:
    """A name that no other run has."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


async def create_topics(bootstrap: str, names: Iterable[str], partitions: int, compacted: Iterable[str] = ()) -> None:
    """Make topics, the compacted ones as changelogs are, and wait until they can be used."""
    plain, kept = list(names), list(compacted)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics(
            [
                *(NewTopic(name, partitions, 1) for name in plain),
                *(NewTopic(name, partitions, 1, topic_configs=COMPACTED) for name in kept),
            ]
        )
        async with asyncio.timeout(USABLE_S):
            while not _usable(await admin.describe_topics(plain + kept)):  # noqa: ASYNC110 -- nothing tells us
                await asyncio.sleep(POLL_S)
    finally:
        await admin.close()


def _usable(described: list[dict[str, Any]]) -> bool:
    """Whether every partition has a leader."""
    return all(
        topic["error_code"] == 0
        and all(part["error_code"] == 0 and part["leader"] >= 0 for part in topic["partitions"])
        for topic in described
    )


async def delete_topics(bootstrap: str, names: Iterable[str]) -> None:
    """Delete topics, so that a long set of benchmarks does not fill the disk."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(names))
    finally:
        await admin.close()


async def fill(bootstrap: str, topic: str, records: Iterable[tuple[int, bytes, bytes]]) -> int:
    """Write (partition, key, value) records as fast as they are taken; returns how many."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, max_batch_size=BATCH_BYTES)
    await producer.start()
    count = 0
    try:
        builders: dict[int, object] = {}
        for partition, key, value in records:
            builder = builders.get(partition)
            if builder is None:
                builder = builders[partition] = producer.create_batch()
            count += 1
            if builder.append(key=key, value=value, timestamp=None) is None:
                await producer.send_batch(builder, topic, partition=partition)
                builder = builders[partition] = producer.create_batch()
                builder.append(key=key, value=value, timestamp=None)
            if count % 2_000 == 0:
                await asyncio.sleep(0)
        for partition, builder in builders.items():
            await producer.send_batch(builder, topic, partition=partition)
    finally:
        await producer.stop()
    return count


class Ends:
    """How many records topics have together, asked as often as one likes."""

    def __init__(self, bootstrap: str, topics: Iterable[str], partitions: int) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
        self._partitions = [TopicPartition(topic, partition) for topic in topics for partition in range(partitions)]

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._consumer.stop()

    async def count(self) -> int:
        """Records written so far."""
        return sum((await self._consumer.end_offsets(self._partitions)).values())


async def commit_start(bootstrap: str, group: str, topic: str, partitions: int) -> None:
    """Commit offset 0 for a group that has not run yet: to the engine, rows without offsets are rows after a loss."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        inputs = [TopicPartition(topic, partition) for partition in range(partitions)]
        consumer.assign(inputs)
        await consumer.commit(dict.fromkeys(inputs, 0))
    finally:
        await consumer.stop()
