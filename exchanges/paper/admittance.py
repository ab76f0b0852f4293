"""Whether an account may have an order: what it costs, and at which price a market order protects itself."""

from __future__ import annotations

from decimal import Decimal

from exchanges.paper.accounts import Account, MarkPrice
from exchanges.paper.exact import ceiled, floored
from exchanges.paper.market import SymbolMarket
from exchanges.paper.refusals import insufficient_balance
from exchanges.paper.vocabulary import Side

PROTECTION = Decimal("0.05")  # a market order is an IOC limit this far beyond the best opposing price


def protective_price(market: SymbolMarket, side: Side) -> Decimal:
    """The limit of a market order: 5 % beyond the best opposing price, within the instrument's limits."""
    instrument = market.instrument
    best = market.best(side.opposite) or market.mark_price
    if side is Side.BUY:
        return min(floored(best * (1 + PROTECTION), instrument.tick), instrument.max_price)
    return max(ceiled(best * (1 - PROTECTION), instrument.tick), instrument.min_price)


def require_margin(
    account: Account,
    market: SymbolMarket,
    side: Side,
    position_idx: int,
    qty: Decimal,
    price: Decimal,
    mark_price: MarkPrice,
) -> None:
    """Refuse what the account cannot pay: value ÷ leverage + taker fee on what it opens, next to all that rests.

    A sell below the best bid would fill there, so that is the price it is reckoned at. Raises `Refusal` 110007.
    """
    symbol = market.instrument.symbol
    best_bid = market.best(Side.BUY)
    reckoned = max(price, best_bid) if side is Side.SELL and best_bid is not None else price
    before = account.order_margin(symbol, position_idx)
    need = account.order_margin(symbol, position_idx, (side, qty, qty * reckoned)) - before
    if need > 0 and need > account.available(mark_price):
        raise insufficient_balance()
