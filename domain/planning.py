"""From a signal to a plan: a pure function of the signal, the facts and the settings (requirement D13).

The gates run in the order of `GATES` (requirement R01); the first that rejects ends the plan. Every verdict stands
in the plan with its figures.

    warmup           S08  warm-up signals are sent only in mode execute
    freshness        S09  neither too old nor from the future
    confidence       S10  not under the minimum
    instrument       D05  known, trading, understood
    position_mode    D11  a side in hedge mode, none in one-way mode
    trading_state    R05  not halted; reduce-only leaves what closes
    cooldown         R07  not too soon after the symbol's, or the strategy's, last order
    reference_price  D06  snapshot, else quote
    price_drift      D06  how far the market went since
    size             D04  amount ÷ price in whole lots
    order_type       D01  market or limit, and why
    order_flags      D03  time in force, post-only; no impossible combination
    limit_price      D02  passive, on the tick
    slippage_guard   D07  the worst price of a market order
    cancels          C01  which resting orders go first, or take the quantity up (D10)
    scale_out        D10  what may only close is capped by what is held
    attached_orders  P07  take-profit and stop-loss as the venue takes them, or not at all
    in_doubt         -    no new exposure while an order's outcome is unknown
    min_profit       D12  a closing order brings what is asked for
    order_size       R03  one order: in quote currency, at market, of the balance
    position_size    R03  the symbol's position
    exposure         R03  all symbols, all workers (R04)
    split            D08  several orders where one is too large
    open_orders      R03  of the symbol, and of all
    order_rate       R03  orders and notional within a minute
    volume           R03  traded in the day and the week
    loss             R03  daily loss and drawdown
    minimums         D04  quantity and notional, of the smallest part
    maximum          D04  quantity, of the largest part
    balance          R02  worst price and fee against what is free

A plan has two phases. When resting orders must go first, phase 1 has only these cancels: its gates have looked at
the state as it will be without them. When they are gone, phase 2 plans the orders on the state that then is; it
cancels nothing, whatever still rests. Without anything to cancel, phase 1 has the orders, or the resting order that
is amended in their place.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final, Literal

from domain import attaching, gates, pricing, risk, sizing
from domain.drafts import Case, Draft, Gate, Step, adjusted, passed, value_of
from domain.ids import client_order_id
from domain.instruments import Instrument
from domain.money import ZERO, divide, plain
from domain.orders import OrderType, TimeInForce
from domain.plans import (
    Amend,
    Cancel,
    Decision,
    Facts,
    Intent,
    OpenOrder,
    Outcome,
    Plan,
    PlanSettings,
    ScaleInMode,
    TradingState,
    Verdict,
)
from domain.signals import Signal


def cancels(case: Case, draft: Draft) -> Step:
    """C01, D10: in phase 1, the resting orders that make way for the signal's own; or, where `SCALE_IN_MODE` says so,
    the one that takes its quantity up."""
    if case.phase != 1:
        return passed("cancels", draft, "nothing is cancelled in the second phase")
    gone = tuple(order for order in case.facts.open_orders if _makes_way(case, draft, order))
    sentence = f"{len(gone)} resting of {len(case.facts.open_orders)} open orders make way"
    decided = replace(draft, cancelled=gone)
    taken_up = None if gone else _taken_up_by(case, draft)
    if taken_up is None or taken_up.price is None:
        return passed("cancels", decided, sentence, cancelled=len(gone))
    order_id, resting = taken_up.order_id, taken_up.leaves + taken_up.executed
    sentence = f"order {order_id} of {plain(resting)} at {plain(taken_up.price)} takes the quantity up"
    return adjusted("cancels", replace(decided, amended=taken_up), "AMENDS", sentence, order=order_id, resting=resting)


def _makes_way(case: Case, draft: Draft, order: OpenOrder) -> bool:
    """Never what is not ours, nor what is in doubt: nobody could tell what such a cancel did."""
    if order.external or order.in_doubt:
        return False
    if order.executed and not case.settings.cancel_partially_filled:
        return False
    same_direction = order.side is case.side and order.position_side is case.position_side
    if same_direction and case.settings.scale_in_mode is not ScaleInMode.REPLACE:
        return False
    if draft.order_type is OrderType.MARKET and order.order_type is OrderType.LIMIT:
        return True
    return order.side is case.side.opposite or not case.settings.cancel_opposite_orders_only


def _taken_up_by(case: Case, draft: Draft) -> OpenOrder | None:
    """The newest resting limit order of the signal's direction, where amending is the mode and both may rest."""
    rests = draft.order_type is OrderType.LIMIT and draft.time_in_force is TimeInForce.GTC
    if case.settings.scale_in_mode is not ScaleInMode.AMEND or not rests:
        return None
    closes = case.signal.reduce_only or case.facts.trading is TradingState.REDUCE_ONLY
    if closes and not case.instrument.spot:
        return None  # what only closes is an order of its own: at the venue, one that rests may open
    fit = [
        order
        for order in case.facts.open_orders
        if order.side is case.side
        and order.position_side is case.position_side
        and order.order_type is OrderType.LIMIT
        and not (order.external or order.in_doubt or order.reduce_only or order.ending)
        and order.price is not None
        and _brings_along(order) == (case.signal.take_profit, case.signal.stop_loss)
    ]
    return fit[-1] if fit else None


