"""Requirement P01 for what is no linear contract: coins that pay their own fee, contracts that are settled in coins."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from domain_cases import SPOT_BTC, dec, fill
from hypothesis import given
from hypothesis import strategies as st

from domain.instruments import Instrument
from domain.orders import Side, Sums
from domain.positions import PositionState, after_fill
from domain.updates import FillReport

BTCUSD = Instrument("paper", "inverse", "BTCUSD")


def fold(fills: list[FillReport]) -> PositionState:
    state = PositionState()
    for one in fills:
        state = after_fill(state, one)
    return state


def contracts(side: Side, quantity: int, price: Decimal, worth: str | None = None) -> FillReport:
    """An execution of an inverse contract, at no fee."""
    told = msgspec.UNSET if worth is None else dec(worth)
    return fill(
        instrument=BTCUSD,
        side=side,
        quantity=str(quantity),
        price=str(price),
        fee=dec(0),
        fee_currency="BTC",
        worth=told,
    )


def coins(side: Side, quantity: Decimal, price: Decimal, fee: Decimal) -> FillReport:
    """A spot execution: the fee is taken from what is received."""
    currency = "BTC" if side is Side.BUY else "USDT"
    return fill(
        instrument=SPOT_BTC, side=side, quantity=str(quantity), price=str(price), fee=fee, fee_currency=currency
    )


_CONTRACTS = st.lists(
    st.builds(contracts, st.sampled_from(list(Side)), st.integers(1, 5_000), st.decimals("10", "100000", places=1)),
    max_size=25,
)
_COINS = st.lists(
    st.builds(
        coins,
        st.sampled_from(list(Side)),
        st.decimals("0.001", "100", places=3),
        st.decimals("0.01", "100000", places=2),
        st.decimals("0", "0.001", places=6),
    ),
    max_size=25,
)


def test_p01_an_inverse_position_wins_what_the_same_dollars_are_worth_less():
    state = fold([contracts(Side.BUY, 1000, dec(50)), contracts(Side.SELL, 1000, dec(100))])

    assert (state.size, state.realised) == (dec(0), dec(10)), "1000 dollars were 20 coins, and are 10 now"


def test_p01_a_short_inverse_position_mirrors_it():
    state = fold([contracts(Side.SELL, 1000, dec(100)), contracts(Side.BUY, 400, dec(50))])

    assert (state.size, state.realised) == (dec(-600), dec(4)), "400 dollars were 4 coins, and are 8 now"


def test_p01_the_average_entry_of_an_inverse_position_is_the_harmonic_mean():
    state = fold([contracts(Side.BUY, 100, dec(50)), contracts(Side.BUY, 100, dec(100))])

    assert state.cost == dec(3)
    assert state.average_entry.quantize(dec("0.0001")) == dec("66.6667"), "200 dollars for 3 coins, not 75"
    assert state.unrealised(dec(100), BTCUSD) == dec(1)


def test_p01_the_venues_own_word_on_the_worth_of_an_execution_counts():
    state = fold([contracts(Side.BUY, 100, dec(3), worth="33.33333334")])

    assert state.cost == dec("33.33333334"), "whichever way it rounds"


def test_p01_through_zero_what_is_left_of_an_inverse_fill_opens_with_what_is_left_of_its_worth():
    state = fold([contracts(Side.BUY, 100, dec(50)), contracts(Side.SELL, 250, dec(100))])

    assert (state.size, state.realised, state.cost, state.average_entry) == (dec(-150), dec(1), dec("1.5"), dec(100))


@given(_CONTRACTS)
def test_p01_no_coin_appears_or_vanishes(fills):
    state = PositionState()
    for one in fills:
        state = after_fill(state, one)
        held = state.cost if state.size > 0 else -state.cost

        assert state.realised == state.bought_value - state.sold_value - held
        assert state.size == state.bought - state.sold


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=10), st.decimals("10", "100000", places=1))
def test_p01_an_inverse_average_is_exact_within_the_parts_of_a_coin(quantities, price):
    state = fold([contracts(Side.BUY, quantity, price) for quantity in quantities])

    exact = sum(Fraction(quantity) / Fraction(price) for quantity in quantities)
    assert abs(Fraction(state.cost) - exact) <= Fraction(len(quantities), 2 * 10**8)


def test_p01_a_spot_purchase_is_smaller_by_its_fee_and_costs_its_price():
    state = fold([coins(Side.BUY, dec(1), dec(100), dec("0.001"))])

    assert (state.size, state.average_entry, state.cost) == (dec("0.999"), dec(100), dec("99.9"))
    assert state.fees == {"BTC": dec("0.001")}


def test_p01_a_fee_in_quote_leaves_what_is_held_alone():
    bought = coins(Side.BUY, dec(2), dec(100), dec(0))
    state = fold([bought, coins(Side.SELL, dec(1), dec(110), dec("0.11"))])

    assert (state.size, state.realised, state.fees) == (dec(1), dec(10), {"USDT": dec("0.11")})


@given(_COINS)
def test_p01_coins_held_are_those_bought_less_those_sold_and_paid(fills):
    state = PositionState()
    paid = Decimal(0)
    for one in fills:
        state = after_fill(state, one)
        paid += one.fee * one.price if one.fee_currency == "BTC" else 0
        held = state.cost if state.size > 0 else -state.cost

        assert state.size == state.bought - state.sold - state.fees.get("BTC", Decimal(0))
        assert state.realised == state.sold_value - state.bought_value + paid + held, "the fee counts at its price"


@pytest.mark.parametrize(("coin", "base"), [("BTC", True), ("USDT", False), ("", False), ("BTCUSDT", False)])
def test_the_symbol_of_a_pair_says_which_coin_is_bought(coin, base):
    assert SPOT_BTC.is_base(coin) is base


def test_a_contract_has_no_coin_that_is_bought():
    assert not Instrument("paper", "linear", "BTCUSDT").is_base("BTC")


def test_o05_an_orders_average_price_is_contracts_over_coins_where_values_are_coins():
    sums = Sums(dec(200), dec(4))

    assert sums.average_price(BTCUSD) == dec(50)
    assert sums.average_price(SPOT_BTC) == dec("0.02")
