"""At which price, as which type and with which flags (requirements D01, D02, D03, D06)."""

from __future__ import annotations

import pytest
from domain_cases import NOW, SECOND, dec, facts, intent, plan, quote, refusal, rules, settings, signal, verdict

from domain.instruments import Quote
from domain.orders import OrderType, TimeInForce
from domain.plans import Decision, Outcome


def snapshot(**figures: str) -> dict[str, str]:
    return {"price": "50000", **figures}


# -- price ---------------------------------------------------------------------------------------------------------


def test_d06_the_snapshots_price_is_the_reference():
    made = plan(known=facts(quote=quote("50100")))

    assert made.reference_price == dec(50_000)
    assert verdict(made, "reference_price").figures["source"] == "snapshot"


def test_d06_without_a_snapshot_the_quotes_middle_is_the_reference():
    made = plan(signal(market_data_snapshot=None), facts(quote=quote("40000", spread="100")))

    assert (made.reference_price, intent(made).price) == (dec(40_000), dec(39_950))


def test_d06_a_snapshot_older_than_its_limit_gives_way_to_the_quote():
    made = plan(
        known=facts(now_ns=NOW + 11 * SECOND, quote=quote("50200", at_ns=NOW + 10 * SECOND)),
        settings=settings(max_snapshot_age_ns=10 * SECOND),
    )

    assert made.reference_price == dec(50_200)


def test_d06_snapshot_and_quote_are_good_up_to_their_age_limit():
    limit = settings(max_snapshot_age_ns=10 * SECOND)

    by_snapshot = plan(known=facts(now_ns=NOW + 10 * SECOND), settings=limit)
    by_quote = plan(signal(market_data_snapshot=None), facts(now_ns=NOW + 10 * SECOND), limit)

    assert verdict(by_snapshot, "reference_price").figures["source"] == "snapshot"
    assert verdict(by_quote, "reference_price").figures["source"] == "quote"


def test_d06_a_locked_book_is_two_sided_and_has_no_spread():
    made = plan(signal(market_data_snapshot=None), facts(quote=quote("50000", spread="0")))

    assert verdict(made, "reference_price").figures == {"price": "50000", "source": "quote", "spread": "0"}
    assert intent(made).rule == "narrow_spread"


def test_d06_a_book_without_bids_has_no_middle():
    no_bids = Quote(bid=dec(0), ask=dec(90_000), last=dec(50_000), mark=dec(50_000), at_ns=NOW)

    assert plan(signal(market_data_snapshot=None), facts(quote=no_bids)).reference_price == dec(50_000)


def test_d06_a_one_sided_book_is_priced_by_its_last_trade():
    made = plan(signal(market_data_snapshot=None), facts(quote=quote("50000", spread="200000")))

    assert made.reference_price == dec(50_000)
    assert verdict(made, "order_type").code == "NO_SPREAD"


def test_d06_without_any_fresh_price_the_signal_is_refused():
    old = facts(now_ns=NOW + SECOND, quote=quote(at_ns=NOW - 60 * SECOND))

    assert refusal(plan(signal(market_data_snapshot=None), old)) == (Decision.REJECT, "NO_PRICE")
    assert refusal(plan(signal(market_data_snapshot=None), facts(quote=None)))[1] == "NO_PRICE"


def test_d06_a_limit_price_of_its_own_is_a_price():
    made = plan(signal(market_data_snapshot=None, limit_price="40000"), facts(quote=None))

    assert (intent(made).price, intent(made).quantity) == (dec(40_000), dec("0.025"))


def test_d06_a_drift_over_the_warning_is_told_and_traded():
    made = plan(known=facts(quote=quote("53000")))

    assert intent(made)
    assert made.warnings == ("PRICE_DRIFT: the price moved 6 % since the snapshot, from 50000 to 53000",)
    assert verdict(made, "price_drift").figures["drift"] == "0.06"


def test_d06_a_drift_at_the_warning_is_not_told():
    assert plan(known=facts(quote=quote("52500"))).warnings == ()


def test_d06_a_drift_at_the_limit_is_traded():
    assert intent(plan(known=facts(quote=quote("45000")), settings=settings(price_drift_reject=dec("0.1"))))


def test_d06_a_drift_over_the_limit_is_rejected_where_one_is_set():
    made = plan(known=facts(quote=quote("45000")), settings=settings(price_drift_reject=dec("0.09")))

    assert refusal(made) == (Decision.REJECT, "PRICE_DRIFT")
    assert refusal(plan(known=facts(quote=None), settings=settings(price_drift_reject=dec("0.09"))))[1] == (
        "PRICE_DRIFT_UNKNOWN"
    )


