"""What becomes of a signal, requirement by requirement."""

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
    open_order,
    plan,
    quote,
    rules,
    signal,
    verdict,
)

from domain.ids import client_order_id
from domain.instruments import Instrument, Quote
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.planning import GATES, plan_signal
from domain.plans import Decision, Intent, Outcome, Plan, PlanSettings, TradingState, WarmupMode


def snapshot(**figures: str) -> dict[str, str]:
    return {"price": "50000", **figures}


def settings(**changed: object) -> PlanSettings:
    return PlanSettings(**changed)  # type: ignore[arg-type]  # each test names the setting it is about


def intent(made: Plan) -> Intent:
    assert made.decision is Decision.EXECUTE, made.reason
    (only,) = made.intents
    return only


def refusal(made: Plan) -> tuple[Decision, str]:
    assert made.intents == ()
    assert made.cancels == ()
    assert made.reason
    assert made.verdicts[-1].outcome is Outcome.REJECT
    return made.decision, made.code


# -- may it be traded ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [WarmupMode.SIMULATE, WarmupMode.IGNORE])
def test_s08_a_warm_up_signal_is_not_executed(mode):
    made = plan(signal(is_warmup=True), settings=settings(warmup_mode=mode))

    assert refusal(made) == (Decision.IGNORE, "WARMUP")


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


@pytest.mark.parametrize("field", ["take_profit", "stop_loss"])
def test_p07_what_cannot_go_with_the_order_is_refused_never_dropped(field):
    made = plan(signal(**{field: "51000"}))

    assert refusal(made) == (Decision.REJECT, "NOT_SUPPORTED")
    assert field in made.reason


