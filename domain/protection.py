"""Take-profit and stop-loss: what goes with an order, and what the venue makes of it (requirements P04, P07).

The venue keeps them as orders of its own that wait for a price, cover the whole position, follow its size and go with
it. Here they are children of the order that brought them: tracked like any order, and nobody's to make way. Some that a
person set are for a fixed part of the position (`partial`): they follow nothing, and leave the rest unprotected.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from domain.money import plain


class Role(StrEnum):
    """What an order is for, where the venue made it to protect a position; empty for every other order."""

    NONE = ""
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"


class TriggerBy(StrEnum):
    """Which price of the venue a trigger looks at."""

    LAST = "last"
    MARK = "mark"
    INDEX = "index"


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """What an order brings along for the position it opens: prices in quote currency, None = none of the kind."""

    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    trigger_by: TriggerBy = TriggerBy.LAST

    @property
    def prices(self) -> dict[str, Decimal]:
        """The prices that are there, by the name of their field."""
        named = {"take_profit": self.take_profit, "stop_loss": self.stop_loss}
        return {name: price for name, price in named.items() if price is not None}

    def __str__(self) -> str:
        told = [f"{name.replace('_', '-')} at {plain(price)}" for name, price in self.prices.items()]
        return f"{' and '.join(told)} ({self.trigger_by} price)"


class Protects(msgspec.Struct, frozen=True, kw_only=True):
    """What an order of the venue's own making protects, as it was known at a moment. `parent_order_id` is empty where
    the venue names no order that brought it. `partial`: it covers a fixed quantity, not the whole position."""

    role: Role
    parent_order_id: str = ""
    trigger_price: Decimal | None = None
    partial: bool = False
