"""How an update changes an order.

Evidence is a lattice: each part is the greatest of what was reported, by a total order, so any interleaving and
repetition of the same updates ends in the same evidence (requirement O04):

    state        the most advanced (`VenueState.rank`), with the reason and raw status that came with it
    cumulative   the highest quantity, with the value and the fees that belong to it
    terms        price, quantity and trigger price of the row that is the furthest, by state, total, and then by the
                 venue's time: its clock may jump back, an order does not
    role         what the venue made the order for, with its parent, and whether for a part of the position only: once
                 told, told for good

The order's state is a function of evidence, fills and what we know ourselves. The steps between two rows, with their
names, are `domain.transitions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from domain.commands import by_timer
from domain.events import Transition
from domain.money import ZERO, canonical, plain_or_empty
from domain.orders import Evidence, LocalState, Order, OrderState, Pending, Sums, Times, VenueState
from domain.protection import Role
from domain.transitions import created, known_at_venue, transitions_between
from domain.updates import (
    ID_CONFLICT,
    Absence,
    Call,
    CallOutcome,
    CancelRequested,
    FillReport,
    OrderReport,
    Result,
    Update,
)

__all__ = ["Applied", "add_fill", "apply_update", "created", "derive_state", "known_at_venue", "merge_evidence"]

replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True)
class Applied:
    """The order after an update, and the transitions it went through (see `domain.alerts` for who must hear)."""

    order: Order
    transitions: tuple[Transition, ...]


def apply_update(order: Order, update: Update, *, source: str, offset: int) -> Applied:
    """Merge `update`, read from `order-updates` at `offset`, into `order`.

    A `FillReport` must be new to the order: the caller knows the fills by execution id.
    Raises `InvalidStateTransition` when the merge would leave the table of legal steps, which is a bug.
    """
    merged = _merge(order, update)
    after = replace(merged, state=derive_state(merged), applied_offset=offset)
    if after.state.terminal and after.pending:
        after = replace(after, pending=Pending.NOTHING)
    after = replace(after, times=_times(order, after, update))
    transitions = transitions_between(order, after, update, source)
    if transitions:
        after = replace(after, sequence=transitions[-1].sequence, reason=transitions[-1].reason or after.reason)
    return Applied(after, transitions)


# -- merging -----------------------------------------------------------------------------------------------------


def _merge(order: Order, update: Update) -> Order:
    if isinstance(update, OrderReport | FillReport) and update.role is not Role.NONE:
        order = _merge_role(order, update)
    if isinstance(update, CallOutcome) and update.code == ID_CONFLICT:
        order = replace(order, stranger_id=update.venue_order_id)
    elif update.venue_order_id and not order.venue_order_id:
        order = replace(order, venue_order_id=update.venue_order_id)
    match update:
        case OrderReport():
            return _merge_report(order, update)
        case FillReport():
            return _merge_fill(order, update)
        case CallOutcome():
            return _merge_outcome(order, update)
        case CancelRequested():
            return _merge_wish(order, update)
        case Absence():
            return _merge_absence(order, update)


def _merge_role(order: Order, update: OrderReport | FillReport) -> Order:
    """The venue made the order to protect a position: it is nobody else's, whatever came first."""
    report = update if isinstance(update, OrderReport) else None
    parent = "" if report is None else report.parent_client_order_id
    return replace(
        order,
        role=update.role,
        partial=order.partial or (report is not None and report.partial),
        parent_order_id=max(parent, order.parent_order_id),
        external=False,
    )


def _merge_report(order: Order, report: OrderReport) -> Order:
    """What we took for gone, and of which the venue says something new, is there (requirement O01)."""
    evidence = merge_evidence(order.evidence, report)
    reopens = order.local is LocalState.CLOSED_UNKNOWN and evidence != order.evidence
    return replace(order, evidence=evidence, local=LocalState.ACCEPTED if reopens else order.local)


def _merge_fill(order: Order, fill: FillReport) -> Order:
    order = replace(order, fills=add_fill(order.fills, fill))
    if fill.order_quantity is msgspec.UNSET:
        return order
    evidence = order.evidence
    executed, quantity = max(
        (evidence.fill_executed, evidence.fill_quantity), (fill.order_executed, fill.order_quantity)
    )
    return replace(order, evidence=replace(evidence, fill_executed=executed, fill_quantity=quantity))


