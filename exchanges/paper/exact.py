"""Decimal arithmetic of the paper exchange: one context, one way to divide, one way to print.

Products and sums of the figures that occur here (prices, quantities, rates, averages of 18 places) need fewer than 60
digits, so under this context they are exact; only a division rounds, and `average` is the only one whose result is
kept in the books, together with `rounded_quotient`, the value of an inverse contract.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ARITHMETIC = Context(prec=60, rounding=ROUND_HALF_EVEN)
AVERAGE_STEP = Decimal("1e-18")
DISPLAY_STEP = Decimal("1e-8")
COIN_STEP = Decimal("1e-8")  # the smallest part of a coin in which inverse contracts are settled
ZERO = Decimal(0)


def exactly(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` under the 60-digit context, whatever the caller's context is."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(ARITHMETIC):
            return function(*args, **kwargs)

    return run


def average(value: Decimal, quantity: Decimal) -> Decimal:
    """value ÷ quantity, rounded to 18 decimal places, half to even. Raises `ZeroDivisionError` for no quantity."""
    return ARITHMETIC.divide(value, quantity).quantize(AVERAGE_STEP, ROUND_HALF_EVEN, ARITHMETIC)


def rounded_quotient(quantity: Decimal, price: Decimal) -> Decimal:
    """quantity ÷ price in parts of a coin: 8 decimal places, half to even. Raises `ZeroDivisionError` for no price."""
    return ARITHMETIC.divide(quantity, price).quantize(COIN_STEP, ROUND_HALF_EVEN, ARITHMETIC)


def displayed(figure: Decimal) -> Decimal:
    """A margin or rate, rounded to 8 places for showing; never written back to the books."""
    return figure.quantize(DISPLAY_STEP, ROUND_HALF_EVEN, ARITHMETIC)


def floored(figure: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `figure`."""
    return (figure / step).to_integral_value(ROUND_FLOOR) * step


def ceiled(figure: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `figure`."""
    return (figure / step).to_integral_value(ROUND_CEILING) * step


def plain(figure: Decimal) -> str:
    """All digits of `figure` without exponent and without trailing zeros: `0.0010` → `0.001`, `0E-18` → `0`."""
    if not figure:
        return "0"
    text = format(figure, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
