"""A call about an order that is there already: the wish before it, the call, what came of it, the evidence after it.

    1. `record`: the wish is published and applied; what waits for the order sees it
    2. `attempt`, `attempt_batch`: the venue is asked, about one order or several; what came of it is published, order
       by order. An accepted call is no evidence
    3. `until`: the stream is given time to show what became of it

Cancelling and amending differ in what they ask and in when they stop.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

import msgspec

from domain.errors import NotAccepted, NotFoundOrTooLate, OrderNotFound, Refused, VenueError
from domain.orders import Order
from domain.updates import Call, CallOutcome, CancelRequested, Origin, Result
from exchanges.venue import OrderRef
from streams.applied import Applied
from streams.ports import Clock, Turn
from streams.record import Source
from streams.updates import UpdatePublisher
from tables.orders import OrderTable

_log = logging.getLogger(__name__)

Condition = Callable[[Order], bool]


class OrderCalls:
    """Calls of one kind (`call`), each for a command id."""

    def __init__(
        self, call: Call, *, publisher: UpdatePublisher, orders: OrderTable, applied: Applied, clock: Clock
    ) -> None:
        self._call = call
        self._publisher = publisher
        self._orders = orders
        self._applied = applied
        self._clock = clock

    def order(self, partition: int, order_id: str) -> Order:
        """The order as it stands. Raises `OrderNotFound` when there is none, or not any more: an intent that a former
        turn of its signal left without its plan is taken back, whoever works on it."""
        order = self._orders.get(partition, order_id)
        if order is None:
            raise OrderNotFound("ORDER_NOT_FOUND", f"no order {order_id}")
        return order

    def orders(self, partition: int, order_ids: Iterable[str]) -> list[Order]:
        """Those of these orders that are (still) there."""
        found = (self._orders.get(partition, order_id) for order_id in order_ids)
        return [order for order in found if order is not None]

    async def record(
        self, turn: Turn, orders: Sequence[Order], command_id: str, reasons: Sequence[str], *, replace: bool = False
    ) -> None:
        """Publish the wish about each of the orders, for its reason, and wait until all are applied. `replace`: what is
        left of it is wanted again."""
        if not orders:
            return
        amend = self._call is Call.AMEND
        wishes = [
            CancelRequested(
                instrument=order.instrument,
                account=order.account,
                origin=Origin.COMMAND,
                received_ns=self._clock.now_ns(),
                client_order_id=order.order_id,
                command_id=command_id,
                reason=reason,
                replace=replace or amend,
                amend=amend,
            )
            for order, reason in zip(orders, reasons, strict=True)
        ]
        at = await turn.wait(self._publisher.publish_all(wishes))
        await turn.wait(self._applied.reached(at))

    async def attempt(
        self,
        order: Order,
        command_id: str,
        ask: Callable[[OrderRef], Awaitable[object]],
        *,
        not_accepted: Result = Result.NOT_ACCEPTED,
    ) -> tuple[Source, Result]:
        """Ask the venue once and publish what came of it: where that is in the log, and the result.

        `not_accepted`: what a call comes to that the venue surely did not take.
        """
        sent_ns = self._clock.now_ns()
        error: VenueError | None = None
        try:
            await ask(_reference(order))
        except VenueError as raised:
            error = raised
        outcome = self._outcome(order, command_id, error, sent_ns, not_accepted)
        return await self._publisher.publish(outcome), outcome.result

    async def attempt_batch(
        self,
        orders: Sequence[Order],
        command_id: str,
        ask: Callable[[Sequence[OrderRef]], Awaitable[Sequence[VenueError | None]]],
        *,
        not_accepted: Result = Result.NOT_ACCEPTED,
    ) -> Source:
        """The same for several orders of a symbol in one call; returns where the last outcome is in the log."""
        sent_ns = self._clock.now_ns()
        errors = await ask([_reference(order) for order in orders])
        outcomes = [
            self._outcome(order, command_id, error, sent_ns, not_accepted, f"{number} of {len(orders)}")
            for number, (order, error) in enumerate(zip(orders, errors, strict=True), start=1)
        ]
        return await self._publisher.publish_all(outcomes)

    async def publish(self, order: Order, command_id: str, result: Result, code: str, sentence: str) -> Source:
        """Put into the log what came of a call that was not made."""
        return await self._publisher.publish(self._told(order, command_id, result, code, sentence))

    def _outcome(
        self,
        order: Order,
        command_id: str,
        error: VenueError | None,
        sent_ns: int,
        not_accepted: Result,
        batch: str | msgspec.UnsetType = msgspec.UNSET,
    ) -> CallOutcome:
        result = _result(error, not_accepted)
        code, sentence = ("", "") if error is None else (error.code, error.sentence)
        _log.info(
            "%s %s: %s",
            self._call,
            result,
            sentence or "the venue takes it",
            extra={
                "order_id": order.order_id,
                "symbol": order.instrument.symbol,
                "trace_id": order.trace_id,
                "code": code,
                "command_id": command_id,
                "batch": None if batch is msgspec.UNSET else batch,
            },
        )
        return self._told(order, command_id, result, code, sentence, sent_ns, batch)

    def _told(
        self,
        order: Order,
        command_id: str,
        result: Result,
        code: str,
        sentence: str,
        sent_ns: int = 0,
        batch: str | msgspec.UnsetType = msgspec.UNSET,
    ) -> CallOutcome:
        """`sent_ns`: 0 when no call was made for it."""
        now_ns = self._clock.now_ns()
        return CallOutcome(
            instrument=order.instrument,
            account=order.account,
            origin=Origin.OUTCOME,
            received_ns=now_ns,
            client_order_id=order.order_id,
            call=self._call,
            result=result,
            code=code,
            sentence=sentence,
            attempts=1,
            sent_ns=sent_ns,
            replied_ns=now_ns if sent_ns else 0,
            command_id=command_id,
            batch=batch,
        )

    async def until(self, turn: Turn, order_ids: Collection[str], condition: Condition, limit_s: float) -> bool:
        """Whether all of these orders of one symbol, those that are still there, come to meet the condition within
        the limit."""
        partition = turn.record.partition

        def met() -> bool:
            return all(condition(order) for order in self.orders(partition, order_ids))

        symbols = {order.instrument.symbol for order in self.orders(partition, order_ids)}
        if not symbols:
            return True
        (symbol,) = symbols
        return await turn.wait(self._applied.until(symbol, met, max(0.0, limit_s)))


def _reference(order: Order) -> OrderRef:
    return OrderRef(order.instrument, order.client_order_id or order.order_id, order.venue_order_id)


def _result(error: VenueError | None, not_accepted: Result) -> Result:
    match error:
        case None:
            return Result.ACCEPTED
        case NotFoundOrTooLate():
            return Result.NOT_FOUND
        case NotAccepted():
            return not_accepted
        case Refused():
            return Result.REFUSED
        case _:
            return Result.UNCERTAIN