def merge_evidence(evidence: Evidence, report: OrderReport) -> Evidence:
    """The least evidence that contains both."""
    told = max(
        (evidence.state.rank, evidence.reason, evidence.raw_status),
        (report.state.rank, report.reason, report.raw_status),
    )
    state = evidence.state if told[0] == evidence.state.rank else report.state
    terms_rank, terms_executed, terms_at_ns, price, quantity, trigger_price = max(
        (
            *(evidence.terms_rank, evidence.terms_executed, evidence.terms_at_ns),
            *(evidence.price, evidence.quantity, evidence.trigger_price),
        ),
        (
            *(report.state.rank, report.cumulative.quantity, report.updated_ns),
            *(report.price, report.quantity, report.trigger_price),
        ),
        key=lambda terms: (*terms[:3], *(plain_or_empty(term) for term in terms[3:])),
    )
    return Evidence(
        state=state,
        reason=told[1],
        raw_status=told[2],
        cumulative=max(evidence.cumulative, report.cumulative, key=_sums_key),
        terms_at_ns=terms_at_ns,
        price=price,
        quantity=quantity,
        trigger_price=trigger_price,
        terms_rank=terms_rank,
        terms_executed=terms_executed,
        fill_quantity=evidence.fill_quantity,
        fill_executed=evidence.fill_executed,
    )


def _sums_key(sums: Sums) -> tuple[Decimal, Decimal, list[tuple[str, Decimal]]]:
    return sums.quantity, sums.value, sorted(sums.fees.items())


def add_fill(sums: Sums, fill: FillReport) -> Sums:
    """One more execution. The caller adds each execution id once."""
    fees = dict(sums.fees)
    for currency, fee in fill.fees.items():
        fees[currency] = canonical(fees.get(currency, ZERO) + fee)
    return Sums(canonical(sums.quantity + fill.quantity), canonical(sums.value + fill.value), fees)


_LOCAL_AFTER_CREATE = {
    Result.ACCEPTED: LocalState.ACCEPTED,
    Result.REFUSED: LocalState.REJECTED,
    Result.NOT_ACCEPTED: LocalState.FAILED,
    Result.NOT_FOUND: LocalState.UNCERTAIN,
    Result.UNCERTAIN: LocalState.UNCERTAIN,
    Result.EXPIRED: LocalState.EXPIRED,
    Result.DRY_RUN: LocalState.DRY_RUN,
}


def _merge_outcome(order: Order, outcome: CallOutcome) -> Order:
    if outcome.batch is not msgspec.UNSET:
        before = {} if order.batched is msgspec.UNSET else order.batched
        order = replace(order, batched={**before, outcome.call: outcome.batch})
    if outcome.call is Call.CREATE:
        # An acceptance is the venue's word: no later outcome of ours (a retry that timed out, say) takes it back.
        accepted = order.local is LocalState.ACCEPTED
        local = order.local if accepted else _LOCAL_AFTER_CREATE[outcome.result]
        return replace(order, local=local, attempts=order.attempts + outcome.attempts)
    return replace(order, pending=Pending.NOTHING) if _is_over(order, outcome) else order


def _is_over(order: Order, outcome: CallOutcome) -> bool:
    """Whether what is pending is no more, by what came of the call for it. What somebody else wants stays."""
    if outcome.command_id and outcome.command_id != order.pending_by:
        return False
    if outcome.call is Call.AMEND:  # the terms themselves come with the venue's reports
        # Rows that were written when an amendment was pending as a replacement know it by its command.
        amends = order.pending is Pending.AMEND or (bool(order.pending) and bool(outcome.command_id))
        return amends and outcome.result is not Result.UNCERTAIN
    # An accepted cancel is no evidence that the order is gone; a refused one leaves it as it was. What may have
    # arrived, or found nothing, stays pending until the venue's evidence ends it.
    return order.pending.ends and outcome.result in {Result.REFUSED, Result.NOT_ACCEPTED, Result.EXPIRED}


