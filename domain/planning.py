"""From a signal to a plan: a pure function of the signal, the facts and the settings (requirement D13).

The gates run in the order of `GATES` (requirement R01); the first that rejects ends the plan. Every verdict stands
in the plan with its figures.

    warmup           S08  warm-up signals only in mode execute
    freshness        S09  neither too old nor from the future
    confidence       S10  not under the minimum
    attached_orders  P07  no take-profit or stop-loss that would be dropped
    instrument       D05  known, trading, understood
    trading_state    R05  not halted; reduce-only leaves what closes
    reference_price  D06  snapshot, else quote
    price_drift      D06  how far the market went since
    size             D04  amount ÷ price in whole lots
    order_type       D01  market or limit, and why
    order_flags      D03  time in force, post-only; no impossible combination
    limit_price      D02  passive, on the tick
    cancels          C01  which resting orders go first
    scale_out        D10  what may only close is capped by what is held
    in_doubt         -    no new exposure while an order's outcome is unknown
    minimums         D04  quantity and notional
    maximum          D04  quantity
    balance          R02  worst price and fee against what is free

A plan has two phases. When resting orders must go first, phase 1 has only these cancels: its gates have looked at
the state as it will be without them. When they are gone, phase 2 plans the orders on the state that then is; it
cancels nothing, whatever still rests. Without anything to cancel, phase 1 has the orders.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from domain import gates, pricing, sizing
from domain.drafts import Case, Draft, Gate, Step, passed
from domain.ids import client_order_id
from domain.instruments import Instrument
from domain.orders import OrderType
from domain.plans import Cancel, Decision, Facts, Intent, OpenOrder, Outcome, Plan, PlanSettings, Verdict
from domain.signals import Signal


def cancels(case: Case, draft: Draft) -> Step:
    """C01: in phase 1, the resting orders that make way for the signal's own."""
    if case.phase != 1:
        return passed("cancels", draft, "nothing is cancelled in the second phase")
    gone = tuple(order for order in case.facts.open_orders if _makes_way(case, draft, order))
    sentence = f"{len(gone)} resting of {len(case.facts.open_orders)} open orders make way"
    return passed("cancels", replace(draft, cancelled=gone), sentence, cancelled=len(gone))


def _makes_way(case: Case, draft: Draft, order: OpenOrder) -> bool:
    """Never what is not ours, nor what is in doubt: nobody could tell what such a cancel did."""
    if order.external or order.in_doubt:
        return False
    if order.executed and not case.settings.cancel_partially_filled:
        return False
    if draft.order_type is OrderType.MARKET and order.order_type is OrderType.LIMIT:
        return True
    return order.side is case.side.opposite or not case.settings.cancel_opposite_orders_only


GATES: Final[tuple[Gate, ...]] = (
    gates.warmup,
    gates.freshness,
    gates.confidence,
    gates.attached_orders,
    gates.instrument,
    gates.trading_state,
    pricing.reference_price,
    pricing.price_drift,
    sizing.size,
    pricing.order_type,
    pricing.order_flags,
    pricing.limit_price,
    cancels,
    sizing.scale_out,
    gates.in_doubt,
    sizing.minimums,
    sizing.maximum,
    sizing.balance,
)


def plan_signal(
    signal: Signal,
    facts: Facts,
    settings: PlanSettings,
    *,
    instrument: Instrument,
    source: str,
    phase: Literal[1, 2],
) -> Plan:
    """Decide everything about a signal. Same arguments, same plan, byte for byte.

    `source` is the signal's original record as `topic-partition-offset`.
    """
    case = Case(signal, facts, settings, instrument, phase)
    draft, verdicts = _through_gates(case)
    executes = draft.decision is Decision.EXECUTE
    last = verdicts[-1]
    gone = draft.cancelled if executes else ()
    return Plan(
        signal_id=signal.signal_id,
        source=source,
        attempt=facts.attempt,
        phase=phase,
        instrument=instrument,
        account=facts.account,
        decision=draft.decision,
        code="" if executes else last.code,
        reason="" if executes else last.sentence,
        verdicts=verdicts,
        warnings=draft.warnings,
        cancels=tuple(Cancel(order_id=order.order_id, reason=_cancel_reason(signal, draft)) for order in gone),
        intents=(_intent(case, draft),) if executes and not gone else (),
        reference_price=draft.price or None,
        facts=facts,
        planned_at_ns=facts.now_ns,
    )


def _through_gates(case: Case) -> tuple[Draft, tuple[Verdict, ...]]:
    draft, verdicts = Draft(), []
    for gate in GATES:
        draft, verdict = gate(case, draft)
        verdicts.append(verdict)
        if verdict.outcome is Outcome.REJECT:
            break
    return draft, tuple(verdicts)


def _cancel_reason(signal: Signal, draft: Draft) -> str:
    return f"makes way for the {draft.order_type} {signal.signal_type} of signal {signal.signal_id}"


def _intent(case: Case, draft: Draft) -> Intent:
    instrument, part = case.instrument, 0
    order_id = client_order_id(
        case.settings.instance,
        instrument.venue,
        instrument.category,
        case.facts.account,
        instrument.symbol,
        case.signal.signal_id,
        case.facts.attempt,
        part,
    )
    return Intent(
        order_id=order_id,
        part=part,
        side=case.side,
        order_type=draft.order_type,
        quantity=draft.quantity,
        price=draft.limit_price,
        time_in_force=draft.time_in_force,
        reduce_only=draft.reduce_only,
        post_only=draft.post_only,
        position_side=case.position_side,
        amount=case.signal.amount,
        rule=draft.rule,
        need=draft.need,
    )
