"""What a dry run would have sent, summed up (requirement X10)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from domain.money import ZERO
from domain.orders import Order, OrderType, Side

INVERSE = "inverse"


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """The orders of a symbol, side and type: how many, of what quantity, of what worth in quote currency."""

    symbol: str
    side: Side
    order_type: OrderType
    orders: int = 0
    quantity: Decimal = ZERO
    notional: Decimal = ZERO


Group = tuple[str, Side, OrderType]


def add_rehearsed(sums: dict[Group, Rehearsed], orders: Iterable[Order]) -> None:
    """Count these orders too."""
    for order in orders:
        group = (order.instrument.symbol, order.side, order.order_type)
        symbol, side, order_type = group
        known = sums.get(group) or Rehearsed(symbol=symbol, side=side, order_type=order_type)
        sums[group] = msgspec.structs.replace(
            known,
            orders=known.orders + 1,
            quantity=known.quantity + order.quantity,
            notional=known.notional + notional_of(order),
        )


def notional_of(order: Order) -> Decimal:
    """At its limit, or at a market order's worst price; without any, what its signal wanted to spend. Inverse contracts
    are counted in quote currency."""
    if order.instrument.category == INVERSE:
        return order.quantity
    if order.price is not None:
        return order.quantity * order.price
    return order.signal.amount if order.signal is not None else ZERO
