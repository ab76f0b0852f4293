"""What an instrument adds to the account's load by what is held and what is open: worked out from our tables."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from domain.exposure import SymbolLoad, day_begins_ns, day_of, week_begins
from domain.instruments import Instrument
from domain.money import ZERO
from domain.orders import Order, PositionSide, Side
from domain.positions import CLOCK_JUMP_NS, PositionState
from domain.protection import Role
from streams.ports import Clock
from tables.orders import OrderTable
from tables.positions import PositionTable

_KEPT_INSTRUMENTS = 5_000
_KEPT_MIDNIGHTS = 14
"""Of an instrument: this day's and this week's, of both sides, and some that have passed."""

replace = msgspec.structs.replace


Dollars = Callable[[str], Decimal | None]
"""The price of a currency in dollars; None: nobody knows."""


class Standing:
    """Works out the figures of single instruments, all of them in quote currency: what inverse contracts won, lost and
    paid in their coin counts at the mark. Fees that were taken in a third currency count at its price in dollars; while
    that is not known they are left out, and `uncounted` names the currency."""

    def __init__(
        self,
        *,
        orders: OrderTable,
        positions: PositionTable,
        mark: Callable[[Instrument], Decimal | None],
        dollars: Dollars,
        clock: Clock,
    ) -> None:
        self._orders = orders
        self._positions = positions
        self._mark = mark
        self._dollars = dollars
        self._clock = clock
        self.uncounted: set[str] = set()
        self._midnight: dict[Instrument, dict[tuple[str, PositionSide, int], PositionState]] = {}

    def forget(self) -> None:
        """Partitions came: while they were somebody else's, fills of former days may have."""
        self._midnight.clear()

    def filled(self, instrument: Instrument, executed_ns: int) -> None:
        """A fill of the instrument was applied. One that came late belongs to the days before it, and may stand in the
        ledger up to `CLOCK_JUMP_NS` before its time."""
        known = self._midnight.get(instrument, {})
        for place in [place for place in known if executed_ns - CLOCK_JUMP_NS < day_begins_ns(place[-1])]:
            del known[place]

    def figures(self, partition: int, instrument: Instrument, record: SymbolLoad) -> SymbolLoad:
        """The record with the figures of our tables as they are."""
        now_ns = self._clock.now_ns()
        today = day_of(now_ns)
        known = [
            order for order in self._orders.open_orders(partition, instrument.symbol) if order.instrument == instrument
        ]
        orders = [order for order in known if not order.state.terminal and order.role is Role.NONE]
        # An order's end may come before the single fills that it is made of: what it did is held already.
        untold: dict[PositionSide, Decimal] = {}
        for order in known:
            untold[order.position_side] = untold.get(order.position_side, ZERO) + order.untold_size
        mark = self._mark(instrument)
        value_price = Decimal(1) if instrument.inverse else mark
        day_mark = record.day_mark if record.day == today and record.day_mark is not None else mark
        exposure = traded_today = traded_week = profit = profit_today = ZERO
        sides = list(self._positions.of_symbol(partition, instrument))
        for position in sides:
            state = position.state
            price = mark if mark is not None else state.average_entry
            begun = self._at_midnight(partition, position.account, position.side, instrument, today)
            monday = self._at_midnight(partition, position.account, position.side, instrument, week_begins(today))
            traded_today += _traded(state, instrument) - _traded(begun, instrument)
            traded_week += _traded(state, instrument) - _traded(monday, instrument)
            worth = self._profit(state, price, instrument)
            before = self._profit(begun, price if day_mark is None else day_mark, instrument)
            profit += worth
            profit_today += worth - before
            own = [order for order in orders if order.position_side is position.side]
            size = state.size + untold.get(position.side, ZERO)
            exposure += _exposure(instrument, size, own, price if value_price is mark else value_price)
        notional_open = sum((_open_notional(order, value_price) for order in orders), ZERO)
        shown = {position.side for position in sides}
        for side in untold.keys() - shown:
            bare = [order for order in orders if order.position_side is side]
            exposure += _exposure(instrument, untold[side], bare, value_price)
        return replace(
            record,
            exposure=exposure,
            orders=len(orders),
            notional_open=notional_open,
            day=today,
            day_mark=day_mark,
            traded_today=traded_today,
            traded_this_week=traded_week,
            profit=profit,
            profit_today=profit_today,
            at_ns=now_ns,
        )

    def _profit(self, state: PositionState, price: Decimal, instrument: Instrument) -> Decimal:
        """Realised and unrealised, less every fee, in quote currency: what counts in the base currency does so at
        `price`."""
        unrealised = state.unrealised(price, instrument) if state.size and price else ZERO
        profit, taken_elsewhere = state.realised + unrealised + state.funding, ZERO
        for currency, fee in state.fees.items():
            if instrument.is_base(currency):
                profit -= fee * price
            elif _settles(instrument, currency):
                profit -= fee
            else:
                taken_elsewhere += self._in_dollars(currency, fee)
        return (profit * price if instrument.inverse else profit) - taken_elsewhere

    def _in_dollars(self, currency: str, fee: Decimal) -> Decimal:
        price = self._dollars(currency)
        if price is None:
            self.uncounted.add(currency)
            return ZERO
        self.uncounted.discard(currency)
        return fee * price

    def _at_midnight(
        self, partition: int, account: str, side: PositionSide, instrument: Instrument, day: int
    ) -> PositionState:
        """The position as the day began, from its ledger."""
        if len(self._midnight) > _KEPT_INSTRUMENTS:
            self._midnight.clear()
        known, place = self._midnight.setdefault(instrument, {}), (account, side, day)
        if place not in known:
            if len(known) > _KEPT_MIDNIGHTS:
                known.clear()
            entry = self._positions.last_before(partition, instrument, account, side, day_begins_ns(day))
            known[place] = PositionState() if entry is None else entry.after
        return known[place]


def _settles(instrument: Instrument, currency: str) -> bool:
    """Whether the currency is the one that the instrument's values are in, as far as its symbol tells; without a name
    it is taken for that."""
    name = instrument.symbol
    return name.startswith(currency) if instrument.inverse else name.endswith(currency)


def _traded(state: PositionState, instrument: Instrument) -> Decimal:
    """Inverse contracts are worth one quote unit each."""
    return state.bought + state.sold if instrument.inverse else state.bought_value + state.sold_value


def _open_notional(order: Order, value_price: Decimal | None) -> Decimal:
    """What it may still trade, in quote currency: at its limit, else at the mark."""
    price = order.current_price if order.current_price is not None and not order.instrument.inverse else value_price
    return order.leaves * (price or ZERO)


def _exposure(instrument: Instrument, size: Decimal, orders: list[Order], price: Decimal | None) -> Decimal:
    """Notional towards the side on which the position may become larger. On spot that is buying: below zero there is
    nothing but coins that were sold and came from elsewhere."""
    worst = ZERO
    if instrument.spot:
        size = max(ZERO, size)
    for side in (Side.BUY,) if instrument.spot else Side:
        opening = [order for order in orders if order.side is side and not order.reduce_only]
        held = max(ZERO, size * side.sign)
        left = sum((order.leaves for order in opening), ZERO)
        closing = max(ZERO, -size * side.sign)
        if price is None:
            value = sum((order.leaves * (order.current_price or ZERO) for order in opening), ZERO)
        else:
            value = (held + max(ZERO, left - closing)) * price
        worst = max(worst, value)
    return worst
