"""The fields of a signal, one reader each: from whatever JSON holds to a value in range (requirements S01, S02).

A reader raises `ValueError` with the end of a sentence that begins with the field's name: "is not above 0".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator

from domain.errors import InvalidInput
from domain.money import parse_amount, plain
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.times import read_time_ns

_MAX_TEXT: Final = 128
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,39}")
_PLACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_URGENT_FROM = Decimal("0.8")


class Urgency(StrEnum):
    """How soon the producer needs the trade: an urgent signal becomes a market order (requirement D01)."""

    NORMAL = "normal"
    URGENT = "urgent"


_URGENCIES = {
    **dict.fromkeys(("normal", "low", "medium", "none"), Urgency.NORMAL),
    **dict.fromkeys(("urgent", "high", "critical", "immediate"), Urgency.URGENT),
}


def _number(value: object) -> Decimal:
    try:
        return parse_amount("figure", value)
    except InvalidInput as error:
        raise ValueError(error.reasons[0].partition(": ")[2]) from None


def _above_zero(value: object) -> Decimal:
    number = _number(value)
    if number <= 0:
        raise ValueError(f"{plain(number)} is not above 0")
    return number


def _not_negative(value: object) -> Decimal:
    number = _number(value)
    if number < 0:
        raise ValueError(f"{plain(number)} is below 0")
    return abs(number)  # a negative zero is zero


def _fraction(value: object) -> Decimal:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError(f"{plain(number)} is not between 0 and 1")
    return abs(number)


def _text(value: object) -> str:
    """Printable text within the limit: no control characters, no half of a surrogate pair."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text")  # noqa: TRY004 -- pydantic collects ValueError only
    if len(value) > _MAX_TEXT:
        raise ValueError(f"{len(value)} characters, the limit is {_MAX_TEXT}")
    if not value.isprintable():
        raise ValueError(f"{shown(value)} has characters that cannot be printed")
    return value


def read_name(value: object) -> str:
    text = _text(value)
    if not text.strip():
        raise ValueError("empty")
    return text


def read_symbol(value: object) -> str:
    """Canonical: upper case. Only ASCII is raised, for other letters may change their number when they are."""
    text = _text(value)
    canonical = text.upper() if text.isascii() else text
    if not _SYMBOL.fullmatch(canonical):
        raise ValueError(f"{shown(text)} is not a symbol: 1 to 40 letters, digits, '.', '_', '-'")
    return canonical


def _place(value: object) -> str:
    text = _text(value)
    canonical = text.lower() if text.isascii() else text
    if not _PLACE.fullmatch(canonical):
        raise ValueError(f"{shown(text)} is not a name: 1 to 32 letters, digits, '_', '-'")
    return canonical


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not true or false")  # noqa: TRY004 -- as above
    return value


def _urgency(value: object) -> Urgency:
    """True, a word for haste, or a number from 0 to 1 of at least 0.8 are urgent."""
    if isinstance(value, bool):
        return Urgency.URGENT if value else Urgency.NORMAL
    if isinstance(value, str) and value.lower() in _URGENCIES:
        return _URGENCIES[value.lower()]
    try:
        number = _fraction(value)
    except ValueError:
        words = ", ".join(_URGENCIES)
        raise ValueError(f"{shown(value)} is not one of {words}, true, false, or from 0 to 1") from None
    return Urgency.URGENT if number >= _URGENT_FROM else Urgency.NORMAL


def _side(value: object) -> Side:
    return Side(_choice(value, [side.value for side in Side], str.lower))


def _order_type(value: object) -> OrderType:
    return OrderType(_choice(value, [kind.value for kind in OrderType], str.lower))


def _time_in_force(value: object) -> TimeInForce:
    return TimeInForce(_choice(value, [force.value for force in TimeInForce], str.upper))


def _position_side(value: object) -> PositionSide:
    return PositionSide(_choice(value, [side.value for side in PositionSide], str.lower))


def _choice(value: object, choices: list[str], canonical: Callable[[str], str]) -> str:
    text = canonical(value) if isinstance(value, str) else ""
    if text not in choices:
        raise ValueError(f"{shown(value)} is not one of {', '.join(choices)}")
    return text


def shown(value: object) -> str:
    """The value as a reason shows it: short, whatever it was."""
    text = repr(value) if isinstance(value, str | int | Decimal | bool | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}…"


Amount = Annotated[Decimal, BeforeValidator(_above_zero)]
Figure = Annotated[Decimal, BeforeValidator(_not_negative)]
Fraction = Annotated[Decimal, BeforeValidator(_fraction)]
Name = Annotated[str, BeforeValidator(read_name)]
Text = Annotated[str, BeforeValidator(_text)]
Symbol = Annotated[str, BeforeValidator(read_symbol)]
Place = Annotated[str, BeforeValidator(_place)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Time = Annotated[int, BeforeValidator(read_time_ns, json_schema_input_type=int | float | str)]
Haste = Annotated[Urgency, BeforeValidator(_urgency, json_schema_input_type=bool | float | str)]
SideField = Annotated[Side, BeforeValidator(_side, json_schema_input_type=str)]
OrderTypeField = Annotated[OrderType, BeforeValidator(_order_type, json_schema_input_type=str)]
TimeInForceField = Annotated[TimeInForce, BeforeValidator(_time_in_force, json_schema_input_type=str)]
PositionSideField = Annotated[PositionSide, BeforeValidator(_position_side, json_schema_input_type=str)]
