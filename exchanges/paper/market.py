"""One symbol's market: resting orders of users and the market maker's quotes as one book, in price-time priority.

At one price the users' orders come first: the market maker always counts as the latest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from heapq import merge
from itertools import groupby
from typing import NamedTuple

from exchanges.paper.exact import ZERO, floored
from exchanges.paper.instruments import Instrument
from exchanges.paper.orders import Order
from exchanges.paper.quotes import DEFAULT_LEVELS, Level, MarketState, PriceProcess
from exchanges.paper.resting import RestingBook
from exchanges.paper.vocabulary import Side, TickDirection

RECENT_TRADES = 1000  # public trades kept per symbol, for those who ask


class Match(NamedTuple):
    """A quantity that trades at a price against `maker`; None is the synthetic market maker."""

    price: Decimal
    qty: Decimal
    maker: Order | None


class PublicTrade(NamedTuple):
    """A trade as the public sees it; `taker_side` is the side that came to the book, `version` that of the book after
    it, `tick` how its price compares with the one before it."""

    trade_id: str
    symbol: str
    price: Decimal
    qty: Decimal
    taker_side: Side
    traded_at_ns: int
    seq: int
    version: int = 0
    tick: TickDirection = TickDirection.ZERO_PLUS


def reaches(side: Side, limit: Decimal, price: Decimal) -> bool:
    """True if an order of `side` limited to `limit` may trade at `price`."""
    return price <= limit if side is Side.BUY else price >= limit


class SymbolMarket:
    """The book of one symbol and the process that moves its market maker."""

    def __init__(self, instrument: Instrument, seed: int, state: MarketState | None = None) -> None:
        self.instrument = instrument
        self.process = PriceProcess(instrument, seed, state)
        self.resting = RestingBook()
        self.quotes = self.process.quotes()
        self.recent_trades: deque[PublicTrade] = deque(maxlen=RECENT_TRADES)
        self.liquidations: deque[PublicTrade] = deque(maxlen=RECENT_TRADES)
        self.version = 1  # of the book: raised by whatever changes it
        self.tick = TickDirection.ZERO_PLUS  # of the last trade
        self.changed = True  # since the public stream looked last

    @property
    def state(self) -> MarketState:
        return self.process.state

    @property
    def last_price(self) -> Decimal:
        return self.process.state.last_price

    @property
    def mark_price(self) -> Decimal:
        """The middle of the process, floored to the tick."""
        return self.process.mid_price

    def note_change(self) -> None:
        """The book, or what is told of it, is not what it was."""
        self.version += 1
        self.changed = True

    def step(self) -> None:
        """Move the market by one step. A pinned market keeps its quotes as they are."""
        if self.state.pinned:
            return
        self.process.advance()
        self.requote()

    def traded_at(self, price: Decimal) -> None:
        """`price` is the last price now."""
        before = self.last_price
        if price == before:
            self.tick = self.tick.at_the_same_price
        else:
            self.tick = TickDirection.PLUS if price > before else TickDirection.MINUS
        self.state.last_price = price

    def requote(self) -> None:
        """Fresh quotes of the process, for what was eaten or set."""
        self.quotes = self.process.quotes()
        self.note_change()

    def pin(self, bids: list[tuple[Decimal, Decimal]], asks: list[tuple[Decimal, Decimal]]) -> None:
        """Set the market maker's quotes by hand, (price, quantity) best first; they stay until they are unpinned.

        With both sides given, the middle between them is the new price of the process.
        """
        self.state.pinned = True
        self.state.pinned_bids, self.state.pinned_asks = bids, asks
        if bids and asks:
            self.process.set_mid((bids[0][0] + asks[0][0]) / 2)
        self.requote()

    def unpin(self) -> None:
        """Let the process quote again, from where it is."""
        self.state.pinned = False
        self.state.pinned_bids, self.state.pinned_asks = [], []
        self.requote()

    def uncross(self) -> None:
        """Drop quotes that resting orders would cross: after a restart they are there again, though they were eaten."""
        for side in (Side.BUY, Side.SELL):
            order, opposing = self.resting.side(side).best(), self.quotes.side(side.opposite)
            while order is not None and opposing and reaches(side, order.price, opposing[0].price):
                opposing.pop(0)

    def draw_again(self) -> None:
        """Forget spread, depth and number of levels that were set by hand."""
        self.state.spread = self.state.level_qty = None
        self.state.levels = DEFAULT_LEVELS

    def best(self, side: Side) -> Decimal | None:
        """The best price that rests on `side`, of users and the market maker together."""
        order = self.resting.side(side).best()
        quotes = self.quotes.side(side)
        prices = [order.price] if order else []
        if quotes:
            prices.append(quotes[0].price)
        if not prices:
            return None
        return max(prices) if side is Side.BUY else min(prices)

    def would_take(self, side: Side, limit: Decimal) -> bool:
        best = self.best(side.opposite)
        return best is not None and reaches(side, limit, best)

    def available(self, side: Side, limit: Decimal, wanted: Decimal) -> bool:
        """True if an order of `side` could fill `wanted` at once within `limit`."""
        total = ZERO
        for price, qty in self.depth(side.opposite):
            if not reaches(side, limit, price):
                return False
            total += qty
            if total >= wanted:
                return True
        return False

    def next_match(self, side: Side, limit: Decimal, left: Decimal) -> Match | None:
        """What an incoming order with `left` to fill meets first within `limit`, None if nothing.

        Quotes of the market maker are eaten at once. A user's order is as it was: the caller books the match, and takes
        a maker that is finished out of the book, before it asks again.
        """
        match = self._first(side, limit, left)
        if match is not None:
            self.note_change()
        return match

    def sweep(self, side: Side, limit: Decimal, qty: Decimal) -> Iterator[Match]:
        """All that an incoming order meets, one after the other, under the conditions of `next_match`."""
        left = qty
        while left and (match := self.next_match(side, limit, left)) is not None:
            left -= match.qty
            yield match

    def affordable(self, side: Side, budget: Decimal) -> Decimal:
        """How many lots `budget` (of the quote coin) pays for at the best opposing price; 0 without one."""
        best = self.best(side.opposite)
        return ZERO if best is None else floored(budget / best, self.instrument.lot)

    def taken(self, side: Side, limit: Decimal, qty: Decimal) -> tuple[Decimal, Decimal]:
        """(quantity, value) that a spot order of `side` would trade at once within `limit`."""
        left, value = qty, ZERO
        for price, there in self.depth(side.opposite):
            if not left or not reaches(side, limit, price):
                break
            part = min(left, there)
            left, value = left - part, value + part * price
        return qty - left, value

    def crossed(self) -> Iterator[Match]:
        """Resting orders that the market maker's quotes have moved through: they fill at their own price."""
        for side in (Side.BUY, Side.SELL):
            while (order := self.resting.side(side).best()) and (opposing := self.quotes.side(side.opposite)):
                level = opposing[0]
                if not reaches(side, order.price, level.price):
                    break
                qty = min(order.leaves_qty, level.qty)
                self._eat(opposing, qty)
                self.note_change()
                yield Match(order.price, qty, order)

    def depth(self, side: Side) -> Iterator[tuple[Decimal, Decimal]]:
        """(price, quantity) of the book on `side`, users and market maker together, best first; made as it is read."""
        levels = merge(
            self.resting.side(side).levels(),
            [(level.price, level.qty) for level in self.quotes.side(side)],
            key=lambda level: level[0] * -side.sign,
        )
        for price, same in groupby(levels, key=lambda level: level[0]):
            yield price, sum((qty for _, qty in same), ZERO)

    def _first(self, side: Side, limit: Decimal, left: Decimal) -> Match | None:
        order = self.resting.side(side.opposite).best()
        quotes = self.quotes.side(side.opposite)
        if quotes and (order is None or not reaches(side, quotes[0].price, order.price)):
            price = quotes[0].price
            if not reaches(side, limit, price):
                return None
            qty = min(left, quotes[0].qty)
            self._eat(quotes, qty)
            return Match(price, qty, None)
        if order is None or not reaches(side, limit, order.price):
            return None
        return Match(order.price, min(left, order.leaves_qty), order)

    @staticmethod
    def _eat(quotes: list[Level], qty: Decimal) -> None:
        quotes[0].qty -= qty
        if not quotes[0].qty:
            quotes.pop(0)
