"""Requirement P01: size, average entry and profit are those of exact arithmetic, through zero and back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import pytest
from domain_cases import BTC, NOW, dec, fill
from hypothesis import given
from hypothesis import strategies as st

from domain.money import PLACES
from domain.orders import Side
from domain.positions import LedgerEntry, PositionState, after_fill, closed_by, fill_key
from domain.updates import FillKind, FillReport

_ROUNDING = Fraction(1, 2 * 10**PLACES)
"""How far one rounding of the average entry is from the exact one."""

_FILLS = st.lists(
    st.builds(
        lambda side, quantity, price: fill(side=side, quantity=str(quantity), price=str(price)),
        st.sampled_from(list(Side)),
        st.decimals("0.001", "1000", places=3),
        st.decimals("0.01", "100000", places=2),
    ),
    max_size=25,
)
_MARKS = st.decimals("0.01", "100000", places=2)


def fold(fills: list[FillReport]) -> PositionState:
    state = PositionState()
    for one in fills:
        state = after_fill(state, one)
    return state


@dataclass(slots=True)
class ExactPosition:
    """The average-cost method in fractions, which never round."""

    size: Fraction = Fraction(0)
    average: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)

    def trade(self, change: Fraction, price: Fraction) -> None:
        while change:
            if self.size * change >= 0:
                self.average = (self.average * self.size + price * change) / (self.size + change)
                self.size += change
                return
            closed = min(abs(self.size), abs(change)) * (1 if change > 0 else -1)
            self.realised -= closed * (price - self.average)
            self.size += closed
            change -= closed
            if not self.size:
                self.average = Fraction(0)


def exactly(fills: list[FillReport]) -> ExactPosition:
    exact = ExactPosition()
    for one in fills:
        exact.trade(one.side.sign * Fraction(one.quantity), Fraction(one.price))
    return exact


@given(_FILLS)
def test_p01_no_money_appears_or_vanishes(fills):
    """To the last digit, whatever was rounded on the way."""
    state = PositionState()
    for one in fills:
        state = after_fill(state, one)
        held = state.cost if state.size > 0 else -state.cost

        assert state.realised == state.sold_value - state.bought_value + held
        assert (state.cost == 0) == (state.size == 0)


@given(_FILLS)
def test_p01_size_is_the_signed_sum_of_what_was_traded(fills):
    state = fold(fills)

    assert state.size == sum((one.side.sign * one.quantity for one in fills), Decimal(0))
    assert state.size == state.bought - state.sold
    assert state.fills == len(fills)


@given(_FILLS)
def test_p01_average_and_profit_are_the_exact_ones_within_half_a_last_place_for_each_rounding(fills):
    """A rounded share leaves its error in the cost, a half last place for each close at the most; the average divides
    the cost by at least the smallest quantity there is."""
    state, exact = fold(fills), exactly(fills)
    slack = len(fills) * _ROUNDING

    assert abs(Fraction(state.realised) - exact.realised) <= slack
    assert abs(Fraction(state.average_entry) - exact.average) <= slack * 1000 + _ROUNDING


@given(_FILLS)
def test_p01_where_no_average_needs_rounding_nothing_is_rounded(fills):
    exact = ExactPosition()
    state = PositionState()
    for one in fills:
        exact.trade(one.side.sign * Fraction(one.quantity), Fraction(one.price))
        if (exact.average * 10**PLACES).denominator != 1:
            return
        state = after_fill(state, one)

        assert (Fraction(state.size), Fraction(state.average_entry), Fraction(state.realised)) == (
            exact.size,
            exact.average,
            exact.realised,
        )


@given(_FILLS, _MARKS)
def test_p01_realised_and_unrealised_together_are_the_money_that_moved_and_what_is_held(fills, mark):
    state = fold(fills)

    profit = Fraction(state.realised) + Fraction(state.unrealised(mark, BTC))
    moved = Fraction(state.sold_value) - Fraction(state.bought_value) + Fraction(state.size) * Fraction(mark)
    assert profit == moved


@given(_FILLS, st.data())
def test_p01_sums_do_not_depend_on_the_order_of_fills(fills, data):
    shuffled = data.draw(st.permutations(fills))

    one, other = fold(fills), fold(shuffled)

    assert (one.size, one.bought_value, one.sold_value, one.fees) == (
        other.size,
        other.bought_value,
        other.sold_value,
        other.fees,
    )


def test_p01_a_reversal_through_zero_realises_the_old_side_and_opens_the_new_at_the_fills_price():
    state = fold([fill(quantity="2", price="100"), fill(side=Side.SELL, quantity="3", price="110")])

    assert (state.size, state.average_entry, state.realised) == (dec(-1), dec(110), dec(20))


def test_p01_a_short_that_is_bought_back_lower_has_gained():
    state = fold([fill(side=Side.SELL, quantity="2", price="100"), fill(quantity="2", price="90")])

    assert (state.size, state.average_entry, state.realised) == (dec(0), dec(0), dec(20))


def test_p01_fees_are_kept_by_currency_beside_the_profit():
    state = fold([fill(fee=dec("0.1")), fill(fee=dec("0.2")), fill(fee=dec("-0.01"), fee_currency="BTC")])

    assert state.fees == {"USDT": dec("0.3"), "BTC": dec("-0.01")}
    assert state.realised == 0


def test_p06_fees_in_several_currencies_of_one_execution_are_kept_apart():
    taxed = fill(fee=dec("0.1"), other_fees={"INR": dec("9"), "MNT": dec("0.5")})

    state = fold([taxed, fill(fee=dec("0"), fee_currency="MNT", other_fees={"MNT": dec("0.25")})])

    assert state.fees == {"USDT": dec("0.1"), "INR": dec("9"), "MNT": dec("0.75")}


@pytest.mark.parametrize(
    ("held", "side", "quantity", "closed"),
    [("2", Side.SELL, "2", "2"), ("2", Side.SELL, "5", "2"), ("2", Side.BUY, "1", "0"), ("5", Side.SELL, "0", "0")],
)
def test_p06_what_an_execution_closed_is_known_from_what_stood_before_it(held, side, quantity, closed):
    before = fold([fill(quantity=held)])
    taken = fill(side=side, quantity=quantity, fill_kind=FillKind.ADL)

    entry = LedgerEntry(fill=taken, order_id="", offset=1, after=after_fill(before, taken))

    assert closed_by(entry) == dec(closed)


def test_p06_funding_moves_money_and_no_quantity():
    held = fold([fill(quantity="2", price="100")])

    state = after_fill(held, fill(quantity="2", price="105", fee=dec("0.7"), fill_kind=FillKind.FUNDING))

    assert (state.size, state.average_entry, state.realised) == (held.size, held.average_entry, held.realised)
    assert state.funding == dec("-0.7")
    assert state.fills == 2


def test_p06_an_execution_of_nothing_leaves_a_flat_position_flat():
    state = fold([fill(quantity="0", price="100", fill_kind=FillKind.SETTLEMENT)])

    assert (state.size, state.average_entry, state.realised) == (dec(0), dec(0), dec(0))


def test_o04_fills_are_ordered_by_the_venues_time_then_its_sequence_then_their_id():
    first = fill("b", executed_ns=NOW, venue_sequence=1)
    second = fill("a", executed_ns=NOW, venue_sequence=2)
    third = fill("c", executed_ns=NOW, venue_sequence=2)
    fourth = fill("a", executed_ns=NOW + 1)

    assert sorted([fourth, third, second, first], key=fill_key) == [first, second, third, fourth]
