"""Positions and wallets: the exchange's own account of who holds what, at which average, with which result.

The average-cost method, without losing a digit. Adding to a position adds to its cost; closing a part takes the
part's share of the cost, rounded to 18 places (half to even), closing all takes all that is left: what a position
realised over its life is exactly what its sales brought less what its purchases cost. The average is shown, not
calculated with: it moves when a fill adds and stays when one closes. A fill that goes through zero closes all there
is, then opens the rest at the fill's price. Fees are booked apart.

Inverse contracts are the same with the coin's value of the contracts as their cost (rounded to 8 places when they
trade) and the sign turned round: who is long gains when the same dollars become worth less of the coin.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from exchanges.paper.exact import ZERO, average, exactly
from exchanges.paper.instruments import contract_value
from exchanges.paper.vocabulary import Category, Side


class Closing(NamedTuple):
    """What a fill did to a position: the quantity that closed, the profit that this realised, without fees, what
    opening that quantity had cost in fees, and its share of the fill's own fee."""

    closed_qty: Decimal
    pnl: Decimal
    open_fee: Decimal
    close_fee: Decimal


class Position(msgspec.Struct, kw_only=True):
    """The position of one account in one contract and position index. `size` is signed: negative is short.

    `cost` and all results are in the settle coin. `realised_pnl` and `fees` are sums over its whole life, apart from
    each other. `opened_pnl` and `opened_fees` are the same since the position was last opened from flat.
    `entry_fees` are those of the fills that opened what is held now: they were paid then, and are kept here only to be
    told when it closes.
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
    entry_fees: Decimal = ZERO
    created_at_ns: int = 0
    opened_at_ns: int = 0
    updated_at_ns: int = 0
    seq: int = 0
    category: Category = Category.LINEAR
    settle: str = "USDT"

    @property
    def is_inverse(self) -> bool:
        return self.category is Category.INVERSE

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
        held = -self.size if side is Side.BUY else self.size
        return held if held > 0 else ZERO

    def value(self, mark_price: Decimal) -> Decimal:
        """What is held is worth at the mark, in the settle coin."""
        return contract_value(self.category, abs(self.size), mark_price) if self.size else ZERO

    @exactly
    def charge(self, fee: Decimal) -> None:
        """Book a fee that no fill caused, such as funding; negative if it is received."""
        self.fees += fee
        self.opened_fees += fee

    def unrealised(self, mark_price: Decimal) -> Decimal:
        """What closing at the mark would realise, in the settle coin."""
        if not self.size:
            return ZERO
        gain = self.value(mark_price) - self.cost
        return gain if (self.size > 0) is not self.is_inverse else -gain

    @exactly
    def apply(self, side: Side, price: Decimal, qty: Decimal, fee: Decimal) -> Closing:
        """Book one fill and say what it closed."""
        closed = min(self.closable(side), qty)
        value = contract_value(self.category, qty, price)
        closed_value = value
        if closed != qty:
            closed_value = contract_value(self.category, closed, price) if closed else ZERO
        share, open_fee = self._share(closed, self.cost), self._share(closed, self.entry_fees)
        pnl = (share - closed_value) * (-side.sign if self.is_inverse else side.sign) if closed else ZERO
        if not self.size:
            self.opened_pnl = self.opened_fees = ZERO
        self._resize(side, qty, closed, value - closed_value - share)
        close_fee = fee if closed == qty else average(fee * closed, qty)
        self.entry_fees += fee - close_fee - open_fee
        self.realised_pnl += pnl
        self.fees += fee
        self.opened_pnl += pnl
        self.opened_fees += fee
        return Closing(closed, pnl, open_fee, close_fee)

    def _share(self, closed: Decimal, whole: Decimal) -> Decimal:
        """The part of `whole`, of the cost or the entry fees, that belongs to `closed`."""
        held = abs(self.size)
        return whole if closed == held else average(whole * closed, held)

    def _resize(self, side: Side, qty: Decimal, closed: Decimal, added_cost: Decimal) -> None:
        self.size += qty * side.sign
        self.cost += added_cost
        if qty != closed:
            held = abs(self.size)
            self.avg_price = average(held, self.cost) if self.is_inverse else average(self.cost, held)
        elif not self.size:
            self.avg_price = ZERO


class CoinBalance(msgspec.Struct, kw_only=True):
    """One coin of one account: what was put in, what spot trades brought (or took), what positions realised, what
    fees took."""

    deposit: Decimal = ZERO
    traded: Decimal = ZERO
    realised_pnl: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def balance(self) -> Decimal:
        """deposit + traded + realised profit - fees; negative is owed."""
        return self.deposit + self.traded + self.realised_pnl - self.fees


class Wallet(msgspec.Struct, kw_only=True):
    """All coins of one account."""

    uid: int
    coins: dict[str, CoinBalance] = {}

    def coin(self, name: str) -> CoinBalance:
        """The account's balance of a coin; an empty one if it never had any."""
        found = self.coins.get(name)
        if found is None:
            found = self.coins[name] = CoinBalance()
        return found

    def balance(self, coin: str = "USDT") -> Decimal:
        found = self.coins.get(coin)
        return ZERO if found is None else found.balance

    @exactly
    def book(self, coin: str, pnl: Decimal, fee: Decimal) -> None:
        """A result and a fee of a contract."""
        held = self.coin(coin)
        held.realised_pnl += pnl
        held.fees += fee

    @exactly
    def trade(self, coin: str, amount: Decimal, fee: Decimal = ZERO) -> None:
        """One leg of a spot trade: `amount` received, or given if it is negative."""
        held = self.coin(coin)
        held.traded += amount
        held.fees += fee


class HouseCoin(msgspec.Struct, kw_only=True):
    """What the exchange holds of one coin: fees, and what the market maker and the crowd paid in or took out."""

    fees: Decimal = ZERO
    market_maker: Decimal = ZERO


class House(msgspec.Struct, kw_only=True):
    """The other side of the wallets. For each coin: wallets less the signed cost of open positions, fees and market
    maker together are what was deposited, to the last digit."""

    coins: dict[str, HouseCoin] = {}

    def coin(self, name: str) -> HouseCoin:
        found = self.coins.get(name)
        if found is None:
            found = self.coins[name] = HouseCoin()
        return found

    @exactly
    def charge(self, coin: str, fee: Decimal) -> None:
        self.coin(coin).fees += fee

    @exactly
    def deal(self, coin: str, amount: Decimal) -> None:
        """The market maker received `amount`, or paid it if it is negative."""
        self.coin(coin).market_maker += amount
