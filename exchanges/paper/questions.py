"""The questions about orders, executions and positions. Lists come newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from exchanges.paper.accounts import PROTECTING
from exchanges.paper.exact import exactly, plain
from exchanges.paper.fields import Fields, text, whole
from exchanges.paper.instruments import LISTED
from exchanges.paper.market_questions import NS_PER_S
from exchanges.paper.orders import Order
from exchanges.paper.paging import (
    any_category,
    cursor_text,
    offset,
    page_limit,
    place_in_cursor,
    symbols_of,
    time_range,
)
from exchanges.paper.refusals import bad_parameter
from exchanges.paper.rows import (
    NS_PER_MS,
    execution_row,
    order_row,
    position_row,
)
from exchanges.paper.store import Selection
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import HEDGE_BUY, HEDGE_SELL, Category, StopOrderType

WITH_AN_ID: Final = frozenset({"category", "orderId", "orderLinkId", "limit", "cursor"})
SPOT_PROTECTING: Final = frozenset({StopOrderType.SPOT_TPSL, StopOrderType.SPOT_STOP_LOSS})

# -- orders and executions -------------------------------------------------------------------------------------------


@exactly
def realtime(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """Open orders; asked by id, or with openOnly=1, also those that closed lately (not after a restart). An id goes
    before everything else that is named."""
    category, account = any_category(fields), venue.accounts[uid]
    order_id, link = text(fields, "orderId"), text(fields, "orderLinkId")
    if order_id or link:
        order = venue.known_order(uid, order_id, link)
        found = [order] if order is not None and order.category is category else []
    else:
        symbols = symbols_of(fields, required=category is Category.LINEAR)
        closed = whole(fields, "openOnly", 0) == 1
        pool = account.recent_closed.values() if closed else account.open_orders.values()
        found = [order for order in pool if order.category is category]
        found = [order for order in found if symbols is None or order.symbol in symbols]
        found = [order for order in found if is_kind(order, text(fields, "orderFilter"))]
    return _order_page(sorted(found, key=lambda order: -order.placed_seq), fields)


@exactly
def history(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """Closed orders from the books. Those that never filled are forgotten after the options' window (24 h)."""
    limit = page_limit(fields, default=20, maximum=50)
    wanted = _selection(venue, uid, fields, limit + 1, closed_only=True)
    order_filter = text(fields, "orderFilter")
    if order_filter:
        wanted = replace(wanted, limit=None)
    return _order_page([order for order in venue.store.orders(wanted) if is_kind(order, order_filter)], fields)


@exactly
def executions(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """Fills. Asked by an order's id, whatever else would narrow the list does not count."""
    category = any_category(fields)
    if text(fields, "orderId") or text(fields, "orderLinkId"):
        fields = {name: value for name, value in fields.items() if name in WITH_AN_ID}
    limit = page_limit(fields, default=50, maximum=100)
    found = venue.store.executions(_selection(venue, uid, fields, limit + 1, closed_only=False))
    cursor = cursor_text(found[limit - 1].seq) if len(found) > limit else ""
    rows = [execution_row(execution) for execution in found[:limit]]
    return {"category": category, "list": rows, "nextPageCursor": cursor}


def _order_page(found: Sequence[Order], fields: Fields) -> Row:
    limit = page_limit(fields, default=20, maximum=50)
    below = place_in_cursor(fields)
    after = [order for order in found if below is None or order.placed_seq < below]
    cursor = cursor_text(after[limit - 1].placed_seq) if len(after) > limit else ""
    rows = [order_row(order) for order in after[:limit]]
    return {"category": any_category(fields), "list": rows, "nextPageCursor": cursor}


def _selection(venue: PaperVenue, uid: int, fields: Fields, limit: int, *, closed_only: bool) -> Selection:
    start, end = time_range(venue.clock() // NS_PER_MS, fields)
    unfilled_from = venue.clock() - venue.options.unfilled_history_s * NS_PER_S
    return Selection(
        uid=uid,
        category=any_category(fields),
        symbols=symbols_of(fields, required=False),
        order_id=text(fields, "orderId"),
        order_link_id="" if text(fields, "orderId") else text(fields, "orderLinkId"),
        status=text(fields, "orderStatus") if closed_only else "",
        exec_type="" if closed_only else text(fields, "execType"),
        from_ns=None if start is None else start * NS_PER_MS,
        until_ns=None if end is None else end * NS_PER_MS + NS_PER_MS - 1,
        below_seq=place_in_cursor(fields),
        closed_only=closed_only,
        unfilled_from_ns=unfilled_from if closed_only else None,
        limit=limit,
    )


# -- positions -------------------------------------------------------------------------------------------------------


@exactly
def positions(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """By symbol: its rows, empty ones too. By settle coin: only what is held. Of linear contracts one of the two has to
    be named; the base coin is for options."""
    category, account = any_category(fields), venue.accounts[uid]
    if category is Category.SPOT:
        raise bad_parameter("Illegal category")
    if category is Category.LINEAR and not (text(fields, "symbol") or text(fields, "settleCoin")):
        raise bad_parameter("Missing some parameters that must be filled in, symbol or settleCoin")
    symbols = symbols_of(fields, required=False)
    if text(fields, "symbol") and symbols:
        found = [account.position(symbols[0], index) for index in account.position_indexes(symbols[0])]
    else:
        found = [position for position in account.held() if position.category is category]
        found = [position for position in found if symbols is None or position.symbol in symbols]
    found.sort(key=lambda position: (position.symbol, position.position_idx))
    start, limit = offset(fields), page_limit(fields, default=20, maximum=200)
    cursor = cursor_text(start + limit) if start + limit < len(found) else ""
    rows = [position_row(position, account, venue.mark_price) for position in found[start : start + limit]]
    return {"category": category, "list": rows, "nextPageCursor": cursor}


def symbol_settings(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """`position/symbol-info`: the leverage of each side of a symbol."""
    category = any_category(fields)
    account = venue.accounts[uid]
    symbols = symbols_of(fields, required=False) or list(LISTED.get(category, ()))
    sides = {HEDGE_BUY: "Buy", HEDGE_SELL: "Sell"}
    rows = [
        {
            "symbol": symbol,
            "leverage": plain(account.leverage(symbol)),
            "side": sides.get(index, ""),
            "positionIdx": index,
        }
        for symbol in symbols
        for index in account.position_indexes(symbol)
    ]
    return {"category": category, "list": rows}


def is_kind(order: Order, order_filter: str) -> bool:
    """`orderFilter`: Order for active orders, OpenOrder for those of them that open something, StopOrder for
    conditional ones, tpslOrder for those of positions; empty for all. One that is over is what it was made as."""
    waits = order.is_waiting if order.status.is_open else order.stop_order_type is not StopOrderType.NONE
    match order_filter:
        case "":
            return True
        case "OpenOrder":
            return not (waits or order.reduces)
        case "Order":
            return not waits
        case "StopOrder":
            return waits
        case "tpslOrder":
            kind = order.stop_order_type
            return kind in PROTECTING or kind.is_partial or kind in SPOT_PROTECTING
        case "OcoOrder" | "BidirectionalTpslOrder":
            return order.stop_order_type == order_filter
        case _:
            raise bad_parameter("params error: orderFilter invalid")
