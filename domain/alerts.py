"""Which transitions somebody must hear of. A function of the transition alone, so that reading it again tells the
same."""

from __future__ import annotations

from domain.events import EventKind, Transition
from domain.money import plain


def alert_of(order_id: str, transition: Transition) -> tuple[str, str] | None:
    """(code, sentence), or None when the transition is in the ordinary course of things (requirement A01)."""
    executed, quantity = transition.cumulative.quantity, transition.quantity
    if transition.fill is not None and executed > quantity > 0:
        return "ORDER_OVERFILLED", f"order {order_id} of {plain(quantity)} executed {plain(executed)}"
    match transition.kind:
        case EventKind.CORRECTED:
            return "ORDER_CORRECTED", (
                f"order {order_id} had ended as {transition.before}; the venue's evidence makes it {transition.after} "
                f"with {plain(executed)} executed"
            )
        case EventKind.FAILED | EventKind.CLOSED_UNKNOWN:
            return f"ORDER_{transition.kind.upper()}", f"order {order_id}: {transition.reason or 'see its history'}"
    return None
