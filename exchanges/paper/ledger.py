"""Positions and wallets: the exchange's own account of who holds what, at which average, with which result.

The average-cost method, without losing a digit. Adding to a position adds to its cost; closing a part takes the
part's share of the cost, rounded to 18 places (half to even), closing all takes all that is left: what a position
realised over its life is exactly what its sales brought less what its purchases cost. The average is shown, not
calculated with: it moves when a fill adds and stays when one closes. A fill that goes through zero closes all there
is, then opens the rest at the fill's price. Fees are booked apart.
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
    cost: Decimal = ZERO
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

    @exactly
    def charge(self, fee: Decimal) -> None:
        """Book a fee that no fill caused, such as funding; negative if it is received."""
        self.fees += fee
        self.opened_fees += fee

    def unrealised(self, mark_price: Decimal) -> Decimal:
        """What closing at the mark would realise, in USDT."""
        return mark_price * self.size - (self.cost if self.size > 0 else -self.cost)

    @exactly
    def apply(self, side: Side, price: Decimal, qty: Decimal, fee: Decimal) -> Closing:
        """Book one fill and say what it closed."""
        closed = min(self.closable(side), qty)
        share = self._share(closed)
        pnl = (share - price * closed) * side.sign if closed else ZERO
        if not self.size:
            self.opened_pnl = self.opened_fees = ZERO
        self._resize(side, price, qty, closed, share)
        self.realised_pnl += pnl
        self.fees += fee
        self.opened_pnl += pnl
        self.opened_fees += fee
        return Closing(closed, pnl)

    def _share(self, closed: Decimal) -> Decimal:
        """The part of the cost that belongs to `closed`."""
        held = abs(self.size)
        return self.cost if closed == held else average(self.cost * closed, held)

    def _resize(self, side: Side, price: Decimal, qty: Decimal, closed: Decimal, share: Decimal) -> None:
        opened = qty - closed
        self.size += qty * side.sign
        self.cost += opened * price - share
        if opened:
            self.avg_price = average(self.cost, abs(self.size))
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
