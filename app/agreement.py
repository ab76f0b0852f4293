"""Does the manager agree with the venue? Order by order and position by position, to the last digit.

Ours is what the web views show (`GET /orders`, `/positions`), theirs the paper exchange's own books
(`GET /paper/books`), which share no code with the manager's tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.verify.venue_ledger import spot_sizes
from domain.instruments import SPOT, label
from domain.money import ZERO, plain

Row = Mapping[str, Any]  # Any: JSON

_STATES_OF = {
    "New": {"acknowledged", "pending_cancel"},
    "PartiallyFilled": {"partially_filled", "pending_cancel"},
    "Filled": {"filled"},
    "Cancelled": {"cancelled"},
    "PartiallyFilledCanceled": {"cancelled"},
    "Rejected": {"rejected"},
    "Untriggered": {"untriggered"},
    "Deactivated": {"cancelled"},
}
_NEVER_THERE = {"rejected", "failed", "expired", "dry_run"}
_SIDES = {0: "net", 1: "long", 2: "short"}


@dataclass(slots=True)
class Agreement:
    """What was compared, and every difference in words."""

    orders: int = 0
    fills: int = 0
    positions: int = 0
    differences: list[str] = field(default_factory=list)


def compare(orders: Sequence[Row], positions: Sequence[Row], account: Row) -> Agreement:
    """Compare the manager's orders and positions with one account of the paper exchange's books."""
    found = Agreement()
    _compare_orders(orders, account["orders"], found)
    _compare_fills(orders, account["executions"], found)
    _compare_positions(positions, account["positions"], found)
    _compare_holdings(positions, account["executions"], found)
    return found


def _compare_orders(ours: Sequence[Row], theirs: Sequence[Row], found: Agreement) -> None:
    by_venue_id = {order["venue_order_id"]: order for order in ours if order["venue_order_id"]}
    seen: set[str] = set()
    for row in theirs:
        found.orders += 1
        client_id = row["orderLinkId"]
        name = f"order {client_id or row['orderId']}"
        if client_id and client_id in seen:
            found.differences.append(f"{name}: the venue has it twice")
        seen.add(client_id)
        order = by_venue_id.pop(row["orderId"], None)
        if order is None:
            found.differences.append(f"{name}: the manager does not know it")
        else:
            _compare_order(name, order, row, found)
    for order in ours:
        ours_alone = not order["external"] and not order["role"]  # what the venue makes bears no id of ours
        if order["order_id"] not in seen and ours_alone and order["state"] not in _NEVER_THERE:
            found.differences.append(f"order {order['order_id']}: {order['state']}, but the venue does not know it")


def _compare_order(name: str, order: Row, row: Row, found: Agreement) -> None:
    if order["state"] not in _STATES_OF.get(row["orderStatus"], set()):
        found.differences.append(f"{name}: state {order['state']}, the venue's {row['orderStatus']}")
    if order["missing_fills"]:
        found.differences.append(f"{name}: not all of its single fills are known")
    figures = (
        ("quantity", order["quantity"], row["qty"]),
        ("executed quantity", order["executed_quantity"], row["cumExecQty"]),
        ("executed value", order["executed_value"], row["cumExecValue"]),
        ("fees", _sum(order["fees"].values()), row["cumExecFee"]),
    )
    for what, our_figure, their_figure in figures:
        _compare_figure(f"{name}: {what}", our_figure, their_figure, found)


def _compare_fills(ours: Sequence[Row], theirs: Sequence[Row], found: Agreement) -> None:
    # What else the venue closes is an order's too, of its own.
    trades = [row for row in theirs if row["execType"] not in {"Funding", "Settle"}]
    found.fills = len(trades)
    for what, our_name, their_name in (
        ("quantities", "executed_quantity", "execQty"),
        ("values", "executed_value", "execValue"),
    ):
        our_sum = _sum(order[our_name] for order in ours)
        _compare_figure(f"sum of all executed {what}", our_sum, _sum(row[their_name] for row in trades), found)


def _compare_positions(ours: Sequence[Row], theirs: Sequence[Row], found: Agreement) -> None:
    by_place = {
        (label(position["instrument"]["category"], position["instrument"]["symbol"]), position["side"]): position
        for position in ours
        if position["instrument"]["category"] != SPOT
    }
    for row in theirs:
        found.positions += 1
        place = (label(row["category"], row["symbol"]), _SIDES[row["positionIdx"]])
        position = by_place.pop(place, None)
        name = f"position {place[0]} {place[1]}"
        if position is None:
            if Decimal(row["size"]) or Decimal(row["realised_pnl"]):
                found.differences.append(f"{name}: the manager has none")
            continue
        figures = (
            ("size", position["size"], row["size"]),
            ("average entry", position["average_entry"], row["avg_price"]),
            ("realised profit", position["realised"], row["realised_pnl"]),
            # The venue counts funding as a fee.
            ("fees", _sum(position["fees"].values()) - Decimal(position["funding"]), row["fees"]),
        )
        for what, our_figure, their_figure in figures:
            _compare_figure(f"{name}: {what}", our_figure, their_figure, found)
    for (symbol, side), position in by_place.items():
        if Decimal(position["size"]):
            found.differences.append(f"position {symbol} {side}: the venue has none")


def _compare_holdings(ours: Sequence[Row], executions: Sequence[Row], found: Agreement) -> None:
    """Spot: the books have coins instead of positions; what was bought and sold of each pair is in their executions."""
    held = {row["instrument"]["symbol"]: row["size"] for row in ours if row["instrument"]["category"] == SPOT}
    sizes = spot_sizes(executions)
    for pair in sorted(held.keys() | sizes.keys()):
        found.positions += 1
        _compare_figure(f"position {label(SPOT, pair)}: size", held.get(pair, "0"), sizes.get(pair, ZERO), found)


def _sum(figures: Iterable[str]) -> Decimal:
    return sum((Decimal(figure) for figure in figures), ZERO)


def _compare_figure(what: str, ours: str | Decimal, theirs: str | Decimal, found: Agreement) -> None:
    if Decimal(ours) != Decimal(theirs):
        found.differences.append(f"{what}: {plain(Decimal(ours))}, the venue's {plain(Decimal(theirs))}")
