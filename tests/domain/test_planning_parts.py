"""How an order goes out: guarded, in parts, or on a resting order (requirements C01, D07, D08, D10)."""

from __future__ import annotations

import pytest
from domain_cases import (
    NOW,
    SECOND,
    dec,
    facts,
    intent,
    open_order,
    plan,
    quote,
    refusal,
    rules,
    settings,
    signal,
    verdict,
)
from msgspec.structs import replace

from domain.limits import Limits
from domain.orders import OrderType, Side, TimeInForce
from domain.plans import Decision, MarketGuard, ScaleInMode, TradingState

MARKET = signal(order_type="market")

# -- the guard -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "slippage", "guard"),
    [
        ("buy", "0.01", "50500"),
        ("sell", "0.01", "49500"),
        ("buy", "0.000013", "50000.6"),
        ("sell", "0.000013", "49999.4"),
    ],
)
def test_d07_a_market_order_carries_its_worst_price_on_the_protecting_side_of_the_tick(side, slippage, guard):
    wish = signal(order_type="market", signal_type=side)

    made = intent(plan(wish, facts(position_size=dec(1)), settings(max_slippage=dec(slippage))))

    assert (made.order_type, made.time_in_force, made.price) == (OrderType.MARKET, TimeInForce.IOC, dec(guard))


def test_d07_the_guard_starts_from_the_market_now_where_that_is_known():
    assert intent(plan(MARKET, facts(quote=quote("51000")))).price == dec("51510")
    assert intent(plan(MARKET, facts(quote=None))).price == dec("50500")


def test_d07_a_guard_stays_within_the_venues_prices():
    assert intent(plan(MARKET, facts(rules=rules(max_price=dec(50_200))))).price == dec(50_200)
    sale = signal(order_type="market", signal_type="sell")
    held = facts(position_size=dec(1), rules=rules(min_price=dec(49_900)))
    assert intent(plan(sale, held)).price == dec(49_900)


@pytest.mark.parametrize(("depth", "code"), [("0.02", ""), ("0.019", "BOOK_TOO_THIN"), (None, "DEPTH_UNKNOWN")])
def test_d07_a_plain_market_order_needs_a_book_that_covers_it(depth, code):
    snapshot = {"price": "50000", "spread": "100"} | ({"depth": depth} if depth else {})
    wish = signal(order_type="market", market_data_snapshot=snapshot)

    made = plan(wish, settings=settings(market_guard=MarketGuard.DEPTH))

    assert made.code == code
    assert code or intent(made).price is None


def test_d07_a_sale_at_market_must_reach_the_minimum_notional_at_its_guard():
    sale = signal(order_type="market", signal_type="sell")
    known = facts(position_size=dec(1), rules=rules(min_notional=dec(995)))

    assert refusal(plan(sale, known))[1] == "BELOW_MIN_NOTIONAL"


# -- parts ---------------------------------------------------------------------------------------------------------


def parts(most: str, **changed: object) -> list[str]:
    made = plan(settings=settings(enable_order_splitting=True, max_single_order_size=dec(most), **changed))
    assert made.decision is Decision.EXECUTE, made.reason
    return [format(each.quantity, "f") for each in made.intents]


def test_d08_an_order_becomes_the_fewest_near_equal_parts():
    assert parts("1000") == ["0.020"]
    assert parts("999") == ["0.010", "0.010"]
    assert parts("499") == ["0.007", "0.007", "0.006"]
    assert parts("350") == ["0.007", "0.007", "0.006"]
    assert parts("50") == ["0.001"] * 20


def test_d08_the_parts_share_amount_and_need_and_never_more():
    made = plan(settings=settings(enable_order_splitting=True, max_single_order_size=dec(350)))

    assert [each.amount for each in made.intents] == [dec(350), dec(350), dec(300)]
    whole = intent(plan())
    assert sum(each.need for each in made.intents) == whole.need
    assert len({each.order_id for each in made.intents}) == 3
    assert [each.part for each in made.intents] == [0, 1, 2]


def test_d08_parts_may_be_staggered():
    made = plan(
        settings=settings(enable_order_splitting=True, max_single_order_size=dec(350), split_interval_ns=5 * SECOND)
    )

    assert [each.due_ns for each in made.intents] == [0, NOW + 5 * SECOND, NOW + 10 * SECOND]


def test_d08_a_part_that_would_not_be_valid_alone_refuses_the_whole():
    known = facts(rules=rules(min_notional=dec(400)))
    splitting = settings(enable_order_splitting=True, max_single_order_size=dec(350))

    assert refusal(plan(known=known, settings=splitting))[1] == "BELOW_MIN_NOTIONAL"


def test_d08_over_the_venues_maximum_is_split_too():
    known = facts(rules=rules(max_quantity=dec("0.009")))

    made = plan(known=known, settings=settings(enable_order_splitting=True))

    assert [each.quantity for each in made.intents] == [dec("0.007"), dec("0.007"), dec("0.006")]
    assert refusal(plan(known=known))[1] == "ABOVE_MAX_QUANTITY"


