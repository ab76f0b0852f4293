"""Reading rows of Bybit's replies and messages, field by field. What cannot be read is an error, never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import orjson

from domain.errors import InvalidInput
from domain.money import PLACES, QUANTUM, ZERO, floor_to, parse_amount, plain

MS = 1_000_000
"""Nanoseconds in a millisecond."""


class Row:
    """One object of a reply. Raises `InvalidInput` naming the field that cannot be read."""

    __slots__ = ("_fields",)

    def __init__(self, fields: object) -> None:
        if not isinstance(fields, Mapping):
            raise InvalidInput("UNREADABLE_ROW", [f"a row must be an object, not {type(fields).__name__}"])
        self._fields: Mapping[str, object] = fields

    def raw(self, name: str) -> object:
        """The field as it came; None when it is missing."""
        return self._fields.get(name)

    def text(self, name: str) -> str:
        """The field as text; empty when it is missing. Numbers are taken as they are written."""
        value = self._fields.get(name)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidInput("UNREADABLE_ROW", [f"{name}: must be text, not {type(value).__name__}"])
        return str(value)

    def need(self, name: str) -> str:
        """The field as text that must be there."""
        value = self.text(name)
        if not value:
            raise InvalidInput("UNREADABLE_ROW", [f"{name}: missing"])
        return value

    def amount(self, name: str) -> Decimal:
        """An exact figure; zero when the venue leaves the field empty, as it does for what does not apply."""
        return exact(name, self._fields.get(name))

    def need_amount(self, name: str) -> Decimal:
        """An exact figure that must be there."""
        self.need(name)
        return self.amount(name)

    def time_ns(self, name: str) -> int:
        """A time in milliseconds, as nanoseconds; 0 when missing."""
        return self.whole(name) * MS

    def calculated(self, name: str) -> Decimal:
        """A figure that the venue worked out (a balance, a margin, a profit): cut to the places we keep, downwards.
        It may have any number of digits behind the point; nothing that is traded does."""
        text = self.text(name)
        whole, point, places = text.partition(".")
        if point and places.isdecimal() and len(places) > PLACES:
            return floor_to(Decimal(text), QUANTUM)
        return exact(name, whole + point + places)

    def whole(self, name: str) -> int:
        """A whole number; 0 when missing."""
        value = self.text(name) or "0"
        if not value.isascii() or not value.removeprefix("-").isdecimal() or len(value) > 20:
            raise InvalidInput("UNREADABLE_ROW", [f"{name}: {value:.40} is not a whole number"])
        return int(value)

    def flag(self, name: str) -> bool | None:
        """A truth value; None when missing."""
        value = self._fields.get(name)
        return value if isinstance(value, bool) else None

    def nested(self, name: str) -> Row:
        """An object inside the row; an empty one when missing."""
        return Row(self._fields.get(name) or {})

    def amounts(self, name: str) -> dict[str, Decimal]:
        """An object of figures by name, such as fees by coin; empty when missing."""
        value = self._fields.get(name) or {}
        return {str(key): exact(f"{name}.{key}", figure) for key, figure in Row(value)._fields.items()}

    def rows(self, name: str) -> list[Row]:
        """A list of objects; empty when missing. The venue writes some lists as text, and an empty text for none."""
        value = self._fields.get(name) or []
        if isinstance(value, str):
            value = _list_in_text(name, value)
        if not isinstance(value, list):
            raise InvalidInput("UNREADABLE_ROW", [f"{name}: must be a list, not {type(value).__name__}"])
        return [Row(item) for item in value]


def _list_in_text(name: str, text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidInput("UNREADABLE_ROW", [f"{name}: {text:.40} is not a list"]) from None


def exact(name: str, value: object) -> Decimal:
    """A figure in canonical form, so that equal figures are written alike; empty or missing is zero."""
    if value is None or value == "":
        return ZERO
    return Decimal(plain(parse_amount(name, value)))
