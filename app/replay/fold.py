"""The fold: intents and updates through the order agent itself, into tables of our own.

What the live agent decided by what it had in memory is read from the log instead. An update that was parked, and a fill
that came too late for its place, has a copy further on, whose header says so; neither is applied where it stands first.
An intent that was taken back was in flight for the updates between.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Mapping

from app.replay.intents import Intent
from app.replay.live import Intents
from app.replay.scratch import ScratchInbox, ScratchLog
from domain.errors import InvalidInput
from domain.updates import decode_update
from streams.applied import Applied
from streams.belonging import LATE_AT, PARKED_AT
from streams.order_agent import OrderAgent
from streams.record import Record, RecordFailed
from streams.topics import Topics
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.receipt import Receipt
from tables.rows import Rows

_log = logging.getLogger(__name__)

MakeIntent = Callable[[int, str], Intent | None]
"""(partition, order id) → its first row; None if nothing tells of it."""


class PutOff:
    """Updates that were not applied where they stand. Sees every record of `order-updates` once before the fold."""

    def __init__(self, until: Mapping[int, int]) -> None:
        self._until = until
        self._parked: dict[int, set[int]] = defaultdict(set)
        self._late: dict[int, set[int]] = defaultdict(set)
        self._copied_at: dict[tuple[int, int], int] = {}
        self.last_ns: dict[int, int] = {}
        """Time of the last record of each partition that is folded."""

    def note(self, record: Record) -> None:
        """Remember what the record says of one before it."""
        if record.offset < self._until.get(record.partition, 0):
            self.last_ns[record.partition] = record.timestamp_ns
        if (parked_at := _offset_in(record, PARKED_AT)) is not None:
            self._parked[record.partition].add(parked_at)
            self._copied_at.setdefault((record.partition, parked_at), record.offset)
        if (late_at := _offset_in(record, LATE_AT)) is not None:
            self._late[record.partition].add(late_at)

    def parked(self, record: Record) -> bool:
        """Whether it was kept until it was known whose it is."""
        return record.offset in self._parked[record.partition]

    def late(self, record: Record) -> bool:
        """Whether it was only appended again."""
        return record.offset in self._late[record.partition]

    def copied_at(self, partition: int, parked_at: int) -> int | None:
        """Where the first copy stands of what was parked; None if there is none."""
        return self._copied_at.get((partition, parked_at))


def _offset_in(record: Record, header: str) -> int | None:
    text = dict(record.headers).get(header, b"")
    return int(text) if text.isdigit() else None


class Fold:
    """Orders and positions, made again. `make_intent` is asked for each intent when its turn comes; `put_aside` says
    whether an update was given up (`streams.quarantine`)."""

    def __init__(
        self,
        tables: Mapping[str, Rows],
        log: ScratchLog,
        topics: Topics,
        instance: str,
        *,
        intents: Mapping[int, Intents],
        make_intent: MakeIntent,
        put_off: PutOff,
        put_aside: Callable[[Record], bool] = lambda _record: False,
    ) -> None:
        self.orders = OrderTable(tables["orders"])
        self.positions = PositionTable(tables["positions"])
        self.updates = 0
        self.unknown_intents: list[str] = []
        self._intents = {partition: deque(each.steps()) for partition, each in intents.items()}
        self._make_intent = make_intent
        self._put_off = put_off
        self._put_aside = put_aside
        self._agent = OrderAgent(
            log=log,
            inbox=ScratchInbox(),
            topics=topics,
            orders=self.orders,
            positions=self.positions,
            applied=Applied(),
            instance=instance,
        )

    def take(self, record: Record) -> None:
        """One record of `order-updates`, after the intents that were written before it."""
        self._write_intents(record.partition, record.offset)
        self.updates += 1
        if self._put_aside(record):
            self._agent.pass_over(record)
        elif self._put_off.parked(record):
            self._park(record)
        elif self._put_off.late(record):
            self._unpark_original(record)
        else:
            self._handle(record)

    def _handle(self, record: Record) -> None:
        """The comparison says more of a record that can't be handled than the end of the fold would."""
        try:
            self._agent.handle([record])
        except RecordFailed as failed:
            _log.warning("update %s can't be handled: %r", record.source, failed.error)
            self._agent.pass_over(record)

    def finish(self) -> None:
        """The intents that nothing was said of yet."""
        for partition in self._intents:
            self._write_intents(partition, None)

    def _write_intents(self, partition: int, before: int | None) -> None:
        waiting = self._intents.get(partition)
        while waiting and (before is None or waiting[0].place < before):
            step = waiting.popleft()
            if step.undone is not None:
                if step.ends:
                    self.orders.discard_intent(partition, step.undone, Receipt())
                else:
                    self.orders.put(partition, step.undone, [], Receipt())
            elif (intent := self._make_intent(partition, step.order_id)) is None:
                self.unknown_intents.append(step.order_id)
            else:
                self.orders.put(partition, intent.order, [intent.transition], Receipt())

    def _park(self, record: Record) -> None:
        try:
            symbol = decode_update(record.value).instrument.symbol
        except InvalidInput:  # pragma: no cover -- what cannot be read is never parked
            return
        self.orders.park(record.partition, symbol, record.offset, record.value or b"", Receipt())
        self._unpark_original(record)

    def _unpark_original(self, record: Record) -> None:
        """A copy that had to wait once more stands for the first."""
        partition, parked_at = record.partition, _offset_in(record, PARKED_AT)
        if parked_at is None:
            return
        symbol = decode_update(record.value).instrument.symbol
        if key := self.orders.is_parked(partition, symbol, parked_at):
            self.orders.unpark(partition, key, Receipt())
