"""How much, on which side, and whether it can be paid for (requirements D04, D10, D11, R02, R06)."""

from __future__ import annotations

import pytest
from domain_cases import (
    BTCUSD,
    INVERSE_RULES,
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
    verdict,
)

from domain.limits import Limits
from domain.money import divide
from domain.orders import PositionSide, Side
from domain.plans import Decision, Outcome, PositionMode

HEDGE = settings(position_mode=PositionMode.HEDGE)

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


def test_r02_a_purchase_on_spot_is_paid_for_even_where_more_was_sold_than_bought():
    sold_by_hand = facts(rules=rules(instrument=SPOT_BTC), position_size=dec(-1), available=dec(500))

    made = plan(signal(), sold_by_hand, instrument=SPOT_BTC)

    assert refusal(made)[1] == "INSUFFICIENT_BALANCE"
    assert verdict(made, "scale_out").figures["opening"] == verdict(made, "scale_out").figures["wanted"]


def test_r03_coins_that_were_sold_and_came_from_elsewhere_leave_no_room_on_spot():
    known = facts(rules=rules(instrument=SPOT_BTC), position_size=dec(-1), limits=Limits(max_position_size=dec(900)))

    assert refusal(plan(signal(), known, instrument=SPOT_BTC))[1] == "MAX_POSITION_SIZE"


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
    made = plan(signal(signal_type=kind, position_side=side), facts(position_size=dec(size)), HEDGE)

    assert (intent(made).position_side, intent(made).reduce_only) == (PositionSide(side), reduces)


def test_d11_resting_orders_of_the_other_side_hold_nothing_of_this_one():
    other = open_order(side=Side.SELL, external=True, leaves=dec("0.05"), position_side=PositionSide.SHORT)
    buying = open_order(external=True, leaves=dec("0.05"), position_side=PositionSide.LONG)

    made = plan(
        signal(signal_type="sell", position_side="long"),
        facts(position_size=dec("0.05"), open_orders=(other, buying)),
        HEDGE,
    )

    assert verdict(made, "scale_out").figures["closable"] == "0.05"


def test_d11_opening_a_short_side_needs_leave():
    short = signal(signal_type="sell", position_side="short")

    assert refusal(plan(short, settings=HEDGE))[1] == "SHORT_NOT_ALLOWED"
    allowed = settings(allow_short=True, position_mode=PositionMode.HEDGE)
    assert intent(plan(short, settings=allowed)).position_side is PositionSide.SHORT


def test_d11_a_signal_without_a_side_means_the_long_one_in_hedge_mode():
    held = facts(position_size=dec(1))

    assert intent(plan(settings=HEDGE)).position_side is PositionSide.LONG
    sold = intent(plan(signal(signal_type="sell"), held, HEDGE))
    assert (sold.position_side, sold.reduce_only) == (PositionSide.LONG, True)
    closed = intent(plan(signal(reduce_only=True), facts(position_size=dec(-1)), HEDGE))
    assert (closed.position_side, closed.reduce_only) == (PositionSide.SHORT, True)


def test_d11_a_side_that_is_the_wrong_way_round_has_nothing_to_close():
    closes_short = signal(reduce_only=True, position_side="short")

    assert refusal(plan(closes_short, facts(position_size=dec("0.01")), settings=HEDGE))[1] == "NOTHING_TO_REDUCE"


def test_d11_one_way_mode_has_no_sides():
    assert refusal(plan(signal(position_side="long"))) == (Decision.REJECT, "ONE_WAY_MODE")
    assert refusal(plan(signal(position_side="net"), settings=HEDGE)) == (Decision.REJECT, "HEDGE_MODE")


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


# -- inverse contracts ---------------------------------------------------------------------------------------------


def test_d04_inverse_contracts_are_counted_in_the_quote_currency():
    made = plan(signal(amount="1099.99"), facts(rules=INVERSE_RULES), instrument=BTCUSD)

    assert intent(made).quantity == dec(1099)


def test_r02_inverse_contracts_are_paid_for_in_the_base_currency():
    need = divide(dec(1000), dec(49_950)) * dec("1.00055")

    assert intent(plan(known=facts(rules=INVERSE_RULES, available=need), instrument=BTCUSD))
    short_of = facts(rules=INVERSE_RULES, available=need - dec("0.000000001"))
    assert refusal(plan(known=short_of, instrument=BTCUSD))[1] == "INSUFFICIENT_BALANCE"
