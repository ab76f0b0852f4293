"""Balances, positions, instruments and quotes: from Bybit's rows to ours.

Source: Bybit v5, "Get Wallet Balance", "Get Position Info", "Get Instruments Info", "Get Tickers".
"""

from __future__ import annotations

from decimal import Decimal

from domain.errors import InvalidInput
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.money import ZERO, canonical
from domain.orders import PositionSide
from exchanges.bybit import vocabulary as words
from exchanges.bybit.rows import Row
from exchanges.venue import Balance, VenuePosition

NO_BOUND = Decimal(10) ** 17
"""Stands for "no upper bound" where the venue gives none, as spot does for prices: still a figure that we may read."""


def balances(wallet: Row, *, account: str, at_ns: int) -> list[Balance]:
    """The coins of a wallet row, of REST or of the stream.

    What was borrowed is in `walletBalance` (the venue's equity is that less `spotBorrow`, with the profits that are not
    realised), and is not owned. Available is what is neither borrowed, nor a bonus, nor locked by spot orders, nor held
    as margin of orders and positions; losses that are not realised yet count, gains don't. The venue's own figure is
    account-wide and in dollars, so it cannot be used per coin, and for unified accounts it leaves
    `availableToWithdraw` empty. In portfolio margin no coin's row tells its margins: what is available is unknown then.
    """
    return [_balance(coin, account, at_ns) for coin in wallet.rows("coin")]


_MARGINS = ("totalOrderIM", "totalPositionIM")


def _balance(coin: Row, account: str, at_ns: int) -> Balance:
    total = coin.calculated("walletBalance") - coin.calculated("spotBorrow")
    kept = ("locked", "bonus", *_MARGINS)
    free = total + min(ZERO, coin.calculated("unrealisedPnl")) - sum(map(coin.calculated, kept), ZERO)
    known = all(coin.raw(name) != "" for name in _MARGINS)  # empty is no 0: positions may hold any part of it
    return Balance(
        account=account,
        currency=coin.need("coin"),
        total=canonical(total),
        available=canonical(max(ZERO, free)) if known else ZERO,
        at_ns=at_ns,
        available_known=known,
    )


def position(row: Row, *, venue: str, category: str) -> VenuePosition:
    """A position's row; its side is empty (or "None", as older messages have it) when there is none."""
    size = row.amount("size")
    side = row.text("side")
    if size and side not in words.SIDE_OF:
        raise InvalidInput("UNREADABLE_ROW", [f"side: {side:.40} of a position of {size} is neither Buy nor Sell"])
    sign = words.SIDE_OF[side].sign if size else 1
    return VenuePosition(
        instrument=Instrument(venue, row.text("category") or category, row.need("symbol").upper()),
        side=words.POSITION_SIDE_OF.get(row.whole("positionIdx"), PositionSide.NET),
        size=size * sign,
        average_entry=row.calculated("avgPrice") or row.calculated("entryPrice"),
        mark=row.calculated("markPrice"),
        unrealised=row.calculated("unrealisedPnl"),
        updated_ns=row.time_ns("updatedTime"),
        venue_sequence=max(0, row.whole("seq")),  # -1 where nothing was ever traded
    )


def instrument_rules(row: Row, *, venue: str, category: str, fetched_at_ns: int) -> InstrumentRules:
    """An instrument's grid and bounds. Where the venue gives no maximum, `NO_BOUND` says so."""
    lots, prices = row.nested("lotSizeFilter"), row.nested("priceFilter")
    tick = prices.need_amount("tickSize")
    largest = _first_amount(lots, "maxLimitOrderQty", "maxOrderQty") or NO_BOUND
    spot = category == "spot"
    return InstrumentRules(
        instrument=Instrument(venue, category, row.need("symbol").upper()),
        trading=row.text("status") == "Trading",
        base_currency=row.text("baseCoin"),
        quote_currency=row.text("quoteCoin"),
        settle_currency=row.text("settleCoin") or row.text("quoteCoin"),
        tick=tick,
        lot=lots.need_amount("basePrecision" if spot else "qtyStep"),
        min_quantity=lots.amount("minOrderQty"),
        max_quantity=largest,
        max_market_quantity=_first_amount(lots, "maxMktOrderQty", "maxMarketOrderQty") or largest,
        min_notional=_first_amount(lots, "minNotionalValue", "minOrderAmt"),
        min_price=prices.amount("minPrice") or tick,
        max_price=prices.amount("maxPrice") or NO_BOUND,
        fetched_at_ns=fetched_at_ns,
    )


def _first_amount(row: Row, *names: str) -> Decimal:
    return next((figure for name in names if (figure := row.amount(name))), ZERO)


def quote(row: Row, *, at_ns: int) -> Quote | None:
    """A ticker's row; None while one side of the book is empty, for then there is no best price to speak of."""
    bid, ask, last = row.amount("bid1Price"), row.amount("ask1Price"), row.amount("lastPrice")
    if not bid or not ask:
        return None
    return Quote(bid=bid, ask=ask, last=last or (bid + ask) / 2, mark=row.calculated("markPrice") or last, at_ns=at_ns)
