"""The account's limits, held against the venue's own books whenever it is about to take an order."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

from domain.errors import Refused
from domain.ids import is_ours
from domain.money import ZERO
from exchanges.venue import NewOrder
from simulation.listing import DOLLAR
from simulation.market import MARK
from simulation.surroundings import Surroundings
from simulation.venue_orders import INSTANCE, cost, may_open


class LimitWatch:
    """Where all is worth the same, and only buying opens, what the account carries can be told exactly."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def before_taking(self, new: NewOrder) -> None:
        """Nothing that opens may go over a limit. Raises `Refused` for what the account cannot pay."""
        weather = self._around.weather
        opens = may_open(new) and is_ours(INSTANCE, new.client_order_id)
        if not weather.flat_prices or not opens:
            return
        live = [order for order in self._around.books.orders.values() if order.live and order.opens]
        if weather.max_open_orders and len(live) + 1 > weather.max_open_orders:
            self._violate(new, f"{len(live)} orders are open, the limit is {weather.max_open_orders}")
        added = new.quantity * MARK
        if weather.max_exposure and self.exposure() + added > weather.max_exposure:
            self._violate(new, f"{self.exposure()} is carried of {weather.max_exposure}, {added} comes to it")
        need = cost(new.quantity, new.price)
        if weather.balance and need > self._around.books.wallet.available(DOLLAR):
            self._violate(new, f"{self._around.books.wallet.available(DOLLAR)} is free, and it takes {need}")
            raise Refused("INSUFFICIENT_BALANCE", "not enough is free")

    def exposure(self) -> Decimal:
        """What is held, and what may be bought to it, at the mark."""
        books = self._around.books
        every = product(books.instruments(), books.sides.names)
        held = sum((abs(books.size_of(*position)) for position in every), ZERO)
        left = sum((order.leaves for order in books.orders.values() if order.live and order.opens), ZERO)
        return (held + left) * MARK

    def _violate(self, new: NewOrder, sentence: str) -> None:
        self._around.effects.violate(f"{new.client_order_id} ({new.quantity}) goes over a limit: {sentence}")
