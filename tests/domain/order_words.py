"""Words of a venue and of ours, told to an order one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from domain.alerts import alert_of
from domain.events import Transition
from domain.merging import apply_update
from domain.orders import Order
from domain.updates import FillReport, Update


@dataclass(frozen=True, slots=True)
class Told:
    order: Order
    transitions: tuple[Transition, ...]
    alerts: tuple[tuple[str, str], ...]


def tell(start: Order, words: list[Update]) -> Told:
    """Apply words as the order agent does: an execution id counts once."""
    now, transitions, alerts, seen = start, [], [], set()
    for offset, word in enumerate(words):
        if isinstance(word, FillReport):
            if word.execution_id in seen:
                continue
            seen.add(word.execution_id)
        applied = apply_update(now, word, source="order-updates-0", offset=offset)
        now = applied.order
        transitions += applied.transitions
        alerts += [alert for each in applied.transitions if (alert := alert_of(start.order_id, each)) is not None]
    return Told(now, tuple(transitions), tuple(alerts))
