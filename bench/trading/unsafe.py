"""The worker without what makes it safe, to see what that costs. For benchmarks only; it would lose and repeat orders.

Nothing is waited for that the broker has to acknowledge: no plan, no intent, no outcome. Events don't wait for rows.
The lease is not looked at. What is computed, written and told is the same.
"""

from __future__ import annotations

from collections.abc import Callable

from app.inbox import GroupInbox
from app.transport.log import AppendLog
from app.transport.partitioner import partition_of
from streams.applied import Applied
from streams.outbox import Outbox, Outgoing
from streams.ports import Headers
from streams.record import Record, Source
from tables.receipt import Receipt

_UNKNOWN_OFFSET = -1


def take_safety_off() -> None:
    """In this process, for good."""

    async def durable(_receipt: Receipt) -> None:
        return

    async def publish(
        log: AppendLog, topic: str, key: bytes, value: bytes, headers: Headers = (), partition: int | None = None
    ) -> Source:
        if partition is None:
            partition = partition_of(key, log.partitions)
        log.append(topic, partition, key, value, Receipt(), headers)
        return Source(topic, partition, _UNKNOWN_OFFSET)

    async def reached(_applied: Applied, _at: Source) -> None:
        return

    def submit(
        outbox: Outbox, _partition: int, _rows: Receipt, records: list[Outgoing], done: Callable[[], None]
    ) -> None:
        for record in records:
            outbox._log.append(record.topic, record.partition, record.key, record.value, Receipt(), record.headers)
        done()

    def may_act(inbox: GroupInbox, record: Record) -> bool:
        return inbox.is_current(record)

    Receipt.durable = durable  # type: ignore[method-assign]
    AppendLog.publish = publish  # type: ignore[method-assign]
    Applied.reached = reached  # type: ignore[method-assign]
    Outbox.submit = submit  # type: ignore[method-assign]
    GroupInbox.may_act = may_act  # type: ignore[method-assign]
