"""What must hold of each order that leaves for a side of a hedged position (requirement D11)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from domain.money import ZERO
from domain.orders import Order, PositionSide, Side
from domain.plans import Plan
from exchanges.venue import NewOrder
from simulation.coin_watch import complaints as in_coins
from simulation.sides import OPENS, only_closes
from simulation.venue_orders import ACCOUNT
from tables.signals import SignalRow

if TYPE_CHECKING:
    from simulation.handlers import Handlers

_NS = 1_000_000_000


class SideWatch:
    """Looks at the orders of one process."""

    def __init__(self, worker: Handlers) -> None:
        self._worker = worker

    def complaints(self, new: NewOrder, signal: SignalRow | None) -> list[str]:
        """What is wrong with the order that is about to be sent for the signal."""
        if signal is None:
            return []
        found, weather = [], self._worker.around.weather
        if new.instrument.spot and new.side is Side.SELL and (excess := self._excess(new, signal.standing_plan)) > 0:
            found.append(f"sells {excess} more than was held when it was planned")
        if weather.coins:
            found += in_coins(new, signal)
        if not weather.hedge:
            return found
        if new.position_side is not wanted_side(signal):
            found.append(f"goes to the {new.position_side} side, its signal wants the {wanted_side(signal)} one")
        if new.reduce_only is not only_closes(new):
            found.append(f"is a {new.side} of the {new.position_side} side, and reduce-only is {new.reduce_only}")
        if only_closes(new) and (excess := self._excess(new, signal.standing_plan)) > 0:
            found.append(f"closes {excess} more than the {new.position_side} side had when it was planned")
        return found

    def _excess(self, new: NewOrder, plan: Plan) -> Decimal:
        """By how much all orders of the plan, with those of ours that were open to close before, are more than what was
        held then: what is held now, or is known to have been opened, and what was closed since."""
        worker, side = self._worker, new.position_side
        partition = worker.log.partition_of(new.instrument.symbol.encode())
        orders = [
            order
            for order in worker.orders.open_orders(partition, new.instrument.symbol)
            if order.position_side is side and order.instrument == new.instrument
        ]
        untold = sum((order.untold_size for order in orders if order.side is not new.side), ZERO)
        held = (worker.positions.get(partition, new.instrument, ACCOUNT, side).state.size + untold) * -new.side.sign
        known = self._counted_by(partition, plan.planned_at_ns - int(worker.around.weather.skew_s * _NS))
        closed = sum(
            (
                entry.fill.quantity
                for entry in worker.positions.ledger(partition, new.instrument, ACCOUNT, side)
                if entry.fill.side is new.side and entry.fill.execution_id not in known
            ),
            ZERO,
        )
        mine = {intent.order_id for intent in plan.intents}
        before = [order for order in orders if order.order_id not in mine and self._competes(order, new, plan)]
        wanted = sum((intent.quantity for intent in plan.intents), ZERO)
        return wanted + sum((order.leaves for order in before), ZERO) - max(ZERO, held) - closed

    def _counted_by(self, partition: int, time_ns: int) -> set[str]:
        """The executions whose rows were in the log by then. That they were told of says less: it takes a moment to
        count a fill, and the one of an order that nobody here knows waits until the venue was asked for the order."""
        rows = self._worker.around.broker.logs["positions-changelog", partition]
        keys = (row.key.decode() for row in rows if row.key is not None and row.timestamp_ns < time_ns)
        return {key.rpartition("/")[2] for key in keys if key.startswith("l/")}

    def _competes(self, order: Order, new: NewOrder, plan: Plan) -> bool:
        """Whether an order of ours was open to close the same side when the plan was made."""
        open_then = order.ours and not order.state.terminal and order.times.created_ns < plan.planned_at_ns
        return open_then and order.side is new.side


def wanted_side(signal: SignalRow) -> PositionSide:
    """The side that the signal's own words mean: the one that it names, else the long one, but for a buy that may only
    reduce."""
    fields = msgspec.json.decode(signal.value)
    if named := fields.get("position_side"):
        return PositionSide(named)
    closes_short = fields["signal_type"] == Side.BUY and fields.get("reduce_only")
    return PositionSide.SHORT if closes_short else next(iter(OPENS))
