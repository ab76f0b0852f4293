"""Whether a signal may be traded, and what its plan tells (requirements S08 to S10, P07, D05, R01, R05, X02)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from domain_cases import (
    BTC,
    NOW,
    SECOND,
    SPOT_BTC,
    dec,
    facts,
    intent,
    open_order,
    plan,
    refusal,
    rules,
    settings,
    signal,
)

from domain.ids import client_order_id
from domain.instruments import Instrument
from domain.planning import GATES, plan_signal
from domain.plans import Decision, PlanSettings, TradingState, WarmupMode

# -- may it be traded ----------------------------------------------------------------------------------------------


def test_s08_a_warm_up_signal_may_be_ignored():
    made = plan(signal(is_warmup=True), settings=settings(warmup_mode=WarmupMode.IGNORE))

    assert refusal(made) == (Decision.IGNORE, "WARMUP")


def test_s08_a_simulated_warm_up_signal_shows_what_would_be_sent():
    made, real = plan(signal(is_warmup=True)), plan(signal())

    assert (made.decision, made.code) == (Decision.SIMULATE, "WARMUP")
    assert made.intents == real.intents
    assert [verdict.gate for verdict in made.verdicts] == [verdict.gate for verdict in real.verdicts]


def test_s08_a_simulated_warm_up_signal_that_a_gate_refuses_is_rejected():
    made = plan(signal(is_warmup=True, confidence="0.1"), settings=settings(min_confidence=dec("0.5")))

    assert refusal(made) == (Decision.REJECT, "BELOW_MIN_CONFIDENCE")


def test_s08_a_warm_up_signal_is_executed_where_the_mode_says_so():
    assert intent(plan(signal(is_warmup=True), settings=settings(warmup_mode=WarmupMode.EXECUTE)))


def test_s09_a_signal_older_than_the_limit_has_expired():
    made = plan(known=facts(now_ns=NOW + 60 * SECOND + 1))

    assert refusal(made) == (Decision.EXPIRE, "SIGNAL_TOO_OLD")
    assert made.reason == "the signal is 60.000000001 s old, the limit is 60 s"


def test_s09_a_signal_as_old_as_the_limit_is_still_traded():
    assert intent(plan(known=facts(now_ns=NOW + 60 * SECOND)))


def test_s09_age_counts_from_the_original_record_when_that_is_earlier():
    made = plan(known=facts(now_ns=NOW, record_time_ns=NOW - 61 * SECOND))

    assert refusal(made) == (Decision.EXPIRE, "SIGNAL_TOO_OLD")


def test_s09_a_signal_past_its_own_expiry_has_expired():
    assert refusal(plan(signal(expires_at=NOW))) == (Decision.EXPIRE, "SIGNAL_EXPIRED")
    assert plan(signal(expires_at=NOW), facts(now_ns=NOW + SECOND)).reason == "the signal expired 1 s ago"
    assert intent(plan(signal(expires_at=NOW + 1)))


def test_s09_a_timestamp_in_the_future_beyond_the_tolerance_is_refused():
    assert refusal(plan(signal(timestamp=NOW + 5 * SECOND + 1))) == (Decision.REJECT, "TIMESTAMP_IN_FUTURE")
    assert intent(plan(signal(timestamp=NOW + 5 * SECOND)))


def test_s10_confidence_under_the_minimum_is_rejected_with_the_figures():
    made = plan(signal(confidence="0.59"), settings=settings(min_confidence=dec("0.6")))

    assert refusal(made) == (Decision.REJECT, "BELOW_MIN_CONFIDENCE")
    assert made.reason == "confidence 0.59 is under the minimum 0.6"
    assert made.verdicts[-1].figures == {"confidence": "0.59", "minimum": "0.6"}


def test_s10_confidence_at_the_minimum_is_enough():
    assert intent(plan(signal(confidence="0.6"), settings=settings(min_confidence=dec("0.6"))))


def test_s10_a_signal_without_confidence_is_not_measured_by_it():
    assert intent(plan(settings=settings(min_confidence=dec("0.6"))))


@pytest.mark.parametrize(
    ("known", "instrument", "code"),
    [
        ({"rules": None}, BTC, "INSTRUMENT_UNKNOWN"),
        ({"rules": rules(trading=False)}, BTC, "INSTRUMENT_NOT_TRADING"),
        ({"rules": rules(lot=dec(0))}, BTC, "INSTRUMENT_WITHOUT_GRID"),
        ({"rules": rules(tick=dec(0))}, BTC, "INSTRUMENT_WITHOUT_GRID"),
        ({"rules": rules(settle_currency="BTC")}, BTC, "SETTLEMENT_NOT_UNDERSTOOD"),
        ({}, Instrument("paper", "inverse", "BTCUSD"), "SETTLEMENT_NOT_UNDERSTOOD"),
    ],
)
def test_d05_an_instrument_that_cannot_be_traded_is_refused(known, instrument, code):
    assert refusal(plan(known=facts(**known), instrument=instrument)) == (Decision.REJECT, code)


def test_d05_spot_may_settle_in_its_base_currency():
    known = facts(rules=rules(instrument=SPOT_BTC, settle_currency="BTC"))

    assert intent(plan(known=known, instrument=SPOT_BTC))


def test_r05_nothing_is_traded_while_halted_and_the_reason_is_told():
    made = plan(
        signal(signal_type="sell"),
        facts(position_size=dec(1), trading=TradingState.HALTED, trading_reason="by the operator"),
    )

    assert refusal(made) == (Decision.REJECT, "TRADING_HALTED")
    assert made.reason == "trading is halted: by the operator"


def test_r05_reduce_only_lets_a_position_shrink():
    made = plan(signal(signal_type="sell"), facts(position_size=dec(1), trading=TradingState.REDUCE_ONLY))

    assert (intent(made).quantity, intent(made).reduce_only) == (dec("0.02"), True)


def test_r05_reduce_only_lets_nothing_grow():
    assert refusal(plan(known=facts(trading=TradingState.REDUCE_ONLY)))[1] == "TRADING_REDUCE_ONLY"
    with_shorts = settings(allow_short=True)
    capped = plan(
        signal(signal_type="sell"), facts(position_size=dec("0.01"), trading=TradingState.REDUCE_ONLY), with_shorts
    )
    assert intent(capped).quantity == dec("0.01")


def test_no_new_exposure_while_an_order_of_the_symbol_is_in_doubt():
    doubt = facts(open_orders=(open_order(in_doubt=True),))

    assert refusal(plan(known=doubt)) == (Decision.REJECT, "ORDERS_IN_DOUBT")


def test_a_position_may_shrink_while_an_order_of_the_symbol_is_in_doubt():
    doubt = facts(open_orders=(open_order(in_doubt=True),), position_size=dec(1))

    assert intent(plan(signal(signal_type="sell"), doubt)).quantity == dec("0.02")


# -- the plan itself -----------------------------------------------------------------------------------------------


def test_r01_the_gates_run_in_their_documented_order_and_all_of_them_are_on_record():
    made = plan()

    assert [found.gate for found in made.verdicts] == [gate.__name__ for gate in GATES]
    assert all(found.sentence for found in made.verdicts)


def test_r01_the_gates_after_a_rejection_are_not_asked():
    assert plan(signal(expires_at=NOW)).verdicts[-1].gate == "freshness"


def test_x02_an_intent_has_the_id_of_its_signal_attempt_and_part():
    made = intent(plan(known=facts(attempt=3)))

    assert made.order_id == client_order_id("om", "paper", "linear", "main", "BTCUSDT", "s1", 3, 0)


def test_s07_another_attempt_is_another_order():
    assert intent(plan(known=facts(attempt=2))).order_id != intent(plan()).order_id


def test_the_plan_says_whose_it_is_and_what_it_was_made_on():
    known = facts()

    made = plan(known=known)

    assert (made.signal_id, made.source, made.attempt, made.account) == ("s1", "signals-0-7", 1, "main")
    assert (made.facts, made.planned_at_ns, made.instrument) == (known, NOW, BTC)


def test_d04_exactly_the_amount_is_used_when_the_grid_allows():
    made = plan_signal(
        signal(amount="1000", order_type="market"),
        facts(),
        PlanSettings(),
        instrument=BTC,
        source="signals-0-7",
        phase=1,
    )

    assert intent(made).quantity * Decimal(50_000) == dec(1000)