def test_d08_a_single_size_under_one_lot_and_too_many_parts_are_refused():
    tiny = settings(enable_order_splitting=True, max_single_order_size=dec(49))
    assert refusal(plan(settings=tiny))[1] == "SINGLE_ORDER_SIZE_TOO_SMALL"
    many = settings(enable_order_splitting=True, max_single_order_size=dec(50))
    assert refusal(plan(signal(amount="5050"), settings=many))[1] == "TOO_MANY_PARTS"


# -- on a resting order --------------------------------------------------------------------------------------------


def test_d10_new_leaves_resting_orders_of_its_direction_alone():
    made = plan(known=facts(open_orders=(open_order(),)), settings=settings(scale_in_mode=ScaleInMode.NEW))

    assert made.cancels == ()
    assert intent(made).quantity == dec("0.02")


@pytest.mark.parametrize("mode", list(ScaleInMode))
def test_d10_the_mode_says_nothing_of_the_opposite_direction(mode):
    opposite = open_order("o2", side=Side.SELL, price=dec(51_000))

    made = plan(known=facts(open_orders=(opposite,)), settings=settings(scale_in_mode=mode))

    assert [cancel.order_id for cancel in made.cancels] == ["o2"]


def test_d10_amend_raises_the_newest_resting_order_to_both_quantities_at_the_new_price():
    resting = (open_order(), open_order("o2", leaves=dec("0.01"), executed=dec("0.005")))

    made = plan(known=facts(open_orders=resting), settings=settings(scale_in_mode=ScaleInMode.AMEND))

    assert (made.cancels, made.intents) == ((), ())
    [amend] = made.amends
    assert (amend.order_id, amend.quantity, amend.price) == ("o2", dec("0.035"), dec("49950"))
    assert (amend.added, amend.amount) == (dec("0.02"), dec(1000))
    assert verdict(made, "cancels").code == "AMENDS"


@pytest.mark.parametrize(
    "unfit",
    [
        *({"external": True}, {"in_doubt": True}, {"order_type": OrderType.MARKET}),
        *({"reduce_only": True}, {"ending": True}),
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_d10_only_a_resting_limit_of_ours_is_amended(unfit):
    made = plan(known=facts(open_orders=(open_order(**unfit),)), settings=settings(scale_in_mode=ScaleInMode.AMEND))

    assert made.amends == ()


@pytest.mark.parametrize(
    ("wish", "known"),
    [({"reduce_only": True}, {}), ({}, {"trading": TradingState.REDUCE_ONLY})],
    ids=["signal", "state"],
)
def test_d10_what_may_only_close_is_an_order_of_its_own(wish, known):
    resting = open_order(side=Side.SELL, price=dec(51_000))
    state = facts(open_orders=(resting,), position_size=dec(1), **known)

    made = plan(signal(signal_type="sell", **wish), state, settings(scale_in_mode=ScaleInMode.AMEND, allow_short=True))

    assert made.amends == ()
    assert intent(made).reduce_only


def test_d10_a_market_order_and_the_second_phase_amend_nothing():
    amending = settings(scale_in_mode=ScaleInMode.AMEND)
    known = facts(open_orders=(open_order(),))

    assert intent(plan(MARKET, known, amending))
    assert intent(plan(known=known, settings=amending, phase=2))


# -- parts of other signals that wait ------------------------------------------------------------------------------

BESIDE = settings(scale_in_mode=ScaleInMode.NEW)


def test_d08_what_waiting_parts_will_close_is_not_sold_twice():
    waiting = open_order("o2", side=Side.SELL, leaves=dec("0.03"), reduce_only=True)
    known = facts(position_size=dec("0.04"), waiting=(waiting,))

    made = plan(signal(signal_type="sell"), known, BESIDE)

    assert intent(made).quantity == dec("0.01")


def test_d08_waiting_parts_count_for_the_limits_of_their_symbol():
    waiting = open_order("o2", side=Side.BUY, leaves=dec("0.03"))
    limits = Limits(max_position_size=dec(2000), max_open_orders_per_symbol=1)

    made = plan(signal(), facts(waiting=(waiting,), limits=limits), BESIDE)
    by_number = plan(signal(), facts(waiting=(waiting,), limits=replace(limits, max_position_size=None)), BESIDE)

    assert refusal(made)[1] == "MAX_POSITION_SIZE"
    assert refusal(by_number)[1] == "MAX_OPEN_ORDERS_PER_SYMBOL"


@pytest.mark.parametrize("side", Side)
def test_c01_waiting_parts_that_make_way_count_for_nothing(side):
    waiting = open_order("o2", side=side, leaves=dec("0.03"))
    limits = Limits(max_position_size=dec(2000), max_open_orders_per_symbol=1)

    made = plan(signal(), facts(waiting=(waiting,), limits=limits))

    assert made.decision is Decision.EXECUTE


def test_c01_parts_of_the_other_side_make_way_in_every_mode():
    waiting = open_order("o2", side=Side.SELL, leaves=dec("0.03"))

    made = plan(signal(), facts(waiting=(waiting,), limits=Limits(max_open_orders_per_symbol=1)), BESIDE)

    assert made.decision is Decision.EXECUTE
