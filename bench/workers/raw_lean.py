"""The leanest loop we can think of: aiokafka, a dictionary over RocksDB, records put straight into the open batches.

It promises little: an event may go out before its rows are durable, offsets are committed on a timer as if everything
taken were done, and nothing guards against two owners. What is left is what the work itself costs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import rocksdict
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from bench.event_work import apply

RUN = 500
COMMIT_S = 0.5
WRITE_BUFFER_BYTES = 4 << 20
UNACKNOWLEDGED_BATCHES = 96


class Store:
    """One partition of one table: what is not acknowledged lies in a dictionary."""

    def __init__(self, path: Path) -> None:
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(WRITE_BUFFER_BYTES)
        self._db = rocksdict.Rdict(str(path), options)
        self._overlay: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        staged = self._overlay.get(key)
        found: bytes | None = staged if staged is not None else self._db.get(key)
        return found

    def stage(self, key: bytes, value: bytes) -> None:
        self._overlay[key] = value

    def acknowledged(self, offset: int, rows: list[tuple[bytes, bytes]]) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in dict(rows).items():
            batch.put(key, value)
            if self._overlay.get(key) is value:
                del self._overlay[key]
        batch.put(b"m/offset", b"%d" % offset)
        self._db.write(batch)


class Appender:
    """Records into aiokafka's open batches, one future per batch."""

    def __init__(self, producer: Any) -> None:
        self._accumulator = producer._message_accumulator
        self._open: dict[TopicPartition, tuple[Any, list[tuple[bytes, bytes]]]] = {}
        self.under_way = 0

    def append(self, tp: TopicPartition, key: bytes, value: bytes, store: Store | None = None) -> None:
        waiting = self._accumulator._batches.get(tp)
        batch, rows = self._open[tp] if waiting and waiting[-1] is self._open[tp][0] else self._new(tp, store)
        while batch._builder.append(timestamp=None, key=key, value=value) is None:
            batch, rows = self._new(tp, store)
        if store is not None:
            rows.append((key, value))

    def _new(self, tp: TopicPartition, store: Store | None) -> tuple[Any, list[tuple[bytes, bytes]]]:
        accumulator = self._accumulator
        batch, rows = accumulator._append_batch(accumulator.create_builder(), tp), []
        self._open[tp] = batch, rows
        self.under_way += 1

        def done(future: asyncio.Future[Any]) -> None:
            self.under_way -= 1
            if store is not None:
                store.acknowledged(future.result().offset + len(rows), rows)

        batch.future.add_done_callback(done)
        return batch, rows


async def run(config: dict[str, Any]) -> None:
    """Consume until killed."""
    bootstrap, partitions = config["bootstrap"], config["partitions"]
    directory = Path(config["directory"])
    changelogs = {name: f"{config['app_id']}-{name}-changelog" for name in ("orders", "ledger")}
    stores = {
        (name, partition): Store(directory / f"{name}-{partition}")
        for name in changelogs
        for partition in range(partitions)
    }
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=131_072
    )
    await producer.start()
    for topic in (*changelogs.values(), config["events"]):
        await producer.partitions_for(topic)
    appender = Appender(producer)
    consumer = AIOKafkaConsumer(
        config["inputs"], bootstrap_servers=bootstrap, group_id=config["app_id"], enable_auto_commit=False,
        auto_offset_reset="earliest", max_poll_records=RUN,
    )  # fmt: skip
    await consumer.start()
    committed_s = time.monotonic()
    while True:
        for tp, records in (await consumer.getmany(timeout_ms=1_000)).items():
            partition = tp.partition
            orders, ledger = stores["orders", partition], stores["ledger", partition]
            to_orders = TopicPartition(changelogs["orders"], partition)
            to_ledger = TopicPartition(changelogs["ledger"], partition)
            to_events = TopicPartition(config["events"], partition)
            for record in records:
                order_id = b"o/" + record.value[13:45]  # as `event_work.update` writes it first
                outcome = apply(record.value, orders.get(order_id))
                orders.stage(outcome.order_key, outcome.order_row)
                appender.append(to_orders, outcome.order_key, outcome.order_row, orders)
                ledger.stage(outcome.ledger_key, outcome.ledger_row)
                appender.append(to_ledger, outcome.ledger_key, outcome.ledger_row, ledger)
                appender.append(to_events, record.key, outcome.event)
        while appender.under_way >= UNACKNOWLEDGED_BATCHES:  # noqa: ASYNC110 -- lean: once in a while, for a moment
            await asyncio.sleep(0.001)
        if time.monotonic() - committed_s >= COMMIT_S:
            committed_s = time.monotonic()
            await consumer.commit()


if __name__ == "__main__":
    uvloop.run(run(json.loads(sys.argv[1])))
