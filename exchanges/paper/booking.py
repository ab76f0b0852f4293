"""What a fill does to the accounts: a contract's position and its coin, or the two coins of a spot pair."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from exchanges.paper.accounts import Account
from exchanges.paper.exact import ZERO
from exchanges.paper.instruments import Instrument
from exchanges.paper.ledger import House
from exchanges.paper.market import Match
from exchanges.paper.options import PaperOptions
from exchanges.paper.orders import Order
from exchanges.paper.vocabulary import Side


class Booked(NamedTuple):
    """A fill in figures: what it was worth, what it cost in fees, what it closed, what that realised, and the
    fees of opening and closing what it closed (see `Closing`)."""

    value: Decimal
    fee: Decimal
    fee_rate: Decimal
    closed_qty: Decimal
    pnl: Decimal
    open_fee: Decimal
    close_fee: Decimal


@dataclass(frozen=True, slots=True)
class Booking:
    """Books fills into wallets, positions and the house."""

    options: PaperOptions
    house: House

    def fee_rate(self, instrument: Instrument, *, is_maker: bool) -> Decimal:
        options = self.options
        if instrument.is_spot:
            return options.spot_maker_fee_rate if is_maker else options.spot_taker_fee_rate
        return options.maker_fee_rate if is_maker else options.taker_fee_rate

    def book(self, account: Account, instrument: Instrument, order: Order, match: Match, *, is_maker: bool) -> Booked:
        """Book one fill of `order`; its own sums are left to the caller."""
        rate = self.fee_rate(instrument, is_maker=is_maker)
        if instrument.is_spot:
            return self._swap(account, instrument, order, match, rate)
        value = instrument.value(match.qty, match.price)
        fee = value * rate
        position = account.position(order.symbol, order.position_idx)
        closing = position.apply(order.side, match.price, match.qty, fee)
        account.wallet.book(instrument.settle, closing.pnl, fee)
        self.house.charge(instrument.settle, fee)
        return Booked(value, fee, rate, *closing)

    def _swap(self, account: Account, pair: Instrument, order: Order, match: Match, rate: Decimal) -> Booked:
        """Two coins change hands; the fee is taken from the one that is received."""
        value, qty, wallet = match.qty * match.price, match.qty, account.wallet
        if order.side is Side.BUY:
            fee = qty * rate
            wallet.trade(pair.base, qty, fee)
            wallet.trade(pair.quote, -value)
        else:
            fee = value * rate
            wallet.trade(pair.base, -qty)
            wallet.trade(pair.quote, value, fee)
        self.house.charge(order.fee_coin, fee)
        return Booked(value, fee, rate, ZERO, ZERO, ZERO, ZERO)

    def deal_with_market_maker(self, instrument: Instrument, side: Side, match: Match) -> None:
        """Book the market maker's end of a match with a user's order of `side`."""
        value = instrument.value(match.qty, match.price) * side.sign
        self.house.deal(instrument.settle, -value if instrument.is_inverse else value)
        if instrument.is_spot:
            self.house.deal(instrument.base, -match.qty * side.sign)


def received_coin(instrument: Instrument, side: Side) -> str:
    """The coin of the fees: contracts pay in what settles them, spot orders in what they receive."""
    if instrument.is_spot:
        return instrument.base if side is Side.BUY else instrument.quote
    return instrument.settle
