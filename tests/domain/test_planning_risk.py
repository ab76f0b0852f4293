"""What holds an order back although the venue would take it (requirements D12, R03, R07)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from domain_cases import NOW, SECOND, dec, facts, intent, open_order, plan, refusal, settings, signal, verdict

from domain.errors import InvalidInput
from domain.limits import AccountLoad, Limits, RiskAction, merged, read_limits
from domain.orders import Side
from domain.plans import Decision, Outcome

SHRINK = settings(risk_action=RiskAction.SHRINK)


def under(load: AccountLoad | None = None, **limits: object) -> dict[str, object]:
    """Facts with these limits in force."""
    return {"limits": merged(Limits(), read_limits(limits)), "load": load or AccountLoad()}


# -- one order -----------------------------------------------------------------------------------------------------


def test_r03_an_order_over_its_size_is_refused_with_the_figures():
    made = plan(known=facts(**under(max_order_size="998")))

    assert refusal(made) == (Decision.REJECT, "MAX_ORDER_SIZE")
    assert made.reason == "1000 USDT is over MAX_ORDER_SIZE 998"
    assert made.verdicts[-1].figures == {"order": "1000", "carried": "0", "limit": "998"}


def test_r03_an_order_at_the_limit_passes():
    assert intent(plan(known=facts(**under(max_order_size="1000")))).quantity == dec("0.02")


def test_r03_an_order_over_its_size_shrinks_to_whole_lots_where_that_is_wanted():
    made = plan(known=facts(**under(max_order_size="990")), settings=SHRINK)

    assert intent(made).quantity == dec("0.019")
    assert verdict(made, "order_size").outcome is Outcome.ADJUST


def test_r03_an_order_that_cannot_shrink_to_one_lot_is_refused():
    assert refusal(plan(known=facts(**under(max_order_size="49")), settings=SHRINK))[1] == "MAX_ORDER_SIZE"


def test_r03_market_orders_have_a_limit_of_their_own():
    known = facts(**under(max_market_order_size="900"))

    assert intent(plan(known=known))
    assert refusal(plan(signal(order_type="market"), known))[1] == "MAX_MARKET_ORDER_SIZE"


def test_r03_an_order_is_at_most_a_part_of_the_balance():
    assert intent(plan(known=facts(**under(max_order_size_ratio="0.1"))))
    assert refusal(plan(known=facts(**under(max_order_size_ratio="0.09"))))[1] == "MAX_ORDER_SIZE_RATIO"


# -- what is held --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "resting", "most", "passes"),
    [
        ("0", "0", "1000", True),
        ("0.001", "0", "1000", False),
        ("0.001", "0", "1050", True),
        ("0", "0.001", "1049", False),
        ("0", "0.001", "1050", True),
    ],
)
def test_r03_a_position_counts_what_is_held_and_what_rests(held, resting, most, passes):
    orders = (open_order(leaves=dec(resting), external=True),)
    known = facts(position_size=dec(held), open_orders=orders, **under(max_position_size=most))

    made = plan(known=known)

    assert (made.decision is Decision.EXECUTE) is passes
    assert passes or made.code == "MAX_POSITION_SIZE"


def test_r03_an_order_shrinks_to_what_a_position_has_room_for():
    known = facts(position_size=dec("0.01"), **under(max_position_size="1200"))

    assert intent(plan(known=known, settings=SHRINK)).quantity == dec("0.014")


def test_r03_what_only_closes_passes_the_limits_of_what_is_held():
    known = facts(
        position_size=dec(1), **under(AccountLoad(exposure=dec(10**6)), max_position_size="1", max_exposure="1")
    )

    assert intent(plan(signal(signal_type="sell"), known)).reduce_only


def test_r03_exposure_counts_all_symbols():
    elsewhere = AccountLoad(exposure=dec(5000))

    assert intent(plan(known=facts(**under(elsewhere, max_exposure="6000"))))
    made = plan(known=facts(**under(elsewhere, max_exposure="5999")))
    assert refusal(made) == (Decision.REJECT, "MAX_EXPOSURE")
    assert made.verdicts[-1].figures == {"order": "1000", "carried": "5000", "limit": "5999"}


def test_r04_without_knowing_what_the_account_carries_nothing_is_added():
    known = facts(limits=Limits(max_exposure=dec(10**9)), load=None, position_size=dec(1))

    assert refusal(plan(known=known))[1] == "ACCOUNT_LOAD_UNKNOWN"
    assert intent(plan(signal(signal_type="sell"), known))


# -- how many, how much ------------------------------------------------------------------------------------------


def test_r03_open_orders_of_a_symbol_are_counted_with_the_new_one():
    known = facts(open_orders=(open_order(external=True),), **under(max_open_orders_per_symbol=1))

    assert refusal(plan(known=known))[1] == "MAX_OPEN_ORDERS_PER_SYMBOL"


def test_r03_an_order_that_makes_way_leaves_its_place():
    known = facts(open_orders=(open_order(),), **under(max_open_orders_per_symbol=1))

    assert [cancel.order_id for cancel in plan(known=known).cancels] == ["o1"]


def test_r03_open_orders_of_all_symbols_are_counted():
    known = facts(**under(AccountLoad(open_orders=3), max_open_orders=3))

    assert refusal(plan(known=known))[1] == "MAX_OPEN_ORDERS"
    assert intent(plan(known=facts(**under(AccountLoad(open_orders=2), max_open_orders=3))))


@pytest.mark.parametrize(
    ("load", "limit", "code"),
    [
        ({"orders_last_minute": 5}, {"max_orders_per_minute": 5}, "MAX_ORDERS_PER_MINUTE"),
        ({"notional_last_minute": dec(1)}, {"max_notional_per_minute": "999.9"}, "MAX_NOTIONAL_PER_MINUTE"),
        ({"traded_today": dec(1)}, {"max_daily_volume": "999.9"}, "MAX_DAILY_VOLUME"),
        ({"traded_this_week": dec(1)}, {"max_weekly_volume": "999.9"}, "MAX_WEEKLY_VOLUME"),
        ({"loss_today": dec(10)}, {"max_daily_loss": "10"}, "MAX_DAILY_LOSS"),
        ({"drawdown": dec("0.1")}, {"max_drawdown": "0.1"}, "MAX_DRAWDOWN"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_r03_counts_volumes_and_losses_refuse_what_opens_and_let_close(load, limit, code):
    known = facts(position_size=dec(1), **under(AccountLoad(**load), **limit))

    assert refusal(plan(known=known)) == (Decision.REJECT, code)
    assert intent(plan(signal(signal_type="sell"), known))
    assert intent(
        plan(known=facts(**under(**(dict.fromkeys(limit, "100000") if "drawdown" not in code.lower() else limit))))
    )


def test_r03_a_limit_is_read_exactly_or_refused_with_every_reason():
    assert read_limits({"max_order_size": "0.1", "max_open_orders": 3, "max_exposure": None}) == {
        "max_order_size": Decimal("0.1"),
        "max_open_orders": 3,
        "max_exposure": None,
    }
    with pytest.raises(InvalidInput) as refused:
        read_limits({"max_ordr_size": 1, "max_open_orders": "1.5", "max_exposure": "-1", "max_drawdown": "x"})
    assert len(refused.value.reasons) == 4


# -- cooldown ------------------------------------------------------------------------------------------------------


def test_r07_the_next_order_waits_for_the_cooldown_to_end():
    cooling = settings(cooldown_ns=10 * SECOND)

    assert refusal(plan(known=facts(last_order_ns=NOW - 9 * SECOND), settings=cooling))[1] == "COOLDOWN"
    assert intent(plan(known=facts(last_order_ns=NOW - 10 * SECOND), settings=cooling))
    assert intent(plan(settings=cooling))


def test_r07_a_strategy_has_a_cooldown_of_its_own():
    cooling = settings(strategy_cooldown_ns=10 * SECOND)

    assert refusal(plan(known=facts(last_strategy_order_ns=NOW), settings=cooling))[1] == "COOLDOWN"
    assert intent(plan(known=facts(last_order_ns=NOW), settings=cooling))


def test_r07_closing_is_never_held_up():
    known = facts(last_order_ns=NOW, position_size=dec(1))

    assert intent(plan(signal(signal_type="sell"), known, settings(cooldown_ns=SECOND)))


# -- minimum profit --------------------------------------------------------------------------------------------------


def closing(price: str, side: str = "sell", size: str = "1", margin: str = "0.01") -> Decision:
    known = facts(position_size=dec(size), position_entry=dec(100))
    wish = signal(signal_type=side, order_type="limit", limit_price=price, market_data_snapshot={"price": "100"})
    return plan(wish, known, settings(min_profit=dec(margin), taker_fee_rate=dec("0.001"))).decision


def test_d12_a_sale_under_entry_fees_and_margin_is_held_back():
    least = dec(100) * dec("1.011") / dec("0.999")  # 101.2012…

    assert closing("101.2") is Decision.REJECT
    assert closing("101.3") is Decision.EXECUTE
    assert dec("101.2") < least < dec("101.3")


def test_d12_buying_a_short_back_mirrors_it():
    assert closing("98.9", "buy", "-1") is Decision.REJECT
    assert closing("98.7", "buy", "-1") is Decision.EXECUTE


def test_d12_it_is_off_by_default_and_asks_nothing_of_what_opens():
    known = facts(position_size=dec(1), position_entry=dec(90_000))

    assert intent(plan(signal(signal_type="sell"), known))
    assert intent(plan(signal(), known, settings(min_profit=dec("0.5"))))
    assert refusal(plan(signal(signal_type="sell"), known, settings(min_profit=dec(0))))[1] == "BELOW_MIN_PROFIT"


def test_d12_a_short_that_is_opened_has_no_profit_to_bring():
    assert (
        intent(plan(signal(signal_type="sell"), settings=settings(allow_short=True, min_profit=dec(1)))).side
        is Side.SELL
    )
