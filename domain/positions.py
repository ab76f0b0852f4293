"""Positions: average price, realised profit, exact.

A position is the fold of its fills in the venue's execution order. `Position` is the state after the last one; the
ledger (kept by `tables.positions`) holds every fill with the state after it, so that a late fill is put in its
place and only what follows it is folded again (requirements P01, O04).

Money is conserved to the last digit. A position carries what it cost; closing a part takes that part's share of the
cost, rounded once (`domain.money.divide`, 18 places), closing all takes what is left. So at every moment

    realised = sold value - bought value + cost of what is held (minus it, when short)

exactly, and a position that is flat has realised what was paid and received. The average entry is shown, not used:
cost over size when a fill adds, unchanged when one closes. Realised profit is gross: fees and funding stand beside it.

Values are in the currency that settles the instrument. An inverse contract is settled in its base currency: the same
equation holds with its sign turned round, as who is long gains when the same dollars become worth less of the coin,
and its average entry is size over cost, the harmonic mean. On spot a fee that is paid in the base currency is gone from
what is held: size is bought less sold less these fees, valued at their fills' prices; the fee itself stands with the
other fees, and the equation has its worth at the fill's price on the left.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from domain.instruments import Instrument
from domain.money import ZERO, canonical, divide
from domain.orders import PositionSide
from domain.updates import FillKind, FillReport


class PositionState(msgspec.Struct, frozen=True, kw_only=True):
    """Figures after a fill. `size` is signed: above zero long, below short. `cost` is the value at which what is held
    was opened, never below zero. Values and profits are in the settlement currency."""

    size: Decimal = ZERO
    cost: Decimal = ZERO
    average_entry: Decimal = ZERO
    realised: Decimal = ZERO
    fees: dict[str, Decimal] = msgspec.field(default_factory=dict)
    funding: Decimal = ZERO
    bought: Decimal = ZERO
    bought_value: Decimal = ZERO
    sold: Decimal = ZERO
    sold_value: Decimal = ZERO
    fills: int = 0

    def unrealised(self, mark: Decimal, instrument: Instrument) -> Decimal:
        """Profit if the position were closed at `mark`, in the settlement currency."""
        if not self.size:
            return ZERO
        gain = instrument.value(abs(self.size), mark) - self.cost
        return gain if (self.size > 0) is not instrument.inverse else -gain


CLOCK_JUMP_NS = 60_000_000_000
"""Fills of so short a time are in the order of the venue's sequence, whatever its clock said of them: it may be set
back between two. Over longer times a sequence that begins anew, as for a symbol that moved, would mean nothing."""


class FillKey(msgspec.Struct, frozen=True, order=True):
    """A fill's place in the venue's execution order. `executed_ns` is when it was executed, or where that contradicts
    the venue's sequence, the time of the neighbour (`key_between`)."""

    executed_ns: int
    venue_sequence: int
    execution_id: str


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A fill, the state after it, and the record of `order-updates` that brought it.

    The state after a fill changes when a late one takes its place before it, but what an event has said stays said:
    `told_after` is what the fill's event tells as the state after it, `told_state` as the position's. None: as `after`.
    """

    fill: FillReport
    order_id: str
    offset: int
    after: PositionState
    told_after: PositionState | None = None
    told_state: PositionState | None = None
    placed_ns: int = 0
    """The time in its key, where that is not the fill's own; else 0."""

    @property
    def key(self) -> FillKey:
        """Where it stands."""
        own = fill_key(self.fill)
        return msgspec.structs.replace(own, executed_ns=self.placed_ns) if self.placed_ns else own


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The position of one instrument, account and side. `applied_offset` is the last record it contains."""

    instrument: Instrument
    account: str
    side: PositionSide
    state: PositionState = PositionState()
    last: FillKey | None = None
    applied_offset: int = -1
    updated_ns: int = 0
    version: int = 0
    taken_over_ns: int = 0
    """When the venue's word on the position was last taken as it is, the venue's time (requirement P05); 0: never, all
    of it is the fold of executions."""


def closed_by(entry: LedgerEntry) -> Decimal:
    """How much of the position the fill closed, as its event tells it: the smaller of its quantity and what stood
    against it."""
    fill = entry.fill
    change = fill.side.sign * fill.quantity
    before = (entry.told_after or entry.after).size - change
    return min(abs(before), fill.quantity) if before * change < 0 else ZERO


def fill_key(fill: FillReport) -> FillKey:
    """Where `fill` belongs among the executions of its position, by the venue's clock."""
    return FillKey(fill.executed_ns, fill.venue_sequence, fill.execution_id)