@pytest.mark.parametrize(
    ("known", "instrument", "code"),
    [
        ({"rules": None}, BTC, "INSTRUMENT_UNKNOWN"),
        ({"rules": rules(trading=False)}, BTC, "INSTRUMENT_NOT_TRADING"),
        ({"rules": rules(lot=dec(0))}, BTC, "INSTRUMENT_WITHOUT_GRID"),
        ({"rules": rules(tick=dec(0))}, BTC, "INSTRUMENT_WITHOUT_GRID"),
        ({"rules": rules(settle_currency="BTC")}, BTC, "INVERSE_NOT_SUPPORTED"),
        ({}, Instrument("paper", "inverse", "BTCUSD"), "INVERSE_NOT_SUPPORTED"),
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
    assert (market.time_in_force, market.post_only, market.price) == (TimeInForce.IOC, False, None)


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


# -- how much ------------------------------------------------------------------------------------------------------


def test_d04_the_quantity_is_the_amount_over_the_price_floored_to_the_lot():
    made = plan(signal(amount="1099.99"))

    assert intent(made).quantity == dec("0.021")
    assert intent(made).amount == dec("1099.99")


def test_d04_an_amount_under_one_lot_is_rejected():
    assert refusal(plan(signal(amount="49.99"))) == (Decision.REJECT, "BELOW_ONE_LOT")


def test_d04_under_the_minimum_quantity_is_rejected_with_the_figures():
    made = plan(signal(amount="60"), facts(rules=rules(min_quantity=dec("0.002"))))

    assert refusal(made) == (Decision.REJECT, "BELOW_MIN_QUANTITY")
    assert made.reason == "quantity 0.001 BTC is under the minimum 0.002 BTC"


def test_d04_under_the_minimum_notional_is_rejected_with_the_figures():
    made = plan(signal(amount="60", order_type="market"), facts(rules=rules(min_notional=dec(55))))

    assert refusal(made) == (Decision.REJECT, "BELOW_MIN_NOTIONAL")
    assert made.reason == "notional 50 USDT is under the minimum 55 USDT"


@pytest.mark.parametrize(("kind", "most"), [("market", "max_market_quantity"), ("limit", "max_quantity")])
def test_d04_over_the_maximum_of_its_type_is_rejected_with_the_figures(kind, most):
    made = plan(signal(order_type=kind), facts(rules=rules(**{most: dec("0.019")})))

    assert refusal(made) == (Decision.REJECT, "ABOVE_MAX_QUANTITY")
    assert made.reason == "quantity 0.02 BTC is over the maximum 0.019 BTC"


def test_d04_the_minimum_and_the_maximum_themselves_are_within_the_bounds():
    exact = rules(min_quantity=dec("0.02"), max_quantity=dec("0.02"), min_notional=dec("0.02") * dec(49_950))

    assert intent(plan(known=facts(rules=exact))).quantity == dec("0.02")


def test_d04_a_maximum_of_nothing_means_that_the_venue_states_none():
    assert intent(plan(known=facts(rules=rules(max_quantity=dec(0), max_price=dec(0)))))


# -- scale-out and sides -------------------------------------------------------------------------------------------


def test_d10_a_sale_closes_at_most_what_is_held_and_is_reduce_only():
    made = plan(signal(signal_type="sell"), facts(position_size=dec("0.0155")))

    assert (intent(made).quantity, intent(made).reduce_only) == (dec("0.015"), True)
    assert verdict(made, "scale_out").outcome is Outcome.ADJUST


def test_d10_a_sale_of_exactly_what_is_held_is_not_adjusted():
    made = plan(signal(signal_type="sell"), facts(position_size=dec("0.02")))

    assert intent(made).quantity == dec("0.02")
    assert verdict(made, "scale_out").outcome is Outcome.PASS


def test_d10_with_nothing_held_there_is_nothing_to_sell():
    assert refusal(plan(signal(signal_type="sell"))) == (Decision.REJECT, "NOTHING_TO_SELL")
    assert refusal(plan(signal(signal_type="sell"), facts(position_size=dec(-1))))[1] == "NOTHING_TO_SELL"


def test_d10_what_resting_sales_may_close_is_not_sold_twice():
    resting = open_order(side=Side.SELL, leaves=dec("0.03"), executed=dec("0.01"), price=dec(51_000))

    made = plan(signal(signal_type="sell"), facts(position_size=dec("0.04"), open_orders=(resting,)))

    assert intent(made).quantity == dec("0.01")


def test_d10_a_resting_sale_that_makes_way_frees_what_it_held():
    resting = open_order(side=Side.SELL, leaves=dec("0.03"), price=dec(51_000))

    made = plan(signal(signal_type="sell"), facts(position_size=dec("0.03"), open_orders=(resting,)))

    assert [cancel.order_id for cancel in made.cancels] == ["o1"]
    assert verdict(made, "scale_out").figures["closable"] == "0.03"


def test_d10_going_short_is_possible_where_it_is_allowed():
    made = plan(signal(signal_type="sell"), facts(position_size=dec("0.005")), settings(allow_short=True))

    assert (intent(made).quantity, intent(made).reduce_only) == (dec("0.02"), False)
    assert verdict(made, "scale_out").figures["opening"] == "0.015"


def test_d10_spot_never_goes_short_and_knows_no_reduce_only():
    known = facts(rules=rules(instrument=SPOT_BTC), position_size=dec("0.01"))

    made = plan(signal(signal_type="sell"), known, settings(allow_short=True), instrument=SPOT_BTC)

    assert (intent(made).quantity, intent(made).reduce_only) == (dec("0.01"), False)


def test_d03_a_reduce_only_signal_only_reduces():
    bought_back = plan(signal(reduce_only=True), facts(position_size=dec("-0.01")))

    assert (intent(bought_back).quantity, intent(bought_back).reduce_only) == (dec("0.01"), True)
    assert refusal(plan(signal(reduce_only=True), facts(position_size=dec(1))))[1] == "NOTHING_TO_REDUCE"


def test_d03_a_reduce_only_purchase_on_spot_is_refused():
    made = plan(signal(reduce_only=True), facts(rules=rules(instrument=SPOT_BTC)), instrument=SPOT_BTC)

    assert refusal(made)[1] == "REDUCE_ONLY_BUY_ON_SPOT"


@pytest.mark.parametrize(
    ("kind", "side", "size", "reduces"),
    [("buy", "long", "0", False), ("sell", "long", "1", True), ("buy", "short", "-1", True)],
)
def test_d11_in_hedge_mode_an_order_names_its_side(kind, side, size, reduces):
    made = plan(signal(signal_type=kind, position_side=side), facts(position_size=dec(size)))

    assert (intent(made).position_side, intent(made).reduce_only) == (PositionSide(side), reduces)


def test_d11_resting_orders_of_the_other_side_hold_nothing_of_this_one():
    other = open_order(side=Side.SELL, external=True, leaves=dec("0.05"), position_side=PositionSide.SHORT)
    buying = open_order(external=True, leaves=dec("0.05"), position_side=PositionSide.LONG)

    made = plan(
        signal(signal_type="sell", position_side="long"), facts(position_size=dec("0.05"), open_orders=(other, buying))
    )

    assert verdict(made, "scale_out").figures["closable"] == "0.05"


def test_d11_opening_a_short_side_needs_leave():
    short = signal(signal_type="sell", position_side="short")

    assert refusal(plan(short))[1] == "SHORT_NOT_ALLOWED"
    assert intent(plan(short, settings=settings(allow_short=True))).position_side is PositionSide.SHORT


def test_d11_spot_has_no_sides():
    made = plan(signal(position_side="long"), facts(rules=rules(instrument=SPOT_BTC)), instrument=SPOT_BTC)

    assert refusal(made)[1] == "NO_POSITION_SIDE_ON_SPOT"


# -- balance -------------------------------------------------------------------------------------------------------


def test_r02_what_is_free_must_pay_for_the_limit_price_and_the_fee():
    need = dec("0.02") * dec(49_950) * dec("1.00055")

    assert intent(plan(known=facts(available=need)))
    made = plan(known=facts(available=need - dec("0.000001")))
    assert refusal(made) == (Decision.REJECT, "INSUFFICIENT_BALANCE")
    assert made.reason == "need 999.54945 USDT, free 999.549449 USDT"


def test_r02_a_market_order_must_be_paid_for_at_the_slippage_guard():
    need = dec("0.02") * dec(50_000) * dec("1.01") * dec("1.00055")
    market = signal(order_type="market")

    assert intent(plan(market, facts(available=need)))
    assert refusal(plan(market, facts(available=need - dec("0.01"))))[1] == "INSUFFICIENT_BALANCE"


def test_r02_a_short_is_counted_at_the_higher_of_its_limit_and_the_reference():
    short, allowed = signal(signal_type="sell"), settings(allow_short=True)
    below = signal(signal_type="sell", limit_price="49000")

    assert plan(short, settings=allowed).verdicts[-1].figures["worst_price"] == "50050"
    assert plan(below, settings=allowed).verdicts[-1].figures["worst_price"] == "50000"


def test_r02_what_is_reserved_and_the_cash_reserve_are_not_free():
    made = plan(known=facts(available=dec(1500), reserved=dec(300)), settings=settings(cash_reserve=dec(300)))

    assert refusal(made)[1] == "INSUFFICIENT_BALANCE"
    assert made.verdicts[-1].figures["free"] == "900"


def test_r02_leverage_carries_contracts_but_not_spot():
    thin, tenfold = facts(available=dec(150)), settings(leverage=dec(10))

    assert intent(plan(known=thin, settings=tenfold))
    spot = facts(available=dec(150), rules=rules(instrument=SPOT_BTC))
    assert refusal(plan(known=spot, settings=tenfold, instrument=SPOT_BTC))[1] == "INSUFFICIENT_BALANCE"


def test_r06_with_an_unknown_balance_nothing_is_added_and_reducing_goes_on():
    unknown = facts(available=None, position_size=dec(1))

    assert refusal(plan(known=unknown)) == (Decision.REJECT, "BALANCE_UNKNOWN")
    assert intent(plan(signal(signal_type="sell"), unknown))


def test_r02_without_the_check_the_venue_decides():
    assert intent(plan(known=facts(available=None), settings=settings(enable_balance_check=False)))


def test_r02_only_the_first_phase_counts_on_what_a_cancelled_order_gives_back():
    known = facts(available=dec(900), open_orders=(open_order(),))

    assert [cancel.order_id for cancel in plan(known=known).cancels] == ["o1"]
    assert refusal(plan(known=known, phase=2))[1] == "INSUFFICIENT_BALANCE"


@pytest.mark.parametrize(
    "gives_nothing",
    [{"price": None}, {"reduce_only": True}, {"side": Side.SELL}],
    ids=lambda changed: next(iter(changed)),
)
def test_r02_a_cancelled_order_that_took_nothing_gives_nothing_back(gives_nothing):
    made = plan(known=facts(open_orders=(open_order(**gives_nothing),)))

    assert verdict(made, "balance").figures["released"] == "0"


# -- cancelling ----------------------------------------------------------------------------------------------------


def cancelled(made: Plan) -> list[str]:
    assert made.decision is Decision.EXECUTE, made.reason
    return [cancel.order_id for cancel in made.cancels]


_BUY, _SELL = open_order("buy"), open_order("sell", side=Side.SELL, price=dec(51_000))


def test_c01_resting_orders_of_the_symbol_make_way_and_nothing_is_created_yet():
    made = plan(known=facts(open_orders=(_BUY, _SELL)))

    assert cancelled(made) == ["buy", "sell"]
    assert (made.phase, made.intents) == (1, ())
    assert made.cancels[0].reason == "makes way for the limit buy of signal s1"


def test_c01_the_second_phase_creates_and_cancels_nothing():
    made = plan(known=facts(open_orders=(_SELL,)), phase=2)

    assert (made.phase, made.cancels) == (2, ())
    assert intent(made).quantity == dec("0.02")


def test_c01_only_opposite_orders_make_way_where_the_setting_says_so():
    made = plan(known=facts(open_orders=(_BUY, _SELL)), settings=settings(cancel_opposite_orders_only=True))

    assert cancelled(made) == ["sell"]


def test_c01_a_market_signal_clears_resting_limits_of_both_sides():
    made = plan(
        signal(order_type="market"),
        facts(open_orders=(_BUY, _SELL)),
        settings(cancel_opposite_orders_only=True),
    )

    assert cancelled(made) == ["buy", "sell"]


def test_c01_a_partially_filled_order_stays_unless_the_setting_says_otherwise():
    known = facts(open_orders=(open_order(executed=dec("0.001")),))

    assert cancelled(plan(known=known)) == []
    assert cancelled(plan(known=known, settings=settings(cancel_partially_filled=True))) == ["o1"]


def test_c01_external_orders_are_never_cancelled():
    assert cancelled(plan(known=facts(open_orders=(open_order(external=True),)))) == []


def test_c01_an_order_in_doubt_is_not_cancelled():
    known = facts(open_orders=(open_order(in_doubt=True), _SELL), position_size=dec(1))

    assert cancelled(plan(signal(signal_type="sell"), known)) == ["sell"]


def test_c01_a_rejected_signal_cancels_nothing():
    made = plan(signal(amount="1"), facts(open_orders=(_BUY,)))

    assert refusal(made)[1] == "BELOW_ONE_LOT"


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
