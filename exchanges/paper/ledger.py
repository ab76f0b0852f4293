"""Positions and wallets: the exchange's own account of who holds what, at which average, with which result.

The average-price method. Adding to a position moves the average, rounded to 18 places (half to even); closing realises
(fill price - average) * closed quantity * sign of the position and leaves the average as it is. A fill that goes
through zero closes all there is, then opens the rest at the fill's price. Fees are booked apart and never touch the
average. Except for the rounding of the average, every figure is exact.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from exchanges.paper.exact import ZERO, average, exactly
from exchanges.paper.vocabulary import Side


class Closing(NamedTuple):
    """What a fill did to a position: the quantity that closed, and the profit that this realised, without fees."""

    closed_qty: Decimal
    pnl: Decimal


class Position(msgspec.Struct, kw_only=True):
    """The position of one account in one symbol and position index. `size` is signed: negative is short.

    `realised_pnl` and `fees` are sums over its whole life, apart from each other. `opened_pnl` and `opened_fees` are
    the same since the position was last opened from flat.
    """

    uid: int
    symbol: str
    position_idx: int
    size: Decimal = ZERO
    avg_price: Decimal = ZERO
    realised_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    opened_pnl: Decimal = ZERO
    opened_fees: Decimal = ZERO
    created_at_ns: int = 0
    updated_at_ns: int = 0
    seq: int = 0

    @property
    def side(self) -> Side | None:
        """Buy for long, Sell for short, None when flat."""
        if not self.size:
            return None
        return Side.BUY if self.size > 0 else Side.SELL

    @property
    def cum_realised_pnl(self) -> Decimal:
        """Realised profit of the position's whole life *less fees*, as the venue's `cumRealisedPnl`."""
        return self.realised_pnl - self.fees

    @property
    def cur_realised_pnl(self) -> Decimal:
        """The same since the position was opened from flat, as the venue's `curRealisedPnl`."""
        return self.opened_pnl - self.opened_fees

    def closable(self, side: Side) -> Decimal:
        """How much an order of `side` can close."""
        held = -self.size * side.sign
        return max(held, ZERO)

    def unrealised(self, mark_price: Decimal) -> Decimal:
        """(mark - average) * signed size, in USDT."""
        return (mark_price - self.avg_price) * self.size

    @exactly
    def apply(self, side: Side, price: Decimal, qty: Decimal, fee: Decimal) -> Closing:
        """Book one fill and say what it closed."""
        closed = min(self.closable(side), qty)
        pnl = (price - self.avg_price) * closed * -side.sign if closed else ZERO
        if not self.size:
            self.opened_pnl = self.opened_fees = ZERO
        self._resize(side, price, qty, closed)
        self.realised_pnl += pnl
        self.fees += fee
        self.opened_pnl += pnl
        self.opened_fees += fee
        return Closing(closed, pnl)

    def _resize(self, side: Side, price: Decimal, qty: Decimal, closed: Decimal) -> None:
        opened = qty - closed
        self.size += closed * side.sign
        if opened:
            held = abs(self.size)
            self.avg_price = average(self.avg_price * held + price * opened, held + opened) if held else price
            self.size += opened * side.sign
        elif not self.size:
            self.avg_price = ZERO


class Wallet(msgspec.Struct, kw_only=True):
    """The USDT of one account: what was put in, what positions realised, what fees took."""

    uid: int
    deposit: Decimal
    realised_pnl: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def balance(self) -> Decimal:
        """deposit + realised profit - fees."""
        return self.deposit + self.realised_pnl - self.fees

    @exactly
    def book(self, pnl: Decimal, fee: Decimal) -> None:
        self.realised_pnl += pnl
        self.fees += fee
