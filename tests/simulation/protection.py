"""What the venue keeps for positions: take-profits and stop-losses that wait for their price, cover the whole position,
follow its size and go with it. Their sizes are nobody's wish: they follow from what was executed."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.errors import Refused
from domain.instruments import Instrument
from domain.orders import OrderType, PositionSide, Side, TimeInForce, VenueState
from domain.protection import Role
from exchanges.venue import NewOrder

if TYPE_CHECKING:
    from simulation.books import Books
    from simulation.venue_orders import VenueOrder


class Protections:
    """Makes, moves, triggers and takes away what protects positions."""

    def __init__(self, books: Books, chance: random.Random) -> None:
        self._books = books
        self._chance = chance
        self._brought: set[str] = set()
        """Orders whose take-profit and stop-loss were set: once for each."""

    def of(
        self, instrument: Instrument, role: Role = Role.NONE, side: PositionSide = PositionSide.NET
    ) -> list[VenueOrder]:
        """What waits to protect the position: of one kind, or all."""
        return [
            order
            for order in self._books.orders.values()
            if order.waits and role in {Role.NONE, order.role}
            if (order.new.instrument, order.new.position_side) == (instrument, side)
        ]

    def follow(self, filled: VenueOrder) -> None:
        """After an execution: set what the order brings, and keep step with the position."""
        instrument, side, wanted = filled.new.instrument, filled.new.position_side, filled.new.protection
        size = self._books.size_of(instrument, side)
        if wanted is not None and filled.venue_id not in self._brought and size * filled.new.side.sign > 0:
            self._brought.add(filled.venue_id)
            for role, price in ((Role.TAKE_PROFIT, wanted.take_profit), (Role.STOP_LOSS, wanted.stop_loss)):
                if price is not None:
                    self._set(instrument, side, role, price, parent=filled.client_id)
        for order in self.of(instrument, side=side):
            if size * order.new.side.sign >= 0:
                self._books.end(order, VenueState.CANCELLED, "POSITION_CLOSED")
            elif order.quantity != abs(size):
                order.quantity = abs(size)
                self._books.show(order)

    def set_stop(self, instrument: Instrument, side: PositionSide, price: Decimal) -> None:
        """Asked for by call: in the place of the one that stands, which is moved."""
        if instrument.spot:
            raise Refused("NOT_ON_SPOT", "the venue has no positions on spot")
        if not self._books.size_of(instrument, side):
            raise Refused("NO_POSITION", "there is no position to protect")
        for order in self.of(instrument, Role.STOP_LOSS, side):
            self.move(order, price)
            return
        self._set(instrument, side, Role.STOP_LOSS, price, parent="")

    def move(self, order: VenueOrder, price: Decimal) -> None:
        """Another trigger price for what waits."""
        if order.trigger_price != price:
            order.trigger_price = price
            self._books.show(order)

    def trigger(self) -> None:
        """The price comes to one of those that wait: it closes what is held, at the market."""
        waiting = [order for order in self._books.orders.values() if order.waits]
        if not waiting:
            return
        order = self._chance.choice(waiting)
        order.state = VenueState.TRIGGERED
        self._books.show(order)
        self._books.soon(order, lambda: self._books.match_at_once(order))

    def _set(self, instrument: Instrument, position: PositionSide, role: Role, price: Decimal, parent: str) -> None:
        for standing in self.of(instrument, role, position):
            self._books.end(standing, VenueState.CANCELLED, "REPLACED_BY_ANOTHER")
        size = self._books.size_of(instrument, position)
        side = Side.SELL if size > 0 else Side.BUY
        new = NewOrder(
            instrument, "", side, OrderType.MARKET, abs(size), None, TimeInForce.IOC, reduce_only=True,
            position_side=position,
        )  # fmt: skip
        self._books.open(new, state=VenueState.UNTRIGGERED, role=role, trigger_price=price, parent=parent)
