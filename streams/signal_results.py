"""How signals end, and what a later record with a known signal id is."""

from __future__ import annotations

from domain.events import EventKind
from domain.orders import OrderState
from domain.plans import Decision, Plan
from streams.signal_intake import Work
from tables.orders import OrderTable
from tables.signals import SignalResult, SignalRow, SignalState

RETRY = "retry"
UNTRIED = frozenset({OrderState.REJECTED, OrderState.FAILED, OrderState.EXPIRED})

RESULT_OF = {
    Decision.REJECT: SignalResult.REJECTED,
    Decision.EXPIRE: SignalResult.EXPIRED,
    Decision.IGNORE: SignalResult.IGNORED,
    Decision.SIMULATE: SignalResult.IGNORED,
}
"""How a signal ends whose plan executes nothing."""


def order_ids_of(plan: Plan) -> tuple[str, ...]:
    """The orders that a plan makes, or changes."""
    if plan.decision is not Decision.EXECUTE:
        return ()
    return (*(amend.order_id for amend in plan.amends), *(intent.order_id for intent in plan.intents))


def verdict_on(work: Work, row: SignalRow, orders: OrderTable, partition: int) -> str:
    """What a later record with a known signal id is (requirements S06, S07)."""
    if row.fingerprint != work.fingerprint:
        return EventKind.CONFLICT
    if row.state is not SignalState.DONE or row.result in {SignalResult.EXECUTED, SignalResult.IGNORED}:
        return EventKind.DUPLICATE
    tried = [orders.get(partition, order_id) for order_id in row.order_ids]
    nothing_done = all(order is None or (order.state in UNTRIED and not order.cumulative.quantity) for order in tried)
    return RETRY if nothing_done else EventKind.DUPLICATE
