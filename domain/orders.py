"""An order's row: what we meant, what we concluded, what the venue says, and the state that follows.

`evidence` and `fills` are merged so that any order and repetition of the same updates ends in the same row
(requirement O04). `local` is what we know or concluded ourselves; the venue's evidence always outranks it.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from domain.errors import InvalidStateTransition
from domain.instruments import Instrument
from domain.money import ZERO, divide
from domain.protection import Protection, Role


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How an order meets the book."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long an order stays."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class PositionSide(StrEnum):
    """Which position an order belongs to: `net` in one-way mode, a side of its own in hedge mode."""

    NET = "net"
    LONG = "long"
    SHORT = "short"


class OrderState(StrEnum):
    """An order's state (requirement O01)."""

    CREATED = "created"
    VALIDATED = "validated"
    PLANNED = "planned"
    SUBMITTING = "submitting"
    UNCERTAIN = "uncertain"
    ACKNOWLEDGED = "acknowledged"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    UNTRIGGERED = "untriggered"
    TRIGGERED = "triggered"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    CLOSED_UNKNOWN = "closed_unknown"
    DRY_RUN = "dry_run"

    @property
    def terminal(self) -> bool:
        """Whether nothing more is expected of the order."""
        return self in _TERMINAL

    @property
    def status(self) -> str:
        """What users filter by: a total function of the state, but see `Order.status` for `expired`."""
        return _STATUS.get(self, "pending")


_TERMINAL = frozenset(
    {
        *(OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.FAILED),
        *(OrderState.EXPIRED, OrderState.CLOSED_UNKNOWN, OrderState.DRY_RUN),
    }
)

_STATUS = {
    OrderState.PARTIALLY_FILLED: "partially_filled",
    OrderState.FILLED: "filled",
    OrderState.CANCELLED: "cancelled",
    OrderState.REJECTED: "rejected",
    OrderState.FAILED: "failed",
    OrderState.EXPIRED: "failed",
    OrderState.CLOSED_UNKNOWN: "failed",
    OrderState.DRY_RUN: "dry_run",
}

STATUSES = ("pending", "partially_filled", "filled", "cancelled", "rejected", "failed", "dry_run")

_BEFORE_VENUE = (
    *(OrderState.CREATED, OrderState.VALIDATED),
    *(OrderState.PLANNED, OrderState.SUBMITTING, OrderState.UNCERTAIN),
)
_AT_VENUE = (
    *(OrderState.ACKNOWLEDGED, OrderState.PARTIALLY_FILLED),
    *(OrderState.PENDING_CANCEL, OrderState.PENDING_REPLACE),
    *(OrderState.UNTRIGGERED, OrderState.TRIGGERED),
)
_ENDS = (
    *(OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED),
    *(OrderState.EXPIRED, OrderState.CLOSED_UNKNOWN, OrderState.FAILED),
)

TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    # What we do before the venue is asked; evidence may overtake every one of these steps.
    OrderState.CREATED: frozenset(set(_BEFORE_VENUE) | set(_AT_VENUE) | set(_ENDS) | {OrderState.DRY_RUN}),
    OrderState.VALIDATED: frozenset(set(_BEFORE_VENUE) | set(_AT_VENUE) | set(_ENDS) | {OrderState.DRY_RUN}),
    OrderState.PLANNED: frozenset(set(_BEFORE_VENUE) | set(_AT_VENUE) | set(_ENDS) | {OrderState.DRY_RUN}),
    OrderState.SUBMITTING: frozenset({OrderState.UNCERTAIN, *_AT_VENUE, *_ENDS}),
    OrderState.UNCERTAIN: frozenset({OrderState.SUBMITTING, *_AT_VENUE, *_ENDS}),
    # Alive at the venue: local wishes come and go, quantities only grow.
    **{state: frozenset({*_AT_VENUE, *_ENDS}) for state in _AT_VENUE},
    # The venue's own ends. A fill that turns out to have completed a cancelled order corrects it.
    OrderState.FILLED: frozenset(),
    OrderState.CANCELLED: frozenset({OrderState.FILLED}),
    OrderState.EXPIRED: frozenset({*_AT_VENUE, *_ENDS}),
    # Ends that we concluded reopen when evidence appears, with an alert.
    **{
        state: frozenset({*_AT_VENUE, *_ENDS})
        for state in (OrderState.REJECTED, OrderState.FAILED, OrderState.CLOSED_UNKNOWN)
    },
    OrderState.DRY_RUN: frozenset(),
}


