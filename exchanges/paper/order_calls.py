"""What the order calls do: create, amend, cancel, one by one or all."""

from __future__ import annotations

from decimal import Decimal

from exchanges.paper import questions
from exchanges.paper.admission import amendment, category_of, instrument_of, new_order
from exchanges.paper.exact import ZERO, exactly
from exchanges.paper.fields import Fields, text
from exchanges.paper.paging import symbols_of
from exchanges.paper.refusals import bad_parameter
from exchanges.paper.rows import MAINTENANCE_RATE
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


@exactly
def pre_check(venue: PaperVenue, uid: int, fields: Fields) -> Row:
    """What an order would do to the margin rates, in units of 1e-4. Nothing is placed."""
    wish = new_order(fields)
    account, mark = venue.accounts[uid], venue.mark_price(wish.instrument.symbol)
    equity = account.wallet.balance + account.unrealised(venue.mark_price)
    value = wish.qty * (wish.price or mark)
    margin = account.total_position_margin(venue.mark_price) + account.total_order_margin()
    maintenance = sum((abs(p.size) * venue.mark_price(p.symbol) for p in account.held()), ZERO) * MAINTENANCE_RATE
    added = ZERO if wish.reduce_only else value / account.leverage(wish.instrument.symbol)
    kept = ZERO if wish.reduce_only else value * MAINTENANCE_RATE
    return {
        "orderId": "",
        "orderLinkId": wish.order_link_id,
        "preImrE4": _rate_e4(margin, equity),
        "preMmrE4": _rate_e4(maintenance, equity),
        "postImrE4": _rate_e4(margin + added, equity),
        "postMmrE4": _rate_e4(maintenance + kept, equity),
    }


def _rate_e4(margin: Decimal, equity: Decimal) -> int:
    return int(margin / equity * 10_000) if equity > 0 else 0


def _identity(fields: Fields) -> tuple[str, str]:
    order_id, link = text(fields, "orderId"), text(fields, "orderLinkId")
    if not (order_id or link):
        raise bad_parameter("params error: OrderId or orderLinkId is required")
    return order_id, link
