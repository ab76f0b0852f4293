"""Cancelling one order, until the venue's evidence says that it has ended.

1. publish the wish (`cancel_requested`), wait until it is applied: from here no attempt sends the order
2. wait for the outcome of an order that is in flight
3. ask the venue to cancel; publish what came of it. An accepted cancel is no evidence
4. wait for the order's end on the stream; ask for the order where it does not come, or where the venue found
   nothing to cancel (which concludes nothing)
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from domain.errors import NotAccepted, NotFoundOrTooLate, RateLimited, Refused, VenueError
from domain.orders import Order
from domain.updates import Call, CallOutcome, CancelRequested, Origin, Result
from exchanges.venue import OrderRef, Trading
from streams.applied import Applied
from streams.ports import Clock, Turn
from streams.reconciling import Reconciler
from streams.record import Source
from streams.updates import UpdatePublisher
from tables.orders import OrderTable

_log = logging.getLogger(__name__)

_NS = 1_000_000_000
_Condition = Callable[[Order], bool]


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
        self._publisher = publisher
        self._reconciler = reconciler
        self._orders = orders
        self._applied = applied
        self._clock = clock
        self._settings = settings

    async def cancel(self, turn: Turn, order_id: str, *, command_id: str, reason: str, replace: bool = False) -> Order:
        """The order as it stands at the end: ended if the venue said so within the time, else as far as it came.

        Raises `LookupError` when there is no such order.
        """
        partition = turn.record.partition
        order = self._order(partition, order_id)
        deadline_ns = self._clock.now_ns() + int(self._settings.timeout_s * _NS)
        wish = self._wish(order, command_id, reason, replace)
        if not order.state.terminal and (not order.pending or order.pending_by != command_id):
            await self._record(turn, wish)
        await self._until(turn, order_id, deadline_ns, lambda order: not order.in_doubt)
        attempts = 0
        while not (order := self._order(partition, order_id)).state.terminal and not self._late(deadline_ns):
            if order.in_doubt:
                break
            if attempts < self._settings.max_attempts:
                attempts += 1
                if not order.pending:  # another who wanted it gone has given up
                    await self._record(turn, wish)
                await turn.wait(self._trading.admit(Call.CANCEL))
                at = await turn.call(partial(self._attempt, partition, order_id, command_id, attempts))
                await turn.wait(self._applied.reached(at))
            if not await self._ended(turn, order_id, deadline_ns):
                await turn.wait(self._ask(partition, order_id))
        return self._order(partition, order_id)

    def _wish(self, order: Order, command_id: str, reason: str, replace: bool) -> CancelRequested:
        return CancelRequested(
            instrument=order.instrument,
            account=order.account,
            origin=Origin.COMMAND,
            received_ns=self._clock.now_ns(),
            client_order_id=order.order_id,
            command_id=command_id,
            reason=reason,
            replace=replace,
        )

    async def _record(self, turn: Turn, wish: CancelRequested) -> None:
        at = await turn.wait(self._publisher.publish(wish))
        await turn.wait(self._applied.reached(at))

    async def _attempt(self, partition: int, order_id: str, command_id: str, number: int) -> Source:
        order = self._order(partition, order_id)
        ref = OrderRef(order.instrument, order.client_order_id or order.order_id, order.venue_order_id)
        sent_ns = self._clock.now_ns()
        result, code, sentence = Result.ACCEPTED, "", ""
        try:
            await self._trading.cancel(ref)
        except NotFoundOrTooLate as error:
            result, code, sentence = Result.NOT_FOUND, error.code, error.sentence
        except (NotAccepted, RateLimited) as error:
            last = number >= self._settings.max_attempts
            result = Result.NOT_ACCEPTED if last else Result.UNCERTAIN
            code, sentence = error.code, error.sentence
        except Refused as error:
            result, code, sentence = Result.REFUSED, error.code, error.sentence
        except VenueError as error:
            result, code, sentence = Result.UNCERTAIN, error.code, error.sentence
        _log.info(
            "cancel %s: %s",
            result,
            sentence or "the venue takes it",
            extra={
                "order_id": order.order_id,
                "symbol": order.instrument.symbol,
                "trace_id": order.trace_id,
                "code": code,
                "command_id": command_id,
            },
        )
        return await self._publisher.publish(
            CallOutcome(
                instrument=order.instrument,
                account=order.account,
                origin=Origin.OUTCOME,
                received_ns=self._clock.now_ns(),
                client_order_id=order.order_id,
                call=Call.CANCEL,
                result=result,
                code=code,
                sentence=sentence,
                attempts=1,
                sent_ns=sent_ns,
                replied_ns=self._clock.now_ns(),
                command_id=command_id,
            )
        )

    async def _ended(self, turn: Turn, order_id: str, deadline_ns: int) -> bool:
        """Whether the stream brings the order's end in the time it is given."""
        soon_ns = self._clock.now_ns() + int(self._settings.evidence_s * _NS)
        return await self._until(turn, order_id, min(soon_ns, deadline_ns), lambda order: order.state.terminal)

    async def _ask(self, partition: int, order_id: str) -> None:
        try:
            await self._reconciler.ask(self._order(partition, order_id))
        except VenueError:
            await self._clock.sleep(self._settings.pause_s)

    async def _until(self, turn: Turn, order_id: str, deadline_ns: int, condition: _Condition) -> bool:
        partition = turn.record.partition
        order = self._order(partition, order_id)
        remaining_s = max(0.0, (deadline_ns - self._clock.now_ns()) / _NS)
        symbol = order.instrument.symbol
        return await turn.wait(
            self._applied.until(symbol, lambda: condition(self._order(partition, order_id)), remaining_s)
        )

    def _late(self, deadline_ns: int) -> bool:
        return self._clock.now_ns() >= deadline_ns

    def _order(self, partition: int, order_id: str) -> Order:
        order = self._orders.get(partition, order_id)
        if order is None:
            raise LookupError(order_id)
        return order
