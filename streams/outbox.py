"""Events leave in order, and only after the rows they tell of are acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from streams.ports import Headers, Log
from tables.receipt import Receipt


class Outgoing(msgspec.Struct, frozen=True):
    """A record to append once the rows are durable. A symbol-keyed topic takes the partition of its source."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: Headers = ()


class _Batch:
    """The records of one submission, and what to do when its rows are durable and when they are."""

    __slots__ = ("done", "drain", "ready", "records")

    def __init__(self, records: list[Outgoing], done: Callable[[], None], drain: Callable[[], None]) -> None:
        self.records = records
        self.done = done
        self.drain = drain
        self.ready = False

    def rows_durable(self) -> None:
        self.ready = True
        self.drain()


class _Queue:
    """The batches of one partition."""

    __slots__ = ("_batches", "_log", "drain")

    def __init__(self, log: Log) -> None:
        self._log = log
        self._batches: deque[_Batch] = deque()
        self.drain = self._drain  # bound once: every batch holds it

    def submit(self, rows: Receipt, records: list[Outgoing], done: Callable[[], None]) -> None:
        batch = _Batch(records, done, self.drain)
        self._batches.append(batch)
        rows.then(batch.rows_durable)

    def clear(self) -> None:
        self._batches.clear()

    def _drain(self) -> None:
        batches, append = self._batches, self._log.append
        while batches and batches[0].ready:
            batch = batches.popleft()
            events = Receipt()
            for record in batch.records:
                append(record.topic, record.partition, record.key, record.value, events, record.headers)
            events.then(batch.done)


class Outbox:
    """Per partition a queue of events, each waiting for its rows.

    The receipts of two records may complete out of order, as their rows lie in several changelogs; the head of the
    queue holds back the rest, so the events of an order keep the order of its transitions.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._queues: dict[int, _Queue] = {}

    def submit(self, partition: int, rows: Receipt, records: list[Outgoing], done: Callable[[], None]) -> None:
        """Append `records` when `rows` are durable and it is their turn; call `done` when they are durable too."""
        queue = self._queues.get(partition)
        if queue is None:
            queue = self._queues[partition] = _Queue(self._log)
        queue.submit(rows, records, done)

    def forget(self, partition: int) -> None:
        """The partition is no longer ours: its events are published by whoever gets their sources again."""
        queue = self._queues.pop(partition, None)
        if queue is not None:
            queue.clear()
