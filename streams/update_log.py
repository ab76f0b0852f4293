"""`order-updates` from the gateway's side: how an update is written, and how far the last gateway came.

Every update of a gateway carries the header `complete-until`: everything the venue said before that time was in the
topic already. It counts for the gateways of one account, which share the `producer` header; updates of workers
(outcomes, commands) don't have it, since they say nothing about the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from domain.updates import Update, encode_update

COMPLETE_UNTIL = "complete-until"
_FIRST_LOOK = 200
"""Records looked at from the end of a partition at first; four times as many each time none was a gateway's."""
_FARTHEST_LOOK = 50_000
_POLL_MS = 500

Headers = Sequence[tuple[str, bytes]]


class Producer(Protocol):
    """What we need of `aiokafka.AIOKafkaProducer`: started, idempotent, acknowledged by all replicas, and with its
    default partitioner, which is murmur2 as in every producer of ours."""

    async def send(self, topic: str, value: bytes, key: bytes, *, headers: Headers) -> Awaitable[object]:
        """Put a record into the batch; what is returned is done when the broker has acknowledged it."""


def producer_name(venue: str, account: str) -> str:
    """The `producer` header of an account's gateways, whichever process they run in."""
    return f"gateway {venue}/{account}"


class UpdateLog:
    """Publishes a gateway's updates to `order-updates`; `name` is their `producer` header."""

    def __init__(self, producer: Producer, topic: str, name: str) -> None:
        self._producer = producer
        self._topic = topic
        self._headers = (
            ("content-type", b"application/json"),
            ("schema", b"order-update/1"),
            ("producer", name.encode()),
        )

    async def publish(self, update: Update, *, complete_until_ns: int) -> Awaitable[object]:
        """Hand the update to the producer, keyed by its canonical symbol; await the result for its acknowledgement."""
        headers = [*self._headers, (COMPLETE_UNTIL, str(complete_until_ns).encode())]
        key = update.instrument.symbol.encode()
        return await self._producer.send(self._topic, encode_update(update), key, headers=headers)


async def last_complete_until(bootstrap: str, topic: str, name: str, *, timeout_s: float = 30.0) -> int | None:
    """The highest `complete-until` (nanoseconds UTC) that gateways called `name` left at the end of the topic.

    None when there is none within the last 50,000 records of each partition. Raises `TimeoutError` when the broker
    does not answer in time or has no such topic, and aiokafka's `KafkaError`: how far back to ask is then unknown,
    not zero.
    """
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="latest"
    )
    async with asyncio.timeout(timeout_s):
        try:
            await consumer.start()
            partitions = sorted(consumer.assignment(), key=lambda partition: partition.partition)
            consumer.pause(*partitions)
            first = await consumer.beginning_offsets(partitions)
            end = await consumer.end_offsets(partitions)
            found = [await _last_of(consumer, each, first[each], end[each], name.encode()) for each in partitions]
        finally:
            await consumer.stop()
    return max((time_ns for time_ns in found if time_ns is not None), default=None)


async def _last_of(
    consumer: AIOKafkaConsumer, partition: TopicPartition, first: int, end: int, name: bytes
) -> int | None:
    """Look back from the end of one partition, farther each time, until a gateway's record is found."""
    look = _FIRST_LOOK
    while True:
        start = max(first, end - look)
        times = [_complete_until(record, name) async for record in _between(consumer, partition, start, end)]
        found = [time_ns for time_ns in times if time_ns is not None]
        if found or start == first or look >= _FARTHEST_LOOK:
            return max(found, default=None)
        look *= 4


async def _between(
    consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, end: int
) -> AsyncIterator[ConsumerRecord]:
    """The partition's records from `start` up to, not including, `end`."""
    consumer.seek(partition, start)
    consumer.resume(partition)
    while await consumer.position(partition) < end:
        batches = await consumer.getmany(partition, timeout_ms=_POLL_MS)
        for record in batches.get(partition, []):
            if record.offset < end:
                yield record
    consumer.pause(partition)


def _complete_until(record: ConsumerRecord, name: bytes) -> int | None:
    headers = dict(record.headers)
    figure = headers.get(COMPLETE_UNTIL, b"")
    return int(figure) if headers.get("producer") == name and figure.isdigit() else None
