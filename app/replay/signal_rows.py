"""The signal table, made again from the signals' records, the plans, and what became of the orders.

A plan is an input: it was made on prices and balances of a moment, which it holds. So are the moment at which a turn
ended and the words of its end. Everything else in a signal's row follows, and is made again here: what the record says,
what the plan decides, and whether the orders ever stood as the result says.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from app.replay.inputs import Inputs
from app.replay.rows import decode
from domain.orders import OrderState
from domain.plans import Decision
from streams.signal_intake import Work
from streams.signal_results import AMEND_NOT_CONFIRMED, RESULT_OF, UNTRIED, order_ids_of, result_of_orders
from tables.orders import OrderTable
from tables.receipt import Receipt
from tables.rows import Rows
from tables.signals import CommandRow, SignalResult, SignalRow, SignalState, SignalTable

replace = msgspec.structs.replace


class SignalRows:
    """Makes the rows of `live` again into `table`. `unread`: rows whose record is gone, taken as they are."""

    def __init__(self, live: Rows, table: SignalTable, inputs: Inputs, orders: OrderTable) -> None:
        self._live = live
        self._table = table
        self._inputs = inputs
        self._orders = orders
        self.unread = 0

    def make(self, partition: int, *, complete: bool) -> None:
        """Every row of the partition. `complete`: no update that a signal's end may rest on is missing."""
        for key, value in self._live.scan(partition, b""):
            row = decode("signals", key, value)
            match row:
                case SignalRow():
                    self._table.put(partition, self.signal(partition, row, complete=complete), Receipt())
                case CommandRow():
                    self._table.put_command(partition, self._command(partition, row), Receipt())
                case _:
                    self._table.rows.put(partition, key, value, Receipt())

    def signal(self, partition: int, row: SignalRow, *, complete: bool = False) -> SignalRow:
        """The row as it follows from its record, its plans and its orders."""
        work = self._inputs.work(partition, row.source)
        if work is None:
            self.unread += 1
            return row
        row = replace(
            row,
            **told(work),
            attempt=row.plan.attempt,
            value=self._inputs.value(partition, row.source).decode(errors="replace"),
            planned_ns=row.plan.planned_at_ns,
            order_ids=() if row.code == AMEND_NOT_CONFIRMED else order_ids_of(row.standing_plan),
        )
        plan = row.standing_plan
        if plan.decision is not Decision.EXECUTE:
            state, result = SignalState.DONE, RESULT_OF[plan.decision]
            return replace(row, state=state, result=result, code=plan.code, reason=plan.reason)
        if row.state is SignalState.PLANNED:
            return replace(row, result=SignalResult.NONE, code="", reason="", done_ns=0)
        if row.code or not complete:
            return row  # ended before its orders were sent, or before what is folded
        histories = [self._states(partition, order_id) for order_id in row.order_ids]
        if _possible(row.result, histories):
            return row
        return replace(row, result=result_of_orders([states[-1] for states in histories if states]))

    def _states(self, partition: int, order_id: str) -> list[OrderState]:
        return [transition.after for transition in self._orders.history(partition, order_id)]

    def _command(self, partition: int, row: CommandRow) -> CommandRow:
        command = self._inputs.command(partition, row.source)
        if command is None:
            self.unread += 1
            return row
        order_id = row.order_id if row.order_id is msgspec.UNSET else command.order_id
        return replace(
            row, command_id=command.command_id, symbol=command.symbol, action=command.action, order_id=order_id
        )


def told(work: Work) -> dict[str, object]:
    """What the record says."""
    return {
        "signal_id": work.signal.signal_id,
        "symbol": work.signal.symbol,
        "fingerprint": work.fingerprint,
        "trace_id": work.trace_id,
        "strategy_id": work.signal.strategy_id,
        "is_warmup": work.signal.is_warmup,
        "signal_ns": work.born_ns,
    }


def _possible(result: SignalResult, histories: Iterable[list[OrderState]]) -> bool:
    """Whether there was a moment at which the turn may have ended so."""
    known = [frozenset(states) for states in histories if states]
    match result:
        case SignalResult.UNCERTAIN:
            return any(OrderState.UNCERTAIN in states for states in known)
        case SignalResult.EXECUTED:
            return any(states - UNTRIED - {OrderState.UNCERTAIN} for states in known)
        case SignalResult.DRY_RUN:
            return any(OrderState.DRY_RUN in states for states in known)
        case SignalResult.REJECTED:
            return all(states & UNTRIED for states in known) and any(OrderState.REJECTED in states for states in known)
        case SignalResult.FAILED:
            return all(states & UNTRIED for states in known)
        case _:
            return False
