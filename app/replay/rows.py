"""Rows of any table as what they mean: typed, in one canonical form, with the record of the log they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from domain.events import Transition
from domain.orders import Order
from domain.positions import LedgerEntry, Position
from domain.updates import Update
from tables.orders import FillRow
from tables.positions import Moved
from tables.signals import CommandRow, SignalRow

Json = Any  # Any: whatever JSON can say

_TYPES: Mapping[str, Mapping[bytes, Any]] = {  # Any: a type, or a union of types
    "orders": {b"o": Order, b"h": Transition, b"f": FillRow, b"p": Update},
    "signals": {b"s": SignalRow, b"c": CommandRow, b"x": int},
    "positions": {b"p": Position, b"l": LedgerEntry, b"m": Moved},
}
_DECODERS = {
    table: {letter: msgspec.json.Decoder(kind) for letter, kind in kinds.items()} for table, kinds in _TYPES.items()
}
_encoder = msgspec.json.Encoder(order="deterministic")

KIND_NAMES = {
    "orders": {"o": "order", "h": "transition", "f": "fill", "p": "parked update"},
    "signals": {"s": "signal", "c": "command", "x": "failure count"},
    "positions": {"p": "position", "l": "ledger entry", "m": "place of a fill"},
}
"""What the letter before a key's first `/` stands for."""


def decode(table: str, key: bytes, value: bytes) -> Any:  # Any: a row of one of the types above, or None
    """The row; None for a kind we don't know, or bytes that are no such row."""
    decoder = _DECODERS[table].get(key[:1])
    if decoder is None:
        return None
    try:
        return decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def canonical(table: str, key: bytes, value: bytes) -> bytes:
    """The same bytes for rows that mean the same, whichever version wrote them; as they are if they cannot be read."""
    row = decode(table, key, value)
    return value if row is None else _encoder.encode(row)


def cause(table: str, key: str, value: Json) -> tuple[int, str]:
    """(when, record) that a row in its canonical JSON form comes from: where somebody looks first.

    When is in nanoseconds UTC, from the row; the record is topic-partition-offset, or an offset of `order-updates`.
    """
    if not isinstance(value, dict):
        return 0, ""
    match table, key[:1]:
        case "orders", "o":
            return value["times"]["updated_ns"], _update(value["applied_offset"])
        case "orders", "h":
            return value["at_ns"], value["source"]
        case ("orders", "f") | ("positions", "l"):
            return value["fill"]["received_ns"], _update(value["offset"])
        case "positions", "m":
            return value["placed_ns"], _update(value["offset"])
        case "orders", "p":
            return value["received_ns"], _update(int(key.rsplit("/", 1)[1]))
        case "positions", "p":
            return value["updated_ns"], _update(value["applied_offset"])
        case "signals", "s":
            return value["planned_ns"], value["source"]
        case "signals", "c":
            return value["at_ns"], value["source"]
    return 0, ""


def _update(offset: int) -> str:
    return "" if offset < 0 else f"order-updates offset {offset}"


def field_differences(one: Json, other: Json, path: str = "") -> Iterator[tuple[str, Json, Json]]:
    """(field with dots, its value here, its value there) for each leaf that differs; None where it is not there."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            yield from field_differences(one.get(name), other.get(name), f"{path}.{name}" if path else name)
    elif one != other:
        yield path, one, other
