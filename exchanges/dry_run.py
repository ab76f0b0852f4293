"""A venue that is only asked: the one switch of a dry run (requirement X10).

Everything that asks goes through; everything that would change something at the venue is withheld here, whoever wants
it and however it came to that. A method that the protocol gains must be sorted into one of the two before this class
implements it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from domain.errors import VenueError, Withheld
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.orders import PositionSide
from domain.protection import TriggerBy
from domain.updates import Call, FillReport, OrderReport, Origin
from exchanges.venue import Balance, NewOrder, OrderRef, Trading, VenuePosition, VenueTraits


class DryTrading:
    """The same venue, which nothing leaves for. Implements `exchanges.venue.Trading`."""

    def __init__(self, trading: Trading) -> None:
        self._trading = trading

    # -- withheld ------------------------------------------------------------------------------------------------

    async def create(self, order: NewOrder) -> str:
        """Raises `Withheld`."""
        raise _withheld(Call.CREATE, order.client_order_id)

    async def amend(
        self,
        ref: OrderRef,
        *,
        quantity: Decimal | None = None,  # noqa: ARG002 -- whatever is asked for
        price: Decimal | None = None,  # noqa: ARG002 -- as above
    ) -> None:
        """Raises `Withheld`."""
        raise _withheld(Call.AMEND, ref.client_order_id or ref.venue_order_id)

    async def cancel(self, ref: OrderRef) -> None:
        """Raises `Withheld`."""
        raise _withheld(Call.CANCEL, ref.client_order_id or ref.venue_order_id)

    async def create_batch(self, orders: Sequence[NewOrder]) -> Sequence[str | VenueError]:
        """Every outcome is `Withheld`."""
        return [_withheld(Call.CREATE, order.client_order_id) for order in orders]

    async def cancel_batch(self, refs: Sequence[OrderRef]) -> Sequence[VenueError | None]:
        """Every outcome is `Withheld`."""
        return [_withheld(Call.CANCEL, ref.client_order_id or ref.venue_order_id) for ref in refs]

    async def set_stop_loss(
        self,
        instrument: Instrument,
        side: PositionSide,
        price: Decimal,  # noqa: ARG002 -- whatever is asked for
        by: TriggerBy,  # noqa: ARG002 -- as above
    ) -> None:
        """Raises `Withheld`."""
        raise Withheld("DRY_RUN", f"a dry run sets no stop-loss: the {side} position in {instrument} is left alone")

    # -- asked ---------------------------------------------------------------------------------------------------

    @property
    def traits(self) -> VenueTraits:
        """What is special about the venue."""
        return self._trading.traits

    async def admit(self, call: Call, wanted: int = 1) -> int:
        """As the venue's: a dry run waits where the real one would."""
        return await self._trading.admit(call, wanted)

    async def order(self, ref: OrderRef, *, origin: Origin = Origin.REST) -> OrderReport | None:
        """As the venue's."""
        return await self._trading.order(ref, origin=origin)

    async def open_orders(
        self, category: str, symbol: str | None = None, *, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """As the venue's."""
        return await self._trading.open_orders(category, symbol, origin=origin)

    async def closed_orders(
        self, category: str, *, since_ns: int, symbol: str | None = None, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """As the venue's."""
        return await self._trading.closed_orders(category, since_ns=since_ns, symbol=symbol, origin=origin)

    async def executions(
        self,
        category: str,
        *,
        since_ns: int,
        symbol: str | None = None,
        ref: OrderRef | None = None,
        origin: Origin = Origin.REST,
    ) -> Sequence[FillReport]:
        """As the venue's."""
        return await self._trading.executions(category, since_ns=since_ns, symbol=symbol, ref=ref, origin=origin)

    async def payments(self, category: str, *, since_ns: int, origin: Origin = Origin.REST) -> Sequence[FillReport]:
        """As the venue's."""
        return await self._trading.payments(category, since_ns=since_ns, origin=origin)

    async def positions(self, category: str, symbol: str | None = None) -> Sequence[VenuePosition]:
        """As the venue's."""
        return await self._trading.positions(category, symbol)

    async def balances(self) -> Sequence[Balance]:
        """As the venue's."""
        return await self._trading.balances()

    async def instruments(self, category: str) -> Sequence[InstrumentRules]:
        """As the venue's."""
        return await self._trading.instruments(category)

    async def quote(self, instrument: Instrument) -> Quote:
        """As the venue's."""
        return await self._trading.quote(instrument)

    async def quotes(self, category: str) -> dict[str, Quote]:
        """As the venue's."""
        return await self._trading.quotes(category)

    async def close(self) -> None:
        """Let go of connections."""
        await self._trading.close()


def _withheld(call: Call, order_id: str) -> Withheld:
    return Withheld("DRY_RUN", f"a dry run does not {call}: order {order_id} is left alone")
