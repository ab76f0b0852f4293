"""Does the manager agree with the venue? Order by order and position by position, to the last digit.

The venue's side comes from the paper exchange's own books, which share no code with the manager's tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from domain.money import ZERO, plain
from domain.orders import Order, OrderState, PositionSide
from domain.positions import Position

Row = Mapping[str, Any]  # Any: JSON

_STATE_OF = {
    "New": {OrderState.ACKNOWLEDGED, OrderState.PENDING_CANCEL},
    "PartiallyFilled": {OrderState.PARTIALLY_FILLED, OrderState.PENDING_CANCEL},
    "Filled": {OrderState.FILLED},
    "Cancelled": {OrderState.CANCELLED},
    "PartiallyFilledCanceled": {OrderState.CANCELLED},
    "Rejected": {OrderState.REJECTED},
    "Untriggered": {OrderState.UNTRIGGERED},
    "Deactivated": {OrderState.CANCELLED},
}
_NEVER_THERE = {OrderState.REJECTED, OrderState.FAILED, OrderState.EXPIRED, OrderState.DRY_RUN}
_SIDES = {0: PositionSide.NET, 1: PositionSide.LONG, 2: PositionSide.SHORT}


@dataclass(slots=True)
class Agreement:
    """What was compared, and every difference in words."""

    orders: int = 0
    fills: int = 0
    positions: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        """Nothing differs."""
        return not self.differences


def compare(orders: Iterable[Order], positions: Iterable[Position], account: Row) -> Agreement:
    """Compare the manager's rows with one account of the paper exchange's books (`GET /paper/books`)."""
    found = Agreement()
    ours = list(orders)
    _compare_orders(ours, account["orders"], found)
    _compare_fills(ours, account["executions"], found)
    _compare_positions(list(positions), account["positions"], found)
    return found


def _compare_orders(ours: list[Order], theirs: list[Row], found: Agreement) -> None:
    by_venue_id = {order.venue_order_id: order for order in ours if order.venue_order_id}
    seen_client_ids: set[str] = set()
    for row in theirs:
        found.orders += 1
        name = row["orderLinkId"] or row["orderId"]
        if row["orderLinkId"] and row["orderLinkId"] in seen_client_ids:
            found.differences.append(f"order {name}: the venue has it twice")
        seen_client_ids.add(row["orderLinkId"])
        order = by_venue_id.pop(row["orderId"], None)
        if order is None:
            found.differences.append(f"order {name}: the manager does not know it")
            continue
        _compare_order(name, order, row, found)
    known = {row["orderLinkId"] for row in theirs}
    for order in ours:
        if order.order_id not in known and not order.external and order.state not in _NEVER_THERE:
            found.differences.append(f"order {order.order_id}: {order.state}, but the venue does not know it")


def _compare_order(name: str, order: Order, row: Row, found: Agreement) -> None:
    if order.state not in _STATE_OF.get(row["orderStatus"], set()):
        found.differences.append(f"order {name}: state {order.state}, the venue's {row['orderStatus']}")
    executed = order.cumulative
    figures = (
        ("quantity", order.current_quantity, row["qty"]),
        ("executed quantity", executed.quantity, row["cumExecQty"]),
        ("executed value", executed.value, row["cumExecValue"]),
        ("fees", sum(executed.fees.values(), ZERO), row["cumExecFee"]),
        ("quantity of its single fills", order.fills.quantity, row["cumExecQty"]),
        ("value of its single fills", order.fills.value, row["cumExecValue"]),
    )
    for what, our_figure, their_figure in figures:
        _compare_figure(f"order {name}: {what}", our_figure, Decimal(their_figure), found)


def _compare_fills(ours: list[Order], theirs: list[Row], found: Agreement) -> None:
    trades = [row for row in theirs if row["execType"] == "Trade"]
    found.fills = len(trades)
    _compare_figure(
        "sum of all executed quantities",
        sum((order.fills.quantity for order in ours), ZERO),
        sum((Decimal(row["execQty"]) for row in trades), ZERO),
        found,
    )


def _compare_positions(ours: list[Position], theirs: list[Row], found: Agreement) -> None:
    by_place = {(position.instrument.symbol, position.side): position for position in ours}
    for row in theirs:
        found.positions += 1
        place = (row["symbol"], _SIDES[row["positionIdx"]])
        position = by_place.pop(place, None)
        name = f"position {place[0]} {place[1]}"
        if position is None:
            if Decimal(row["size"]) or Decimal(row["realised_pnl"]):
                found.differences.append(f"{name}: the manager has none")
            continue
        state = position.state
        figures = (
            ("size", state.size, row["size"]),
            ("average entry", state.average_entry, row["avg_price"]),
            ("realised profit", state.realised, row["realised_pnl"]),
            ("fees", sum(state.fees.values(), ZERO), row["fees"]),
        )
        for what, our_figure, their_figure in figures:
            _compare_figure(f"{name}: {what}", our_figure, Decimal(their_figure), found)
    for (symbol, side), position in by_place.items():
        if position.state.size:
            found.differences.append(f"position {symbol} {side}: the venue has none")


def _compare_figure(what: str, ours: Decimal, theirs: Decimal, found: Agreement) -> None:
    if ours != theirs:
        found.differences.append(f"{what}: {plain(ours)}, the venue's {plain(theirs)}")