def has_sequence(fill: FillReport) -> bool:
    """Whether the venue has given the fill a place among others. What was taken over has none."""
    return fill.venue_sequence > 0 and fill.fill_kind is not FillKind.TAKEN_OVER


def key_between(fill: FillReport, before: FillKey | None, after: FillKey | None) -> FillKey:
    """Where `fill` belongs between its neighbours by the venue's sequence."""
    key = fill_key(fill)
    placed_ns = key.executed_ns if after is None else min(key.executed_ns, after.executed_ns)
    placed_ns = placed_ns if before is None else max(placed_ns, before.executed_ns)
    return msgspec.structs.replace(key, executed_ns=placed_ns)


def after_fill(state: PositionState, fill: FillReport) -> PositionState:
    """The figures after one more fill."""
    fees = dict(state.fees)
    if fill.fill_kind is FillKind.TAKEN_OVER:
        return _taken_over(state, fill)
    if fill.fill_kind is FillKind.FUNDING:
        # Funding is a payment on the position, in the settlement currency; it trades nothing.
        return msgspec.structs.replace(state, funding=canonical(state.funding - fill.fee), fills=state.fills + 1)
    for currency, fee in fill.fees.items():
        fees[currency] = canonical(fees.get(currency, ZERO) + fee)
    size, cost, average_entry, realised = _traded(state, fill)
    value = fill.value
    buys = fill.side.sign > 0
    return PositionState(
        size=canonical(size),
        cost=canonical(cost),
        average_entry=average_entry,
        realised=canonical(realised),
        fees=fees,
        funding=state.funding,
        bought=canonical(state.bought + fill.quantity) if buys else state.bought,
        bought_value=canonical(state.bought_value + value) if buys else state.bought_value,
        sold=state.sold if buys else canonical(state.sold + fill.quantity),
        sold_value=state.sold_value if buys else canonical(state.sold_value + value),
        fills=state.fills + 1,
    )


def _taken_over(state: PositionState, word: FillReport) -> PositionState:
    """The figures when the venue's word replaces what is held: it is given up at what it cost, and what the venue shows
    is taken at the venue's average entry, so that nothing is realised and money is conserved (requirement P05)."""
    bought, bought_value, sold, sold_value = state.bought, state.bought_value, state.sold, state.sold_value
    held, size, cost = state.size, word.side.sign * word.quantity, word.value
    if held > 0:
        sold, sold_value = sold + held, sold_value + state.cost
    elif held < 0:
        bought, bought_value = bought - held, bought_value + state.cost
    if size > 0:
        bought, bought_value = bought + size, bought_value + cost
    elif size < 0:
        sold, sold_value = sold - size, sold_value + cost
    return msgspec.structs.replace(
        state,
        size=canonical(size),
        cost=canonical(cost),
        average_entry=canonical(word.price) if size else ZERO,
        bought=canonical(bought),
        bought_value=canonical(bought_value),
        sold=canonical(sold),
        sold_value=canonical(sold_value),
        fills=state.fills + 1,
    )


def _traded(state: PositionState, fill: FillReport) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """(size, cost, average entry, realised) after a fill."""
    instrument, change = fill.instrument, fill.change
    held, size = state.size, state.size + change
    if change == 0:  # a settlement may say nothing but its fee
        return size, state.cost, state.average_entry, state.realised
    value = fill.value if abs(change) == fill.quantity else instrument.value(abs(change), fill.price)
    if held == 0 or (held > 0) == (change > 0):
        cost = state.cost + value
        return size, cost, _average(instrument, size, cost), state.realised
    closed = min(abs(held), abs(change))
    share = state.cost if closed == abs(held) else divide(state.cost * closed, abs(held))
    proceeds = value if closed == abs(change) else instrument.value(closed, fill.price)
    gain = proceeds - share if (held > 0) is not instrument.inverse else share - proceeds
    realised = state.realised + gain
    if size == 0:
        return size, ZERO, ZERO, realised
    if (size > 0) == (held > 0):
        return size, state.cost - share, state.average_entry, realised
    cost = value - proceeds  # through zero: what is left was opened by this fill
    return size, cost, _average(instrument, size, cost), realised


def _average(instrument: Instrument, size: Decimal, cost: Decimal) -> Decimal:
    """Cost over size; size over cost where the cost is in the base currency, and ZERO where it is less than a part of
    a coin."""
    if not instrument.inverse:
        return divide(cost, abs(size))
    return divide(abs(size), cost) if cost else ZERO
