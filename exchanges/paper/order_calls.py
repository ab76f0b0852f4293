"""What the order calls do: create, amend, cancel, one by one or all."""

from __future__ import annotations

from exchanges.paper import questions
from exchanges.paper.admission import amendment, category_of, instrument_of, new_order
from exchanges.paper.fields import Fields, text
from exchanges.paper.paging import symbols_of
from exchanges.paper.refusals import bad_parameter
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue


def create(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    order = venue.create(uid, new_order(fields))
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}


def amend(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    category_of(fields)
    instrument = instrument_of(fields)
    wish = amendment(fields, instrument)
    order = venue.open_order(uid, *_identity(fields), symbol=instrument.symbol, doing="replace")
    venue.amend(order, wish)
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}


def cancel(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    category_of(fields)
    symbol = instrument_of(fields).symbol
    order = venue.open_order(uid, *_identity(fields), symbol=symbol, doing="cancel")
    venue.cancel(order)
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}


def cancel_all(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """symbol goes before baseCoin before settleCoin; one of them must be there."""
    category_of(fields)
    symbols = symbols_of(fields, required=True)
    cancelled = venue.cancel_all(uid, symbols, lambda order: questions.is_kind(order, text(fields, "orderFilter")))
    return {
        "list": [{"orderId": order.order_id, "orderLinkId": order.order_link_id} for order in cancelled],
        "success": "1",
    }


def _identity(fields: Fields) -> tuple[str, str]:
    order_id, link = text(fields, "orderId"), text(fields, "orderLinkId")
    if not (order_id or link):
        raise bad_parameter("params error: OrderId or orderLinkId is required")
    return order_id, link
