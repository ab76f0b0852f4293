"""A venue that does what a test tells it to, and a market that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

from domain.errors import VenueError
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.plans import TradingState
from domain.updates import Call, FillKind, FillReport, OrderReport, Origin
from exchanges.venue import NewOrder, OrderRef, VenuePosition, VenueTraits

SECOND = 1_000_000_000
DAY_S = 86_400
NOW = 1_763_700_000 * SECOND


class QuietVenue:
    """Takes every order and says no more of it. `answers` are raised, one a create, before that."""

    def __init__(self) -> None:
        self.traits = VenueTraits("paper", True, 1.0, 1.0, float(DAY_S))
        self.created: list[NewOrder] = []
        self.answers: list[Exception] = []
        self.known: dict[str, OrderReport] = {}
        self.executed: list[FillReport] = []
        self.executions_since_ns: list[int] = []
        self.closed_since_ns: list[int] = []
        self.asked: list[str] = []
        self.listed: list[OrderReport] = []
        self.held: list[VenuePosition] = []
        self.readings = self.position_reads = self.payment_reads = 0
        self.away: VenueError | None = None
        self.on_positions: Callable[[], None] | None = None
        self.together: list[tuple[str, ...]] = []
        """The orders of each batch that creates."""
        self.batch_answers: list[VenueError | None] = []
        """One an order of a batch; None: it is taken, as every one that has no answer here."""
        self.cancelled: list[tuple[str, ...]] = []
        """The orders of each call that cancels."""
        self.cancel_outcomes: list[VenueError | None] = []
        self.tokens: list[int] = []
        """How many orders each admission lets through; all when there is none left."""
        self.amended: list[tuple[Decimal | None, Decimal | None]] = []
        """Quantity and price of each call that amends."""
        self.on_amend: Callable[[Decimal | None, Decimal | None], Awaitable[None]] | None = None
        self.on_cancel: Callable[[str], Awaitable[None]] | None = None
        self.on_admit: Callable[[], Awaitable[None]] | None = None

    async def admit(self, call: Call, wanted: int = 1) -> int:
        if self.on_admit is not None:
            await self.on_admit()
        return min(wanted, self.tokens.pop(0)) if self.tokens else wanted

    async def create(self, order: NewOrder) -> str:
        self.created.append(order)
        if self.answers:
            raise self.answers.pop(0)
        return f"v{len(self.created)}"

    async def create_batch(self, orders: Sequence[NewOrder]) -> Sequence[str | VenueError]:
        self.together.append(tuple(order.client_order_id for order in orders))
        outcomes: list[str | VenueError] = []
        for order in orders:
            self.created.append(order)
            error = self.batch_answers.pop(0) if self.batch_answers else None
            outcomes.append(f"v{len(self.created)}" if error is None else error)
        return outcomes

    async def amend(self, _ref: OrderRef, *, quantity: Decimal | None = None, price: Decimal | None = None) -> None:
        self.amended.append((quantity, price))
        if self.on_amend is not None:
            await self.on_amend(quantity, price)

    async def cancel(self, ref: OrderRef) -> None:
        (error,) = await self.cancel_batch([ref])
        if error is not None:
            raise error

    async def cancel_batch(self, refs: Sequence[OrderRef]) -> Sequence[VenueError | None]:
        self.cancelled.append(tuple(ref.client_order_id for ref in refs))
        outcomes = [self.cancel_outcomes.pop(0) if self.cancel_outcomes else None for _ in refs]
        for ref, outcome in zip(refs, outcomes, strict=True):
            if outcome is None and self.on_cancel is not None:
                await self.on_cancel(ref.client_order_id)
        return outcomes

    async def order(self, ref: OrderRef, *, origin: Origin = Origin.REST) -> OrderReport | None:
        self.asked.append(ref.client_order_id)
        return self.known.get(ref.client_order_id)

    async def executions(self, category: str, *, since_ns: int, **_scope: Any) -> Sequence[FillReport]:
        self.executions_since_ns.append(since_ns)
        return self.executed

    async def payments(self, category: str, *, since_ns: int, **_scope: Any) -> Sequence[FillReport]:
        self.payment_reads += 1
        return [fill for fill in self.executed if fill.fill_kind is FillKind.FUNDING and fill.executed_ns >= since_ns]

    async def open_orders(self, category: str, **_scope: Any) -> Sequence[OrderReport]:
        self.readings += 1
        await asyncio.sleep(0)
        if self.away is not None:
            raise self.away
        return [report for report in self.listed if not report.state.terminal]

    async def closed_orders(self, category: str, *, since_ns: int, **_scope: Any) -> Sequence[OrderReport]:
        self.closed_since_ns.append(since_ns)
        return [report for report in self.listed if report.state.terminal]

    async def positions(self, category: str, symbol: str | None = None) -> Sequence[VenuePosition]:
        self.position_reads += 1
        if self.on_positions is not None:
            self.on_positions()
        return self.held


class CalmMarket:
    """One price, one balance, armed."""

    def __init__(self) -> None:
        self.free: tuple[Decimal, int] = (Decimal(1_000), NOW)
        self.state = TradingState.ARMED

    async def rules(self, instrument: Instrument) -> InstrumentRules:
        return InstrumentRules(
            instrument=instrument,
            trading=True,
            base_currency=instrument.symbol.removesuffix("USDT"),
            quote_currency="USDT",
            settle_currency="USDT",
            tick=Decimal("0.1"),
            lot=Decimal("0.001"),
            min_quantity=Decimal("0.001"),
            max_quantity=Decimal(1_000),
            max_market_quantity=Decimal(1_000),
            min_notional=Decimal(1),
            min_price=Decimal("0.1"),
            max_price=Decimal(100_000),
            fetched_at_ns=NOW,
        )

    async def quote(self, instrument: Instrument) -> Quote:
        return Quote(bid=Decimal(99), ask=Decimal(101), last=Decimal(100), mark=Decimal(100), at_ns=NOW)

    def available(self, account: str, currency: str) -> tuple[Decimal, int]:
        return self.free

    def trading(self, instrument: Instrument) -> tuple[TradingState, str]:
        return self.state, "" if self.state is TradingState.ARMED else "kill switch"
