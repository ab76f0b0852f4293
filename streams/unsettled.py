"""Orders of which the venue has more to say: what they did is decided there, and not yet known here."""

from __future__ import annotations

from domain.orders import Order, OrderState, OrderType, TimeInForce

_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_RESTLESS = frozenset({OrderState.PENDING_CANCEL, OrderState.PENDING_REPLACE})


def untold(order: Order) -> bool:
    """Whether the order has traded, or may have, without the position showing it: an order that cannot rest has ended
    at the venue by the time it is acknowledged, and a total may come before the single fills it is made of."""
    cannot_rest = order.order_type is OrderType.MARKET or order.time_in_force in _AT_ONCE
    waits_for_trigger = order.state is OrderState.UNTRIGGERED
    return order.missing_fills or (cannot_rest and not waits_for_trigger and not order.state.terminal)


def overdue(order: Order) -> bool:
    """Whether the venue should have said more of the order, once it has been quiet for a while."""
    unconfirmed = order.state is OrderState.ACKNOWLEDGED and not order.evidence.terms_at_ns and order.ours
    return order.in_doubt or unconfirmed or order.state in _RESTLESS or untold(order)


def left_without_plan(order: Order, source: str, attempt: int) -> bool:
    """Whether the order is an intent of that record's attempt of which nobody has heard yet. To be asked only while the
    attempt has no durable plan: then the intent was never sent."""
    signal = order.signal
    return (
        order.state is OrderState.PLANNED
        and order.sequence == 1
        and signal is not None
        and (signal.source, signal.attempt) == (source, attempt)
    )
