"""The venue's lists of its categories, read in one go for everybody who wants to compare at about the same time.

Open orders are read first, so that one which ends meanwhile is in the list of closed ones, then positions: they show
at least what the lists of orders show. Pages of 50 make a thousand open orders some forty questions instead of a
thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.errors import VenueError
from domain.instruments import SPOT
from domain.orders import Order
from domain.updates import FillReport, OrderReport, Origin
from exchanges.venue import Balance, Trading, VenuePosition
from streams.ports import Clock
from tables.orders import OrderTable

_NS = 1_000_000_000

CLOSED_S = 3_600.0
"""So far back orders that ended are listed at most."""
OVERLAP_S = 60.0
"""Beyond what is needed, for clocks that differ."""
KEPT_S = 5.0
"""So long after a reading its lists are let go: nobody is served by older ones, and a busy hour may have had a hundred
thousand orders, of some 3 kB each."""


@dataclass(frozen=True, slots=True)
class Lists:
    """What the venue showed. `begun_ns`: our clock before the first question; nothing in here is older knowledge than
    the venue's own lag at that moment."""

    begun_ns: int
    reports: Mapping[str, OrderReport]
    """By the venue's id, open and lately closed."""
    positions: Sequence[VenuePosition]
    balances: Mapping[str, Balance] = field(default_factory=dict)
    """By currency; only where spot is traded."""
    by_client_id: Mapping[str, OrderReport] = field(init=False)
    symbols: Mapping[str, Sequence[OrderReport]] = field(init=False)

    def __post_init__(self) -> None:
        by_client_id = {report.client_order_id: report for report in self.reports.values() if report.client_order_id}
        symbols: dict[str, list[OrderReport]] = {}
        for report in self.reports.values():
            symbols.setdefault(report.instrument.symbol, []).append(report)
        object.__setattr__(self, "by_client_id", by_client_id)
        object.__setattr__(self, "symbols", symbols)

    def of(self, order: Order) -> OrderReport | None:
        """The venue's row of the order: by the venue's id where we know it."""
        if order.venue_order_id:
            return self.reports.get(order.venue_order_id)
        return self.by_client_id.get(order.client_order_id or order.order_id)


@dataclass(frozen=True, slots=True)
class Payments:
    """What the venue showed of payments on positions; `begun_ns` as for `Lists`."""

    begun_ns: int
    rows: Sequence[FillReport]


class ListReader:
    """Reads lists, one reading at a time. Callers that come together share one (requirement Y03); so do those whose
    question came during a reading: the next one is for all of them."""

    def __init__(self, *, trading: Trading, clock: Clock, categories: Sequence[str], orders: OrderTable) -> None:
        """`orders`: for which of ours an end is to be found."""
        self._trading = trading
        self._clock = clock
        self._categories = categories
        self._orders = orders
        self._read_ns = 0
        """When the last reading that came to its end began."""
        self._reading = asyncio.Lock()
        self._reading_payments = asyncio.Lock()
        self._last: Lists | None = None
        self._payments: Payments | None = None
        self._failures = 0
        self._failed_ns = 0
        self._failure: VenueError | None = None

    async def read(self, not_before_ns: int) -> Lists:
        """Lists whose reading began at `not_before_ns` (our clock) or later. Raises `VenueError` when such a reading
        has failed: everybody who waited for it hears so at once."""
        failures = self._failures
        async with self._reading:
            if self._last is not None and self._last.begun_ns >= not_before_ns:
                return self._last
            if self._failure is not None and self._failures > failures and self._failed_ns >= not_before_ns:
                raise self._failure  # it failed while we waited for it
            begun_ns = self._clock.now_ns()
            try:
                self._last = await self._read(begun_ns)
                self._read_ns = begun_ns
            except VenueError as error:
                self._failure, self._failed_ns = error, begun_ns
                self._failures += 1
                raise
            finally:
                asyncio.get_running_loop().call_later(KEPT_S, self._let_go, self._last, self._failure)
            return self._last

    def _let_go(self, last: Lists | None, failure: VenueError | None) -> None:
        """Unless there was another reading meanwhile. An error holds what was read before it, by its traceback."""
        if self._last is last:
            self._last = None
        if self._failure is failure:
            self._failure = None

    async def payments(self, not_before_ns: int, look_back_s: float) -> Payments:
        """Payments of the last so many seconds, in a reading that began at `not_before_ns` (our clock) or later. Raises
        `VenueError`."""
        async with self._reading_payments:
            if self._payments is None or self._payments.begun_ns < not_before_ns:
                begun_ns = self._clock.now_ns()
                since_ns = max(0, begun_ns - int(look_back_s * _NS))
                found: list[FillReport] = []
                for category in self._categories:
                    if category != SPOT:
                        found += await self._trading.payments(category, since_ns=since_ns, origin=Origin.RECONCILE)
                self._payments = Payments(begun_ns, found)
            return self._payments

    async def _read(self, begun_ns: int) -> Lists:
        found: list[OrderReport] = []
        for category in self._categories:
            found += await self._trading.open_orders(category, origin=Origin.RECONCILE)
        since_ns = self._closed_since_ns(begun_ns, found)
        positions: list[VenuePosition] = []
        for category in self._categories:
            found += await self._trading.closed_orders(category, since_ns=since_ns, origin=Origin.RECONCILE)
            positions += await self._trading.positions(category)
        reports: dict[str, OrderReport] = {}
        for report in found:
            known = reports.get(report.venue_order_id)
            if known is None or (report.updated_ns, report.state.rank) >= (known.updated_ns, known.state.rank):
                reports[report.venue_order_id] = report
        balances = await self._trading.balances() if SPOT in self._categories else ()
        return Lists(begun_ns, reports, positions, {each.currency: each for each in balances})

    def _closed_since_ns(self, begun_ns: int, opened: Sequence[OrderReport]) -> int:
        """Since which placement orders that ended are to be listed: since that of the oldest order of ours that goes on
        here and not there, and since the last reading, for those that are not ours. What is older than `CLOSED_S` is
        asked for one by one; the rest, which may be all that a busy hour had, is of no use to anybody."""
        shown = {name for report in opened for name in (report.venue_order_id, report.client_order_id) if name}
        since_ns = min(self._read_ns or begun_ns, begun_ns)  # our clock may have been ahead at the last reading
        for partition in self._orders.rows.partitions():
            for symbol in self._orders.open_symbols(partition):
                for order in self._orders.open_orders(partition, symbol):
                    if not (order.state.terminal or order.venue_order_id in shown or order.order_id in shown):
                        since_ns = min(since_ns, order.times.created_ns)
        return max(since_ns - int(OVERLAP_S * _NS), begun_ns - int(CLOSED_S * _NS), 0)
