"""Exact numbers: what is read, what is refused, and that grids never round the wrong way."""

from __future__ import annotations

import re
import threading
from decimal import Decimal, getcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.money import PRECISION, ceil_to, divide, floor_to, install_context, parse_amount, plain, plain_or_empty

_FITTING = st.decimals(min_value="-999999999999999999", max_value="999999999999999999", places=18, allow_nan=False)
_STEPS = st.sampled_from(["0.000000000000000001", "0.00001", "0.1", "0.25", "0.3", "1", "5", "7", "1000"]).map(Decimal)


@given(_FITTING)
def test_a_figure_within_eighteen_digits_is_read_as_it_was_written(number):
    assert parse_amount("amount", str(number)) == number


@given(_FITTING)
def test_equal_figures_have_equal_text_which_reads_back_as_the_same_figure(number):
    text = plain(number)

    assert plain(number * Decimal("1.000")) == text
    assert parse_amount("amount", text) == number
    assert "e" not in text.lower()


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-5, max_value=1e15))
def test_a_binary_float_is_read_by_its_shortest_text(number):
    try:
        read = parse_amount("amount", number)
    except InvalidInput as error:
        assert error.code == "TOO_MANY_DIGITS"  # noqa: PT017 -- both ends are right, depending on the digits
    else:
        assert read == Decimal(repr(number))


@given(st.one_of(st.text(max_size=30), st.integers(), st.decimals(), st.floats(), st.none(), st.booleans()))
def test_whatever_is_given_is_a_usable_figure_or_a_reason(value):
    try:
        number = parse_amount("amount", value)
    except InvalidInput as error:
        assert re.fullmatch(r"amount: .{1,200}", error.reasons[0], re.DOTALL)  # noqa: PT017 -- as above
    else:
        assert number.is_finite()
        assert abs(number) < Decimal(10) ** 18
        assert number % Decimal("1e-18") == 0


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("NaN", "NOT_FINITE"),
        ("sNaN12", "NOT_A_NUMBER"),
        ("-Infinity", "NOT_FINITE"),
        (float("inf"), "NOT_FINITE"),
        ("1e400", "TOO_MANY_DIGITS"),
        ("1e-400", "TOO_MANY_DIGITS"),
        ("1e999999999999999999999", "NOT_A_NUMBER"),
        ("1" * 40, "TOO_MANY_DIGITS"),
        ("1." + "0" * 200 + "1", "TOO_MANY_DIGITS"),
        pytest.param(10**5000, "TOO_MANY_DIGITS", id="an integer too long to print"),
        ("1_000", "NOT_A_NUMBER"),
        ("٣", "NOT_A_NUMBER"),
        (" 1", "NOT_A_NUMBER"),
        ("0x10", "NOT_A_NUMBER"),
        ("", "NOT_A_NUMBER"),
        (True, "NOT_A_NUMBER"),
        (None, "NOT_A_NUMBER"),
        ([1], "NOT_A_NUMBER"),
        (b"1", "NOT_A_NUMBER"),
    ],
)
def test_s02_what_is_no_figure_is_refused_by_its_kind(value, code):
    with pytest.raises(InvalidInput) as refused:
        parse_amount("amount", value)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1" + "0" * 17 + "." + "0" * 300, "100000000000000000"),
        ("0e-400", "0"),
        ("-0", "0"),
        ("1E+3", "1000"),
        ("+.5", "0.5"),
        ("5.", "5"),
        (Decimal("1.50"), "1.5"),
        (0.1, "0.1"),
        (1e15, "1000000000000000"),
    ],
)
def test_s01_what_is_a_figure_is_read_however_it_is_written(value, number):
    assert plain(parse_amount("amount", value)) == number


@given(_FITTING, _STEPS)
def test_d02_flooring_and_ceiling_stay_on_their_side_and_on_the_grid_within_one_step(number, step):
    low, high = floor_to(number, step), ceil_to(number, step)

    assert low <= number <= high
    assert number - low < step
    assert high - number < step
    assert low % step == 0
    assert high % step == 0


def test_d04_a_quotient_a_hair_under_a_whole_lot_is_not_rounded_up_to_it():
    almost = Decimal(3) - Decimal("1e-100")

    assert floor_to(almost, Decimal(1)) == 2
    assert ceil_to(almost, Decimal(1)) == 3


@given(_FITTING, _FITTING.filter(lambda number: number != 0))
def test_a_quotient_is_the_nearest_of_eighteen_places(numerator, denominator):
    quotient = divide(numerator, denominator)

    assert abs(Fraction(quotient) - Fraction(numerator) / Fraction(denominator)) <= Fraction(1, 2 * 10**18)


@given(_FITTING, _FITTING, _FITTING)
def test_a_product_of_three_figures_is_exact(one, two, three):
    assert Fraction(one * two * three) == Fraction(one) * Fraction(two) * Fraction(three)


def test_the_context_holds_in_new_threads_too():
    install_context()
    seen = []

    thread = threading.Thread(target=lambda: seen.append(getcontext().prec))
    thread.start()
    thread.join(timeout=5)

    assert seen == [PRECISION]


def test_an_absent_figure_is_an_empty_text():
    assert (plain_or_empty(None), plain_or_empty(Decimal("1.0"))) == ("", "1")
