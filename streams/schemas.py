"""What goes out: order events, position events, alerts. Built from rows only, so the same rows give the same bytes."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from domain.events import EventKind, FillDetail, Latencies, Transition, latencies_of
from domain.ids import event_id
from domain.instruments import Instrument, Quote
from domain.money import ZERO
from domain.orders import Order, OrderState, OrderType, PositionSide, Side, SignalContext, TimeInForce
from domain.positions import LedgerEntry, Position, PositionState
from domain.protection import Protection, Protects, Role

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
CONTENT_TYPE = ("content-type", b"application/json")


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of an order, with all that a reader needs to understand it alone (requirement J01)."""

    event_id: str
    type: EventKind
    sequence: int
    at_ns: int
    order_id: str
    venue_order_id: str
    instrument: Instrument
    account: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    reduce_only: bool
    post_only: bool
    position_side: PositionSide
    external: bool
    protection: Protection | None
    """The take-profit and stop-loss that went with the order."""
    protects: Protects | None
    """Of an order that the venue made to protect a position."""
    state_before: OrderState
    state: OrderState
    status: str
    quantity: Decimal
    price: Decimal | None
    cumulative_quantity: Decimal
    cumulative_value: Decimal
    average_price: Decimal | None
    leaves_quantity: Decimal
    fees: dict[str, Decimal]
    fill: FillDetail | None
    reason: str
    details: dict[str, str]
    signal: SignalContext | None
    latencies: Latencies
    trace_id: str
    origin: str
    source: str


class SignalEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a signal of which no order tells."""

    event_id: str
    type: EventKind
    at_ns: int
    signal_id: str
    symbol: str
    attempt: int
    code: str
    reason: str
    trace_id: str
    source: str
    is_warmup: bool = False
    strategy_id: str = ""


CHANGED, LOSS_WARNING, LOSS_WARNING_OVER = "changed", "loss_warning", "loss_warning_over"
"""Types of position events."""


class PositionEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a position. Of `type` changed: one fill and the position after it. `state` is the position as it
    stands; `after_fill` as it stood after this fill in the venue's order of execution (they differ only for a fill
    that arrived late)."""

    event_id: str
    type: str
    at_ns: int
    instrument: Instrument
    account: str
    side: PositionSide
    order_id: str
    execution_id: str
    fill_kind: str
    fill_side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    maker: bool | None
    executed_ns: int
    after_fill: PositionState
    state: PositionState
    source: str
    trace_id: str = ""
    other_fees: dict[str, Decimal] | msgspec.UnsetType = msgspec.UNSET
    """What was taken in other currencies than `fee_currency`, where there was such."""


class LossEvent(PositionEvent, frozen=True, kw_only=True):
    """Of `type` loss_warning or loss_warning_over: the unrealised loss went over the limit, or came back (requirement
    P04). Readers of fills may read it as one of nothing: quantity and fee are 0, the ids empty, `price` is the mark,
    `fill_side` the side that would close the position. `threshold` is the part of its cost that a position may lose."""

    unrealised: Decimal
    threshold: Decimal


class PositionSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A position at one of the regular moments (requirement P02). `event_id` is the same whoever takes it, so a picture
    that two workers took of one moment is known. `taken_ns` is when it was looked at, `moment_ns` the multiple of
    the interval that it stands for; both ns UTC. `applied_offset` is the last record of `order-updates` it contains."""

    event_id: str
    moment_ns: int
    taken_ns: int
    instrument: Instrument
    account: str
    side: PositionSide
    state: PositionState
    mark: Decimal | None
    mark_at_ns: int | None
    unrealised: Decimal | None
    last_fill_ns: int | None
    taken_over_ns: int
    version: int
    applied_offset: int


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know. `alert_id` is the same for every repetition of the same cause."""

    alert_id: str
    code: str
    severity: str
    sentence: str
    symbol: str
    at_ns: int
    source: str
    trace_id: str = ""


_encoder = msgspec.json.Encoder()


def encode(event: OrderEvent | SignalEvent | PositionEvent | PositionSnapshot | Alert) -> bytes:
    """The record's value."""
    return _encoder.encode(event)


def event_headers(schema: str, identity: str, trace_id: str = "") -> tuple[tuple[str, bytes], ...]:
    """The headers that every record of ours carries."""
    headers = (
        CONTENT_TYPE,
        ("schema", schema.encode()),
        ("event-id", identity.encode()),
        ("producer", b"ordermanager"),
    )
    if not _TRACE_ID.fullmatch(trace_id):
        return headers  # a producer's own kind of id: it stays in the record, the header has a form of its own
    return (*headers, ("traceparent", traceparent(trace_id).encode()))


