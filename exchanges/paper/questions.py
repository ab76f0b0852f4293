"""The questions of the REST interface: the market, orders, executions, positions, the account.

Lists come newest first, with a cursor that is an opaque text to the client: the sequence number of the last row shown.
Its percent signs are the venue's habit, and a test for the client, which must encode it once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from exchanges.paper.admission import category_of, instrument_of, text, whole
from exchanges.paper.exact import exactly, plain
from exchanges.paper.instruments import INSTRUMENTS, Instrument
from exchanges.paper.orders import Order
from exchanges.paper.refusals import bad_parameter
from exchanges.paper.rows import (
    NS_PER_MS,
    SETTLE_COIN,
    execution_row,
    ms_text,
    order_row,
    position_row,
    wallet_row,
)
from exchanges.paper.store import Selection
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Category, Side

Fields = Mapping[str, object]

WEEK_MS: Final = 7 * 24 * 3600 * 1000
LAUNCHED_MS: Final = "1585526400000"
CLOSED_SHOWN: Final = 500
NS_PER_S: Final = 1_000_000_000


# -- the market ------------------------------------------------------------------------------------------------------


def time(venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    now_ns = venue.clock()
    return {"timeSecond": str(now_ns // NS_PER_S), "timeNano": str(now_ns)}


def instruments_info(_venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    category = _any_category(fields)
    listed = list(INSTRUMENTS.values()) if category is Category.LINEAR else []
    if text(fields, "symbol"):
        listed = [instrument for instrument in listed if instrument.symbol == text(fields, "symbol")]
    if text(fields, "baseCoin"):
        listed = [instrument for instrument in listed if instrument.base == text(fields, "baseCoin")]
    start = _offset(fields)
    limit = _limit(fields, default=500, maximum=1000)
    page = listed[start : start + limit]
    cursor = _cursor_text(start + limit) if start + limit < len(listed) else ""
    return {"category": category, "list": [_instrument_row(one) for one in page], "nextPageCursor": cursor}


def _instrument_row(instrument: Instrument) -> Row:
    return {
        "symbol": instrument.symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "settleCoin": SETTLE_COIN,
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
            "minNotionalValue": plain(instrument.min_notional),
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


@exactly
def ticker_row(venue: PaperVenue, symbol: str) -> Row:
    """A ticker. What this market does not have (24-hour figures, open interest) is there with a figure at rest."""
    market = venue.markets[symbol]
    bid, ask = next(market.depth(Side.BUY), None), next(market.depth(Side.SELL), None)
    last, mark = plain(market.last_price), plain(market.mark_price)
    return {
        "symbol": symbol,
        "tickDirection": "ZeroPlusTick",
        "lastPrice": last,
        "markPrice": mark,
        "indexPrice": mark,
        "bid1Price": plain(bid[0]) if bid else "",
        "bid1Size": plain(bid[1]) if bid else "",
        "ask1Price": plain(ask[0]) if ask else "",
        "ask1Size": plain(ask[1]) if ask else "",
        "prevPrice24h": plain(market.instrument.anchor_price),
        "prevPrice1h": plain(market.instrument.anchor_price),
        "price24hPcnt": "0",
        "highPrice24h": last,
        "lowPrice24h": last,
        "volume24h": "0",
        "turnover24h": "0",
        "openInterest": "0",
        "openInterestValue": "0",
        "fundingRate": "0.0001",
        "nextFundingTime": "0",
    }


def tickers(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    category = _any_category(fields)
    if category is not Category.LINEAR:
        return {"category": category, "list": []}
    symbols = [instrument_of(fields).symbol] if text(fields, "symbol") else list(INSTRUMENTS)
    return {"category": category, "list": [ticker_row(venue, symbol) for symbol in symbols]}


@exactly
def orderbook(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    category_of(fields)
    market = venue.markets[instrument_of(fields).symbol]
    limit = _limit(fields, default=25, maximum=500)
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
    category_of(fields)
    trades = list(venue.markets[instrument_of(fields).symbol].recent_trades)
    limit = _limit(fields, default=500, maximum=1000)
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
    return {"category": Category.LINEAR, "list": rows}


# -- orders and executions -------------------------------------------------------------------------------------------


@exactly
def realtime(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """Open orders; asked by id, or with openOnly=1, also those that closed lately (not after a restart)."""
    category_of(fields)
    account = venue.accounts[uid]
    order_id, link = text(fields, "orderId"), text(fields, "orderLinkId")
    if order_id or link:
        symbol = text(fields, "symbol")
        order = venue.known_order(uid, order_id, link)
        found = [order] if order is not None and symbol in {"", order.symbol} else []
    else:
        symbols = symbols_of(fields, required=True)
        closed = whole(fields, "openOnly", 0) == 1
        pool = account.recent_closed.values() if closed else account.open_orders.values()
        found = [order for order in pool if symbols is None or order.symbol in symbols]
    return _order_page(sorted(found, key=lambda order: -order.placed_seq), fields)


@exactly
def history(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """Closed orders from the books. Those that never filled are forgotten after the options' window (24 h)."""
    category_of(fields)
    limit = _limit(fields, default=20, maximum=50)
    wanted = _selection(venue, uid, fields, limit + 1, closed_only=True)
    return _order_page(venue.store.orders(wanted), fields)


