"""Direct appends: in order, counted, bounded, and nothing is lost or reported too early."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import NotLeaderForPartitionError
from aiokafka.structs import TopicPartition

from app.transport.log import AppendLog
from tables.receipt import Receipt

PARTITIONS = 3


class Stopped(Exception):  # noqa: N818 -- the end of the process, not an error
    """Stands for the end of the process."""


def stop(reason: str) -> NoReturn:
    raise Stopped(reason)


@pytest.fixture
async def topic(kafka: str) -> AsyncIterator[str]:
    name = f"log-{uuid.uuid4().hex[:10]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
    yield name
    await admin.delete_topics([name])
    await admin.close()


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def log(producer: AIOKafkaProducer, topic: str) -> AppendLog:
    made = AppendLog(PARTITIONS, stop=stop)
    made.bind(producer)
    assert await made.warm_up([topic]) == {topic: PARTITIONS}
    return made


async def read(kafka: str, topic: str, partition: int) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    tp = TopicPartition(topic, partition)
    consumer.assign([tp])
    consumer.seek(tp, 0)
    end = (await consumer.end_offsets([tp]))[tp]
    records: list[Any] = []
    while await consumer.position(tp) < end:
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            records += batch
    await consumer.stop()
    return records


async def test_appends_keep_their_order_and_tell_their_offsets(log: AppendLog, kafka: str, topic: str) -> None:
    receipt = Receipt()
    offsets: list[int] = []
    for number in range(5_000):  # several batches: one holds 16 kB
        log.append(topic, 1, b"k", b"%05d" % number, receipt, (), offsets.append)
    assert not receipt.complete
    await receipt.durable()
    assert offsets == list(range(5_000))
    assert [record.value for record in await read(kafka, topic, 1)] == [b"%05d" % number for number in range(5_000)]


async def test_appends_between_sends_never_grow_a_batch_that_is_on_its_way(
    log: AppendLog, kafka: str, topic: str
) -> None:
    receipt = Receipt()
    offsets: list[int] = []
    for number in range(400):
        log.append(topic, 0, b"k", b"%05d" % number, receipt, (), offsets.append)
        if number % 3 == 0:
            await asyncio.sleep(0)  # the sender takes what is there
    await receipt.durable()
    assert offsets == list(range(400))
    assert [record.value for record in await read(kafka, topic, 0)] == [b"%05d" % number for number in range(400)]


async def test_headers_keys_and_deletions_arrive_as_given(log: AppendLog, kafka: str, topic: str) -> None:
    receipt = Receipt()
    log.append(topic, 2, b"row", None, receipt, (("schema", b"order-1"), ("event-id", b"e")))
    await receipt.durable()
    (record,) = await read(kafka, topic, 2)
    assert (record.key, record.value) == (b"row", None)
    assert tuple(record.headers) == (("schema", b"order-1"), ("event-id", b"e"))


async def test_a_record_that_is_too_large_is_refused_before_anything_is_appended(log: AppendLog, topic: str) -> None:
    receipt = Receipt()
    with pytest.raises(ValueError, match=rf"RECORD_TOO_LARGE: {topic}-0 key=b'k': 1000129 bytes, limit 1000000"):
        log.append(topic, 0, b"k", b"x" * 1_000_000, receipt)
    assert receipt.complete
    assert log.unacknowledged() == 0


async def test_a_record_larger_than_a_batch_goes_alone(log: AppendLog, kafka: str, topic: str) -> None:
    receipt = Receipt()
    for size in (10, 500_000, 10):
        log.append(topic, 0, b"k", b"x" * size, receipt)
    await receipt.durable()
    assert [len(record.value) for record in await read(kafka, topic, 0)] == [10, 500_000, 10]


async def test_publishing_waits_for_the_acknowledgement_and_says_where(log: AppendLog, kafka: str, topic: str) -> None:
    source = await log.publish(topic, b"BTCUSDT", b"1")
    assert source.partition == log.partition_of(b"BTCUSDT")
    (record,) = await read(kafka, topic, source.partition)
    assert (record.offset, record.value) == (source.offset, b"1")


async def test_flush_waits_for_everything_appended_before(log: AppendLog, topic: str) -> None:
    receipt = Receipt()
    for partition in range(PARTITIONS):
        log.append(topic, partition, b"k", b"v", receipt)
    await log.flush()
    assert receipt.complete
    assert log.unacknowledged() == 0


async def test_room_is_waited_for_when_too_much_is_under_way(producer: AIOKafkaProducer, topic: str) -> None:
    log = AppendLog(PARTITIONS, max_unacknowledged_records=10, stop=stop)
    log.bind(producer)
    await log.warm_up([topic])
    receipt = Receipt()
    for _ in range(10):
        log.append(topic, 0, b"k", b"v", receipt)
    assert log.unacknowledged() == 10
    await log.room()
    assert log.unacknowledged() <= 5


async def test_a_refused_batch_ends_the_process(log: AppendLog, producer: AIOKafkaProducer, topic: str) -> None:
    reasons: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reasons.append(context))
    receipt = Receipt()
    log.append(topic, 0, b"k", b"v", receipt)
    (batch,) = producer._message_accumulator._batches[TopicPartition(topic, 0)]
    batch.failure(NotLeaderForPartitionError())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "RECORDS_NOT_DURABLE: 1 records" in str(reasons[0]["exception"])
    assert not receipt.complete


async def test_an_overdue_batch_ends_the_process_saying_that_its_fate_is_unknown(
    producer: AIOKafkaProducer, topic: str
) -> None:
    log = AppendLog(PARTITIONS, delivery_limit_s=0.0, stop=stop)
    log.bind(producer)
    await log.warm_up([topic])
    log.append(topic, 0, b"k", b"v", Receipt())
    await asyncio.sleep(0)
    with pytest.raises(Stopped, match=r"DELIVERY_OVERDUE: 1 records .* whether they were written is unknown"):
        log.check_deadline()
    await log.flush()


async def test_a_topic_that_does_not_exist_is_told(producer: AIOKafkaProducer) -> None:
    log = AppendLog(PARTITIONS, stop=stop)
    log.bind(producer)
    assert await log.warm_up(["no-such-topic"]) == {"no-such-topic": None}


async def test_appending_to_a_stopped_producer_is_an_error() -> None:
    log = AppendLog(PARTITIONS, stop=stop)
    with pytest.raises(RuntimeError, match="LOG_CLOSED"):
        log.append("t", 0, b"k", b"v", Receipt())
