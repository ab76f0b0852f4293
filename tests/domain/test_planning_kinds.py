"""Planning for spot pairs and inverse contracts: what pays for them, and in which coin (requirements D04, D11, R02)."""

from __future__ import annotations

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
)

from domain.money import divide
from domain.orders import PositionSide
from domain.plans import Decision, Facts, PositionMode

HEDGE = settings(position_mode=PositionMode.HEDGE)
SALE = signal(signal_type="sell")


def holding(quantity: str, **changed: object) -> Facts:
    """Coins that were bought, and what is free of them."""
    fields = {"position_size": dec(quantity), "currency": "BTC", "available": dec(quantity)}
    return facts(rules=rules(instrument=SPOT_BTC), **(fields | changed))


def test_r02_a_spot_sale_is_paid_for_in_coins():
    made = plan(SALE, holding("1"), instrument=SPOT_BTC)

    assert intent(made).need == intent(made).quantity == dec("0.02")
    assert made.verdicts[-1].sentence == "need 0.02 BTC, free 1 BTC"


def test_r02_coins_that_other_orders_take_cannot_be_sold_again():
    short_of = holding("1", available=dec("0.03"), reserved=dec("0.011"))

    assert refusal(plan(SALE, short_of, instrument=SPOT_BTC)) == (Decision.REJECT, "INSUFFICIENT_BALANCE")


def test_r02_a_resting_sale_that_makes_way_gives_its_coins_back():
    resting = open_order(side=SALE.signal_type, leaves=dec("0.5"), price=dec(51_000))

    made = plan(SALE, holding("1", available=dec(0), open_orders=(resting,)), instrument=SPOT_BTC)

    assert made.decision is Decision.EXECUTE
    assert made.cancels


def test_r06_coins_of_an_unknown_balance_can_be_sold():
    assert intent(plan(SALE, holding("1", available=None), instrument=SPOT_BTC))


def test_r02_the_fee_of_spot_is_its_own():
    limit = signal(order_type="limit", limit_price="50000")
    need = dec(1000) * dec("1.001")
    exactly = facts(rules=rules(instrument=SPOT_BTC), available=need)
    short_of = facts(rules=rules(instrument=SPOT_BTC), available=need - dec("0.01"))

    assert intent(plan(limit, exactly, instrument=SPOT_BTC))
    assert refusal(plan(limit, short_of, instrument=SPOT_BTC))[1] == "INSUFFICIENT_BALANCE"


def test_r02_inverse_contracts_take_most_coins_at_the_lowest_price_they_may_trade_at():
    allowed = settings(allow_short=True, max_slippage=dec("0.01"), market_order_spread_threshold=dec(1))
    sale = signal(signal_type="sell", order_type="market")

    made = plan(sale, facts(rules=INVERSE_RULES, currency="BTC"), allowed, instrument=BTCUSD)

    assert dec(made.verdicts[-1].figures["worst_price"]) == intent(made).price < dec(50_000)


def test_r02_the_cash_reserve_is_worth_as_many_coins_as_it_buys():
    known = facts(rules=INVERSE_RULES, currency="BTC", available=dec(1))

    made = plan(known=known, settings=settings(cash_reserve=dec(25_000)), instrument=BTCUSD)

    price = dec(made.verdicts[-1].figures["worst_price"])
    assert dec(made.verdicts[-1].figures["cash_reserve"]) == divide(dec(25_000), price)


def test_d11_only_linear_contracts_have_sides():
    pair, contract = facts(rules=rules(instrument=SPOT_BTC)), facts(rules=INVERSE_RULES, currency="BTC")

    assert intent(plan(known=pair, settings=HEDGE, instrument=SPOT_BTC)).position_side is PositionSide.NET
    assert intent(plan(known=contract, settings=HEDGE, instrument=BTCUSD)).position_side is PositionSide.NET
    named = signal(position_side="long")
    assert refusal(plan(named, contract, HEDGE, instrument=BTCUSD))[1] == "ONE_WAY_MODE"


def closing(price: str, side: str = "sell", size: str = "100") -> Decision:
    """A limit order that closes contracts entered at 100, at a fee of 0.1 % each way and a margin of 1 %."""
    known = facts(rules=INVERSE_RULES, currency="BTC", position_size=dec(size), position_entry=dec(100))
    wish = signal(signal_type=side, order_type="limit", limit_price=price, market_data_snapshot={"price": "100"})
    asked = settings(min_profit=dec("0.01"), taker_fee_rate=dec("0.001"))
    return plan(wish, known, asked, instrument=BTCUSD).decision


def test_d12_the_least_profit_of_an_inverse_position_is_counted_in_coins():
    """Long from 100: a coin for each 100 dollars; 1.1 % of it is to be had after a fee of 0.1 % on what comes out."""
    least = dec(100) * dec("1.001") / dec("0.989")  # 101.2133…

    assert closing("101.2") is Decision.REJECT
    assert closing("101.3") is Decision.EXECUTE
    assert dec("101.2") < least < dec("101.3")
    assert closing("98.9", "buy", "-100") is Decision.REJECT
    assert closing("98.7", "buy", "-100") is Decision.EXECUTE
