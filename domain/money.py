"""Exact numbers: one decimal context, one way to read figures, one way to write them.

Sums and products are exact: inputs have at most 18 digits on either side of the point, so nothing we multiply comes
near the 60 digits of the context. Only a division can be inexact, and there is one place for it: `divide`.
"""

from __future__ import annotations

import decimal
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from domain.errors import InvalidInput

PRECISION = 60
PLACES = 18
"""Decimal places kept by a division, rounded half to even: average prices and derived quantities."""

ZERO = Decimal(0)
_MAX_DIGITS = 18
_QUANTUM = Decimal(1).scaleb(-PLACES)


def install_context() -> None:
    """Put the context in force for this thread, the tasks it starts, and new threads."""
    context = decimal.Context(prec=PRECISION, rounding=ROUND_HALF_EVEN)
    decimal.setcontext(context)
    decimal.DefaultContext.prec = PRECISION
    decimal.DefaultContext.rounding = ROUND_HALF_EVEN


install_context()


def parse_amount(name: str, value: object) -> Decimal:
    """Read a figure from outside. Raises `InvalidInput` unless it is finite with at most 18 digits either side.

    Text and integers are taken as they are. A binary float is read through its shortest text, which is what its
    writer saw; the digits beyond were never meant.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise InvalidInput("NOT_A_NUMBER", [f"{name}: {value!r} is not a number"])
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except decimal.InvalidOperation:
        raise InvalidInput("NOT_A_NUMBER", [f"{name}: {value!r:.80} is not a number"]) from None
    if not number.is_finite():
        raise InvalidInput("NOT_FINITE", [f"{name}: {number} is not a finite number"])
    _, digits, exponent = number.as_tuple()
    places = -int(exponent)
    if len(digits) - places > _MAX_DIGITS or places > _MAX_DIGITS:
        if number != 0 and _fits(number):
            return number.normalize()
        if number == 0:
            return ZERO
        sentence = f"{name}: {value!s:.60} has more than {_MAX_DIGITS} digits before or after the point"
        raise InvalidInput("TOO_MANY_DIGITS", [sentence])
    return number


def _fits(number: Decimal) -> bool:
    """Whether it fits once trailing zeros are gone. Never expands an exponent."""
    _, digits, exponent = number.normalize().as_tuple()
    return -int(exponent) <= _MAX_DIGITS and len(digits) + int(exponent) <= _MAX_DIGITS


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Quotient to 18 places, half to even: the only rounding that is not a venue's grid."""
    return (numerator / denominator).quantize(_QUANTUM, rounding=ROUND_HALF_EVEN)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`."""
    return (value / step).to_integral_value(rounding=ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`."""
    return (value / step).to_integral_value(rounding=ROUND_CEILING) * step


def plain(value: Decimal) -> str:
    """Canonical text: no exponent, no trailing zeros, no negative zero. Equal numbers have equal text."""
    if value == 0:
        return "0"
    return format(value.normalize(), "f")
