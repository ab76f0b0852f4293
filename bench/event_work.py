"""The work that all variants of `update_to_event` do alike: an update, the row before it → two rows and an event.

Only orjson besides the standard library: the Quix worker runs in an environment of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

PARTITIONS = 8
ORDERS = 20_000
SYMBOLS = 200
UPDATE_BYTES, ROW_BYTES, LEDGER_BYTES, EVENT_BYTES = 536, 563, 198, 990
"""Sizes of an update, an order's row, a ledger row and an event as they are in use."""


class Outcome(NamedTuple):
    """What an update leads to: keys are relative to the tables."""

    order_key: bytes
    order_row: bytes
    ledger_key: bytes
    ledger_row: bytes
    event: bytes


def symbol_of(order: int) -> bytes:
    """The key of an order's records."""
    return b"S%03dUSDT" % (order % SYMBOLS)


def partition_of(order: int) -> int:
    """Where an order's records lie: what matters is that a symbol is in one partition."""
    return order % SYMBOLS % PARTITIONS


def updates(count: int) -> Iterator[tuple[int, bytes, bytes]]:
    """(partition, key, update), round the orders."""
    for number in range(count):
        order = number % ORDERS
        yield partition_of(order), symbol_of(order), update(order, number // ORDERS + 1, 0)


def update(order: int, step: int, sent_ns: int) -> bytes:
    """The `step`-th update of an order; `sent_ns` comes out again in its event."""
    return _padded(
        {
            "order_id": f"om{order:030d}",
            "symbol": symbol_of(order).decode(),
            "step": step,
            "state": "partially_filled",
            "cumulative": f"{step * 25}.125",
            "value": f"{step * 25 * 640}.5",
            "price": "640.25",
            "sent_ns": sent_ns,
            "received_ns": 1_790_000_000_000_000_000 + step,
        },
        UPDATE_BYTES,
    )


def apply(raw_update: bytes, row_of_order: bytes | None) -> Outcome:
    """Merge an update into its order's row, as a join would."""
    told = orjson.loads(raw_update)
    merged = merge(told, None if row_of_order is None else orjson.loads(row_of_order))
    key = told["order_id"].encode()
    return Outcome(
        b"o/" + key,
        _padded(merged.order_row, ROW_BYTES),
        b"l/%b/%010d" % (key, merged.order_row["sequence"]),
        _padded(merged.ledger_row, LEDGER_BYTES),
        _padded(merged.event, EVENT_BYTES),
    )


class Merged(NamedTuple):
    """The rows and the event before they are encoded, without what fills them up to their sizes."""

    order_row: dict[str, Any]
    ledger_row: dict[str, Any]
    event: dict[str, Any]


def merge(told: dict[str, Any], before: dict[str, Any] | None) -> Merged:
    """The work between decoding and encoding."""
    if before is None:
        before = {"cumulative": "0", "value": "0", "sequence": 0}
    advanced = Decimal(told["cumulative"]) > Decimal(before["cumulative"])
    newest = told if advanced else before
    sequence = before["sequence"] + 1
    order_id = told["order_id"]
    row = {
        "order_id": order_id,
        "symbol": told["symbol"],
        "state": told["state"],
        "cumulative": newest["cumulative"],
        "value": newest["value"],
        "average": str(round(Decimal(newest["value"]) / Decimal(newest["cumulative"]), 8)),
        "sequence": sequence,
        "updated_ns": told["received_ns"],
    }
    ledger = {"order_id": order_id, "sequence": sequence, "cumulative": newest["cumulative"], "price": told["price"]}
    event = row | {"event_id": f"{order_id}-{sequence}", "sent_ns": told["sent_ns"], "type": "partially_filled"}
    return Merged(row, ledger, event)


def sent_ns_of(event: bytes) -> int:
    """When the update of an event was sent."""
    found: int = orjson.loads(event)["sent_ns"]
    return found


def _padded(content: dict[str, object], size: int) -> bytes:
    raw = orjson.dumps(content)
    return b'%b,"x":"%b"}' % (raw[:-1], b"." * (size - len(raw) - 7))
