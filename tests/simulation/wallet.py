"""The coins of the account: what came, was bought, sold, won and paid, and how much of it nothing has a claim on."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.instruments import LINEAR, Instrument
from domain.money import ZERO
from domain.orders import PositionSide, Side
from domain.positions import PositionState, after_fill
from exchanges.venue import Balance, NewOrder
from simulation.listing import DOLLAR, coin_of, listed
from simulation.venue_orders import ACCOUNT, VenueOrder, taken_by
from simulation.weather import Weather

if TYPE_CHECKING:
    from simulation.books import Books

_RICH = Decimal(1_000_000)


class Wallet:
    """Worked out from the books whenever somebody asks. Linear contracts take from the dollars what they may cost and
    never give it back; spot pairs lock and swap coins; inverse contracts take coins, win and lose them."""

    def __init__(self, books: Books, weather: Weather) -> None:
        self._books = books
        self._dollars = Decimal(weather.balance) if weather.balance else _RICH
        self._deposit = Decimal(weather.deposit)
        self._moved: list[tuple[int, str, Decimal]] = []
        """(when, coin, how much) came from outside, or went there."""
        self.coins = [DOLLAR]
        if weather.coins:
            self.coins += sorted({coin_of(instrument) for instrument in listed(weather)})

    def now_ns(self) -> int:
        """The venue's clock."""
        return self._books.now_ns()

    def move(self, coin: str, amount: Decimal) -> None:
        """Coins come from outside, or, if below zero, go there."""
        self._moved.append((self._books.now_ns(), coin, amount))

    def total(self, coin: str, until_ns: int | None = None) -> Decimal:
        """What there is, or was at a time."""
        found = self._dollars if coin == DOLLAR else self._deposit
        found += sum((amount for at_ns, each, amount in self._moved if each == coin and _seen(at_ns, until_ns)), ZERO)
        for instrument in self._books.instruments():
            if instrument.category == LINEAR:
                continue
            if instrument.spot:
                found += self.swapped(instrument, coin, until_ns)
            elif coin == coin_of(instrument):
                state = self._state(instrument, until_ns)
                found += state.realised + state.funding - state.fees.get(coin, ZERO)
        return found

    def swapped(self, pair: Instrument, coin: str, until_ns: int | None = None) -> Decimal:
        """What a spot pair's executions have brought of a coin, or taken."""
        found = ZERO
        for fill in self._books.fills_of_side(pair, PositionSide.NET):
            if _seen(fill.executed_ns, until_ns):
                got = {coin_of(pair): fill.quantity, DOLLAR: -fill.quantity * fill.price}.get(coin, ZERO)
                found += fill.side.sign * got - (fill.fee if fill.fee_currency == coin else ZERO)
        return found

    def available(self, coin: str) -> Decimal:
        """What new orders may use."""
        taken = sum((claim for order in self._books.orders.values() for each, claim in _claims(order) if each == coin))
        held = [each for each in self._books.instruments() if each.inverse and coin_of(each) == coin]
        return self.total(coin) - taken - sum((self._state(each, None).cost for each in held), ZERO)

    def balances(self, until_ns: int | None = None) -> list[Balance]:
        """Every coin as it is, or was at a time."""
        at_ns = self._books.now_ns()
        return [
            Balance(
                account=ACCOUNT,
                currency=coin,
                total=self.total(coin, until_ns),
                available=self.available(coin),
                at_ns=at_ns,
            )
            for coin in self.coins
        ]

    def _state(self, instrument: Instrument, until_ns: int | None) -> PositionState:
        state = PositionState()
        for fill in self._books.fills_of_side(instrument, PositionSide.NET):
            if _seen(fill.executed_ns, until_ns):
                state = after_fill(state, fill)
        return state


def _seen(at_ns: int, until_ns: int | None) -> bool:
    return until_ns is None or at_ns <= until_ns


def need(new: NewOrder, quantity: Decimal, price: Decimal | None) -> tuple[str, Decimal]:
    """(coin, how much of it) that an order for so much at this price takes while it rests."""
    instrument, at = new.instrument, price or Decimal(101)
    if instrument.spot:
        return (DOLLAR, quantity * at) if new.side is Side.BUY else (coin_of(instrument), quantity)
    return coin_of(instrument) if instrument.inverse else DOLLAR, instrument.value(quantity, at)


def _claims(order: VenueOrder) -> Iterator[tuple[str, Decimal]]:
    """What an order keeps others from using."""
    instrument = order.new.instrument
    if instrument.category == LINEAR:
        yield DOLLAR, taken_by(order)
    elif order.live and (instrument.spot or order.opens):
        yield need(order.new, order.leaves, order.price)
