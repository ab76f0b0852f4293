"""Rows as users see them: the field's words, amounts as exact text, times in integer nanoseconds."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from operator import itemgetter

import msgspec

from app.web.context import Mark
from domain.events import EventKind, Transition
from domain.instruments import Instrument
from domain.money import plain
from domain.orders import Order, SignalContext, Sums
from domain.plans import Plan
from domain.positions import LedgerEntry, Position
from domain.protection import Role
from domain.updates import Call, FillKind, FillReport
from streams.schemas import latencies
from tables.signals import SignalRow

Json = dict[str, object]

_encode = msgspec.json.Encoder().encode


def order_json(order: Order) -> Json:
    """An order as it stands; every amount is text already."""
    return {
        "order_id": order.order_id,
        "venue_order_id": order.venue_order_id,
        "client_order_id": order.client_order_id or order.order_id,
        "instrument": order.instrument,
        "account": order.account,
        "side": order.side,
        "order_type": order.order_type,
        "time_in_force": order.time_in_force,
        "reduce_only": order.reduce_only,
        "post_only": order.post_only,
        "position_side": order.position_side,
        "external": order.external,
        "dry_run": order.dry_run,
        "role": order.role,
        "partial": order.partial,
        "parent_order_id": order.parent_order_id,
        "protection": order.protection,
        "trigger_price": _amount(order.evidence.trigger_price),
        "status": order.status,
        "state": order.state,
        "reason": order.reason,
        "quantity": plain(order.current_quantity),
        "price": _amount(order.current_price),
        **_executed(order.cumulative, order.instrument),
        "leaves_quantity": plain(order.leaves),
        "original": {"quantity": plain(order.quantity), "price": _amount(order.price)},
        "local_state": order.local,
        "pending": order.pending,
        "venue": {
            "state": order.evidence.state,
            "raw_status": order.evidence.raw_status,
            "reason": order.evidence.reason,
        },
        "missing_fills": order.missing_fills,
        "attempts": order.attempts,
        "batched": {} if order.batched is msgspec.UNSET else order.batched,
        "signal": None if order.signal is None else _signal_of(order.signal),
        "trace_id": order.trace_id,
        "sequence": order.sequence,
        "times": order.times,
        "latencies": latencies(order),
    }


def order_bytes(order: Order) -> msgspec.Raw:
    """The same as JSON, for pages, which are made of hundreds of them: without a call back for each of its parts, as
    `to_json` needs it, encoding takes a third of the time."""
    return msgspec.Raw(_encode(order_json(order)))


def _executed(sums: Sums, instrument: Instrument) -> Json:
    return {
        "executed_quantity": plain(sums.quantity),
        "executed_value": plain(sums.value),
        "average_price": _amount(sums.average_price(instrument)),
        "fees": {currency: plain(fee) for currency, fee in sums.fees.items()},
    }


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _signal_of(signal: SignalContext) -> msgspec.Raw:
    """The metadata are the producer's, and may have numbers of any size."""
    amounts = {"amount": plain(signal.amount), "confidence": _amount(signal.confidence)}
    if amounts["amount"] == str(signal.amount) and amounts["confidence"] in {None, str(signal.confidence)}:
        return msgspec.Raw(_encode(signal))
    return msgspec.Raw(_encode(msgspec.to_builtins(signal) | amounts))


def transition_json(transition: Transition, instrument: Instrument) -> Json:
    """One step of an order of this instrument."""
    return {
        "sequence": transition.sequence,
        "type": transition.kind,
        "state_before": transition.before,
        "state": transition.after,
        "at_ns": transition.at_ns,
        "reason": transition.reason,
        "details": transition.details,
        **_executed(transition.cumulative, instrument),
        "leaves_quantity": transition.leaves,
        "quantity": transition.quantity,
        "price": transition.price,
        "fill": transition.fill,
        "origin": transition.origin,
        "source": transition.source,
    }


def fill_json(fill: FillReport) -> Json:
    """One execution of an order."""
    return {
        "execution_id": fill.execution_id,
        "kind": fill.fill_kind,
        "side": fill.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "value": fill.value,
        "fee": fill.fee,
        "fee_currency": fill.fee_currency,
        "fees": fill.fees,
        "maker": fill.maker,
        "executed_ns": fill.executed_ns,
        "received_ns": fill.received_ns,
    }


