"""A call about an order that is there already: the wish before it, the call, what came of it, the evidence after it.

    1. `record`: the wish is published and applied; what waits for the order sees it
    2. `attempt`: the venue is asked; what came of it is published. An accepted call is no evidence
    3. `until`: the stream is given time to show what became of the order

Cancelling and amending differ in what they ask and in when they stop.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from domain.errors import NotAccepted, NotFoundOrTooLate, OrderNotFound, RateLimited, Refused, VenueError
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

    async def record(self, turn: Turn, order: Order, command_id: str, reason: str, *, replace: bool) -> None:
        """Publish the wish, and wait until it is applied."""
        wish = CancelRequested(
            instrument=order.instrument,
            account=order.account,
            origin=Origin.COMMAND,
            received_ns=self._clock.now_ns(),
            client_order_id=order.order_id,
            command_id=command_id,
            reason=reason,
            replace=replace,
        )
        at = await turn.wait(self._publisher.publish(wish))
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
        ref = OrderRef(order.instrument, order.client_order_id or order.order_id, order.venue_order_id)
        sent_ns = self._clock.now_ns()
        result, code, sentence = Result.ACCEPTED, "", ""
        try:
            await ask(ref)
        except NotFoundOrTooLate as error:
            result, code, sentence = Result.NOT_FOUND, error.code, error.sentence
        except (NotAccepted, RateLimited) as error:
            result, code, sentence = not_accepted, error.code, error.sentence
        except Refused as error:
            result, code, sentence = Result.REFUSED, error.code, error.sentence
        except VenueError as error:
            result, code, sentence = Result.UNCERTAIN, error.code, error.sentence
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
            },
        )
        return await self.publish(order, command_id, result, code, sentence, sent_ns), result

    async def publish(
        self, order: Order, command_id: str, result: Result, code: str, sentence: str, sent_ns: int = 0
    ) -> Source:
        """Put what came of a call into the log. `sent_ns`: 0 when no call was made for it."""
        now_ns = self._clock.now_ns()
        return await self._publisher.publish(
            CallOutcome(
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
            )
        )

    async def until(self, turn: Turn, order_id: str, condition: Condition, limit_s: float) -> bool:
        """Whether the order comes to meet the condition within the limit."""
        partition = turn.record.partition
        symbol = self.order(partition, order_id).instrument.symbol
        return await turn.wait(
            self._applied.until(symbol, lambda: condition(self.order(partition, order_id)), max(0.0, limit_s))
        )
