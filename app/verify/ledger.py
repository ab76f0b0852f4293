"""A ledger: who says it, and what it says of orders, fills and positions, in one form for all of them.

A figure is compared where both ledgers tell it; what only one tells (a venue knows no sequence of ours) is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from domain.money import plain
from domain.orders import Order, OrderState, VenueState
from domain.positions import Position
from domain.updates import FillKind, FillReport

Value = str | Decimal | int | bool | None
Figures = Mapping[str, Value]

ORDER, FILL, POSITION = "order", "fill", "position"
KINDS = (ORDER, FILL, POSITION)

OPEN, FILLED, CANCELLED, REJECTED, EXPIRED = "open", "filled", "cancelled", "rejected", "expired"
"""How an order stands at its venue."""
IN_DOUBT, NEVER_SENT, NOT_KNOWN = "in_doubt", "never_sent", "not_known"
"""Words that only we have: it may be there; it is not there; nobody could say."""


@dataclass(slots=True)
class Ledger:
    """What one side says. Orders are known by the venue's id where they have one, else by ours; fills by the venue's
    execution id; positions by symbol (after its category where that is not linear) and side.

    `of_venue`: it knows only what the venue took. `since_ns`: ended orders and fills from before are not told.
    `unfilled_since_ns`: nor ended orders without a fill from before. `placed_since_ns`: nor, where many have ended
    since, those that were placed before, whenever they ended.
    """

    name: str
    orders: dict[str, Figures] = field(default_factory=dict)
    fills: dict[str, Figures] = field(default_factory=dict)
    positions: dict[str, Figures] = field(default_factory=dict)
    of_venue: bool = False
    since_ns: int = 0
    unfilled_since_ns: int = 0
    placed_since_ns: int = 0
    wallet: dict[str, Decimal] = field(default_factory=dict)
    """What there is of each coin; told by the venue where spot is traded."""
    twice: list[Difference] = field(default_factory=list)
    """What one side has two of and must have once."""

    def part(self, kind: str) -> dict[str, Figures]:
        """Its orders, fills or positions."""
        return {ORDER: self.orders, FILL: self.fills, POSITION: self.positions}[kind]


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that two ledgers don't tell alike. `field` is empty when one of them lacks the whole entry."""

    between: tuple[str, str]
    kind: str
    key: str
    field: str
    values: tuple[str | None, str | None]
    unsure: bool = False
    """Whether it may be due to an order that is in doubt, or whose single fills are unknown (`app.verify.doubt`)."""

    @property
    def place(self) -> tuple[tuple[str, str], str, str, str]:
        """Where it is, whatever the figures are."""
        return self.between, self.kind, self.key, self.field

    def __str__(self) -> str:
        here, there = (f"{name}: {value}" for name, value in zip(self.between, self.values, strict=True))
        return f"{self.kind} {self.key}{f', {self.field}' if self.field else ''}: {here}, {there}"


def compare(one: Ledger, other: Ledger) -> Iterator[Difference]:
    """Every difference, entry by entry. What is out of reach for one of them is missing without being one."""
    between = (one.name, other.name)
    yield from one.twice
    yield from other.twice
    for kind in KINDS:
        here, there = one.part(kind), other.part(kind)
        for key in sorted(here.keys() | there.keys()):
            if key not in here:
                if expected(one, kind, there[key]):
                    yield Difference(between, kind, key, "", (None, _summary(kind, there[key])))
            elif key not in there:
                if expected(other, kind, here[key]):
                    yield Difference(between, kind, key, "", (_summary(kind, here[key]), None))
            else:
                yield from _figures(between, kind, key, here[key], there[key])


def _figures(between: tuple[str, str], kind: str, key: str, here: Figures, there: Figures) -> Iterator[Difference]:
    for name in here:
        if name in there and here[name] is not None and there[name] is not None and here[name] != there[name]:
            yield Difference(between, kind, key, name, (text(here[name]), text(there[name])))


