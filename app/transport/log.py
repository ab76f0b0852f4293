"""Appending to topics without waiting: straight into the producer's batches, one future per batch, none per record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiokafka.structs import TopicPartition

from app.transport.fail_stop import FailStop, fail_stop
from app.transport.partitioner import partition_of
from streams.ports import Headers
from streams.record import Source
from tables.receipt import Receipt

RECORD_OVERHEAD_BYTES = 128
"""More than the lengths, deltas and batch header that surround a record of its own batch (v2: at most 61 + 36)."""

METADATA_WAIT_S = 3.0
METADATA_RETRY_S = 0.1
"""A topic that was made a moment ago is not known to every broker yet."""

HEADER_OVERHEAD_BYTES = 10
"""Lengths of a header's name and value, as varints."""

Acknowledged = Callable[[int], None]


class _Batch:
    """One of the producer's batches, and whom to tell when the broker has it."""

    __slots__ = ("batch", "opened_at_s", "owed", "records", "size_bytes", "told", "tp")

    def __init__(self, tp: TopicPartition, batch: Any) -> None:  # Any: aiokafka's MessageBatch is untyped
        self.tp = tp
        self.batch = batch
        self.told: list[tuple[int, Acknowledged]] = []
        """(offset within the batch, who wants to know the offset)."""
        self.owed: list[tuple[Receipt, int]] = []
        """Receipts, and of how many records in a row."""
        self.records = 0
        self.size_bytes = 0
        self.opened_at_s = time.monotonic()

    def add(self, relative: int, size_bytes: int, receipt: Receipt, on_ack: Acknowledged | None) -> None:
        """A record is in the batch, as its `relative`-th."""
        self.records += 1
        self.size_bytes += size_bytes
        if on_ack is not None:
            self.told.append((relative, on_ack))
        owed = self.owed
        if owed and owed[-1][0] is receipt:
            owed[-1] = receipt, owed[-1][1] + 1
        else:
            owed.append((receipt, 1))


