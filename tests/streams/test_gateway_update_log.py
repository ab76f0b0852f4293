"""`order-updates` on a real broker: how a gateway writes, and finds where the last one was complete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from domain.instruments import Instrument
from domain.orders import Side
from domain.updates import FillReport, Origin, decode_update
from streams.topics import Topics
from streams.update_log import UpdateLog, last_complete_until, producer_name

NAME = producer_name("bybit", "desk")
SYMBOLS = [f"COIN{number}USDT" for number in range(20)]


def fill(symbol: str = "BTCUSDT", number: int = 0) -> FillReport:
    return FillReport(
        instrument=Instrument("bybit", "linear", symbol),
        account="desk",
        origin=Origin.STREAM,
        received_ns=1_800_000_000_000_000_000 + number,
        venue_order_id="v-1",
        execution_id=f"x-{number}",
        side=Side.BUY,
        price=Decimal("2500.5"),
        quantity=Decimal("0.1"),
        fee=Decimal("0.01"),
        fee_currency="USDT",
        executed_ns=1_800_000_000_000_000_000,
    )


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    own = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, acks="all")
    await own.start()
    yield own
    await own.stop()


async def write(log: UpdateLog, complete_until_ns: int, *, symbols: list[str] = SYMBOLS) -> None:
    acknowledgements = [
        await log.publish(fill(symbol, number), complete_until_ns=complete_until_ns)
        for number, symbol in enumerate(symbols)
    ]
    for acknowledgement in acknowledgements:
        await acknowledgement


async def test_a_topic_that_no_gateway_wrote_to_tells_nothing(kafka: str, topics: Topics) -> None:
    assert await last_complete_until(kafka, topics.order_updates, NAME) is None


async def test_the_highest_figure_of_all_partitions_counts(
    kafka: str, topics: Topics, producer: AIOKafkaProducer
) -> None:
    log = UpdateLog(producer, topics.order_updates, NAME)
    await write(log, 1000)
    await write(log, 3000, symbols=SYMBOLS[:1])
    await write(log, 2000, symbols=SYMBOLS[1:2])
    assert await last_complete_until(kafka, topics.order_updates, NAME) == 3000


async def test_what_workers_and_other_accounts_wrote_does_not_count(
    kafka: str, topics: Topics, producer: AIOKafkaProducer
) -> None:
    await write(UpdateLog(producer, topics.order_updates, NAME), 1000)
    await write(UpdateLog(producer, topics.order_updates, producer_name("bybit", "other")), 9000)
    await producer.send_and_wait(topics.order_updates, b"{}", b"BTCUSDT", headers=[("producer", b"ordermanager")])
    await producer.send_and_wait(topics.order_updates, b"{}", b"BTCUSDT", headers=[("producer", NAME.encode())])
    assert await last_complete_until(kafka, topics.order_updates, NAME) == 1000


async def test_it_looks_back_past_thousands_of_records_of_others(
    kafka: str, topics: Topics, producer: AIOKafkaProducer
) -> None:
    await write(UpdateLog(producer, topics.order_updates, NAME), 1000)
    others = UpdateLog(producer, topics.order_updates, producer_name("bybit", "other"))
    await write(others, 9000, symbols=SYMBOLS * 200)
    assert await last_complete_until(kafka, topics.order_updates, NAME) == 1000


async def test_a_record_is_keyed_by_its_symbol_and_says_what_it_is(
    kafka: str, topics: Topics, producer: AIOKafkaProducer
) -> None:
    await write(UpdateLog(producer, topics.order_updates, NAME), 1000, symbols=["BTCUSDT"])
    consumer = AIOKafkaConsumer(topics.order_updates, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    record = await consumer.getone()
    await consumer.stop()
    assert record.key == b"BTCUSDT"
    assert decode_update(record.value) == fill()
    assert dict(record.headers) == {
        "content-type": b"application/json",
        "schema": b"order-update/1",
        "producer": b"gateway bybit/desk",
        "complete-until": b"1000",
    }


async def test_a_broker_that_does_not_answer_is_an_error_and_not_an_empty_topic() -> None:
    with pytest.raises(KafkaConnectionError):
        await last_complete_until("127.0.0.1:1", "order-updates", NAME, timeout_s=5)


async def test_a_missing_topic_is_an_error_and_not_an_empty_topic(kafka: str) -> None:
    with pytest.raises(TimeoutError):
        await last_complete_until(kafka, "no-such-topic", NAME, timeout_s=1)
