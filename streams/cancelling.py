"""Cancelling one order, until the venue's evidence says that it has ended.

1. publish the wish (`cancel_requested`), wait until it is applied: from here no attempt sends the order
2. wait for the outcome of an order that is in flight
3. ask the venue to cancel; publish what came of it. An accepted cancel is no evidence
4. wait for the order's end on the stream; ask for the order where it does not come, or where the venue found
   nothing to cancel (which concludes nothing)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from domain.errors import VenueError
from domain.orders import Order
from domain.updates import Call, Result
from exchanges.venue import Trading
from streams.applied import Applied
from streams.order_calls import Condition, OrderCalls
from streams.ports import Clock, Turn
from streams.reconciling import Reconciler
from streams.record import Source
from streams.updates import UpdatePublisher
from tables.orders import OrderTable

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class CancelSettings:
    """`timeout_s` bounds the whole; `evidence_s`: how long the stream is given before the venue is asked again."""

    timeout_s: float = 15.0
    evidence_s: float = 1.0
    max_attempts: int = 5
    pause_s: float = 0.5


class Canceller:
    """Cancels orders, for signals (before a replacement) and for commands."""

    def __init__(
        self,
        *,
        trading: Trading,
        publisher: UpdatePublisher,
        reconciler: Reconciler,
        orders: OrderTable,
        applied: Applied,
        clock: Clock,
        settings: CancelSettings,
    ) -> None:
        self._trading = trading
        self._reconciler = reconciler
        self._calls = OrderCalls(Call.CANCEL, publisher=publisher, orders=orders, applied=applied, clock=clock)
        self._applied = applied
        self._clock = clock
        self._settings = settings

    async def cancel(self, turn: Turn, order_id: str, *, command_id: str, reason: str, replace: bool = False) -> Order:
        """The order as it stands at the end: ended if the venue said so within the time, else as far as it came.

        Raises `OrderNotFound` when there is no such order, or not any more.
        """
        partition = turn.record.partition
        order = self._calls.order(partition, order_id)
        deadline_ns = self._clock.now_ns() + int(self._settings.timeout_s * _NS)
        if not order.state.terminal and (not order.pending or order.pending_by != command_id):
            await self._calls.record(turn, order, command_id, reason, replace=replace)
        await self._until(turn, order_id, deadline_ns, lambda order: not order.in_doubt)
        attempts = 0
        while not (order := self._calls.order(partition, order_id)).state.terminal and not self._late(deadline_ns):
            if order.in_doubt:
                break
            if attempts < self._settings.max_attempts:
                attempts += 1
                if not order.pending:  # another who wanted it gone has given up
                    await self._calls.record(turn, order, command_id, reason, replace=replace)
                await turn.wait(self._trading.admit(Call.CANCEL))
                at = await turn.call(partial(self._attempt, partition, order_id, command_id, attempts))
                await turn.wait(self._applied.reached(at))
            if not await self._ended(turn, order_id, deadline_ns):
                await turn.wait(self._ask(partition, order_id))
        return self._calls.order(partition, order_id)

    async def _attempt(self, partition: int, order_id: str, command_id: str, number: int) -> Source:
        last = number >= self._settings.max_attempts
        at, _ = await self._calls.attempt(
            self._calls.order(partition, order_id),
            command_id,
            self._trading.cancel,
            not_accepted=Result.NOT_ACCEPTED if last else Result.UNCERTAIN,  # it is asked again
        )
        return at

    async def _ended(self, turn: Turn, order_id: str, deadline_ns: int) -> bool:
        """Whether the stream brings the order's end in the time it is given."""
        soon_ns = self._clock.now_ns() + int(self._settings.evidence_s * _NS)
        return await self._until(turn, order_id, min(soon_ns, deadline_ns), lambda order: order.state.terminal)

    async def _ask(self, partition: int, order_id: str) -> None:
        try:
            await self._reconciler.ask(self._calls.order(partition, order_id))
        except VenueError:
            await self._clock.sleep(self._settings.pause_s)

    async def _until(self, turn: Turn, order_id: str, deadline_ns: int, condition: Condition) -> bool:
        return await self._calls.until(turn, order_id, condition, (deadline_ns - self._clock.now_ns()) / _NS)

    def _late(self, deadline_ns: int) -> bool:
        return self._clock.now_ns() >= deadline_ns