def expected(ledger: Ledger, kind: str, entry: Figures) -> bool:
    """Whether `ledger` would have to tell of what another one tells."""
    when = entry.get("at_ns")
    at_ns = when if isinstance(when, int) else 0
    if kind == POSITION:
        return any(isinstance(figure := entry.get(name), Decimal) and figure for name in ("size", "realised"))
    if kind == FILL:
        is_a_word = ledger.of_venue and entry.get("fill_kind") == FillKind.TAKEN_OVER  # on a position, no execution
        return at_ns >= ledger.since_ns and not is_a_word
    if not ledger.of_venue:
        return True
    if entry["standing"] in {NEVER_SENT, NOT_KNOWN, IN_DOUBT}:
        return False
    if entry["standing"] == OPEN:
        return True
    placed = entry.get("begun_ns")
    if isinstance(placed, int) and placed < ledger.placed_since_ns:
        return False
    return at_ns >= (ledger.since_ns if entry["executed_quantity"] else ledger.unfilled_since_ns)


def text(value: Value) -> str | None:
    """A figure as it is printed."""
    return None if value is None else plain(value) if isinstance(value, Decimal) else str(value)


def _summary(kind: str, entry: Figures) -> str:
    names = {
        ORDER: ("symbol", "side", "standing", "quantity", "executed_quantity"),
        FILL: ("symbol", "side", "quantity", "price"),
        POSITION: ("size", "realised"),
    }[kind]
    return " ".join(str(text(entry.get(name))) for name in names if entry.get(name) is not None)


# -- our rows ----------------------------------------------------------------------------------------------------------

_STANDING = {
    OrderState.FILLED: FILLED,
    OrderState.CANCELLED: CANCELLED,
    OrderState.REJECTED: REJECTED,
    OrderState.EXPIRED: EXPIRED,
    OrderState.CLOSED_UNKNOWN: NOT_KNOWN,
    OrderState.FAILED: NEVER_SENT,
    OrderState.DRY_RUN: NEVER_SENT,
}
STANDING_OF = {
    VenueState.UNKNOWN: None,
    VenueState.UNTRIGGERED: OPEN,
    VenueState.TRIGGERED: OPEN,
    VenueState.LIVE: OPEN,
    VenueState.REJECTED: REJECTED,
    VenueState.EXPIRED: EXPIRED,
    VenueState.CANCELLED: CANCELLED,
    VenueState.FILLED: FILLED,
}
"""How the venue's own words stand."""


def standing(order: Order) -> str:
    """How we believe the order stands at the venue. An end that only we concluded, of an order the venue never spoke
    of, means that it is not there."""
    if order.resting:
        return OPEN
    if order.in_doubt:
        return IN_DOUBT
    ours = _STANDING.get(order.state, NOT_KNOWN)
    if ours in {REJECTED, EXPIRED} and order.evidence.state is VenueState.UNKNOWN and not order.venue_order_id:
        return NEVER_SENT
    return ours


def order_figures(order: Order) -> Figures:
    """An order's row."""
    executed = order.cumulative
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.instrument.symbol,
        "instrument": order.instrument.label,
        "side": order.side.value,
        "state": order.state.value,
        "standing": standing(order),
        "quantity": order.current_quantity,
        "price": order.current_price,
        "executed_quantity": executed.quantity,
        "executed_value": executed.value,
        "fees": fees_text(executed.fees),
        "missing_fills": order.missing_fills,
        "sequence": order.sequence,
        "begun_ns": order.times.created_ns,
        "at_ns": order.times.finished_ns or order.times.updated_ns,
    }


def fill_figures(fill: FillReport, order_id: str) -> Figures:
    """A fill. `order_id` is ours."""
    return {
        "order_id": order_id,
        "venue_order_id": fill.venue_order_id or None,
        "symbol": fill.instrument.symbol,
        "fill_kind": fill.fill_kind.value,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": fill.fee,
        "at_ns": fill.executed_ns,
    }


def position_figures(position: Position) -> Figures:
    """A position's row. What it has realised is not known, after what was taken over of the venue."""
    state = position.state
    return {
        "size": state.size,
        "average_entry": state.average_entry,
        "realised": None if position.taken_over_ns else state.realised,
        "fees": fees_text(state.fees),
        "funding": state.funding,
    }


def order_key(order: Order) -> str:
    """The venue's id; ours while it has none."""
    return order.venue_order_id or order.order_id


def position_key(position: Position) -> str:
    """Symbol (after its category where that is not linear) and side."""
    return f"{position.instrument.label}/{position.side}"


def fees_text(fees: Mapping[str, Decimal]) -> str:
    """Fees by currency, in the order of their names; nothing for none."""
    return ", ".join(f"{plain(fee)} {currency}" for currency, fee in sorted(fees.items()) if fee)
