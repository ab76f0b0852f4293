"""Exact numbers: one decimal context, one way to read figures, one way to write them.

Sums and products are exact: inputs have at most 18 digits on either side of the point, so a product of three of them,
which is the longest chain we have, stays within the digits of the context. Only a division can be inexact, and there
is one place for it: `divide`.
"""

from __future__ import annotations

import decimal
import re
from decimal import ROUND_HALF_EVEN, Decimal

from domain.errors import InvalidInput

PRECISION = 120
PLACES = 18
"""Decimal places kept by a division, rounded half to even: average prices and derived quantities."""

QUANTUM = Decimal(1).scaleb(-PLACES)
"""The last of these places."""

ZERO = Decimal(0)
_MAX_DIGITS = 18
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


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
        raise InvalidInput("NOT_A_NUMBER", [f"{name}: a {type(value).__name__} is not a number"])
    try:
        number = Decimal(_number_text(value) if isinstance(value, str | float) else value)
    except decimal.InvalidOperation:
        raise InvalidInput("NOT_A_NUMBER", [f"{name}: {value!r:.80} is not a number"]) from None
    if not number.is_finite():
        raise InvalidInput("NOT_FINITE", [f"{name}: {number!s:.60} is not a finite number"])
    if number == 0:
        return ZERO
    shortest = _without_trailing_zeros(number)
    if shortest is None:
        sentence = f"{name}: {number!s:.60} has more than {_MAX_DIGITS} digits before or after the point"
        raise InvalidInput("TOO_MANY_DIGITS", [sentence])
    return shortest


def _number_text(value: str | float) -> str:
    """The text to read: ASCII digits only; what Python would also take (underscores, other scripts) is no figure.

    Infinities and NaN pass, to be refused by what they are."""
    text = repr(value) if isinstance(value, float) else value
    if _NUMBER.fullmatch(text) or text.lower().lstrip("+-") in {"inf", "infinity", "nan"}:
        return text
    raise decimal.InvalidOperation


def _without_trailing_zeros(number: Decimal) -> Decimal | None:
    """The same number in its shortest digits, if these fit; None if not. Never expands an exponent, never rounds."""
    sign, digits, exponent = number.as_tuple()
    length = len(digits)
    while digits[length - 1] == 0:
        length -= 1
    places = -int(exponent) - (len(digits) - length)
    if places > _MAX_DIGITS or length - places > _MAX_DIGITS:
        return None
    if -int(exponent) <= _MAX_DIGITS and len(digits) + int(exponent) <= _MAX_DIGITS and int(exponent) <= 0:
        return number  # as it was written
    return Decimal((sign, digits[:length], -places))


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Quotient to 18 places, half to even: the only rounding that is not a venue's grid. Canonical."""
    return canonical((numerator / denominator).quantize(QUANTUM, rounding=ROUND_HALF_EVEN))


def canonical(value: Decimal) -> Decimal:
    """The same number without trailing zeros or an exponent above zero, so that equal numbers are written alike."""
    short = value.normalize()
    if not short:
        return ZERO
    return short if int(short.as_tuple().exponent) <= 0 else short.quantize(Decimal(1))


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`. `step` is above zero."""
    whole = value // step * step  # exact: the quotient is cut at the point, towards zero, never rounded
    return whole - step if whole > value else whole


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`. `step` is above zero."""
    whole = value // step * step
    return whole + step if whole < value else whole


def plain(value: Decimal) -> str:
    """Canonical text: no exponent, no trailing zeros, no negative zero. Equal numbers have equal text."""
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def plain_or_empty(value: Decimal | None) -> str:
    """Canonical text, empty where there is no figure."""
    return "" if value is None else plain(value)