def position_json(position: Position, mark: Mark | None) -> Json:
    """A position; with its unrealised profit where a mark price is known."""
    state = position.state
    return {
        "instrument": position.instrument,
        "account": position.account,
        "side": position.side,
        "size": state.size,
        "average_entry": state.average_entry,
        "realised": state.realised,
        "unrealised": None if mark is None else state.unrealised(mark.price, position.instrument),
        "mark": None if mark is None else mark.price,
        "mark_at_ns": None if mark is None else mark.at_ns,
        "fees": state.fees,
        "funding": state.funding,
        "bought": {"quantity": state.bought, "value": state.bought_value},
        "sold": {"quantity": state.sold, "value": state.sold_value},
        "fills": state.fills,
        "opened_from_venue_ns": position.taken_over_ns or None,
        "last_fill_ns": position.last.executed_ns if position.last else None,
        "updated_ns": position.updated_ns,
        "version": position.version,
    }


def ledger_json(entry: LedgerEntry) -> Json:
    """One fill of a position, and the position after it."""
    fill, after = entry.fill, entry.after
    return {
        "instrument": fill.instrument,
        "account": fill.account,
        "position_side": fill.position_side,
        "order_id": entry.order_id,
        **fill_json(fill),
        "after": {
            "size": after.size,
            "average_entry": after.average_entry,
            "realised": after.realised,
            "fees": after.fees,
            "funding": after.funding,
        },
    }


def signal_json(row: SignalRow) -> Json:
    """A signal and its end, without the plans."""
    return {
        "signal_id": row.signal_id,
        "symbol": row.symbol,
        "state": row.state,
        "result": row.result or None,
        "code": row.code,
        "reason": row.reason,
        "decision": row.standing_plan.decision,
        "dry_run": row.plan.dry_run,
        "attempt": row.attempt,
        "order_ids": row.order_ids,
        "earlier_order_ids": row.earlier_order_ids,
        "repeats": row.repeats,
        "strategy_id": row.strategy_id,
        "is_warmup": row.is_warmup,
        "source": row.source,
        "trace_id": row.trace_id,
        "signal_ns": row.signal_ns,
        "planned_ns": row.planned_ns,
        "done_ns": row.done_ns or None,
    }


def shares_json(order: Order, taken_up: Sequence[SignalRow]) -> list[Json]:
    """The signals that an order serves, in sequence, each with its share of amount and quantity (requirement D09)."""
    shares: list[Json] = []
    if order.signal is not None:
        own = order.signal
        shares.append({"signal_id": own.signal_id, "part": own.part, "amount": own.amount, "quantity": order.quantity})
    for row in taken_up:
        for amend in row.standing_plan.amends:
            if amend.order_id == order.order_id:
                share = {"signal_id": row.signal_id, "part": 0, "amount": amend.amount, "quantity": amend.added}
                shares.append(share)
    return [{"sequence": number, **share} for number, share in enumerate(shares, start=1)]


def rehearsed_json(row: SignalRow) -> list[Json] | None:
    """What a dry run would have executed of it before it came for real; None: it was not rehearsed."""
    return None if row.rehearsed is None else [plan_json(plan) for plan in row.rehearsed]


def plans_json(row: SignalRow) -> list[Json]:
    """Every plan that was made of a signal."""
    return [plan_json(plan) for plan in row.plans]


def plan_json(plan: Plan) -> Json:
    """A plan with each gate's verdict and the facts it looked at."""
    return {
        "phase": plan.phase,
        "decision": plan.decision,
        "code": plan.code,
        "reason": plan.reason,
        "verdicts": plan.verdicts,
        "warnings": plan.warnings,
        "cancels": plan.cancels,
        "amends": plan.amends,
        "intents": plan.intents,
        "reference_price": plan.reference_price,
        "price_drift": plan.price_drift,
        "facts": plan.facts,
        "planned_at_ns": plan.planned_at_ns,
    }