def check_transition(order_id: str, before: OrderState, after: OrderState) -> None:
    """Raise `InvalidStateTransition` unless `TRANSITIONS` has the step. Staying is always legal."""
    if before is not after and after not in TRANSITIONS[before]:
        raise InvalidStateTransition("INVALID_STATE_TRANSITION", f"order {order_id}: {before} does not lead to {after}")


class LocalState(StrEnum):
    """What we know or concluded of an order ourselves. Not a lattice: it may go back."""

    NONE = "none"  # an external order: we never meant anything
    PLANNED = "planned"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    UNCERTAIN = "uncertain"
    REJECTED = "rejected"
    FAILED = "failed"
    EXPIRED = "expired"
    CLOSED_UNKNOWN = "closed_unknown"
    DRY_RUN = "dry_run"


class Pending(StrEnum):
    """What we have asked of an open order and not yet seen done."""

    NOTHING = ""
    CANCEL = "cancel"
    REPLACE = "replace"
    """Cancelled, and what is left of it is wanted again."""
    AMEND = "amend"

    @property
    def ends(self) -> bool:
        """Whether the order is to end: nothing is added to it any more."""
        return self in {Pending.CANCEL, Pending.REPLACE}


class VenueState(StrEnum):
    """How far an order has come at its venue. The order of definition is the order of advance."""

    UNKNOWN = "unknown"
    UNTRIGGERED = "untriggered"
    TRIGGERED = "triggered"
    LIVE = "live"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FILLED = "filled"

    @property
    def rank(self) -> int:
        """Place in the order of advance: the higher one wins when two reports are merged."""
        return _RANK[self]

    @property
    def terminal(self) -> bool:
        """Whether the venue will not change the order any more."""
        return _RANK[self] >= _RANK[VenueState.REJECTED]


_RANK = {state: rank for rank, state in enumerate(VenueState)}


class Sums(msgspec.Struct, frozen=True):
    """Executed quantity, value (in the currency that settles the instrument) and fees by currency. Positive fees are
    paid."""

    quantity: Decimal = ZERO
    value: Decimal = ZERO
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)

    def average_price(self, instrument: Instrument) -> Decimal | None:
        """Value over quantity (or the reverse, where that is in the base currency); None before the first fill."""
        if not self.quantity or not self.value:
            return None
        return divide(self.quantity, self.value) if instrument.inverse else divide(self.value, self.quantity)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue has said of an order, merged. See `domain.merging` for the lattice."""

    state: VenueState = VenueState.UNKNOWN
    raw_status: str = ""
    reason: str = ""
    cumulative: Sums = Sums()
    terms_at_ns: int = 0
    price: Decimal | None = None
    quantity: Decimal | None = None
    trigger_price: Decimal | None = None
    """Where an order that waits for a price is triggered."""
    terms_rank: int = 0
    """State and total of the row that the terms are from: they tell which of two is the later one, before times do."""
    terms_executed: Decimal = ZERO
    fill_quantity: Decimal = ZERO
    """The order's quantity as the furthest of its executions told it, which may come before the row of an amendment."""
    fill_executed: Decimal = ZERO
    """How far that execution was."""


class SignalContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the order's signal was, as far as events and queries need it."""

    signal_id: str
    attempt: int
    part: int
    source: str
    signal_type: str
    amount: Decimal
    at_ns: int
    strategy_id: str = ""
    confidence: Decimal | None = None
    model_version: str = ""
    is_warmup: bool = False
    dry_run: bool = False
    """Its plan was made in a dry run: the order is never sent (requirement X10)."""
    rule: str = ""
    warnings: tuple[str, ...] = ()
    """What the plan warns of."""
    price_drift: Decimal | None = None
    """How far the market went since the signal's snapshot, as a fraction of its price (requirement D06)."""
    market: dict[str, str] = msgspec.field(default_factory=dict)
    metadata: dict[str, object] = msgspec.field(default_factory=dict)


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """When things happened to an order, nanoseconds UTC; 0 = not yet (requirement O08)."""

    signal_ns: int = 0
    created_ns: int = 0
    sent_ns: int = 0
    acknowledged_ns: int = 0
    first_fill_ns: int = 0
    finished_ns: int = 0
    updated_ns: int = 0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order of ours, or one we adopted. `sequence` counts its transitions, `applied_offset` is the last record
    of `order-updates` that the row contains."""

    order_id: str
    instrument: Instrument
    account: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    post_only: bool = False
    position_side: PositionSide = PositionSide.NET
    external: bool = False
    stranger_id: str = ""
    """The venue's id of an order that is not this one, although it has our client order id (requirement X02)."""
    signal: SignalContext | None = None
    trace_id: str = ""
    protection: Protection | None = None
    """The take-profit and stop-loss that go with it (requirement P07)."""
    role: Role = Role.NONE
    """What the venue made it for, to protect a position."""
    partial: bool = False
    """Made for a fixed quantity, not for the whole position: the rest goes without it."""
    parent_order_id: str = ""
    """The order that brought the protection, where the venue names it: the client order id, which is ours for ours."""

    local: LocalState = LocalState.PLANNED
    pending: Pending = Pending.NOTHING
    pending_by: str = ""
    venue_order_id: str = ""
    client_order_id: str = ""
    evidence: Evidence = Evidence()
    fills: Sums = Sums()

    state: OrderState = OrderState.PLANNED
    reason: str = ""
    sequence: int = 0
    applied_offset: int = -1
    times: Times = Times()
    attempts: int = 0
    batched: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    """By call (create, cancel) the order's place in the last one that was about several orders, such as `2 of 5`."""

    @property
    def cumulative(self) -> Sums:
        """The more advanced of what the venue reported in sum and what its single fills add up to."""
        return self.fills if self.fills.quantity >= self.evidence.cumulative.quantity else self.evidence.cumulative

    @property
    def current_quantity(self) -> Decimal:
        """Total quantity as it stands at the venue, after amendments."""
        told = self.evidence
        quantity = self.quantity if told.quantity is None else told.quantity
        is_news = told.fill_executed > told.terms_executed and not told.state.terminal
        return max(quantity, told.fill_quantity) if is_news else quantity  # less counts once the row says so

    @property
    def current_price(self) -> Decimal | None:
        """Limit price as it stands at the venue, after amendments."""
        return self.price if self.evidence.price is None else self.evidence.price

    @property
    def ours(self) -> bool:
        """Whether it was sent from here: neither somebody else's nor made by the venue to protect a position."""
        return not self.external and self.role is Role.NONE

    @property
    def leaves(self) -> Decimal:
        """What may still be executed."""
        return ZERO if self.state.terminal else max(ZERO, self.current_quantity - self.cumulative.quantity)

    @property
    def dry_run(self) -> bool:
        """Whether it was decided in a dry run: no venue has it, or ever will (requirement X10)."""
        return self.signal is not None and self.signal.dry_run

    @property
    def only_reduces(self) -> bool:
        """Whether it opens nothing, whatever becomes of the position: on spot no sale does."""
        return self.reduce_only or (self.instrument.spot and self.side is Side.SELL)

    @property
    def in_doubt(self) -> bool:
        """Whether the order may be at the venue without our knowing: no new exposure while one is."""
        return self.state in {OrderState.PLANNED, OrderState.SUBMITTING, OrderState.UNCERTAIN}

    @property
    def resting(self) -> bool:
        """Whether it is known to be open at the venue."""
        return self.state in _AT_VENUE

    @property
    def missing_fills(self) -> bool:
        """Whether the venue reports more executed than the single fills we have seen."""
        return self.evidence.cumulative.quantity > self.fills.quantity

    @property
    def untold_size(self) -> Decimal:
        """What the venue says was executed and no single fill has brought to the position yet, signed."""
        return self.side.sign * max(ZERO, self.evidence.cumulative.quantity - self.fills.quantity)

    @property
    def status(self) -> str:
        """What users filter by (requirement O02)."""
        return status_of(self.state, self.evidence.state)


def status_of(state: OrderState, told: VenueState) -> str:
    """What users filter by, of an order of whose venue this is the last word: one that expired after resting counts as
    cancelled."""
    if state is OrderState.EXPIRED and told is not VenueState.UNKNOWN:
        return "cancelled"
    return state.status
