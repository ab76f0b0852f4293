"""Cancelling orders of a symbol, until the venue's evidence says that they have ended.

1. publish the wish for each (`cancel_requested`), wait until all are applied: from here no attempt sends the orders
2. ask the venue to cancel those that it has, several in one call where it takes that; publish what came of each. An
   accepted cancel is no evidence
3. wait for their ends on the stream; ask for the orders where these do not come, or where the venue found nothing to
   cancel (which concludes nothing)
4. wait for the outcomes of orders that are in flight, and do the same with them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    """`timeout_s` bounds the wait for evidence; `evidence_s`: how long the stream is given before the venue is asked
    again. `batch_size`: how many orders may go into one call; 1: each has its own."""

    timeout_s: float = 15.0
    evidence_s: float = 1.0
    max_attempts: int = 5
    pause_s: float = 0.5
    batch_size: int = 10


@dataclass(frozen=True, slots=True)
class _Wish:
    """Who wants the orders gone, why each of them, and whether the rest of it is wanted again."""

    command_id: str
    reasons: Mapping[str, str]
    replace: bool


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
        await self._cancel(turn, _Wish(command_id, {order_id: reason}, replace))
        return self._calls.order(turn.record.partition, order_id)

    async def cancel_together(self, turn: Turn, reasons: Mapping[str, str], *, command_id: str) -> list[Order]:
        """The same for several orders of a symbol, each by its id and for its reason: as they stand at the end, those
        that are still there."""
        await self._cancel(turn, _Wish(command_id, reasons, replace=False))
        return self._calls.orders(turn.record.partition, reasons)

    async def _cancel(self, turn: Turn, wish: _Wish) -> None:
        partition, limit_ns = turn.record.partition, int(self._settings.timeout_s * _NS)
        orders = self._calls.orders(partition, wish.reasons)
        new = [order for order in orders if not order.state.terminal]
        await self._record(
            turn, wish, [each for each in new if not each.pending or each.pending_by != wish.command_id]
        )  # 1
        in_flight = [order.order_id for order in self._calls.orders(partition, wish.reasons) if order.in_doubt]
        await self._see_off(turn, wish, [order_id for order_id in wish.reasons if order_id not in in_flight])  # 2, 3
        await self._until(turn, in_flight, self._clock.now_ns() + limit_ns, lambda order: not order.in_doubt)  # 4
        await self._see_off(turn, wish, in_flight)

    async def _see_off(self, turn: Turn, wish: _Wish, order_ids: Sequence[str]) -> None:
        """Ask for the ends of orders until the evidence is there, or the time is up."""
        partition, attempts, deadline_ns = turn.record.partition, 0, 0
        while open_ids := self._open(partition, order_ids):
            if attempts < self._settings.max_attempts:
                attempts += 1
                await self._ask_to_cancel(turn, wish, open_ids, last=attempts == self._settings.max_attempts)
            deadline_ns = deadline_ns or self._clock.now_ns() + int(self._settings.timeout_s * _NS)
            soon_ns = self._clock.now_ns() + int(self._settings.evidence_s * _NS)
            if not await self._until(turn, open_ids, min(soon_ns, deadline_ns), lambda order: order.state.terminal):
                for order_id in self._open(partition, open_ids):
                    await turn.wait(self._look(partition, order_id))
            if self._clock.now_ns() >= deadline_ns:
                return

    async def _ask_to_cancel(self, turn: Turn, wish: _Wish, order_ids: Sequence[str], *, last: bool) -> None:
        """One attempt at each of the orders, in as few calls as the venue and its rate limit allow."""
        partition, waiting = turn.record.partition, list(order_ids)
        while batch := self._next_batch(partition, waiting):
            batch = batch[: await turn.wait(self._trading.admit(Call.CANCEL, len(batch)))]
            waiting = [order_id for order_id in waiting if order_id not in batch]
            batch = self._open(partition, batch)
            # Another who wanted one of them gone may have given up.
            await self._record(
                turn, wish, [order for order in self._calls.orders(partition, batch) if not order.pending.ends]
            )
            if batch and (at := await turn.call(partial(self._attempt, partition, batch, wish, last=last))):
                await turn.wait(self._applied.reached(at))

    def _next_batch(self, partition: int, order_ids: Sequence[str]) -> list[str]:
        """The first order that is there, and those that may go into its call."""
        orders = self._calls.orders(partition, order_ids)
        if not orders:
            return []
        category = orders[0].instrument.category
        most = min(self._settings.batch_size, self._trading.traits.batch_sizes.get(category, 1))
        return [order.order_id for order in orders if order.instrument.category == category][: max(1, most)]

    async def _attempt(self, partition: int, order_ids: Sequence[str], wish: _Wish, *, last: bool) -> Source | None:
        """Where the (last) outcome is in the log; None where none of the orders is there any more."""
        orders = self._calls.orders(partition, order_ids)
        if not orders:
            return None
        not_accepted = Result.NOT_ACCEPTED if last else Result.UNCERTAIN  # it is asked again
        if len(orders) > 1:
            return await self._calls.attempt_batch(
                orders, wish.command_id, self._trading.cancel_batch, not_accepted=not_accepted
            )
        at, _ = await self._calls.attempt(orders[0], wish.command_id, self._trading.cancel, not_accepted=not_accepted)
        return at

    async def _record(self, turn: Turn, wish: _Wish, orders: Sequence[Order]) -> None:
        reasons = [wish.reasons[order.order_id] for order in orders]
        await self._calls.record(turn, orders, wish.command_id, reasons, replace=wish.replace)

    def _open(self, partition: int, order_ids: Iterable[str]) -> list[str]:
        """Those that the venue has, as far as we know."""
        orders = self._calls.orders(partition, order_ids)
        return [order.order_id for order in orders if not order.state.terminal and not order.in_doubt]

    async def _look(self, partition: int, order_id: str) -> None:
        for order in self._calls.orders(partition, [order_id]):
            try:
                await self._reconciler.ask(order)
            except VenueError:
                await self._clock.sleep(self._settings.pause_s)

    async def _until(self, turn: Turn, order_ids: Sequence[str], deadline_ns: int, condition: Condition) -> bool:
        return await self._calls.until(turn, order_ids, condition, (deadline_ns - self._clock.now_ns()) / _NS)
