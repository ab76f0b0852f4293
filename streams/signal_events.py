"""What is told of a signal: its end where no order tells of it, its repetitions, the first event of its orders."""

from __future__ import annotations

from domain.errors import InvalidInput
from domain.events import EventKind, Transition
from domain.ids import signal_event_id, trace_id
from domain.orders import Order
from streams import schemas
from streams.outbox import Outgoing
from streams.ports import Log
from streams.record import Record
from streams.topics import Topics
from tables.signals import SignalResult, SignalRow

_SIGNAL_SCHEMA = "signal-event/1"
_ORDER_SCHEMA = "order-event/1"
_ALERT_SCHEMA = "alert/1"

_EVENT_OF = {
    SignalResult.REJECTED: EventKind.REJECTED,
    SignalResult.FAILED: EventKind.FAILED,
    SignalResult.EXPIRED: EventKind.EXPIRED,
    SignalResult.IGNORED: EventKind.DRY_RUN,
    SignalResult.DRY_RUN: EventKind.DRY_RUN,
    SignalResult.UNCERTAIN: EventKind.UNCERTAIN,
}


class SignalEvents:
    """Builds the records; ids follow from the record that is spoken of, so telling again tells the same."""

    def __init__(self, log: Log, topics: Topics) -> None:
        self._log = log
        self._topics = topics

    def unreadable(self, record: Record, error: InvalidInput, source: str, signal_id: str, symbol: str) -> Outgoing:
        """A record that went to the dead letters, but whose signal can be named (requirement S02)."""
        event = schemas.SignalEvent(
            event_id=signal_event_id(source, EventKind.REJECTED),
            type=EventKind.REJECTED,
            at_ns=record.timestamp_ns,
            signal_id=signal_id,
            symbol=symbol,
            attempt=0,
            code=error.code,
            reason=error.sentence,
            trace_id=trace_id(source),
            source=source,
        )
        return self._outgoing(event)

    def end(self, row: SignalRow) -> list[Outgoing]:
        """The signal's end, unless its orders tell of it."""
        kind = None if row.order_ids else _EVENT_OF.get(row.result)
        return [] if kind is None else [self._of_row(row, kind, row.source, row.code, row.reason)]

    def repeat(self, row: SignalRow, source: str, kind: EventKind, at_ns: int) -> list[Outgoing]:
        """A later record with the same signal id; a conflict is an alert too (requirement S06)."""
        duplicate = kind is EventKind.DUPLICATE
        code = "DUPLICATE_SIGNAL" if duplicate else "SIGNAL_CONFLICT"
        fields = "the same" if duplicate else "other"
        reason = (
            f"signal {row.signal_id} with {fields} trading fields is known from {row.source}: "
            f"it is {row.result or row.state}"
        )
        told = [self._of_row(row, kind, source, code, reason)]
        if not duplicate:
            told.append(self._alert(row, source, code, reason, at_ns))
        return told

    def created(self, order: Order, first: Transition) -> Outgoing:
        """The event of an intent that was written."""
        event = schemas.order_event(order, first)
        headers = schemas.event_headers(_ORDER_SCHEMA, event.event_id, order.trace_id)
        key = order.instrument.symbol.encode()
        partition = self._log.partition_of(key)
        return Outgoing(self._topics.order_events, partition, key, schemas.encode(event), headers)

    def _of_row(self, row: SignalRow, kind: EventKind, source: str, code: str, reason: str) -> Outgoing:
        return self._outgoing(
            schemas.SignalEvent(
                event_id=signal_event_id(source, kind),
                type=kind,
                at_ns=row.done_ns or row.planned_ns,
                signal_id=row.signal_id,
                symbol=row.symbol,
                attempt=row.attempt,
                code=code,
                reason=reason,
                trace_id=row.trace_id,
                source=source,
                is_warmup=row.is_warmup,
                strategy_id=row.strategy_id,
            )
        )

    def _outgoing(self, event: schemas.SignalEvent) -> Outgoing:
        headers = schemas.event_headers(_SIGNAL_SCHEMA, event.event_id, event.trace_id)
        key = event.symbol.encode()
        partition = self._log.partition_of(key)
        return Outgoing(self._topics.order_events, partition, key, schemas.encode(event), headers)

    def _alert(self, row: SignalRow, source: str, code: str, sentence: str, at_ns: int) -> Outgoing:
        alert = schemas.Alert(
            alert_id=f"{source}-{code}",
            code=code,
            severity="critical",
            sentence=sentence,
            symbol=row.symbol,
            at_ns=at_ns,
            source=source,
            trace_id=row.trace_id,
        )
        headers = schemas.event_headers(_ALERT_SCHEMA, alert.alert_id, row.trace_id)
        return Outgoing(self._topics.alerts, 0, alert.alert_id.encode(), schemas.encode(alert), headers)