class AppendLog:
    """The `Log` port on an idempotent aiokafka producer (`acks=all`), one for table changelogs, updates and events.

    Uses `_message_accumulator` of aiokafka 0.14 (`_batches`, `create_builder`, `_append_batch`): see docs/engine.md.
    A batch that the broker refuses, or that is not acknowledged within `delivery_limit_s`, ends the process: what
    stands after it in the same partition may already depend on it.
    """

    def __init__(
        self,
        partitions: int,
        *,
        max_record_bytes: int = 1_000_000,
        max_unacknowledged_records: int = 20_000,
        max_unacknowledged_bytes: int = 32 << 20,
        delivery_limit_s: float = 120.0,
        stop: FailStop = fail_stop,
    ) -> None:
        self.partitions = partitions
        self.delivery_limit_s = delivery_limit_s
        self._max_record_bytes = max_record_bytes
        self._max_records = max_unacknowledged_records
        self._max_bytes = max_unacknowledged_bytes
        self._stop = stop
        self._producer: Any = None  # AIOKafkaProducer, untyped
        self._accumulator: Any = None  # MessageAccumulator, untyped
        self._open: dict[tuple[str, int], _Batch] = {}
        self._unacknowledged: set[_Batch] = set()
        self._records = 0
        self._bytes = 0
        self._waiting_for_room: list[asyncio.Future[None]] = []

    # -- life ----------------------------------------------------------------------------------------------------

    def bind(self, producer: Any) -> None:
        """Append through this started aiokafka producer from now on."""
        self._producer = producer
        self._accumulator = producer._message_accumulator  # private: the append path of aiokafka 0.14
        # A batch expires only while its partition has no known leader; by default after the request time-out, which
        # is shorter than a broker's restart.
        self._accumulator._batch_ttl = self.delivery_limit_s

    def unbind(self) -> None:
        """The producer stops: no more appends."""
        self._producer = self._accumulator = None

    @property
    def is_open(self) -> bool:
        """Whether something can be appended: the producer runs."""
        return self._accumulator is not None and not self._accumulator._closed

    async def warm_up(self, topics: list[str]) -> dict[str, int | None]:
        """Learn the topics' partitions and connect to every broker, so that the first append isn't slower.

        Returns how many partitions each topic has, None for one that doesn't exist.
        """
        client = self._producer.client
        counts: dict[str, int | None] = {}
        for topic in topics:
            client.add_topic(topic)
        deadline_s = time.monotonic() + METADATA_WAIT_S
        while True:
            if not await client.force_metadata_update():
                deadline_s = time.monotonic() + METADATA_WAIT_S  # nobody answered: that says nothing of the topics
            for topic in topics:
                known = client.cluster.partitions_for_topic(topic)
                counts[topic] = None if known is None else len(known)
            if None not in counts.values() or time.monotonic() > deadline_s:
                break
            await asyncio.sleep(METADATA_RETRY_S)
        for broker in client.cluster.brokers():
            await client.ready(broker.nodeId)
        return counts

    # -- the port ------------------------------------------------------------------------------------------------

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        receipt: Receipt,
        headers: Headers = (),
        on_ack: Acknowledged | None = None,
    ) -> None:
        """Append without waiting. Calls for one partition are in its order, whatever becomes of connections.

        Raises `ValueError`, before anything is appended, for a record that the broker would refuse by its size or
        that is for a partition there isn't, and `RuntimeError` when the producer is not running.
        """
        size_bytes = RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"")
        if headers:
            size_bytes += _headers_bytes(headers)
        if size_bytes > self._max_record_bytes:
            raise ValueError(
                f"RECORD_TOO_LARGE: {topic}-{partition} key={key!r}: {size_bytes} bytes, limit {self._max_record_bytes}"
            )
        accumulator = self._accumulator
        if accumulator is None or accumulator._closed:
            raise RuntimeError(f"LOG_CLOSED: cannot append to {topic}-{partition}, the producer is not running")
        fields = list(headers)
        batch = self._open.get((topic, partition))
        if batch is None or not self._still_open(batch):
            batch = self._open_batch(TopicPartition(topic, partition))
        placed = batch.batch._builder.append(timestamp=None, key=key, value=value, headers=fields)
        if placed is None:  # full: the next one takes it, and anything else if it is the first
            batch = self._open_batch(TopicPartition(topic, partition))
            placed = batch.batch._builder.append(timestamp=None, key=key, value=value, headers=fields)
        receipt.expect()
        batch.add(placed.offset, size_bytes, receipt, on_ack)
        self._records += 1
        self._bytes += size_bytes

    async def publish(
        self, topic: str, key: bytes, value: bytes, headers: Headers = (), partition: int | None = None
    ) -> Source:
        """Append by key and wait for the broker's acknowledgement."""
        if self._producer is None:
            raise RuntimeError(f"LOG_CLOSED: cannot publish to {topic}, the producer is not running")
        if partition is None:
            partition = partition_of(key, len(await self._producer.client._wait_on_metadata(topic)))
        await self.room()
        offsets: list[int] = []
        receipt = Receipt()
        self.append(topic, partition, key, value, receipt, headers, offsets.append)
        await receipt.durable()
        return Source(topic, partition, offsets[0])

    async def room(self) -> None:
        """Wait until less than the permitted number of records and bytes is unacknowledged."""
        while self._records >= self._max_records or self._bytes >= self._max_bytes:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting_for_room.append(turn)
            await turn

    def partition_of(self, key: bytes) -> int:
        """The partition of a symbol-keyed topic that `key` belongs to."""
        return partition_of(key, self.partitions)

    # -- for the engine ------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Wait until everything appended before this call is acknowledged, however long that takes.

        `check_deadline` ends the process when it takes longer than the delivery limit.
        """
        pending = [batch.batch.future for batch in self._unacknowledged]
        if pending:
            await asyncio.wait(pending)
            # The batch's own callback runs after the waiter's may have been scheduled: let it settle the receipts.
            await asyncio.sleep(0)

    def unacknowledged(self, topics: frozenset[str] | None = None) -> int:
        """How many records the broker has yet to acknowledge (of `topics`, or in all)."""
        if topics is None:
            return self._records
        return sum(batch.records for batch in self._unacknowledged if batch.tp.topic in topics)

    def oldest_s(self) -> float:
        """Age of the oldest unacknowledged batch; 0 if there is none."""
        if not self._unacknowledged:
            return 0.0
        return time.monotonic() - min(batch.opened_at_s for batch in self._unacknowledged)

    def check_deadline(self) -> None:
        """End the process if a batch is overdue: called once a second by the engine."""
        if self.oldest_s() > self.delivery_limit_s:
            late = min(self._unacknowledged, key=lambda batch: batch.opened_at_s)
            self._stop(
                f"DELIVERY_OVERDUE: {late.records} records for {late.tp.topic}-{late.tp.partition} are not "
                f"acknowledged within {self.delivery_limit_s} s; whether they were written is unknown"
            )

    # -- batches -------------------------------------------------------------------------------------------------

    def _still_open(self, batch: _Batch) -> bool:
        """False once the sender has taken the batch: its sequence numbers are assigned, it must not grow."""
        waiting = self._accumulator._batches.get(batch.tp)
        return bool(waiting) and waiting[-1] is batch.batch and not batch.batch._builder.closed()

    def _open_batch(self, tp: TopicPartition) -> _Batch:
        accumulator = self._accumulator
        known = self._producer.client.cluster.partitions_for_topic(tp.topic)
        if known is None:
            self._producer.client.add_topic(tp.topic)  # the sender looks for leaders of known topics only
        elif tp.partition not in known:
            raise ValueError(f"NO_SUCH_PARTITION: {tp.topic} has {len(known)} partitions, not {tp.partition}")
        if accumulator._exception is not None:
            self._stop(f"PRODUCER_FAILED: {accumulator._exception!r}")
        batch = _Batch(tp, accumulator._append_batch(accumulator.create_builder(), tp))
        self._open[tp] = batch
        self._unacknowledged.add(batch)
        batch.batch.future.add_done_callback(lambda future: self._done(batch, future))
        return batch

    def _done(self, batch: _Batch, future: asyncio.Future[Any]) -> None:
        where = f"{batch.tp.topic}-{batch.tp.partition}"
        if future.cancelled() or future.exception() is not None:
            why = "cancelled" if future.cancelled() else repr(future.exception())
            self._stop(f"RECORDS_NOT_DURABLE: {batch.records} records for {where}: {why}")
        self._unacknowledged.discard(batch)
        if self._open.get(batch.tp) is batch:
            del self._open[batch.tp]
        self._records -= batch.records
        self._bytes -= batch.size_bytes
        if not batch.records:
            return
        base_offset = future.result().offset
        if base_offset < 0:
            self._stop(f"OFFSET_UNKNOWN: the broker has the records for {where} but no longer says where")
        try:
            for relative, on_ack in batch.told:
                on_ack(base_offset + relative)
            for receipt, records in batch.owed:
                receipt.settle(records)
        except Exception as error:  # noqa: BLE001 -- whatever a receiver throws, what follows from it is unknown
            self._stop(f"ACKNOWLEDGEMENT_FAILED: {where}: {error!r}")
        self._let_in()

    def _let_in(self) -> None:
        if self._waiting_for_room and self._records <= self._max_records // 2 and self._bytes <= self._max_bytes // 2:
            waiting, self._waiting_for_room = self._waiting_for_room, []
            for turn in waiting:
                if not turn.done():
                    turn.set_result(None)


def _headers_bytes(headers: Headers) -> int:
    return sum(HEADER_OVERHEAD_BYTES + len(name.encode()) + len(content) for name, content in headers)
