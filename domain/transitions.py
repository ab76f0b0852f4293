"""What happened between two rows of an order, step by step, each with the name its event carries.

Transitions are the difference of two rows and of nothing else: the order of the log decides which there are, so the
same log gives the same ones, with the same numbers (requirements O03, O04, J02).
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from domain.events import EventKind, FillDetail, Transition, latencies_of
from domain.money import ZERO, divide, plain, plain_or_empty
from domain.orders import LocalState, Order, OrderState, Pending, VenueState, check_transition
from domain.protection import Protects, Role
from domain.updates import Absence, CallOutcome, CancelRequested, FillKind, FillReport, Update


def created(order: Order, *, source: str, origin: str) -> Transition:
    """The first transition of an order of ours: its intent is written."""
    return Transition(
        sequence=order.sequence,
        kind=EventKind.CREATED,
        before=OrderState.CREATED,
        after=order.state,
        at_ns=order.times.created_ns,
        source=source,
        origin=origin,
        reason=order.reason,
        cumulative=order.cumulative,
        leaves=order.leaves,
        quantity=order.quantity,
        price=order.price,
        venue_order_id=order.venue_order_id,
        latencies=latencies_of(order.times),
    )


_END_KIND = {
    OrderState.FILLED: EventKind.FILLED,
    OrderState.CANCELLED: EventKind.CANCELLED,
    OrderState.REJECTED: EventKind.REJECTED,
    OrderState.FAILED: EventKind.FAILED,
    OrderState.EXPIRED: EventKind.EXPIRED,
    OrderState.CLOSED_UNKNOWN: EventKind.CLOSED_UNKNOWN,
    OrderState.DRY_RUN: EventKind.DRY_RUN,
}
_Steps = list[tuple[EventKind, OrderState]]


def known_at_venue(order: Order) -> bool:
    """Whether anything shows that the venue took the order."""
    return (
        order.evidence.state is not VenueState.UNKNOWN or order.local is LocalState.ACCEPTED or order.fills.quantity > 0
    )


def _steps(before: Order, after: Order) -> _Steps:
    """The named steps that lead from one row to the other, each with the state it leads to."""
    if before.state.terminal:
        return _steps_after_end(before, after)
    steps: _Steps = []
    _arrival_steps(before, after, steps)
    if known_at_venue(before) and before.evidence.state is VenueState.UNKNOWN:
        _condition_steps(before, after, steps)
    if before.evidence.state is VenueState.UNTRIGGERED and after.evidence.state.rank > VenueState.UNTRIGGERED.rank:
        steps.append((EventKind.TRIGGERED, OrderState.TRIGGERED))
    if before.evidence.state is VenueState.TRIGGERED and after.evidence.state is VenueState.LIVE:
        steps.append((EventKind.ACKNOWLEDGED, OrderState.ACKNOWLEDGED))
    if known_at_venue(before) and _terms_moved(before, after):
        steps.append((EventKind.AMENDED, _running(steps, before)))
    if after.pending and (after.pending, after.pending_by) != (before.pending, before.pending_by):
        cancel = after.pending is Pending.CANCEL
        kind = EventKind.PENDING_CANCEL if cancel else EventKind.PENDING_REPLACE
        steps.append((kind, OrderState.PENDING_CANCEL if cancel else OrderState.PENDING_REPLACE))
    elif before.pending and not after.pending and not after.state.terminal:
        steps.append((EventKind.RESOLVED, after.state))
    if after.cumulative.quantity > before.cumulative.quantity:
        filled = after.state is OrderState.FILLED
        state = OrderState.FILLED if filled else OrderState.PARTIALLY_FILLED
        steps.append((EventKind.FILLED if filled else EventKind.PARTIALLY_FILLED, state))
    if after.state.terminal and _running(steps, before) is not after.state:
        steps.append((_END_KIND[after.state], after.state))
    if after.state is OrderState.UNCERTAIN and before.state is not OrderState.UNCERTAIN:
        steps.append((EventKind.UNCERTAIN, OrderState.UNCERTAIN))
    return _ending_in(after.state, steps)


def _arrival_steps(before: Order, after: Order, steps: _Steps) -> None:
    """From an intent to an order that the venue has."""
    arrived = known_at_venue(after) and not known_at_venue(before)
    tried = after.attempts > before.attempts and after.state is not OrderState.DRY_RUN
    if before.local is LocalState.PLANNED and not known_at_venue(before) and (arrived or tried):
        steps.append((EventKind.SUBMITTED, OrderState.SUBMITTING))
    if before.state is OrderState.UNCERTAIN and after.state is not OrderState.UNCERTAIN:
        steps.append((EventKind.RESOLVED, OrderState.UNCERTAIN))
    if arrived and after.state is not OrderState.REJECTED:
        waits = after.evidence.state is VenueState.UNTRIGGERED
        steps.append((EventKind.ACKNOWLEDGED, OrderState.UNTRIGGERED if waits else OrderState.ACKNOWLEDGED))


def _condition_steps(before: Order, after: Order, steps: _Steps) -> None:
    """The venue's reply came before its first report, which says that the order waits for its trigger, or had it."""
    if after.state is OrderState.UNTRIGGERED and before.state is not OrderState.UNTRIGGERED:
        steps.append((EventKind.ACKNOWLEDGED, OrderState.UNTRIGGERED))
    elif after.state is OrderState.TRIGGERED and before.state is not OrderState.TRIGGERED:
        steps.append((EventKind.TRIGGERED, OrderState.TRIGGERED))


