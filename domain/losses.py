"""When an unrealised loss is warned of (requirement P04)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from domain.positions import PositionState

_CALM: Final = Decimal("0.9")
"""A warning ends when the loss is back under this part of the threshold, so that a price that stands at the threshold
warns once and not with every tick."""


def loss_to_warn_of(state: PositionState, unrealised: Decimal, threshold: Decimal, *, warned: bool) -> bool:
    """Whether the position loses too much: more than `threshold` of what it cost; once that was `warned` of, until the
    loss is back under nine tenths of it. A flat position loses nothing."""
    limit = state.cost * threshold * (_CALM if warned else 1)
    return bool(state.size) and -unrealised > limit
