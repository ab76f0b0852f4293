"""Events leave in order, and only after the rows they tell of are acknowledged."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.ports import Headers, Log
from tables.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to append once the rows are durable. A symbol-keyed topic takes the partition of its source."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: Headers = ()


@dataclass(slots=True)
class _Batch:
    rows: Receipt
    records: list[Outgoing]
    done: Callable[[], None]
    ready: bool = field(default=False)


class Outbox:
    """Per partition a queue of events, each waiting for its rows.

    The receipts of two records may complete out of order, as their rows lie in several changelogs; the head of the
    queue holds back the rest, so the events of an order keep the order of its transitions.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._queues: dict[int, deque[_Batch]] = defaultdict(deque)

    def submit(self, partition: int, rows: Receipt, records: list[Outgoing], done: Callable[[], None]) -> None:
        """Append `records` when `rows` are durable and it is their turn; call `done` when they are durable too."""
        batch = _Batch(rows, records, done)
        self._queues[partition].append(batch)

        def rows_durable() -> None:
            batch.ready = True
            self._drain(partition)

        rows.then(rows_durable)

    def forget(self, partition: int) -> None:
        """The partition is no longer ours: its events are published by whoever gets their sources again."""
        self._queues.pop(partition, None)

    def _drain(self, partition: int) -> None:
        queue = self._queues.get(partition)
        while queue and queue[0].ready:
            batch = queue.popleft()
            events = Receipt()
            for record in batch.records:
                self._log.append(record.topic, record.partition, record.key, record.value, events, record.headers)
            events.then(batch.done)
