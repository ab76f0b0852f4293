"""A venue behind its breaker: every call is counted, and creates need the breaker's consent before their tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from decimal import Decimal
from typing import TypeVar

from domain.errors import VenueError
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.orders import PositionSide
from domain.protection import TriggerBy
from domain.updates import Call, FillReport, OrderReport, Origin
from exchanges.breaker import Breaker, BreakerState, tells_of_an_unwell_venue
from exchanges.venue import Balance, NewOrder, OrderRef, Trading, VenuePosition, VenueTraits

T = TypeVar("T")
Outcome = TypeVar("Outcome", str | VenueError, VenueError | None)


class GuardedTrading:
    """The same venue, watched. Implements `exchanges.venue.Trading`."""

    def __init__(self, trading: Trading, breaker: Breaker) -> None:
        self._trading = trading
        self.breaker = breaker

    @property
    def traits(self) -> VenueTraits:
        """What is special about the venue."""
        return self._trading.traits

    async def admit(self, call: Call, wanted: int = 1) -> int:
        """As the venue's, after the breaker's consent to a create. Raises `NotAccepted` while it is open, also to an
        amendment, which adds to an order. The trial that follows is one order."""
        if call is Call.AMEND and self.breaker.state is BreakerState.OPEN:
            raise self.breaker.refusal()
        if call is Call.CREATE:
            await self.breaker.consent()
            if self.breaker.state is not BreakerState.CLOSED:
                wanted = 1
        admitted = await self._trading.admit(call, wanted)
        if call is Call.CREATE:
            self.breaker.handed_over()
        return admitted

    async def create(self, order: NewOrder) -> str:
        """Watched."""
        self.breaker.began()
        return await self._watch(self._trading.create(order), create=True)

    async def amend(self, ref: OrderRef, *, quantity: Decimal | None = None, price: Decimal | None = None) -> None:
        """Watched."""
        await self._watch(self._trading.amend(ref, quantity=quantity, price=price))

    async def cancel(self, ref: OrderRef) -> None:
        """Watched."""
        await self._watch(self._trading.cancel(ref))

    async def create_batch(self, orders: Sequence[NewOrder]) -> Sequence[str | VenueError]:
        """Watched; the batch counts as one call."""
        self.breaker.began()
        return self._judged(await self._trading.create_batch(orders), create=True)

    async def cancel_batch(self, refs: Sequence[OrderRef]) -> Sequence[VenueError | None]:
        """Watched, as above."""
        return self._judged(await self._trading.cancel_batch(refs), create=False)

    async def set_stop_loss(self, instrument: Instrument, side: PositionSide, price: Decimal, by: TriggerBy) -> None:
        """Watched."""
        await self._watch(self._trading.set_stop_loss(instrument, side, price, by))

    async def order(self, ref: OrderRef, *, origin: Origin = Origin.REST) -> OrderReport | None:
        """Watched."""
        return await self._watch(self._trading.order(ref, origin=origin))

    async def open_orders(
        self, category: str, symbol: str | None = None, *, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """Watched."""
        return await self._watch(self._trading.open_orders(category, symbol, origin=origin))

    async def closed_orders(
        self, category: str, *, since_ns: int, symbol: str | None = None, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """Watched."""
        return await self._watch(self._trading.closed_orders(category, since_ns=since_ns, symbol=symbol, origin=origin))

    async def executions(
        self,
        category: str,
        *,
        since_ns: int,
        symbol: str | None = None,
        ref: OrderRef | None = None,
        origin: Origin = Origin.REST,
    ) -> Sequence[FillReport]:
        """Watched."""
        return await self._watch(
            self._trading.executions(category, since_ns=since_ns, symbol=symbol, ref=ref, origin=origin)
        )

    async def payments(self, category: str, *, since_ns: int, origin: Origin = Origin.REST) -> Sequence[FillReport]:
        """Watched."""
        return await self._watch(self._trading.payments(category, since_ns=since_ns, origin=origin))

    async def positions(self, category: str, symbol: str | None = None) -> Sequence[VenuePosition]:
        """Watched."""
        return await self._watch(self._trading.positions(category, symbol))

    async def balances(self) -> Sequence[Balance]:
        """Watched."""
        return await self._watch(self._trading.balances())

    async def instruments(self, category: str) -> Sequence[InstrumentRules]:
        """Watched."""
        return await self._watch(self._trading.instruments(category))

    async def quote(self, instrument: Instrument) -> Quote:
        """Watched."""
        return await self._watch(self._trading.quote(instrument))

    async def quotes(self, category: str) -> dict[str, Quote]:
        """Watched."""
        return await self._watch(self._trading.quotes(category))

    async def close(self) -> None:
        """Let go of connections."""
        await self._trading.close()

    async def _watch(self, call: Awaitable[T], *, create: bool = False) -> T:
        try:
            answer = await call
        except VenueError as error:
            if tells_of_an_unwell_venue(error):
                self.breaker.failed(error, create=create)
            else:
                self.breaker.succeeded(create=create)
            raise
        self.breaker.succeeded(create=create)
        return answer

    def _judged(self, outcomes: Sequence[Outcome], *, create: bool) -> Sequence[Outcome]:
        """A batch is a failure when every outcome tells of an unwell venue: one healthy answer is an answer."""
        unwell = [each for each in outcomes if isinstance(each, VenueError) and tells_of_an_unwell_venue(each)]
        if unwell and len(unwell) == len(outcomes):
            self.breaker.failed(unwell[0], create=create)
        else:
            self.breaker.succeeded(create=create)
        return outcomes
