"""A signal's row as it begins, how signals end, and what a later record with a known signal id is."""

from __future__ import annotations

from collections.abc import Collection

from domain.events import EventKind
from domain.orders import OrderState
from domain.plans import Decision, Plan
from streams.record import Record
from streams.signal_intake import Work
from tables.orders import OrderTable
from tables.signals import Repeat, SignalResult, SignalRow, SignalState

RETRY = "retry"
_KEPT_REPEATS = 20
_RECORD_TIME_STEP_NS = 1_000_000
"""Kafka keeps whole milliseconds of a record's time."""
UNTRIED = frozenset({OrderState.REJECTED, OrderState.FAILED, OrderState.EXPIRED})

_DONE_ONCE = frozenset({SignalResult.EXECUTED, SignalResult.IGNORED, SignalResult.DRY_RUN})

RESULT_OF = {
    Decision.REJECT: SignalResult.REJECTED,
    Decision.EXPIRE: SignalResult.EXPIRED,
    Decision.IGNORE: SignalResult.IGNORED,
    Decision.SIMULATE: SignalResult.IGNORED,
}
"""How a signal ends whose plan executes nothing."""


AMEND_NOT_CONFIRMED = "AMEND_NOT_CONFIRMED"
"""Code of a signal that no resting order took up: no order is its own then, and its end is told by itself."""


def order_ids_of(plan: Plan) -> tuple[str, ...]:
    """The orders that a plan makes, or changes."""
    if plan.decision is not Decision.EXECUTE:
        return ()
    own = tuple(intent.order_id for intent in plan.intents)
    return own if plan.dry_run else (*(amend.order_id for amend in plan.amends), *own)


def verdict_on(work: Work, row: SignalRow, orders: OrderTable, partition: int, *, dry_run: bool) -> str:
    """What a later record with a known signal id is (requirements S06, S07). One that was produced before the earlier
    attempt failed asked for nothing new: it is a duplicate, as if its turn had come in between. A rehearsal stands in
    nobody's way: after it the same id comes for the first time, whatever its fields are. What was done for real stays
    done in a dry run: an id that is a duplicate would not be sent again either (X10)."""
    if row.plan.dry_run and not dry_run:
        return RETRY
    if row.fingerprint != work.fingerprint:
        return EventKind.CONFLICT
    if row.state is not SignalState.DONE or row.result in _DONE_ONCE:
        return EventKind.DUPLICATE
    if row.result is SignalResult.UNCERTAIN and not row.order_ids:
        return EventKind.DUPLICATE  # a resting order may have taken it up
    tried = [orders.get(partition, order_id) for order_id in row.order_ids]
    nothing_done = all(order is None or (order.state in UNTRIED and not order.cumulative.quantity) for order in tried)
    ended_ns = max(row.done_ns, *(order.times.finished_ns for order in tried if order is not None), 0)
    before = work.origin.timestamp_ns + _RECORD_TIME_STEP_NS <= ended_ns
    return RETRY if nothing_done and not before else EventKind.DUPLICATE


def first_row(work: Work, plan: Plan, earlier: SignalRow | None, record: Record) -> SignalRow:
    """The row of a signal that was just planned; `earlier` is that of its last attempt."""
    attempt, rehearsed = 1, None
    repeats: tuple[Repeat, ...] = ()
    before: tuple[str, ...] = ()
    if earlier is not None:
        attempt, repeats = earlier.attempt + 1, with_repeat(earlier.repeats, earlier.source, RETRY)
        before = (*earlier.earlier_order_ids, *earlier.order_ids)
        rehearsed = earlier.plans if earlier.plan.dry_run else earlier.rehearsed
    return SignalRow(
        signal_id=work.signal.signal_id,
        symbol=work.signal.symbol,
        source=work.source,
        fingerprint=work.fingerprint,
        attempt=attempt,
        last_offset=record.offset,
        state=SignalState.PLANNED,
        plan=plan,
        order_ids=order_ids_of(plan),
        earlier_order_ids=before,
        repeats=repeats,
        value=(record.value or b"").decode(errors="replace"),
        trace_id=work.trace_id,
        strategy_id=work.signal.strategy_id,
        is_warmup=work.signal.is_warmup,
        signal_ns=work.born_ns,
        planned_ns=plan.planned_at_ns,
        rehearsed=None if plan.dry_run else rehearsed,
    )


def with_repeat(repeats: tuple[Repeat, ...], source: str, verdict: str) -> tuple[Repeat, ...]:
    """One more record of the same id; the oldest are forgotten."""
    return (*repeats, Repeat(source, verdict))[-_KEPT_REPEATS:]


def result_of_orders(states: Collection[OrderState]) -> SignalResult:
    """How a signal ends whose orders stand so when its turn is over."""
    if OrderState.UNCERTAIN in states:
        return SignalResult.UNCERTAIN
    if all(state in UNTRIED for state in states):
        return SignalResult.REJECTED if OrderState.REJECTED in states else SignalResult.FAILED
    if all(state in UNTRIED or state is OrderState.DRY_RUN for state in states):
        return SignalResult.DRY_RUN
    return SignalResult.EXECUTED