Child = tuple[Order, Sequence[Transition]]
"""An order that protects what another one opened, and its steps."""


def child_json(child: Child) -> Json:
    """A child with its steps."""
    order, history = child
    return order_json(order) | {"history": [transition_json(transition, order.instrument) for transition in history]}


def story(
    order: Order,
    signal: SignalRow | None,
    history: Sequence[Transition],
    fills: Sequence[FillReport],
    children: Sequence[Child] = (),
) -> list[Json]:
    """What happened to an order, in sentences and in order: signal, gates, plan, every step (requirement Q03), and
    every step of the orders that protect what it opened (P07)."""
    steps: list[Json] = []
    if signal is not None:
        sentence = (
            f"signal {signal.signal_id} of {signal.strategy_id or 'an unnamed strategy'}, attempt {signal.attempt}"
        )
        steps.append({"at_ns": signal.signal_ns or None, "step": "signal", "sentence": sentence})
        for plan in signal.plans:
            steps += _plan_steps(plan)
    elif order.external:
        sentence = "not ours: found at the venue and adopted"
        steps.append({"at_ns": order.times.created_ns, "step": "adopted", "sentence": sentence})
    elif order.role:
        brought = f", brought by order {order.parent_order_id}" if order.parent_order_id else ""
        part = "a part of the position" if order.partial else "the position"
        sentence = f"made by the venue to protect {part}: its {_words(order.role)}{brought}"
        steps.append({"at_ns": order.times.created_ns, "step": "adopted", "sentence": sentence})
    steps += [_intervention(fill) for fill in fills if fill.fill_kind is not FillKind.TRADE]
    told = [(transition.at_ns, _transition_step(order, transition)) for transition in history]
    told += [(transition.at_ns, _child_step(child, transition)) for child, own in children for transition in own]
    return steps + [step for _, step in sorted(told, key=itemgetter(0))]


def _words(role: Role) -> str:
    return role.replace("_", "-")


def _child_step(child: Order, transition: Transition) -> Json:
    step = _transition_step(child, transition)
    return step | {"sentence": f"{_words(child.role)} {child.order_id}: {step['sentence']}", "order_id": child.order_id}


def _intervention(fill: FillReport) -> Json:
    """An execution that the venue brought about by itself (requirement P06)."""
    sentence = (
        f"{fill.side} {plain(fill.quantity)} at {plain(fill.price)} by {fill.fill_kind}: no order of ours caused it"
    )
    return {"at_ns": fill.executed_ns, "step": fill.fill_kind, "sentence": sentence, "by": "venue"}


def _plan_steps(made: Plan) -> list[Json]:
    steps: list[Json] = [
        {
            "at_ns": made.planned_at_ns,
            "step": f"gate {verdict.gate}",
            "sentence": f"{verdict.outcome}: {verdict.sentence or verdict.code}",
            "figures": verdict.figures,
        }
        for verdict in made.verdicts
    ]
    decided = f"{made.decision}: {len(made.intents)} orders, {len(made.cancels)} cancels"
    steps.append({"at_ns": made.planned_at_ns, "step": "plan", "sentence": decided if not made.reason else made.reason})
    return steps


_CALL_AFTER = {EventKind.SUBMITTED: Call.CREATE, EventKind.PENDING_CANCEL: Call.CANCEL}
"""Steps that a call goes with."""


def _place_in_batch(order: Order, transition: Transition) -> str:
    """The order's place in that call, if it was about several (requirement X03). The reply may come after what the
    stream tells, so it is not the step that knows it but the order."""
    call = _CALL_AFTER.get(transition.kind)
    return "" if call is None or order.batched is msgspec.UNSET else order.batched.get(call, "")


def _transition_step(order: Order, transition: Transition) -> Json:
    sentence = f"{transition.before} → {transition.after}" + (f": {transition.reason}" if transition.reason else "")
    if place := _place_in_batch(order, transition):
        sentence += f", {place} in one call"
    step: Json = {"at_ns": transition.at_ns, "step": transition.kind, "sentence": sentence, "by": transition.origin}
    if transition.fill is not None:
        step["fill"] = transition.fill
    return step