# -- type, flags, limit price --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind", "rule"),
    [
        ({"order_type": "market"}, OrderType.MARKET, "explicit"),
        ({"order_type": "limit", "confidence": 1, "urgency": True}, OrderType.LIMIT, "explicit"),
        ({"limit_price": "49000", "confidence": 1}, OrderType.LIMIT, "limit_price"),
        ({"post_only": True, "confidence": 1}, OrderType.LIMIT, "post_only"),
        ({"confidence": "0.91"}, OrderType.MARKET, "confidence"),
        ({"confidence": "0.9"}, OrderType.LIMIT, "wide_spread"),
        ({"urgency": "immediate"}, OrderType.MARKET, "urgency"),
        ({"market_data_snapshot": snapshot(spread="49.9")}, OrderType.MARKET, "narrow_spread"),
        ({"market_data_snapshot": snapshot(spread="50")}, OrderType.LIMIT, "wide_spread"),
        (
            {"market_data_snapshot": snapshot(spread="1", depth="0.02")},
            OrderType.MARKET,
            "narrow_spread",
        ),
        ({"market_data_snapshot": snapshot(spread="1", depth="0.019")}, OrderType.LIMIT, "thin_book"),
        ({"market_data_snapshot": snapshot()}, OrderType.LIMIT, "wide_spread"),
    ],
)
def test_d01_the_first_rule_that_fires_decides_the_type_and_is_recorded(fields, kind, rule):
    made = plan(signal(**fields))

    assert (intent(made).order_type, intent(made).rule) == (kind, rule)
    assert verdict(made, "order_type").figures == {"type": kind.value, "rule": rule}


def test_d01_without_any_spread_the_order_is_a_limit():
    made = plan(signal(market_data_snapshot={"price": "50000"}), facts(quote=None))

    assert (intent(made).order_type, intent(made).rule, intent(made).price) == (OrderType.LIMIT, "no_spread", 50_000)


def test_d02_a_purchase_rests_half_a_spread_below_rounded_down():
    made = plan(signal(market_data_snapshot={"price": "50000.07", "spread": "100.1"}))

    assert intent(made).price == dec("49950")


def test_d02_a_sale_rests_half_a_spread_above_rounded_up():
    made = plan(
        signal(signal_type="sell", market_data_snapshot={"price": "50000.07", "spread": "100.1"}),
        facts(position_size=dec(1)),
    )

    assert intent(made).price == dec("50050.2")


def test_d02_a_limit_price_of_its_own_wins_and_is_rounded_to_the_passive_side():
    bought = plan(signal(limit_price="49999.99"))
    sold = plan(signal(signal_type="sell", limit_price="50000.01"), facts(position_size=dec(1)))

    assert (intent(bought).price, intent(sold).price) == (dec("49999.9"), dec("50000.1"))
    assert verdict(bought, "limit_price").outcome is Outcome.ADJUST


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"limit_price": "0.01"}, "LIMIT_PRICE_NOT_POSITIVE"),
        ({"limit_price": "0.5"}, "BELOW_MIN_PRICE"),
        ({"limit_price": "2000000"}, "ABOVE_MAX_PRICE"),
        ({"market_data_snapshot": {"price": "100", "spread": "400"}}, "LIMIT_PRICE_NOT_POSITIVE"),
    ],
)
def test_d02_a_limit_price_outside_the_venues_bounds_is_refused(fields, code):
    known = facts(rules=rules(min_price=dec(1)))

    assert refusal(plan(signal(**fields), known)) == (Decision.REJECT, code)


def test_d02_a_limit_price_at_the_venues_bounds_is_taken():
    known = facts(rules=rules(min_price=dec(49_950), max_price=dec(49_950)))

    assert intent(plan(known=known)).price == dec(49_950)


def test_d02_only_rounding_the_signals_own_price_is_an_adjustment():
    derived = plan(signal(market_data_snapshot={"price": "50000.07", "spread": "100.1"}))
    own = plan(signal(limit_price="49000"))

    assert verdict(derived, "limit_price").outcome is Outcome.PASS
    assert "50.05 on the passive side of 50000.07" in verdict(derived, "limit_price").sentence
    assert verdict(own, "limit_price").outcome is Outcome.PASS
    assert "the signal's" in verdict(own, "limit_price").sentence


def test_d03_a_limit_order_rests_as_a_maker_and_a_market_order_does_not_rest():
    limit, market = intent(plan()), intent(plan(signal(order_type="market")))

    assert (limit.time_in_force, limit.post_only) == (TimeInForce.GTC, True)
    assert (market.time_in_force, market.post_only) == (TimeInForce.IOC, False)


@pytest.mark.parametrize("force", [TimeInForce.IOC, TimeInForce.FOK])
def test_d03_a_limit_order_that_must_trade_at_once_is_not_post_only_by_default(force):
    made = intent(plan(signal(order_type="limit", time_in_force=force)))

    assert (made.time_in_force, made.post_only) == (force, False)


def test_d03_the_signals_word_on_post_only_wins_over_the_setting():
    assert intent(plan(signal(post_only=False))).post_only is False
    assert intent(plan(signal(post_only=True), settings=settings(post_only=False))).post_only is True
    assert intent(plan(settings=settings(post_only=False))).post_only is False


def test_d03_a_market_order_asked_to_rest_becomes_ioc_and_says_so():
    made = plan(signal(order_type="market", time_in_force="GTC"))

    assert intent(made).time_in_force is TimeInForce.IOC
    assert verdict(made, "order_flags").outcome is Outcome.ADJUST


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"order_type": "market", "post_only": True}, "MARKET_POST_ONLY"),
        ({"order_type": "market", "limit_price": "50000"}, "MARKET_WITH_LIMIT_PRICE"),
        ({"order_type": "market", "time_in_force": "FOK"}, "MARKET_FOK"),
        ({"post_only": True, "time_in_force": "IOC"}, "POST_ONLY_AT_ONCE"),
        ({"post_only": True, "time_in_force": "FOK"}, "POST_ONLY_AT_ONCE"),
    ],
)
def test_d03_a_combination_that_no_venue_takes_is_refused_here(fields, code):
    assert refusal(plan(signal(**fields))) == (Decision.REJECT, code)
