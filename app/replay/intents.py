"""An order's first row, made again. In this order: from the signal's record and its plan; from the row as the
changelog had it first; from the order's `created` event, which stays for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domain.events import EventKind, Transition
from domain.merging import created
from domain.orders import LocalState, Order, OrderState, Times
from streams.intents import intended_order
from streams.schemas import OrderEvent
from streams.signal_intake import Work
from tables.signals import SignalRow


@dataclass(slots=True)
class IntentSources:
    """How many intents came from where."""

    plans: int = 0
    rows: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """An order's first row and its first transition."""

    order: Order
    transition: Transition


def from_plan(row: SignalRow, work: Work, order_id: str) -> Intent | None:
    """As the signal agent writes it."""
    plan = row.standing_plan
    for intent in plan.intents:
        if intent.order_id == order_id:
            order = intended_order(work.signal, row, plan, intent, work.instrument)
            return Intent(order, created(order, source=work.source, origin="signal"))
    return None


def from_first_row(order: Order, first: Transition | None) -> Intent:
    """As it stands in the changelog: what wrote it is none of our signals."""
    source, origin = ("", "") if first is None else (first.source, first.origin)
    return Intent(order, created(order, source=source, origin=origin))


def from_event(event: OrderEvent) -> Intent:
    """As the world was told of it."""
    order = Order(
        order_id=event.order_id,
        client_order_id=event.order_id,
        instrument=event.instrument,
        account=event.account,
        side=event.side,
        order_type=event.order_type,
        quantity=event.quantity,
        price=event.price,
        time_in_force=event.time_in_force,
        reduce_only=event.reduce_only,
        post_only=event.post_only,
        position_side=event.position_side,
        signal=event.signal,
        trace_id=event.trace_id,
        local=LocalState.PLANNED,
        state=OrderState.PLANNED,
        reason=event.reason,
        sequence=1,
        times=Times(
            signal_ns=0 if event.signal is None else event.signal.at_ns,
            created_ns=event.at_ns,
            updated_ns=event.at_ns,
        ),
    )
    return Intent(order, created(order, source=event.source, origin=event.origin))


def is_created(event: OrderEvent, wanted: Mapping[str, int]) -> bool:
    """Whether the event tells of one of these intents."""
    return event.type is EventKind.CREATED and event.sequence == 1 and event.order_id in wanted
