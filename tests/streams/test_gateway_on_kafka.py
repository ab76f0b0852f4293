"""One gateway after another, between the paper exchange and a real broker (requirement J07)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from gateway_desk import DEADLINE_S, Desk, desk, until

from domain.updates import (
    Call,
    CallOutcome,
    FillReport,
    OrderReport,
    Origin,
    Result,
    Update,
    decode_update,
    encode_update,
)
from streams.topics import Topics
from streams.update_log import UpdateLog, last_complete_until, producer_name

NAME = producer_name("bybit", "desk")
NS = 1_000_000_000


@pytest.fixture
async def trade() -> AsyncIterator[Desk]:
    async with desk() as own:
        yield own


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    own = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, acks="all")
    await own.start()
    yield own
    await own.stop()


async def everything(kafka: str, topic: str) -> list[Update]:
    """All updates of the topic; those of one symbol in their order."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Update] = []
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        async with asyncio.timeout(DEADLINE_S):
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                batches = await consumer.getmany(timeout_ms=200)
                found += [decode_update(record.value) for batch in batches.values() for record in batch]
    finally:
        await consumer.stop()
    return found


async def test_j07_a_gateway_that_follows_another_fills_what_happened_between_them(
    kafka: str, topics: Topics, producer: AIOKafkaProducer, trade: Desk
) -> None:
    log = UpdateLog(producer, topics.order_updates, NAME)

    async def stored() -> int | None:
        return await last_complete_until(kafka, topics.order_updates, NAME)

    async with trade.gateway(log, read_complete_until=stored) as first:
        await until(lambda: first.health().complete_until_ns > time.time_ns() - 5 * NS)
        seen = await trade.buy()
        await until(lambda: first.health().last_message_ns > 0 and first.health().in_flight == 0)
        await trade.buy()
        await until(lambda: first.health().complete_until_ns > time.time_ns() - 5 * NS)
    between = await trade.buy()
    # A worker's word, newer than anything of the first gateway: it must not hide the gap.
    outcome = CallOutcome(
        instrument=between.instrument,
        account="desk",
        origin=Origin.OUTCOME,
        received_ns=time.time_ns(),
        client_order_id="worker",
        call=Call.CREATE,
        result=Result.ACCEPTED,
    )
    await producer.send_and_wait(topics.order_updates, encode_update(outcome), b"BTCUSDT")

    async with trade.gateway(log, read_complete_until=stored) as second:
        await until(lambda: second.health().ready)
        after = await trade.buy()
        await until(lambda: second.health().complete_until_ns > time.time_ns() - 5 * NS)

    updates = await everything(kafka, topics.order_updates)
    fills = {update.venue_order_id for update in updates if isinstance(update, FillReport)}
    ends = {update.venue_order_id for update in updates if isinstance(update, OrderReport) and update.state.terminal}
    assert {seen.venue_order_id, between.venue_order_id, after.venue_order_id} <= fills & ends
    [missed] = [
        update
        for update in updates
        if isinstance(update, FillReport) and update.venue_order_id == between.venue_order_id
    ][:1]
    assert missed.origin is Origin.REST


async def test_j07_updates_of_a_symbol_stand_in_the_topic_in_the_order_of_the_stream(
    kafka: str, topics: Topics, producer: AIOKafkaProducer, trade: Desk
) -> None:
    log = UpdateLog(producer, topics.order_updates, NAME)
    async with trade.gateway(log, max_in_flight=50) as gateway:
        await until(lambda: gateway.health().ready)
        refs = [await trade.buy("0.01") for _ in range(100)]
        await until(lambda: gateway.health().last_message_ns < time.time_ns() - NS // 2)
    updates = await everything(kafka, topics.order_updates)
    streamed = [
        update.venue_order_id for update in updates if isinstance(update, FillReport) and update.origin is Origin.STREAM
    ]
    assert streamed == [ref.venue_order_id for ref in refs]
