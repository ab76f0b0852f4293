"""Which resting orders make way (requirement C01)."""

from __future__ import annotations

from domain_cases import dec, facts, intent, open_order, plan, refusal, settings, signal

from domain.orders import Side
from domain.plans import Decision, Plan

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