def _steps_after_end(before: Order, after: Order) -> _Steps:
    """An ended order changes only by better evidence: it is corrected, and the new end told."""
    if after.cumulative.quantity > before.cumulative.quantity or after.state is not before.state:
        return [(EventKind.CORRECTED, after.state)]
    return []


def _concluded_by_us(order: Order) -> bool:
    """Whether the end is our conclusion, not the venue's word: "filled" by adding up, "failed" by an outcome. Whatever
    is learnt later reopens it (requirement O01). A dry run has nobody to learn from."""
    told = order.evidence.state
    by_venue = told is VenueState.FILLED if order.state is OrderState.FILLED else told.terminal
    return order.state.terminal and not by_venue and order.state is not OrderState.DRY_RUN


def _terms_moved(before: Order, after: Order) -> bool:
    """Whether the venue shows other terms than it did, or than we meant. A trigger told for the first time is no
    change of it: fills and replies come without."""
    told = before.evidence.trigger_price is not None
    return _terms(before)[:2] != _terms(after)[:2] or (told and _terms(before) != _terms(after))


def _terms(order: Order) -> tuple[Decimal | None, Decimal, Decimal | None]:
    return order.current_price, order.current_quantity, order.evidence.trigger_price


def _running(steps: _Steps, before: Order) -> OrderState:
    return steps[-1][1] if steps else before.state


def _ending_in(state: OrderState, steps: _Steps) -> _Steps:
    """The last step leads to the row's state: a partial fill of an order being cancelled leaves it so."""
    if steps and steps[-1][1] is not state:
        steps[-1] = (steps[-1][0], state)
    return steps


def transitions_between(before: Order, after: Order, update: Update, source: str) -> tuple[Transition, ...]:
    """The numbered transitions that lead from one row to the other. The last one ends in the new row's state.

    Raises `InvalidStateTransition` for a step that the table of legal ones does not have.
    """
    transitions = []
    state, known = before.state, before
    for number, (kind, next_state) in enumerate(_steps(before, after), start=before.sequence + 1):
        if not _concluded_by_us(before):
            check_transition(before.order_id, state, next_state)
        filling = kind in {EventKind.FILLED, EventKind.PARTIALLY_FILLED, EventKind.CORRECTED}
        if filling or next_state.terminal:
            known = after  # what was executed is told from the step on that tells of it, not before
        transitions.append(
            Transition(
                sequence=number,
                kind=kind,
                before=state,
                after=next_state,
                at_ns=update.received_ns,
                source=source,
                origin=update.origin,
                reason=_reason(kind, after, update),
                cumulative=known.cumulative,
                leaves=ZERO if next_state.terminal else max(ZERO, after.current_quantity - known.cumulative.quantity),
                quantity=after.current_quantity,
                price=after.current_price,
                fill=_fill_detail(before, after, update) if filling else None,
                details=_details(kind, before, after),
                venue_order_id=after.venue_order_id,
                latencies=latencies_of(after.times),
                protects=_protects(after),
            )
        )
        state = next_state
    return tuple(transitions)


def _protects(order: Order) -> Protects | None:
    if order.role is Role.NONE:
        return None
    return Protects(
        role=order.role,
        parent_order_id=order.parent_order_id,
        trigger_price=order.evidence.trigger_price,
        partial=order.partial,
    )


def _reason(kind: EventKind, after: Order, update: Update) -> str:
    if kind in {EventKind.SUBMITTED, EventKind.ACKNOWLEDGED}:
        return ""
    match update:
        case CallOutcome() | Absence() if update.sentence:
            code = f"{update.code}: " if isinstance(update, CallOutcome) and update.code else ""
            return code + update.sentence
        case CancelRequested():
            return update.reason
        case _ if kind in {EventKind.CANCELLED, EventKind.REJECTED, EventKind.EXPIRED, EventKind.CORRECTED}:
            return after.evidence.reason
    return ""


def _details(kind: EventKind, before: Order, after: Order) -> dict[str, str]:
    if kind is EventKind.AMENDED:
        moved = before.evidence.trigger_price != after.evidence.trigger_price
        triggers = {
            "trigger_price_before": plain_or_empty(before.evidence.trigger_price),
            "trigger_price_after": plain_or_empty(after.evidence.trigger_price),
        }
        return {
            "price_before": plain_or_empty(before.current_price),
            "price_after": plain_or_empty(after.current_price),
            "quantity_before": plain(before.current_quantity),
            "quantity_after": plain(after.current_quantity),
            **(triggers if moved else {}),
        }
    if kind is EventKind.CANCELLED and before.pending is Pending.AMEND:
        return {"pending": before.pending}  # nobody wants the rest again: `pending_replace` alone does not tell
    return {}


def _fill_detail(before: Order, after: Order, update: Update) -> FillDetail | None:
    quantity = after.cumulative.quantity - before.cumulative.quantity
    if quantity <= 0:
        return None
    if isinstance(update, FillReport) and update.quantity == quantity:
        return FillDetail(
            quantity=quantity,
            price=update.price,
            fee=update.fee,
            fee_currency=update.fee_currency,
            execution_id=update.execution_id,
            maker=update.maker,
            executed_ns=update.executed_ns,
            kind="" if update.fill_kind is FillKind.TRADE else update.fill_kind,
            other_fees={} if update.other_fees is msgspec.UNSET else update.other_fees,
        )
    return FillDetail(quantity=quantity, price=divide(after.cumulative.value - before.cumulative.value, quantity))
