"""Gates that ask whether a signal may be traded at all: its age, its confidence, the state of trading.

Each gate is a pure function of the case and the draft; `domain.planning` has their order.
"""

from __future__ import annotations

from dataclasses import replace

from domain.drafts import Case, Draft, Step, passed, rejected
from domain.instruments import DOLLARS, LINEAR, SPOT
from domain.money import plain
from domain.orders import PositionSide
from domain.plans import Decision, PositionMode, TradingState, WarmupMode
from domain.times import seconds


def warmup(case: Case, draft: Draft) -> Step:
    """S08: a warm-up signal is traded only in mode `execute`; in mode `simulate` its plan shows what would be."""
    mode = case.settings.warmup_mode
    if case.signal.is_warmup and mode is WarmupMode.SIMULATE:
        sentence = "a warm-up signal is decided like any other, and nothing of it is sent"
        return passed("warmup", replace(draft, decision=Decision.SIMULATE), sentence, "WARMUP", mode=mode)
    if not case.signal.is_warmup:
        return passed("warmup", draft, "the signal is no warm-up")
    if mode is WarmupMode.EXECUTE:
        return passed("warmup", draft, "a warm-up signal, to be executed by the mode", "WARMUP", mode=mode)
    sentence = f"a warm-up signal is not executed in mode {mode}"
    return rejected("warmup", draft, "WARMUP", sentence, Decision.IGNORE, mode=mode)


def freshness(case: Case, draft: Draft) -> Step:
    """S09: age counts from the earlier of the signal's time and its original record's."""
    now_ns, settings = case.facts.now_ns, case.settings
    ahead_ns = case.signal.timestamp_ns - now_ns
    if ahead_ns > settings.max_future_ns:
        ahead_s, limit_s = seconds(ahead_ns), seconds(settings.max_future_ns)
        sentence = f"its timestamp is {plain(ahead_s)} s in the future, the tolerance is {plain(limit_s)} s"
        return rejected("freshness", draft, "TIMESTAMP_IN_FUTURE", sentence, ahead_s=ahead_s, tolerance_s=limit_s)
    age_s, limit_s = seconds(now_ns - case.begun_ns), seconds(settings.signal_max_age_ns)
    if now_ns - case.begun_ns > settings.signal_max_age_ns:
        sentence = f"the signal is {plain(age_s)} s old, the limit is {plain(limit_s)} s"
        return rejected("freshness", draft, "SIGNAL_TOO_OLD", sentence, Decision.EXPIRE, age_s=age_s, limit_s=limit_s)
    expires_ns = case.signal.expires_at_ns
    if expires_ns is not None and expires_ns <= now_ns:
        late_s = seconds(now_ns - expires_ns)
        sentence = f"the signal expired {plain(late_s)} s ago"
        return rejected("freshness", draft, "SIGNAL_EXPIRED", sentence, Decision.EXPIRE, late_s=late_s)
    return passed("freshness", draft, f"the signal is {plain(age_s)} s old", age_s=age_s, limit_s=limit_s)


def confidence(case: Case, draft: Draft) -> Step:
    """S10: not under `MIN_CONFIDENCE`. A signal without a confidence claims none, and is not measured by it."""
    given, minimum = case.signal.confidence, case.settings.min_confidence
    if given is None:
        return passed("confidence", draft, "the signal gives no confidence", minimum=minimum)
    figures = {"confidence": given, "minimum": minimum}
    if given < minimum:
        sentence = f"confidence {plain(given)} is under the minimum {plain(minimum)}"
        return rejected("confidence", draft, "BELOW_MIN_CONFIDENCE", sentence, **figures)
    return passed("confidence", draft, f"confidence {plain(given)} reaches {plain(minimum)}", **figures)


def instrument(case: Case, draft: Draft) -> Step:
    """D05: known, trading, and of a kind whose sizes are understood."""
    rules, name = case.facts.rules, case.instrument
    if rules is None:
        return rejected("instrument", draft, "INSTRUMENT_UNKNOWN", f"{name} is not known at the venue")
    if not rules.trading:
        return rejected("instrument", draft, "INSTRUMENT_NOT_TRADING", f"{name} is not trading at the venue")
    if rules.tick <= 0 or rules.lot <= 0:
        sentence = f"{name} has no usable grid: tick {plain(rules.tick)}, lot {plain(rules.lot)}"
        return rejected("instrument", draft, "INSTRUMENT_WITHOUT_GRID", sentence, tick=rules.tick, lot=rules.lot)
    spot = name.category == SPOT
    if not spot and case.inverse != (rules.settle_currency == rules.base_currency):
        sentence = f"{name} is settled in {rules.settle_currency}, which contracts of its category are not"
        return rejected("instrument", draft, "SETTLEMENT_NOT_UNDERSTOOD", sentence)
    if spot and case.position_side is not PositionSide.NET:
        sentence = f"{name} is spot and has no {case.position_side} side"
        return rejected("instrument", draft, "NO_POSITION_SIDE_ON_SPOT", sentence)
    if case.facts.limits.of_the_account and rules.quote_currency not in DOLLARS:
        sentence = f"limits of the account are in dollars, and {name} is counted in {rules.quote_currency}"
        return rejected("instrument", draft, "QUOTE_NOT_COUNTED", sentence, quote=rules.quote_currency)
    return passed("instrument", draft, f"{name} is trading")


def position_mode(case: Case, draft: Draft) -> Step:
    """D11: in hedge mode every order names its side; in one-way mode there is none to name. Only linear contracts have
    a mode: what is spot or inverse has one position per symbol."""
    named, linear = case.signal.position_side, case.instrument.category == LINEAR
    mode = case.settings.position_mode if linear else PositionMode.ONE_WAY
    hedge = mode is PositionMode.HEDGE
    if hedge and named is PositionSide.NET:
        return rejected("position_mode", draft, "HEDGE_MODE", "in hedge mode an order belongs to a side", mode=mode)
    if not hedge and named not in {None, PositionSide.NET}:
        sentence = f"the account has one position per symbol, and no {named} side"
        return rejected("position_mode", draft, "ONE_WAY_MODE", sentence, mode=mode)
    return passed("position_mode", draft, f"{mode}: the {case.position_side} position", side=case.position_side)


def trading_state(case: Case, draft: Draft) -> Step:
    """R05: halted stops everything, reduce-only what cannot shrink a position (`sizing.scale_out` caps the rest)."""
    state, why = case.facts.trading, case.facts.trading_reason
    because = f": {why}" if why else ""
    if state is TradingState.HALTED:
        return rejected("trading_state", draft, "TRADING_HALTED", f"trading is halted{because}", state=state)
    if state is TradingState.REDUCE_ONLY and not case.held:
        sentence = f"only reducing is allowed{because}, and this {case.side} reduces nothing"
        return rejected("trading_state", draft, "TRADING_REDUCE_ONLY", sentence, state=state)
    return passed("trading_state", draft, f"trading is {state}{because}", state=state)


def in_doubt(case: Case, draft: Draft) -> Step:
    """Design, "Uncertain is a state": no new exposure while it is not known what an order of the symbol did."""
    doubtful = [order.order_id for order in case.facts.open_orders if order.in_doubt]
    if doubtful and draft.opening:
        sentence = f"orders of the symbol are in doubt: {', '.join(doubtful)}"
        return rejected("in_doubt", draft, "ORDERS_IN_DOUBT", sentence, orders=len(doubtful))
    return passed("in_doubt", draft, "no order in doubt stands against it", orders=len(doubtful))
