"""The questions about a market's past and its rules: candles, funding, open interest, risk tiers, price limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from exchanges.paper import admittance
from exchanges.paper.admission import instrument_of
from exchanges.paper.candles import MINUTE_MS, Candle, end_of, is_interval, start_of
from exchanges.paper.exact import exactly, plain
from exchanges.paper.fields import Fields, text, whole
from exchanges.paper.instruments import LISTED, Instrument
from exchanges.paper.market import SymbolMarket
from exchanges.paper.market_questions import LAUNCHED_MS, held_long, orderbook
from exchanges.paper.paging import any_category, cursor_text, offset, page_limit
from exchanges.paper.refusals import bad_parameter
from exchanges.paper.rows import MAINTENANCE_RATE, NS_PER_MS, RISK_LIMIT_VALUE
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Category, Side

OPEN_INTEREST_MINUTES: Final = {"5min": 5, "15min": 15, "30min": 30, "1h": 60, "4h": 240, "1d": 1440}


# -- candles ---------------------------------------------------------------------------------------------------------


@exactly
def kline(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """Candles of the last price: start, open, high, low, close, volume, turnover; newest first."""
    return _candles(venue, fields, lambda candle: [*_prices(candle), plain(candle.volume), plain(candle.turnover)])


@exactly
def mark_price_kline(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """Candles of the mark price, which is the index price too."""
    return _candles(venue, fields, _prices, of_mark=True)


@exactly
def premium_index_kline(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """Candles of the premium of the mark over the index: there is none here."""
    return _candles(venue, fields, lambda candle: [str(candle.start_ms), "0", "0", "0", "0"], of_mark=True)


def _prices(candle: Candle) -> list[str]:
    prices = (candle.open, candle.high, candle.low, candle.close)
    return [str(candle.start_ms), *(plain(price) for price in prices)]


def _candles(venue: PaperVenue, fields: Fields, row: Callable[[Candle], list[str]], *, of_mark: bool = False) -> Row:
    interval = text(fields, "interval")
    if not is_interval(interval):
        raise bad_parameter("Invalid period!")
    category = any_category(fields, default=Category.LINEAR)
    instrument = instrument_of(fields)
    limit = page_limit(fields, default=200, maximum=1000)
    now_ms = venue.clock() // NS_PER_MS
    from_ms, until_ms = _span(fields, interval, limit, now_ms)
    history = venue.histories.observed(venue.markets[instrument.key], now_ms)
    series = history.mark if of_mark else history.last
    found = series.candles(interval, from_ms, until_ms, limit)
    return {"symbol": instrument.symbol, "category": category, "list": [row(candle) for candle in found]}


def _span(fields: Fields, interval: str, limit: int, now_ms: int) -> tuple[int, int]:
    """From when until when candles begin, never before the market opened nor after now.

    With a start alone they are the first ones from there, else the last ones.
    """
    start_ms, end_ms = whole(fields, "start", -1), whole(fields, "end", -1)
    if start_ms >= 0 and end_ms < 0:
        end_ms = start_ms = max(start_of(interval, start_ms - 1) if start_ms else 0, int(LAUNCHED_MS))
        for _ in range(limit):
            end_ms = end_of(interval, end_ms)
    from_ms = max(start_ms, int(LAUNCHED_MS))
    return from_ms, min(end_ms, now_ms) if end_ms >= 0 else now_ms


# -- what else is asked of a market ----------------------------------------------------------------------------------


def funding_history(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """The fundings that this process has settled, newest first."""
    category = any_category(fields)
    symbol = instrument_of(fields).symbol
    limit = page_limit(fields, default=200, maximum=200)
    start_ms, end_ms = whole(fields, "startTime", 0), whole(fields, "endTime", venue.clock() // NS_PER_MS)
    rows = [
        {
            "symbol": symbol,
            "fundingRate": plain(funding.rate),
            "fundingRateTimestamp": str(funding.settled_at_ns // NS_PER_MS),
        }
        for funding in reversed(venue.fundings)
        if funding.symbol == symbol and start_ms <= funding.settled_at_ns // NS_PER_MS <= end_ms
    ]
    return {"category": category, "list": rows[:limit]}


@exactly
def open_interest(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """What all accounts together hold, now; its past is not kept."""
    category = any_category(fields)
    symbol = instrument_of(fields).symbol
    minutes = OPEN_INTEREST_MINUTES.get(text(fields, "intervalTime"))
    if minutes is None:
        raise bad_parameter("params error: intervalTime invalid")
    now_ms = venue.clock() // NS_PER_MS
    single = held_long(venue, symbol)
    row = {
        "openInterest": plain(2 * single),
        "singleOpenInterest": plain(single),
        "timestamp": str(now_ms // (minutes * MINUTE_MS) * minutes * MINUTE_MS),
    }
    return {"symbol": symbol, "category": category, "list": [row], "nextPageCursor": ""}


def risk_limit(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """One tier per contract."""
    category = any_category(fields)
    listed = list(LISTED.get(category, {}).values()) if category is not Category.SPOT else []
    if text(fields, "symbol"):
        listed = [instrument for instrument in listed if instrument.symbol == text(fields, "symbol")]
    start = offset(fields)
    page = listed[start : start + 50]
    cursor = cursor_text(start + 50) if start + 50 < len(listed) else ""
    return {"category": category, "list": [_tier(one) for one in page], "nextPageCursor": cursor}


def _tier(instrument: Instrument) -> Row:
    return {
        "id": 1,
        "symbol": instrument.symbol,
        "riskLimitValue": RISK_LIMIT_VALUE,
        "maintenanceMargin": plain(MAINTENANCE_RATE),
        "initialMargin": plain(1 / instrument.max_leverage),
        "isLowestRisk": 1,
        "maxLeverage": plain(instrument.max_leverage),
        "mmDeduction": "",
    }


def price_limit(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """The highest price of a buy and the lowest of a sell."""
    instrument = instrument_of(fields)
    band = price_band(venue.markets[instrument.key])
    return {"symbol": instrument.symbol, **band, "ts": str(venue.clock() // NS_PER_MS)}


@exactly
def price_band(market: SymbolMarket) -> Row:
    return {
        "buyLmt": plain(admittance.price_limit(market, Side.BUY)),
        "sellLmt": plain(admittance.price_limit(market, Side.SELL)),
    }


def index_components(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """The index is this market's own mark price."""
    name = text(fields, "indexName")
    market = venue.markets.get(name)
    if market is None:
        raise bad_parameter("params error: indexName invalid")
    price = plain(market.mark_price)
    component = {
        "exchange": "Paper", "spotPair": name, "equivalentPrice": price, "multiplier": "1", "price": price,
        "weight": "1",
    }  # fmt: skip
    now_ms = str(venue.clock() // NS_PER_MS)
    return {"indexName": name, "lastPrice": price, "updateTime": now_ms, "components": [component]}


def rpi_orderbook(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """The book with the quantity of retail price improvement orders beside: there are none."""
    book = orderbook(venue, uid, fields)
    for side in ("a", "b"):
        levels = book[side]
        if isinstance(levels, list):
            book[side] = [[*level, "0"] for level in levels]
    return book


def volatility(_venue: PaperVenue, _uid: int, _fields: Fields) -> list[Row]:
    """Of options: there are none. The one answer of the venue that is a bare list."""
    return []
