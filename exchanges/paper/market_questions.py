"""The questions about the market: time, contracts, tickers, books, trades."""

from __future__ import annotations

from typing import Final

from exchanges.paper.admission import instrument_of
from exchanges.paper.exact import ZERO, displayed, exactly, plain
from exchanges.paper.fields import Fields, text
from exchanges.paper.instruments import LISTED, Instrument
from exchanges.paper.paging import any_category, cursor_text, offset, page_limit
from exchanges.paper.rows import NS_PER_MS, ms_text
from exchanges.paper.spot_admission import MAX_VALUE
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Side

LAUNCHED_MS: Final = "1585526400000"
_NOT_ON_SPOT: Final = (
    "tickDirection", "markPrice", "indexPrice", "prevPrice1h", "openInterest", "openInterestValue", "fundingRate",
    "nextFundingTime",
)  # fmt: skip
NS_PER_S: Final = 1_000_000_000
FUNDING_INTERVAL_MS: Final = 8 * 3600 * 1000


def time(venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    now_ns = venue.clock()
    return {"timeSecond": str(now_ns // NS_PER_S), "timeNano": str(now_ns)}


def instruments_info(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    category = any_category(fields)
    listed = list(LISTED.get(category, {}).values())
    if text(fields, "symbol"):
        listed = [instrument for instrument in listed if instrument.symbol == text(fields, "symbol")]
    if text(fields, "baseCoin"):
        listed = [instrument for instrument in listed if instrument.base == text(fields, "baseCoin")]
    start = offset(fields)
    limit = page_limit(fields, default=500, maximum=1000)
    page = listed[start : start + limit]
    cursor = cursor_text(start + limit) if start + limit < len(listed) else ""
    return {"category": category, "list": [instrument_row(one) for one in page], "nextPageCursor": cursor}


def instrument_row(instrument: Instrument) -> Row:
    return _pair_row(instrument) if instrument.is_spot else _contract_row(instrument)


def _pair_row(pair: Instrument) -> Row:
    """A spot pair."""
    return {
        "symbol": pair.symbol,
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
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
        "symbolType": "",
    }


def _contract_row(instrument: Instrument) -> Row:
    return {
        "symbol": instrument.symbol,
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
        "displayName": "",
        "symbolType": "",
    }


def system_status(_venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    """Announced maintenance: there is none."""
    return {"list": []}


@exactly
def ticker_row(venue: PaperVenue, key: str) -> Row:
    """A ticker. The 24-hour figures are of what this process has seen; open interest is there with a figure at rest."""
    market = venue.markets[key]
    bid, ask = next(market.depth(Side.BUY), None), next(market.depth(Side.SELL), None)
    last, mark = plain(market.last_price), plain(market.mark_price)
    now_ms = venue.clock() // NS_PER_MS
    day = venue.histories.observed(market, now_ms).day(now_ms)
    change = displayed((market.last_price - day.open) / day.open) if day.open else ZERO
    funding_at_ms = (now_ms // FUNDING_INTERVAL_MS + 1) * FUNDING_INTERVAL_MS
    row: Row = {
        "symbol": market.instrument.symbol,
        "tickDirection": "ZeroPlusTick",
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
        "openInterest": "0",
        "openInterestValue": "0",
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
        for name in _NOT_ON_SPOT:
            del row[name]
        row["usdIndexPrice"] = mark
    return row


def tickers(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    category = any_category(fields)
    listed = LISTED.get(category, {}).values()
    chosen = [instrument_of(fields)] if text(fields, "symbol") else list(listed)
    return {"category": category, "list": [ticker_row(venue, instrument.key) for instrument in chosen]}


@exactly
def orderbook(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    market = venue.markets[instrument_of(fields).key]
    limit = page_limit(fields, default=25, maximum=500)
    now_ms = venue.clock() // NS_PER_MS
    return {
        "s": market.instrument.symbol,
        "b": [[plain(price), plain(qty)] for price, qty in list(market.depth(Side.BUY))[:limit]],
        "a": [[plain(price), plain(qty)] for price, qty in list(market.depth(Side.SELL))[:limit]],
        "ts": now_ms,
        "u": market.state.step + 1,
        "seq": market.state.step + 1,
        "cts": now_ms,
    }


def recent_trades(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    instrument = instrument_of(fields)
    trades = list(venue.markets[instrument.key].recent_trades)
    limit = page_limit(fields, default=500, maximum=1000)
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
            "seq": str(trade.seq),
        }
        for trade in reversed(trades[-limit:])
    ]
    return {"category": instrument.category, "list": rows}
