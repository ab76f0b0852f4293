"""Whether an account may have an order: what it costs, and at which price a market order protects itself."""

from __future__ import annotations

from decimal import Decimal

from exchanges.paper.accounts import Account, MarkPrice, dollars
from exchanges.paper.exact import ZERO, ceiled, floored, plain
from exchanges.paper.market import SymbolMarket
from exchanges.paper.refusals import beyond_price_limit, insufficient_balance, insufficient_coin
from exchanges.paper.vocabulary import MarketUnit, Side, SlippageType
from exchanges.paper.wishes import Slippage

PROTECTION = Decimal("0.05")  # a market order is an IOC limit this far beyond the best opposing price
NO_TOLERANCE = Slippage()
PRICE_LIMIT_RATIO = Decimal("0.05")
"""How far a limit price may lie beyond the mark price: of a buy above it, of a sell below it."""


def protective_price(market: SymbolMarket, side: Side, slippage: Slippage = NO_TOLERANCE) -> Decimal:
    """The limit of a market order: 5 % beyond the best opposing price, or as far as its own tolerance goes, on the
    tick and within the instrument's limits."""
    instrument = market.instrument
    best = market.best(side.opposite) or market.mark_price
    match slippage.kind:
        case SlippageType.TICKS:
            distance = slippage.tolerance * instrument.tick
        case SlippageType.PERCENT:
            distance = best * slippage.tolerance / 100
        case _:
            distance = best * PROTECTION
    if side is Side.BUY:
        return min(floored(best + distance, instrument.tick), instrument.max_price)
    return max(ceiled(best - distance, instrument.tick), instrument.min_price)


def price_limit(market: SymbolMarket, side: Side) -> Decimal:
    """The highest price of a buy, or the lowest of a sell, on the tick."""
    distance = market.mark_price * PRICE_LIMIT_RATIO
    if side is Side.BUY:
        return floored(market.mark_price + distance, market.instrument.tick)
    return ceiled(market.mark_price - distance, market.instrument.tick)


def allowed_price(market: SymbolMarket, side: Side, price: Decimal) -> Decimal:
    """A limit price as the venue takes it. Beyond the price limit, a contract's is set to the limit, and a spot pair's
    is refused: 170193 or 170194.

    Source: Bybit v5, "Set Price Limit Behaviour", what holds by default.
    """
    if (price <= market.mark_price) if side is Side.BUY else (price >= market.mark_price):
        return price
    limit = price_limit(market, side)
    if (price <= limit) if side is Side.BUY else (price >= limit):
        return price
    if market.instrument.is_spot:
        raise beyond_price_limit(side, f"{plain(limit)}{market.instrument.quote}")
    return limit


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
    instrument = market.instrument
    best_bid = market.best(Side.BUY)
    reckoned = max(price, best_bid) if side is Side.SELL and best_bid is not None else price
    before = account.order_margin(instrument.symbol, position_idx)
    extra = (side, qty, instrument.value(qty, reckoned))
    need = account.order_margin(instrument.symbol, position_idx, extra) - before
    if need > 0 and need * dollars(instrument.settle, mark_price) > account.available(mark_price):
        raise insufficient_balance()


def require_coin(
    account: Account,
    market: SymbolMarket,
    side: Side,
    qty: Decimal,
    price: Decimal,
    unit: MarketUnit | None,
    mark_price: MarkPrice,
) -> None:
    """Refuse a spot order that would give more of a coin than is free. `price` is the limit; with a `unit` it is a
    market order, which gives what the book would take of it now. Raises `Refusal` 170131."""
    pair = market.instrument
    if side is Side.SELL:
        coin, need = pair.base, qty
        if unit is MarketUnit.QUOTE:
            best = market.best(Side.BUY)
            need = floored(qty / best, pair.lot) if best else ZERO
    else:
        coin, need = pair.quote, qty * price
        if unit is MarketUnit.QUOTE:
            need = qty
        elif unit is MarketUnit.BASE:
            need = market.taken(side, price, qty)[1]
    if need > account.free(coin, mark_price):
        raise insufficient_coin()
