"""The orders of users that rest in one symbol's book, by price and then by time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal

from exchanges.paper.exact import ZERO
from exchanges.paper.orders import Order
from exchanges.paper.vocabulary import Side


class Ladder:
    """One side of the book. Levels are found by price, the best one at the end of a sorted list.

    A level is an `OrderedDict` in order of arrival: taking the first, adding at the end and removing any order cost the
    same with ten orders and with ten thousand (a plain dict would look through its removed entries for the first).
    """

    __slots__ = ("_levels", "_prices", "_sign")

    def __init__(self, side: Side) -> None:
        self._sign = side.sign
        self._levels: dict[Decimal, OrderedDict[str, Order]] = {}
        self._prices: list[Decimal] = []

    def add(self, order: Order) -> None:
        level = self._levels.get(order.price)
        if level is None:
            level = self._levels[order.price] = OrderedDict()
            insort(self._prices, order.price * self._sign)
        level[order.order_id] = order

    def remove(self, order: Order) -> None:
        """Take `order` out; its price must be the one it was added with."""
        level = self._levels[order.price]
        del level[order.order_id]
        if not level:
            del self._levels[order.price]
            del self._prices[bisect_left(self._prices, order.price * self._sign)]

    def best(self) -> Order | None:
        """The order that is first in line, or None."""
        if not self._prices:
            return None
        return next(iter(self._levels[self._prices[-1] * self._sign].values()))

    def levels(self) -> Iterator[tuple[Decimal, Decimal]]:
        """(price, total leaves quantity), best price first."""
        for signed in reversed(self._prices):
            price = signed * self._sign
            yield price, sum((order.leaves_qty for order in self._levels[price].values()), ZERO)


class RestingBook:
    """Both sides of the users' orders of one symbol."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Ladder(Side.BUY)
        self.asks = Ladder(Side.SELL)

    def side(self, side: Side) -> Ladder:
        return self.bids if side is Side.BUY else self.asks

    def add(self, order: Order) -> None:
        self.side(order.side).add(order)

    def remove(self, order: Order) -> None:
        self.side(order.side).remove(order)
