"""What the join tells the world: events of transitions and positions, and alerts. Their ids follow from the log."""

from __future__ import annotations

from collections.abc import Sequence

from domain.alerts import alert_of
from domain.events import Transition
from domain.orders import Order, OrderState
from domain.positions import LedgerEntry, Position
from streams import schemas
from streams.announced import Announced
from streams.hooks import Hooks
from streams.outbox import Outgoing
from streams.record import Record
from streams.replacing import replacement_signal
from streams.topics import Topics
from tables.orders import OrderTable

_EVENT_SCHEMA = "order-event/1"
_POSITION_SCHEMA = "position-event/1"
_ALERT_SCHEMA = "alert/1"


class JoinEvents:
    """Makes the records that go out when an update has been applied."""

    def __init__(self, topics: Topics, orders: OrderTable, announced: Announced, hooks: Hooks) -> None:
        self._topics = topics
        self._announced = announced
        self._orders = orders
        self._hooks = hooks

    def of_update(self, record: Record, order: Order, transitions: Sequence[Transition]) -> list[Outgoing]:
        """The transitions' events. The first one, that the order was meant, is the signal's turn to tell; what comes
        between a crash and that turn must not be told without it."""
        second = order.ours and bool(transitions) and transitions[0].sequence == 2
        if second and not self._announced.take(record.partition, order.order_id):
            transitions = [next(self._orders.history(record.partition, order.order_id)), *transitions]
        return [outgoing for transition in transitions for outgoing in self._of_transition(record, order, transition)]

    def again(self, record: Record, order: Order) -> list[Outgoing]:
        """The events this record led to the first time: its transitions are the newest of the order, or gone by."""
        source = str(record.source)
        mine: list[Transition] = []
        for transition in self._orders.latest_transitions(record.partition, order.order_id):
            if transition.source == source:
                mine.append(transition)
            elif mine:
                break
        return self.of_update(record, order, mine[::-1])

    def of_position(self, record: Record, position: Position, entry: LedgerEntry, trace_id: str) -> Outgoing:
        """The position after a fill has come to it."""
        event = schemas.position_event(position, entry, str(record.source), trace_id)
        headers = schemas.event_headers(_POSITION_SCHEMA, event.event_id, trace_id)
        key = position.instrument.symbol.encode()
        return Outgoing(self._topics.position_events, record.partition, key, schemas.encode(event), headers)

    def alert(self, record: Record, code: str, sentence: str, symbol: str, trace_id: str = "") -> Outgoing:
        """What a person should know; its id is that of the record that led to it."""
        self._hooks.on_alert(code)
        alert = schemas.Alert(
            alert_id=f"{record.source}-{code}",
            code=code,
            severity="critical",
            sentence=sentence,
            symbol=symbol,
            at_ns=record.timestamp_ns,
            source=str(record.source),
            trace_id=trace_id,
        )
        headers = schemas.event_headers(_ALERT_SCHEMA, alert.alert_id, trace_id)
        return Outgoing(self._topics.alerts, 0, alert.alert_id.encode(), schemas.encode(alert), headers)

    def _of_transition(self, record: Record, order: Order, transition: Transition) -> list[Outgoing]:
        """A transition's event, and its alert where it needs one."""
        self._hooks.on_transition(order, transition)
        event = schemas.order_event(order, transition)
        headers = schemas.event_headers(_EVENT_SCHEMA, event.event_id, order.trace_id)
        symbol = order.instrument.symbol
        told = [Outgoing(self._topics.order_events, record.partition, symbol.encode(), schemas.encode(event), headers)]
        if _is_replaced(transition) and (signal := replacement_signal(order)) is not None:
            told.append(Outgoing(self._topics.signals, record.partition, symbol.encode(), signal))
        if (alert := alert_of(order.order_id, transition)) is not None:
            told.append(self.alert(record, *alert, symbol, order.trace_id))
        return told


def _is_replaced(transition: Transition) -> bool:
    """Whether the order ended as somebody wished who wants the rest again; not one that was being amended."""
    replacing = transition.before is OrderState.PENDING_REPLACE and "pending" not in transition.details
    return replacing and transition.after is OrderState.CANCELLED
