"""What is held: one position per symbol, or, in hedge mode, a long and a short side of which neither passes zero."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.errors import Refused
from domain.instruments import Instrument
from domain.money import ZERO
from domain.orders import PositionSide, Side, VenueState
from domain.protection import Role
from exchanges.venue import NewOrder

if TYPE_CHECKING:
    from simulation.books import Books
    from simulation.venue_orders import VenueOrder

OPENS = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}
"""What adds to a side of a hedged position."""


def only_closes(new: NewOrder) -> bool:
    """Whether it trades against a side of a hedged position: such an order never does more than close it."""
    return new.position_side is not PositionSide.NET and new.side is not OPENS[new.position_side]


class Sides:
    """The sizes of all positions, and what the venue does to orders that would close more than that."""

    def __init__(self, books: Books, *, hedge: bool) -> None:
        self._books = books
        self._sizes: dict[tuple[Instrument, PositionSide], Decimal] = {}
        self.names = tuple(OPENS) if hedge else (PositionSide.NET,)
        """The positions that an instrument has."""

    def size_of(self, instrument: Instrument, side: PositionSide) -> Decimal:
        """What is held, signed."""
        return self._sizes.get((instrument, side), ZERO)

    def executed(self, new: NewOrder, change: Decimal) -> None:
        """An execution of the order has changed what is held by so much."""
        where = new.instrument, new.position_side
        self._sizes[where] = self._sizes.get(where, ZERO) + change

    def admitted(self, new: NewOrder) -> NewOrder:
        """The order as the venue takes it: of what only closes, as much as other orders leave to close. Raises
        `Refused` where that is nothing."""
        if not only_closes(new):
            return new
        resting = sum((order.leaves for order in self._closing(new)), ZERO)
        closable = abs(self.size_of(new.instrument, new.position_side)) - resting
        if closable <= 0:
            raise Refused("NOTHING_TO_REDUCE", "no size is left to close")
        return replace(new, quantity=min(new.quantity, closable))

    def trim(self, new: NewOrder) -> None:
        """End the latest of those orders that together would close more than is held."""
        if new.position_side is PositionSide.NET:
            return
        held, closing = abs(self.size_of(new.instrument, new.position_side)), self._closing(new)
        for order in reversed(closing):
            if sum((each.leaves for each in closing if each.live), ZERO) <= held:
                return
            self._books.end(order, VenueState.CANCELLED, "CANCELLED_BY_REDUCE_ONLY")

    def _closing(self, new: NewOrder) -> list[VenueOrder]:
        """Live orders that close the side, in the order of their arrival, but for those that protect it."""
        where = new.instrument, new.position_side
        return [
            order
            for order in self._books.orders.values()
            if order.live and only_closes(order.new) and order.role is Role.NONE
            if (order.new.instrument, order.new.position_side) == where
        ]
