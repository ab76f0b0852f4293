"""What tells a row of ours from the venue's row of the same order. Pure: who asks, and what follows, is elsewhere.

A venue's list may be older than what we know: it is merged as the join would merge it, and only what the merge would
change is a difference. So an order that a lagging list still shows open after its end differs in nothing.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from domain.merging import derive_state, merge_evidence
from domain.money import plain, plain_or_empty
from domain.orders import Order, OrderType, TimeInForce
from domain.protection import Role
from domain.updates import FillReport, OrderReport

replace = msgspec.structs.replace


def says_more(order: Order, report: OrderReport) -> bool:
    """Whether the join would learn anything from the venue's row, be it only that the venue has the order."""
    named_now = not order.venue_order_id and bool(report.venue_order_id)
    role_now = report.role is not Role.NONE and (
        report.role is not order.role or (report.partial and not order.partial)
    )
    return named_now or role_now or order.in_doubt or merge_evidence(order.evidence, report) != order.evidence


def difference(order: Order, report: OrderReport) -> str:
    """In words what our row would have to change to agree with the venue's; empty when they agree."""
    merged = replace(order, evidence=merge_evidence(order.evidence, report))
    merged = replace(merged, state=derive_state(merged))
    pairs = (
        ("state", str(order.state), str(merged.state)),
        ("executed", plain(order.cumulative.quantity), plain(merged.cumulative.quantity)),
        ("quantity", plain(order.current_quantity), plain(merged.current_quantity)),
        ("price", plain_or_empty(order.current_price), plain_or_empty(merged.current_price)),
        ("trigger", plain_or_empty(order.evidence.trigger_price), plain_or_empty(merged.evidence.trigger_price)),
        ("single fills", plain(order.fills.quantity), plain(max(order.fills.quantity, merged.cumulative.quantity))),
    )
    return "; ".join(f"{what} {ours}, the venue's {theirs}" for what, ours, theirs in pairs if ours != theirs)


_UNTOUCHED_NS = 100_000_000
"""A row whose last change is so close to its beginning was never amended: venues date an acceptance some 15 ms late."""


def is_another_order(order: Order, update: OrderReport | FillReport) -> bool:
    """Whether an update under our client order id speaks of another order than ours: the venue has given two ids to
    one client id, or told us that its order is not the one we meant, or the first that is heard of it has another side
    or a quantity that nobody can have given ours (requirement X02)."""
    if not order.ours:
        return False
    if update.venue_order_id and update.venue_order_id == order.stranger_id:
        return True
    two_ids = bool(update.venue_order_id and order.venue_order_id) and update.venue_order_id != order.venue_order_id
    if two_ids or update.side is not order.side:
        return True
    return isinstance(update, OrderReport) and order.in_doubt and _was_never(order, update)


def may_have_come_to(order: Order, quantity: Decimal, *, reduce_only: bool) -> bool:
    """Whether the venue itself may have made this quantity of ours: it cuts what only reduces, and counts spot's market
    orders in either coin."""
    by_value = order.instrument.spot and order.order_type is OrderType.MARKET
    return quantity == order.quantity or order.reduce_only or reduce_only or by_value


def _was_never(order: Order, report: OrderReport) -> bool:
    """Whether our order cannot have become what the venue shows. Another quantity proves that where it is the first
    one: it can't be amended, or was not."""
    if may_have_come_to(order, report.quantity, reduce_only=report.reduce_only):
        return False
    passing = report.order_type is OrderType.MARKET or report.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}
    return passing or (report.created_ns > 0 and report.updated_ns - report.created_ns <= _UNTOUCHED_NS)
