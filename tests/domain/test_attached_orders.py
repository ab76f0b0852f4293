"""Requirement P07: take-profit and stop-loss go with the order as they are, or the signal is refused with figures."""

from __future__ import annotations

import pytest
from domain_cases import BTC, dec, facts, intent, open_order, plan, refusal, rules, settings, signal, verdict
from hypothesis import given
from hypothesis import strategies as st

from domain.instruments import Instrument
from domain.orders import PositionSide, Side
from domain.plans import Decision, Outcome, PositionMode, ScaleInMode
from domain.protection import Protection, TriggerBy

_PRICES = st.integers(1, 200_000).map(lambda ticks: dec(ticks) / 2)


def test_both_go_with_the_order_and_stand_in_the_verdict():
    made = plan(signal(take_profit="55000", stop_loss="48000"))

    assert intent(made).protection == Protection(take_profit=dec(55_000), stop_loss=dec(48_000))
    assert verdict(made, "attached_orders").figures == {"take_profit": "55000", "stop_loss": "48000"}


def test_which_price_triggers_them_is_a_setting():
    made = plan(signal(stop_loss="48000"), settings=settings(protection_trigger=TriggerBy.MARK))

    assert intent(made).protection == Protection(stop_loss=dec(48_000), trigger_by=TriggerBy.MARK)


def test_without_them_nothing_goes_along():
    assert intent(plan()).protection is None


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"take_profit": "49000"}, "TAKE_PROFIT_WRONG_SIDE", "take_profit 49000 of a buy must lie above 50"),
        ({"stop_loss": "51000"}, "STOP_LOSS_WRONG_SIDE", "stop_loss 51000 of a buy must lie below 50"),
        ({"stop_loss": "48000.01"}, "ATTACHED_OFF_TICK", "stop_loss 48000.01 is not on the tick"),
        ({"take_profit": "90000000"}, "ATTACHED_OUT_OF_RANGE", "take_profit 90000000 is over the maximum"),
    ],
)
def test_what_the_venue_would_refuse_is_refused_with_the_figure_and_the_limit(fields, code, words):
    made = plan(signal(order_type="market", **fields))

    assert refusal(made) == (Decision.REJECT, code)
    assert made.reason.startswith(words)


def test_a_resting_order_counts_from_its_limit_price():
    """The market may be beyond the take-profit now: the order trades at its limit, or not at all."""
    wish = signal(order_type="limit", limit_price="45000", take_profit="49000", stop_loss="44000")

    assert intent(plan(wish)).protection == Protection(take_profit=dec(49_000), stop_loss=dec(44_000))
    assert plan(signal(order_type="limit", limit_price="45000", stop_loss="45000")).code == "STOP_LOSS_WRONG_SIDE"


def test_an_order_that_crosses_the_market_has_its_stop_below_both_prices():
    wish = signal(order_type="limit", post_only=False, limit_price="51000", stop_loss="50500")

    assert plan(wish).code == "STOP_LOSS_WRONG_SIDE"


def test_a_short_takes_its_profit_below_and_its_loss_above():
    wish = signal(signal_type="sell", order_type="market", take_profit="45000", stop_loss="52000")

    made = plan(wish, settings=settings(allow_short=True))

    assert intent(made).protection == Protection(take_profit=dec(45_000), stop_loss=dec(52_000))


def test_an_order_that_only_closes_has_nothing_to_protect():
    wish = signal(signal_type="sell", order_type="market", stop_loss="52000")

    made = plan(wish, facts(position_size=dec("0.02")))

    assert refusal(made) == (Decision.REJECT, "ATTACHED_TO_CLOSING_ORDER")


def test_a_venue_without_them_refuses_by_name():
    made = plan(signal(stop_loss="48000"), settings=settings(venue_protects=False))

    assert refusal(made) == (Decision.REJECT, "ATTACHED_NOT_SUPPORTED")
    assert "stop_loss" in made.reason


def test_spot_has_no_position_to_follow():
    spot = Instrument("paper", "spot", "BTCUSDT")
    known = facts(rules=rules(instrument=spot))

    made = plan(signal(stop_loss="48000"), known, instrument=spot)

    assert refusal(made) == (Decision.REJECT, "ATTACHED_ON_SPOT")


def test_each_side_of_a_hedge_has_its_own():
    hedge = settings(position_mode=PositionMode.HEDGE, allow_short=True)
    wish = signal(signal_type="sell", order_type="market", position_side="short", stop_loss="52000")

    made = intent(plan(wish, settings=hedge))

    assert (made.position_side, made.protection) == (PositionSide.SHORT, Protection(stop_loss=dec(52_000)))


def test_each_part_of_a_split_order_carries_them():
    divided = settings(enable_order_splitting=True, max_single_order_size=dec(400), enable_balance_check=False)

    made = plan(signal(stop_loss="48000", amount="1000"), settings=divided)

    assert len(made.intents) == 3
    assert {part.protection for part in made.intents} == {Protection(stop_loss=dec(48_000))}


@pytest.mark.parametrize(("stop_loss", "taken_up"), [("48000", True), ("47000", False), (None, False)])
def test_a_resting_order_takes_up_only_what_is_protected_alike(stop_loss, taken_up):
    resting = open_order(protection=Protection(stop_loss=dec(48_000)))
    fields = {} if stop_loss is None else {"stop_loss": stop_loss}
    wish = signal(order_type="limit", **fields)

    made = plan(wish, facts(open_orders=(resting,)), settings(scale_in_mode=ScaleInMode.AMEND))

    assert made.decision is Decision.EXECUTE
    assert bool(made.amends) is taken_up


@given(st.sampled_from(Side), st.booleans(), _PRICES, _PRICES)
def test_whatever_is_asked_for_goes_out_whole_and_sound_or_not_at_all(side, market, take_profit, stop_loss):
    wish = signal(
        signal_type=side,
        order_type="market" if market else "limit",
        take_profit=str(take_profit),
        stop_loss=str(stop_loss),
    )

    made = plan(wish, settings=settings(allow_short=True, enable_balance_check=False))

    if made.decision is not Decision.EXECUTE:
        assert made.verdicts[-1].outcome is Outcome.REJECT
        assert made.intents == ()
        return
    (order,) = made.intents
    assert order.protection == Protection(take_profit=take_profit, stop_loss=stop_loss)
    assert order.price is not None
    assert (take_profit - order.price) * side.sign > 0
    assert (order.price - stop_loss) * side.sign > 0
    assert take_profit % rules().tick == stop_loss % rules().tick == 0
    assert made.instrument == BTC
