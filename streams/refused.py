"""What becomes of a signal whose record is refused although its turn had begun: after a restart a category is traded
no more, records may be no larger, or the account is another one (requirements S02, X06).

What the record has begun is not undone by that, and nobody else may conclude anything of its orders while its turn is
awaited. So the turn comes to its end here, without sending anything: what may have been sent is asked for at the venue,
by commands from then on, and only the venue's evidence ends it; what was not sent never will be.
"""

from __future__ import annotations

import msgspec

from domain.errors import InvalidInput
from domain.orders import Order
from domain.signals import identify
from streams.hooks import Hooks
from streams.origin import origin_of
from streams.ports import Log, Turn
from streams.record import Record
from streams.signal_intake import SignalIntake
from streams.signal_results import result_of_orders
from tables.orders import OrderTable
from tables.receipt import Receipt
from tables.signals import SignalResult, SignalRow, SignalTable

replace = msgspec.structs.replace


class RefusedRecords:
    """What records that are refused have begun."""

    def __init__(
        self, *, log: Log, intake: SignalIntake, orders: OrderTable, signals: SignalTable, hooks: Hooks
    ) -> None:
        self._log = log
        self._intake = intake
        self._orders = orders
        self._signals = signals
        self._hooks = hooks

    def begun_by(self, record: Record) -> SignalRow | None:
        """The signal whose present attempt the record began, if there is one."""
        signal_id, symbol = identify(record.value)
        if signal_id is None or symbol is None or record.key != symbol.encode():
            return None  # such a record began nothing: it is published again where it belongs, or nothing can be read
        row = self._signals.get(record.partition, symbol, signal_id)
        return row if row is not None and row.source == str(origin_of(record).source) else None

    async def put_aside(self, turn: Turn, error: InvalidInput, begun: SignalRow | None) -> None:
        """The dead letter, durable when this returns. Where nothing is `begun`, intents that a crash left without their
        plan wait for the record's turn no longer."""
        self._hooks.on_dead_letter(error.code)
        record, receipt = turn.record, Receipt()
        for out in self._intake.refusal(record, error, begun=begun is not None):
            self._log.append(out.topic, out.partition, out.key, out.value, receipt, out.headers)
        if begun is None:
            source = str(origin_of(record).source)
            waiting = self._orders.open_orders(record.partition, (record.key or b"").decode(errors="replace"))
            if any(order.signal is not None and order.signal.source == source for order in waiting):
                self._signals.put_aside(record.partition, source, receipt)
        await turn.wait(receipt.durable())

    def end_of(self, partition: int, row: SignalRow) -> tuple[SignalRow, SignalResult]:
        """How the signal ends whose turn goes no further: the row, with the orders that are its own, and the result."""
        if row.plan.amends and row.after_cancels is None and not row.plan.dry_run:
            return replace(row, order_ids=()), SignalResult.UNCERTAIN  # a resting order may have taken it up
        found = (self._orders.get(partition, order_id) for order_id in row.order_ids)
        orders: list[Order] = [order for order in found if order is not None]
        if not orders:  # plan and intents are durable before anything is sent
            return replace(row, order_ids=()), SignalResult.FAILED
        doubtful = any(order.in_doubt for order in orders)
        return row, SignalResult.UNCERTAIN if doubtful else result_of_orders([order.state for order in orders])