def _merge_wish(order: Order, wish: CancelRequested) -> Order:
    """The latest wish counts, but whoever wants other terms does not take back that somebody wants the order gone; nor
    does a timer that wants the rest of it again, as it looked at the order before."""
    pending = Pending.AMEND if wish.amend else Pending.REPLACE if wish.replace else Pending.CANCEL
    if pending is Pending.AMEND and order.pending.ends and order.pending_by != wish.command_id:
        return order
    if pending is Pending.REPLACE and order.pending is Pending.CANCEL and by_timer(wish.command_id):
        return order
    return replace(order, pending=pending, pending_by=wish.command_id, reason=wish.reason)


def _merge_absence(order: Order, absence: Absence) -> Order:
    if absence.known_until_ns and order.times.updated_ns > absence.known_until_ns and known_at_venue(order):
        return order  # something was heard of it between the finding and now
    if absence.closed_unknown:
        return replace(order, local=LocalState.CLOSED_UNKNOWN)
    conclusion = absence.conclusion or Result.EXPIRED
    return replace(order, local=_LOCAL_AFTER_CREATE[conclusion])


# -- state -------------------------------------------------------------------------------------------------------

_FROM_LOCAL = {
    LocalState.NONE: OrderState.ACKNOWLEDGED,
    LocalState.PLANNED: OrderState.PLANNED,
    LocalState.SUBMITTING: OrderState.SUBMITTING,
    LocalState.ACCEPTED: OrderState.ACKNOWLEDGED,
    LocalState.UNCERTAIN: OrderState.UNCERTAIN,
    LocalState.REJECTED: OrderState.REJECTED,
    LocalState.FAILED: OrderState.FAILED,
    LocalState.EXPIRED: OrderState.EXPIRED,
    LocalState.CLOSED_UNKNOWN: OrderState.CLOSED_UNKNOWN,
    LocalState.DRY_RUN: OrderState.DRY_RUN,
}
_FROM_VENUE_END = {
    VenueState.FILLED: OrderState.FILLED,
    VenueState.CANCELLED: OrderState.CANCELLED,
    VenueState.EXPIRED: OrderState.EXPIRED,
    VenueState.REJECTED: OrderState.REJECTED,
}


def derive_state(order: Order) -> OrderState:
    """The state that follows from evidence, fills and what we know ourselves, in that order of authority."""
    executed = order.cumulative.quantity
    if 0 < order.current_quantity <= executed:
        return OrderState.FILLED
    if order.evidence.state.terminal:
        return _FROM_VENUE_END[order.evidence.state]
    if order.local is LocalState.CLOSED_UNKNOWN:
        return OrderState.CLOSED_UNKNOWN
    alive = order.evidence.state is not VenueState.UNKNOWN or executed > 0
    if alive or order.local in {LocalState.ACCEPTED, LocalState.NONE}:
        return _alive_state(order, executed)
    return _FROM_LOCAL[order.local]


def _alive_state(order: Order, executed: Decimal) -> OrderState:
    if order.pending is Pending.CANCEL:
        return OrderState.PENDING_CANCEL
    if order.pending:
        return OrderState.PENDING_REPLACE  # an amendment too: the order goes on with other terms
    if executed > 0:
        return OrderState.PARTIALLY_FILLED
    if order.evidence.state is VenueState.UNTRIGGERED:
        return OrderState.UNTRIGGERED
    if order.evidence.state is VenueState.TRIGGERED:
        return OrderState.TRIGGERED
    return OrderState.ACKNOWLEDGED


# -- times -------------------------------------------------------------------------------------------------------


def _times(before: Order, after: Order, update: Update) -> Times:
    """First sightings stay; they follow the log, so reading it again gives the same."""
    times = before.times
    sent = times.sent_ns
    acknowledged = times.acknowledged_ns
    if isinstance(update, CallOutcome) and update.call is Call.CREATE:
        sent = sent or update.sent_ns
        if update.result is Result.ACCEPTED:
            acknowledged = min(acknowledged, update.replied_ns) if acknowledged else update.replied_ns
    if not acknowledged and known_at_venue(after):
        acknowledged = update.received_ns
    first_fill = times.first_fill_ns
    if not first_fill and after.cumulative.quantity > 0:
        first_fill = update.received_ns  # our clock, as all times of an order: the venue's may differ
    return replace(
        times,
        sent_ns=sent,
        acknowledged_ns=acknowledged,
        first_fill_ns=first_fill,
        finished_ns=(times.finished_ns or update.received_ns) if after.state.terminal else 0,
        updated_ns=max(times.updated_ns, update.received_ns),
    )
