"""The rest of an order that was cancelled for its age, wanted again (requirement C02).

It becomes a signal, with an id that follows from the order's: it is planned on the prices of its moment, passes every
gate, and whoever repeats it changes nothing. The join publishes it with the event of the order's end, so it is neither
forgotten nor sent before the venue says that the order is gone.
"""

from __future__ import annotations

import msgspec

from domain.money import ZERO, plain
from domain.orders import Order, OrderState, PositionSide


def replacement_signal(order: Order) -> bytes | None:
    """The signal's record; None when nothing of the order is left, when it did not end by being cancelled, or when it
    was not a signal's."""
    price, signal = order.current_price, order.signal
    rest = order.current_quantity - order.cumulative.quantity
    if order.state is not OrderState.CANCELLED or not order.ours or signal is None or price is None or rest <= ZERO:
        return None
    fields: dict[str, object] = {
        "signal_id": replacement_id(order),
        "signal_type": order.side,
        "symbol": order.instrument.symbol,
        "category": order.instrument.category,
        "amount": plain(rest if order.instrument.inverse else rest * price),
        "order_type": order.order_type,
        "time_in_force": order.time_in_force,
        "reduce_only": order.reduce_only,
        "post_only": order.post_only,
        "strategy_id": signal.strategy_id,
        "model_version": signal.model_version,
        "trace_id": order.trace_id,
        "metadata": {**signal.metadata, "replaces": order.order_id},
    }
    if signal.confidence is not None:
        fields["confidence"] = plain(signal.confidence)
    if order.position_side is not PositionSide.NET:
        fields["position_side"] = order.position_side
    if order.protection is not None:
        fields |= {name: plain(price) for name, price in order.protection.prices.items()}
    return msgspec.json.encode(fields)


def replacement_id(order: Order) -> str:
    """The id of the signal that stands for the rest of the order."""
    return f"replace-{order.order_id}"
