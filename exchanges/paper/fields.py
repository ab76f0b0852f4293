"""Reading the fields of a call: strings, numbers that travel as strings, flags and words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from exchanges.paper.refusals import bad_parameter

Fields = Mapping[str, object]
Choice = TypeVar("Choice", bound=StrEnum)

MAX_WHOLE: Final = 10**15  # beyond any time in milliseconds that makes sense
_LINK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
_DECIMAL: Final = re.compile(r"\d{1,20}(\.\d{1,20})?")


def text(fields: Fields, name: str) -> str:
    """The string under `name`, "" if it is absent. Anything but a string is refused."""
    value = fields.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad_parameter(f"params error: {name} must be a string")
    return value


def number(fields: Fields, name: str) -> Decimal | None:
    """The decimal under `name`, None if it is absent or empty. Numbers travel as strings: anything else is refused."""
    written = text(fields, name)
    if not written:
        return None
    if not _DECIMAL.fullmatch(written):
        raise bad_parameter(f"{name[0].upper()}{name[1:]} invalid")
    return Decimal(written)


def flag(fields: Fields, name: str) -> bool:
    """A JSON boolean, false if absent; the words true and false are taken too, as clients send them."""
    value = fields.get(name)
    if value is None:
        return False
    if isinstance(value, str) and value.lower() in {"true", "false", ""}:
        return value.lower() == "true"
    if isinstance(value, bool):
        return value
    raise bad_parameter(f"params error: {name} must be a boolean")


def whole(fields: Fields, name: str, default: int) -> int:
    """A whole number, given as such or as a string."""
    value = fields.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise bad_parameter(f"params error: {name} invalid")
    try:
        given = int(value)
    except ValueError as error:
        raise bad_parameter(f"params error: {name} invalid") from error
    if abs(given) > MAX_WHOLE:
        raise bad_parameter(f"params error: {name} invalid")
    return given


def choice(kind: type[Choice], fields: Fields, name: str, default: Choice | None = None) -> Choice:
    """One of the words of `kind`."""
    written = text(fields, name)
    if not written and default is not None:
        return default
    try:
        return kind(written)
    except ValueError as error:
        raise bad_parameter(f"{name[0].upper()}{name[1:]} invalid") from error


def wants_rpi(fields: Fields) -> bool:
    """True for a retail price improvement order, a time in force that only approved market makers have."""
    return fields.get("timeInForce") == "RPI"


def order_link_id(fields: Fields) -> str:
    """The client's own id of an order, "" without one."""
    written = text(fields, "orderLinkId")
    if written and not _LINK_ID.fullmatch(written):
        raise bad_parameter("OrderLinkId invalid: 1 to 36 characters of A-Z a-z 0-9 _ -")
    return written
