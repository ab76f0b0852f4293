"""What one operation of the exchange has changed, until it is written to the books and told to the streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exchanges.paper.ledger import Position
from exchanges.paper.orders import Execution, Order
from exchanges.paper.vocabulary import Category, StopOrderType

Row = dict[str, object]


class StreamMessage(NamedTuple):
    """One message for the private streams of an account, as it stood when the event happened."""

    uid: int
    topic: str
    symbol: str
    message_id: str
    created_at_ms: int
    rows: list[Row]
    category: Category = Category.LINEAR


@dataclass(slots=True)
class Turn:
    """Orders, executions, positions and wallets that an operation touched, each once, in the order of first touch.

    `milestones` are copies of orders in a state that they passed through, and that the streams are told of.
    `triggered` says what was triggered last for a position.
    """

    at_ns: int
    orders: dict[str, Order] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    milestones: list[Order] = field(default_factory=list)
    positions: dict[tuple[int, str, int], Position] = field(default_factory=dict)
    uids: dict[int, None] = field(default_factory=dict)
    triggered: dict[tuple[int, str, int], StopOrderType] = field(default_factory=dict)

    def touch(self, order: Order, position: Position | None) -> None:
        """An order has changed, and (but on spot) a position with it or because of it."""
        self.orders[order.order_id] = order
        self.uids[order.uid] = None
        if position is not None:
            self.touch_position(position)

    def touch_position(self, position: Position) -> None:
        self.positions[position.uid, position.symbol, position.position_idx] = position
        self.uids[position.uid] = None

    def executions_of(self) -> Mapping[str, list[Execution]]:
        """The executions by order id."""
        found: dict[str, list[Execution]] = {}
        for execution in self.executions:
            found.setdefault(execution.order_id, []).append(execution)
        return found