def _brings_along(order: OpenOrder) -> tuple[Decimal | None, Decimal | None]:
    """Take-profit and stop-loss of a resting order: one that takes a signal up keeps its own (requirement P07)."""
    protection = order.protection
    return (None, None) if protection is None else (protection.take_profit, protection.stop_loss)


GATES: Final[tuple[Gate, ...]] = (
    gates.warmup,
    gates.freshness,
    gates.confidence,
    gates.instrument,
    gates.position_mode,
    gates.trading_state,
    risk.cooldown,
    pricing.reference_price,
    pricing.price_drift,
    sizing.size,
    pricing.order_type,
    pricing.order_flags,
    pricing.limit_price,
    pricing.slippage_guard,
    cancels,
    sizing.scale_out,
    attaching.attached_orders,
    gates.in_doubt,
    risk.min_profit,
    risk.order_size,
    risk.position_size,
    risk.exposure,
    sizing.split,
    risk.open_orders,
    risk.order_rate,
    risk.volume,
    risk.loss,
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
    executes = draft.decision in {Decision.EXECUTE, Decision.SIMULATE}
    simulated = draft.decision is Decision.SIMULATE
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
        code="WARMUP" if simulated else "" if executes else last.code,
        reason="a warm-up signal: nothing of it is sent" if simulated else "" if executes else last.sentence,
        verdicts=verdicts,
        warnings=draft.warnings,
        cancels=tuple(Cancel(order_id=order.order_id, reason=_cancel_reason(signal, draft)) for order in gone),
        amends=_amends(case, draft) if executes and not gone else (),
        intents=_intents(case, draft) if executes and not gone and draft.amended is None else (),
        reference_price=draft.price or None,
        price_drift=draft.price_drift,
        facts=facts,
        planned_at_ns=facts.now_ns,
        dry_run=settings.dry_run,
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


def _amends(case: Case, draft: Draft) -> tuple[Amend, ...]:
    resting, price = draft.amended, draft.limit_price
    if resting is None or price is None:
        return ()
    total = resting.leaves + resting.executed + draft.quantity
    return (
        Amend(
            order_id=resting.order_id,
            quantity=total,
            price=price,
            added=draft.quantity,
            amount=case.signal.amount,
            need=draft.need,
        ),
    )


def _intents(case: Case, draft: Draft) -> tuple[Intent, ...]:
    """One order, or the parts that it is split into: each with its share of the amount and of what it takes."""
    if not draft.parts:
        return (_intent(case, draft, 0, draft.quantity, case.signal.amount, draft.need),)
    interval_ns, made, left = case.settings.split_interval_ns, [], draft.need
    for part, quantity in enumerate(draft.parts):
        last = part == len(draft.parts) - 1
        need = left if last else divide(draft.need * quantity, draft.quantity)
        left -= need
        due_ns = case.facts.now_ns + part * interval_ns if part and interval_ns else 0
        amount = value_of(case, quantity, draft.price)
        made.append(_intent(case, draft, part, quantity, amount, max(ZERO, need), due_ns))
    return tuple(made)


def _intent(
    case: Case, draft: Draft, part: int, quantity: Decimal, amount: Decimal, need: Decimal, due_ns: int = 0
) -> Intent:
    instrument = case.instrument
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
        quantity=quantity,
        price=draft.guard_price if draft.limit_price is None else draft.limit_price,
        time_in_force=draft.time_in_force,
        reduce_only=draft.reduce_only,
        post_only=draft.post_only,
        position_side=case.position_side,
        amount=amount,
        rule=draft.rule,
        protection=draft.protection,
        due_ns=due_ns,
        need=need,
    )
