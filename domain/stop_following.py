"""The stop-loss that follows a position by itself: where it belongs, and whose the standing one is (requirement P04).

The venue keeps at most one stop-loss for a whole position, follows its size and takes it away with it. What is left to
decide is its price: a fixed part away from the average entry, so it moves when the position grows. Somebody may have
set others beside it, for parts of the position, which do nothing for the rest. They don't count, not even where their
quantities make up the whole, since they stay as they are when it grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from domain.money import ceil_to, floor_to, plain
from domain.orders import Order, PositionSide
from domain.protection import Role


def stop_price(size: Decimal, entry: Decimal, distance: Decimal, tick: Decimal) -> Decimal:
    """Where the stop-loss of a position belongs: `distance` (a part of the entry) on the losing side of `entry`, to the
    tick, no further away than that. `size` is signed and not zero."""
    if size > 0:
        return ceil_to(entry * (1 - distance), tick)
    return floor_to(entry * (1 + distance), tick)


def stop_to_set(
    size: Decimal, wanted: Decimal, protecting: Iterable[Order], set_here: Callable[[Decimal], bool]
) -> Decimal | None:
    """The price to ask the venue for; None when there is nothing to do.

    `protecting`: the open stop-losses of the position. One that a signal brought, or that somebody placed by hand, is
    left alone; `set_here` tells whether a price was asked for from here.
    """
    if not size:
        return None
    for order in protecting:
        if order.role is not Role.STOP_LOSS or order.partial or order.side.sign * size > 0:
            continue
        at = order.evidence.trigger_price
        if order.parent_order_id or at is None or at == wanted or not set_here(at):
            return None
    return wanted


_PREFIX = "stop-loss"


def stop_command_id(symbol: str, side: PositionSide, price: Decimal) -> str:
    """The id of the command that asks for a stop-loss: one for each price, so that its row says that it was asked
    for."""
    return f"{_PREFIX}:{symbol}:{side}:{plain(price)}"