def traceparent(trace_id: str) -> str:
    """W3C trace context for a trace we carry. The parent span is the trace's first half: we open no spans."""
    return f"00-{trace_id}-{trace_id[:16]}-01"


def order_event(order: Order, transition: Transition) -> OrderEvent:
    """The event of a transition. What can change later is taken from the transition, not from the order."""
    cumulative = transition.cumulative
    return OrderEvent(
        event_id=event_id(order.order_id, transition.sequence),
        type=transition.kind,
        sequence=transition.sequence,
        at_ns=transition.at_ns,
        order_id=order.order_id,
        venue_order_id=transition.venue_order_id,
        instrument=order.instrument,
        account=order.account,
        side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
        position_side=order.position_side,
        external=order.external or (order.role is not Role.NONE and transition.protects is None),
        protection=order.protection,
        protects=transition.protects,
        state_before=transition.before,
        state=transition.after,
        status=msgspec.structs.replace(order, state=transition.after).status,
        quantity=transition.quantity,
        price=transition.price,
        cumulative_quantity=cumulative.quantity,
        cumulative_value=cumulative.value,
        average_price=cumulative.average_price(order.instrument),
        leaves_quantity=transition.leaves,
        fees=cumulative.fees,
        fill=transition.fill,
        reason=transition.reason,
        details=transition.details,
        signal=order.signal,
        latencies=transition.latencies,
        trace_id=order.trace_id,
        origin=transition.origin,
        source=transition.source,
    )


def latencies(order: Order) -> Latencies:
    """How long each leg took, as far as both of its ends are known."""
    return latencies_of(order.times)


def position_event(position: Position, entry: LedgerEntry, source: str, trace_id: str = "") -> PositionEvent:
    """The event of a fill that changed a position. It says the same again whatever has come in between."""
    fill = entry.fill
    where = position.instrument
    return PositionEvent(
        event_id=f"{where.venue}-{where.category}-{where.symbol}-{position.account}-{fill.execution_id}",
        type=CHANGED,
        at_ns=fill.received_ns,
        instrument=where,
        account=position.account,
        side=position.side,
        order_id=entry.order_id,
        execution_id=fill.execution_id,
        fill_kind=fill.fill_kind,
        fill_side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        maker=fill.maker,
        executed_ns=fill.executed_ns,
        after_fill=entry.told_after or entry.after,
        state=entry.told_state or entry.after,
        source=source,
        trace_id=trace_id,
        other_fees=fill.other_fees,
    )


def loss_event(
    position: Position, kind: str, quote: Quote, unrealised: Decimal, threshold: Decimal, at_ns: int
) -> LossEvent:
    """The event of a loss that went over the limit, or came back. Its id follows from the position's version and the
    quote that showed it."""
    closing = Side.SELL if position.state.size >= 0 else Side.BUY
    identity = f"{position_id(position)}-{position.version}-{quote.at_ns}"
    return LossEvent(
        event_id=f"{identity}-{kind}",
        type=kind,
        at_ns=at_ns,
        instrument=position.instrument,
        account=position.account,
        side=position.side,
        order_id="",
        execution_id="",
        fill_kind="",
        fill_side=closing,
        quantity=ZERO,
        price=quote.mark,
        fee=ZERO,
        fee_currency="",
        maker=None,
        executed_ns=quote.at_ns,
        after_fill=position.state,
        state=position.state,
        source="marks",
        unrealised=unrealised,
        threshold=threshold,
    )


def position_snapshot(position: Position, moment_ns: int, taken_ns: int, quote: Quote | None) -> PositionSnapshot:
    """The position as it is, standing for the moment."""
    state = position.state
    return PositionSnapshot(
        event_id=f"{position_id(position)}-{moment_ns}",
        moment_ns=moment_ns,
        taken_ns=taken_ns,
        instrument=position.instrument,
        account=position.account,
        side=position.side,
        state=state,
        mark=None if quote is None else quote.mark,
        mark_at_ns=None if quote is None else quote.at_ns,
        unrealised=None if quote is None else state.unrealised(quote.mark, position.instrument),
        last_fill_ns=None if position.last is None else position.last.executed_ns,
        taken_over_ns=position.taken_over_ns,
        version=position.version,
        applied_offset=position.applied_offset,
    )


def position_id(position: Position) -> str:
    """Venue, category, symbol, account and side."""
    where = position.instrument
    return f"{where.venue}-{where.category}-{where.symbol}-{position.account}-{position.side}"
