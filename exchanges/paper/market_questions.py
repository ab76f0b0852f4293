"""The questions about the market: time, contracts, tickers, books, trades."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from exchanges.paper.admission import instrument_of
from exchanges.paper.admittance import PRICE_LIMIT_RATIO
from exchanges.paper.exact import ZERO, displayed, exactly, plain
from exchanges.paper.fields import Fields, text
from exchanges.paper.instruments import LISTED, MARKETS, Instrument
from exchanges.paper.market import SymbolMarket
from exchanges.paper.paging import any_category, cursor_text, offset, page_limit
from exchanges.paper.rows import NS_PER_MS, ms_text
from exchanges.paper.spot_admission import MAX_VALUE
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Category, Side

LAUNCHED_MS: Final = "1585526400000"
_ON_SPOT: Final = (
    "symbol", "bid1Price", "bid1Size", "ask1Price", "ask1Size", "lastPrice", "prevPrice24h", "price24hPcnt",
    "highPrice24h", "lowPrice24h", "turnover24h", "volume24h", "usdIndexPrice",
)  # fmt: skip
BOOK_LEVELS: Final = 1000
FULL_BOOK_LEVELS: Final = 10_000
NS_PER_S: Final = 1_000_000_000
CONTRACTS: Final = (Category.LINEAR, Category.INVERSE)
_RISK_PARAMETERS: Final[Row] = {
    "priceLimitRatioX": plain(PRICE_LIMIT_RATIO),
    "priceLimitRatioY": plain(PRICE_LIMIT_RATIO),
}
_NUMBERS: Final = {key: number for number, key in enumerate(MARKETS, start=1)}
FUNDING_INTERVAL_MS: Final = 8 * 3600 * 1000


def time(venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    now_ns = venue.clock()
    return {"timeSecond": str(now_ns // NS_PER_S), "timeNano": str(now_ns)}


def instruments_info(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """What is listed. Spot pairs come all at once; a base coin is asked of contracts only, and answered for contracts
    of every kind. All that is listed is trading."""
    category = any_category(fields)
    listed = list(LISTED.get(category, {}).values())
    base = text(fields, "baseCoin")
    if base and category in CONTRACTS:
        of_all_kinds = [instrument for kind in CONTRACTS for instrument in LISTED[kind].values()]
        listed = [instrument for instrument in of_all_kinds if instrument.base == base]
    if text(fields, "symbol"):
        listed = [instrument for instrument in listed if instrument.symbol == text(fields, "symbol")]
    if text(fields, "status") not in {"", "Trading"}:
        listed = []
    if category is Category.SPOT:
        return {"category": category, "list": [instrument_row(one) for one in listed], "nextPageCursor": ""}
    start = offset(fields)
    limit = page_limit(fields, default=500, maximum=1000)
    page = listed[start : start + limit]
    cursor = cursor_text(start + limit) if start + limit < len(listed) else ""
    return {"category": category, "list": [instrument_row(one) for one in page], "nextPageCursor": cursor}


def symbol_id(instrument: Instrument) -> int:
    """The number of a symbol."""
    return _NUMBERS[instrument.key]


def instrument_row(instrument: Instrument) -> Row:
    return _pair_row(instrument) if instrument.is_spot else _contract_row(instrument)


def _pair_row(pair: Instrument) -> Row:
    """A spot pair."""
    return {
        "symbol": pair.symbol,
        "symbolId": symbol_id(pair),
        "baseCoin": pair.base,
        "quoteCoin": pair.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": plain(pair.lot),
            "quotePrecision": plain(pair.quote_step),
            "minOrderQty": plain(pair.min_qty),
            "maxOrderQty": plain(pair.max_limit_qty),
            "minOrderAmt": plain(pair.min_notional),
            "maxOrderAmt": plain(MAX_VALUE),
            "maxLimitOrderQty": plain(pair.max_limit_qty),
            "maxMarketOrderQty": plain(pair.max_market_qty),
            "postOnlyMaxLimitOrderSize": plain(pair.max_limit_qty),
        },
        "priceFilter": {"tickSize": plain(pair.tick)},
        "riskParameters": _RISK_PARAMETERS,
        "symbolType": "",
        "xstockMultiplier": "1",
    }


def _contract_row(instrument: Instrument) -> Row:
    return {
        "symbol": instrument.symbol,
        "symbolId": symbol_id(instrument),
        "contractType": "InversePerpetual" if instrument.is_inverse else "LinearPerpetual",
        "status": "Trading",
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "settleCoin": instrument.settle,
        "launchTime": LAUNCHED_MS,
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(instrument.price_scale),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": plain(instrument.max_leverage),
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": plain(instrument.min_price),
            "maxPrice": plain(instrument.max_price),
            "tickSize": plain(instrument.tick),
        },
        "lotSizeFilter": {
            "minOrderQty": plain(instrument.min_qty),
            "maxOrderQty": plain(instrument.max_limit_qty),
            "maxMktOrderQty": plain(instrument.max_market_qty),
            "postOnlyMaxOrderQty": plain(instrument.max_limit_qty),
            "qtyStep": plain(instrument.lot),
            "minNotionalValue": "" if instrument.is_inverse else plain(instrument.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "copyTrading": "none",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": _RISK_PARAMETERS,
        "forbidUplWithdrawal": False,
        "displayName": "",
        "symbolType": "",
    }


def system_status(_venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    """Announced maintenance: there is none."""
    return {"list": []}


def held_long(venue: PaperVenue, symbol: str) -> Decimal:
    """The open interest of one side: the sum of the long positions of all accounts. The synthetic crowd's positions are
    not counted anywhere."""
    held = (position for account in venue.accounts.values() for position in account.held())
    return sum((position.size for position in held if position.symbol == symbol and position.size > 0), ZERO)


@exactly
def ticker_row(venue: PaperVenue, key: str) -> Row:
    """A ticker. The 24-hour figures are of what this process has seen; open interest is what the accounts hold."""
    market = venue.markets[key]
    bid, ask = next(market.depth(Side.BUY), None), next(market.depth(Side.SELL), None)
    last, mark = plain(market.last_price), plain(market.mark_price)
    now_ms = venue.clock() // NS_PER_MS
    day = venue.histories.observed(market, now_ms).day(now_ms)
    change = displayed((market.last_price - day.open) / day.open) if day.open else ZERO
    funding_at_ms = (now_ms // FUNDING_INTERVAL_MS + 1) * FUNDING_INTERVAL_MS
    single = ZERO if market.instrument.is_spot else held_long(venue, market.instrument.symbol)
    row: Row = {
        "symbol": market.instrument.symbol,
        "tickDirection": market.tick,
        "lastPrice": last,
        "markPrice": mark,
        "indexPrice": mark,
        "bid1Price": plain(bid[0]) if bid else "",
        "bid1Size": plain(bid[1]) if bid else "",
        "ask1Price": plain(ask[0]) if ask else "",
        "ask1Size": plain(ask[1]) if ask else "",
        "prevPrice24h": plain(day.open),
        "prevPrice1h": plain(day.open),
        "price24hPcnt": plain(change),
        "highPrice24h": plain(day.high),
        "lowPrice24h": plain(day.low),
        "volume24h": plain(day.volume),
        "turnover24h": plain(day.turnover),
        "openInterest": plain(2 * single),
        "openInterestValue": plain(market.instrument.value(2 * single, market.mark_price)),
        "singleOpenInterest": plain(single),
        "singleOpenInterestValue": plain(market.instrument.value(single, market.mark_price)),
        "fundingRate": "0.0001",
        "nextFundingTime": str(funding_at_ms),
        "fundingIntervalHour": "8",
        "fundingCap": "0.005",
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "basis": "",
        "basisRateYear": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }
    if market.instrument.is_spot:
        row["usdIndexPrice"] = mark
        return {name: row[name] for name in _ON_SPOT}
    return row


def tickers(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    category = any_category(fields)
    listed = LISTED.get(category, {}).values()
    chosen = [instrument_of(fields)] if text(fields, "symbol") else list(listed)
    return {"category": category, "list": [ticker_row(venue, instrument.key) for instrument in chosen]}


@exactly
def orderbook(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """The best levels of each side."""
    market = venue.markets[instrument_of(fields).key]
    return _book(venue, market, page_limit(fields, default=1 if market.instrument.is_spot else 25, maximum=BOOK_LEVELS))


@exactly
def full_orderbook(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    """All levels of each side."""
    return _book(venue, venue.markets[instrument_of(fields).key], FULL_BOOK_LEVELS)


def _book(venue: PaperVenue, market: SymbolMarket, limit: int) -> Row:
    now_ms = venue.clock() // NS_PER_MS
    return {
        "s": market.instrument.symbol,
        "b": [[plain(price), plain(qty)] for price, qty in list(market.depth(Side.BUY))[:limit]],
        "a": [[plain(price), plain(qty)] for price, qty in list(market.depth(Side.SELL))[:limit]],
        "ts": now_ms,
        "u": market.version,
        "seq": market.version,
        "cts": now_ms,
    }


def recent_trades(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    instrument = instrument_of(fields)
    trades = list(venue.markets[instrument.key].recent_trades)
    most = 60 if instrument.is_spot else 1000
    limit = page_limit(fields, default=min(most, 500), maximum=most)
    rows = [
        {
            "execId": trade.trade_id,
            "symbol": trade.symbol,
            "price": plain(trade.price),
            "size": plain(trade.qty),
            "side": trade.taker_side,
            "time": ms_text(trade.traded_at_ns),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(trade.version),
        }
        for trade in reversed(trades[-limit:])
    ]
    return {"category": instrument.category, "list": rows}
