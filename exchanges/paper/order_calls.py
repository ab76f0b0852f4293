"""What the order calls do: create, amend, cancel, one by one or all."""

from __future__ import annotations

from decimal import Decimal

from exchanges.paper import questions
from exchanges.paper.accounts import dollars
from exchanges.paper.admission import amendment, instrument_of, new_order
from exchanges.paper.exact import ZERO, exactly, floored, plain
from exchanges.paper.fields import Fields, choice, text
from exchanges.paper.orders import Order
from exchanges.paper.paging import any_category, symbols_of
from exchanges.paper.refusals import bad_parameter
from exchanges.paper.rows import MAINTENANCE_RATE, wallet_row
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Category, Side, StopOrderType


def create(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    order = venue.create(uid, new_order(fields))
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}


def amend(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    instrument = instrument_of(fields)
    wish = amendment(fields, instrument)
    order = venue.open_order(uid, *_identity(fields), instrument=instrument, doing="replace")
    venue.amend(order, wish)
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}


def cancel(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    instrument = instrument_of(fields)
    order = venue.open_order(uid, *_identity(fields), instrument=instrument, doing="cancel")
    venue.cancel(order)
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}


def cancel_all(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """symbol goes before baseCoin before settleCoin; for contracts one of them must be there. `stopOrderType` "Stop"
    with the filter StopOrder leaves alone what protects positions.

    Without an `orderFilter` it means all kinds of contract orders, but only the active ones of spot.
    """
    category = any_category(fields)
    symbols = symbols_of(fields, required=category in {Category.LINEAR, Category.INVERSE})
    order_filter = text(fields, "orderFilter") or ("Order" if category is Category.SPOT else "")
    stop_type = text(fields, "stopOrderType") if order_filter == "StopOrder" else ""
    if stop_type not in {"", StopOrderType.STOP}:
        raise bad_parameter("params error: stopOrderType invalid")

    def wanted(order: Order) -> bool:
        return questions.is_kind(order, order_filter) and stop_type in {"", order.stop_order_type}

    cancelled = venue.cancel_all(uid, symbols, wanted, category)
    return {
        "list": [{"orderId": order.order_id, "orderLinkId": order.order_link_id} for order in cancelled],
        "success": "1",
    }


@exactly
def pre_check(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """What an order would do to the margin rates, in units of 1e-4. Nothing is placed."""
    wish = new_order(fields)
    instrument, account = wish.instrument, venue.accounts[uid]
    shown = wallet_row(account, venue.mark_price)
    equity, margin, maintenance = (
        Decimal(str(shown[name])) for name in ("totalEquity", "totalInitialMargin", "totalMaintenanceMargin")
    )
    price = wish.price or venue.mark_price(instrument.key)
    value = instrument.value(wish.qty, price) * dollars(instrument.settle, venue.mark_price)
    adds = not (wish.reduce_only or instrument.is_spot)
    added = value / account.leverage(instrument.symbol) if adds else ZERO
    kept = value * MAINTENANCE_RATE if adds else ZERO
    return {
        "orderId": "",
        "orderLinkId": wish.order_link_id,
        "preImrE4": _rate_e4(margin, equity),
        "preMmrE4": _rate_e4(maintenance, equity),
        "postImrE4": _rate_e4(margin + added, equity),
        "postMmrE4": _rate_e4(maintenance + kept, equity),
    }


@exactly
def borrow_check(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """`order/spot-borrow-check`: the largest spot order of one side. Nothing is lent, so it is what is there."""
    pair, side = instrument_of(fields), choice(Side, fields, "side")
    if not pair.is_spot:
        raise bad_parameter("Illegal category")
    coin = pair.quote if side is Side.BUY else pair.base
    free, price = venue.accounts[uid].free(coin, venue.mark_price), venue.mark_price(pair.key)
    qty = floored(free / price if side is Side.BUY else free, pair.lot)
    amount = plain(free if side is Side.BUY else free * price)
    return {
        "symbol": pair.symbol,
        "side": side,
        "maxTradeQty": plain(qty),
        "maxTradeAmount": amount,
        "spotMaxTradeQty": plain(qty),
        "spotMaxTradeAmount": amount,
        "borrowCoin": coin,
    }


def _rate_e4(margin: Decimal, equity: Decimal) -> int:
    return int(margin / equity * 10_000) if equity > 0 else 0


def _identity(fields: Fields) -> tuple[str, str]:
    order_id, link = text(fields, "orderId"), text(fields, "orderLinkId")
    if not (order_id or link):
        raise bad_parameter("params error: OrderId or orderLinkId is required")
    return order_id, link