@exactly
def executions(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    category_of(fields)
    limit = _limit(fields, default=50, maximum=100)
    if text(fields, "execType") not in {"", "Trade"}:
        return {"category": Category.LINEAR, "list": [], "nextPageCursor": ""}
    found = venue.store.executions(_selection(venue, uid, fields, limit + 1, closed_only=False))
    cursor = _cursor_text(found[limit - 1].seq) if len(found) > limit else ""
    rows = [execution_row(execution) for execution in found[:limit]]
    return {"category": Category.LINEAR, "list": rows, "nextPageCursor": cursor}


def _order_page(found: Sequence[Order], fields: Fields) -> Row:
    limit = _limit(fields, default=20, maximum=50)
    below = _cursor(fields)
    after = [order for order in found if below is None or order.placed_seq < below]
    cursor = _cursor_text(after[limit - 1].placed_seq) if len(after) > limit else ""
    rows = [order_row(order) for order in after[:limit]]
    return {"category": Category.LINEAR, "list": rows, "nextPageCursor": cursor}


def _selection(venue: PaperVenue, uid: int, fields: Fields, limit: int, *, closed_only: bool) -> Selection:
    start, end = _time_range(venue, fields)
    unfilled_from = venue.clock() - venue.options.unfilled_history_s * NS_PER_S
    return Selection(
        uid=uid,
        symbols=symbols_of(fields, required=False),
        order_id=text(fields, "orderId"),
        order_link_id="" if text(fields, "orderId") else text(fields, "orderLinkId"),
        status=text(fields, "orderStatus") if closed_only else "",
        from_ns=None if start is None else start * NS_PER_MS,
        until_ns=None if end is None else end * NS_PER_MS + NS_PER_MS - 1,
        below_seq=_cursor(fields),
        closed_only=closed_only,
        unfilled_from_ns=unfilled_from if closed_only else None,
        limit=limit,
    )


def _time_range(venue: PaperVenue, fields: Fields) -> tuple[int | None, int | None]:
    """Start and end in ms. Without either: no limit when asked by id, else the last seven days, as on the venue."""
    start, end = whole(fields, "startTime", -1), whole(fields, "endTime", -1)
    if start < 0 and end < 0:
        if text(fields, "orderId") or text(fields, "orderLinkId"):
            return None, None
        return venue.clock() // NS_PER_MS - WEEK_MS, None
    if start < 0:
        return end - WEEK_MS, end
    if end < 0:
        return start, start + WEEK_MS
    if end - start > WEEK_MS:
        raise bad_parameter("The time range between startTime and endTime cannot exceed 7 days")
    return start, end


# -- positions and the account ---------------------------------------------------------------------------------------


@exactly
def positions(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """By symbol: its rows, empty ones too. By settle coin: only what is held."""
    category_of(fields)
    account = venue.accounts[uid]
    symbols = symbols_of(fields, required=True)
    if text(fields, "symbol") and symbols:
        found = [account.position(symbols[0], index) for index in account.position_indexes(symbols[0])]
    else:
        found = [position for position in account.held() if symbols is None or position.symbol in symbols]
    found.sort(key=lambda position: (position.symbol, position.position_idx))
    start, limit = _offset(fields), _limit(fields, default=20, maximum=200)
    cursor = _cursor_text(start + limit) if start + limit < len(found) else ""
    rows = [position_row(position, account, venue.mark_price) for position in found[start : start + limit]]
    return {"category": Category.LINEAR, "list": rows, "nextPageCursor": cursor}


@exactly
def wallet_balance(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    if text(fields, "accountType") != "UNIFIED":
        raise bad_parameter("accountType only support UNIFIED.")
    row = wallet_row(venue.accounts[uid], venue.mark_price)
    coins = text(fields, "coin")
    if coins and SETTLE_COIN not in coins.split(","):
        row["coin"] = []
    return {"list": [row]}


def account_info(_venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": LAUNCHED_MS,
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def fee_rate(venue: PaperVenue, _uid: int, fields: Fields) -> Row:
    category_of(fields)
    symbols = [instrument_of(fields).symbol] if text(fields, "symbol") else list(INSTRUMENTS)
    maker, taker = plain(venue.options.maker_fee_rate), plain(venue.options.taker_fee_rate)
    rows = [{"symbol": symbol, "makerFeeRate": maker, "takerFeeRate": taker} for symbol in symbols]
    return {"category": Category.LINEAR, "list": rows}


def query_api(venue: PaperVenue, uid: int, _fields: Fields) -> Row:
    pair = next(pair for pair in venue.options.keys if pair.uid == uid)
    return {
        "id": str(uid),
        "note": "paper exchange",
        "apiKey": pair.key,
        "readOnly": 0,
        "secret": "",
        "permissions": {"ContractTrade": ["Order", "Position"], "Derivatives": ["DerivativesTrade"]},
        "ips": ["*"],
        "type": 1,
        "userID": uid,
        "inviterID": 0,
        "uta": 1,
        "unified": 0,
        "isMaster": True,
        "parentUid": "0",
    }


def coin_info(_venue: PaperVenue, _uid: int, _fields: Fields) -> Row:
    """Deposits and withdrawals do not exist here: no coin has a chain."""
    return {"rows": []}


# -- reading parameters ----------------------------------------------------------------------------------------------


def symbols_of(fields: Fields, *, required: bool) -> list[str] | None:
    """The symbols that symbol > baseCoin > settleCoin select; None for all."""
    if text(fields, "symbol"):
        return [instrument_of(fields).symbol]
    base, settle = text(fields, "baseCoin"), text(fields, "settleCoin")
    if base:
        return [symbol for symbol, instrument in INSTRUMENTS.items() if instrument.base == base]
    if settle and settle != SETTLE_COIN:
        return []
    if required and not settle:
        raise bad_parameter(
            "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin"
        )
    return None


def _any_category(fields: Fields) -> Category:
    try:
        return Category(text(fields, "category"))
    except ValueError as error:
        raise bad_parameter("Illegal category") from error


def _limit(fields: Fields, *, default: int, maximum: int) -> int:
    """The page size; one that is too large is cut down without a word, as on the venue."""
    limit = whole(fields, "limit", default)
    if limit < 1:
        raise bad_parameter("params error: limit invalid")
    return min(limit, maximum)


def _cursor_text(place: int) -> str:
    return f"page_args%3D{place}%26"


def _cursor(fields: Fields) -> int | None:
    """The place in a cursor, whether the client encoded it once more or sent it as it stood."""
    written = text(fields, "cursor")
    if not written:
        return None
    place = unquote(written).removeprefix("page_args=").removesuffix("&")
    if not place.isdigit() or len(place) > 18:
        raise bad_parameter("params error: cursor invalid")
    return int(place)


def _offset(fields: Fields) -> int:
    return _cursor(fields) or 0
