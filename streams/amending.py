"""Changing a resting order's quantity and price, until the venue's evidence (requirement D10).

1. publish the wish (`cancel_requested` with `replace`): the order is `pending_replace`
2. ask the venue; publish what came of it. An accepted amendment is no evidence
3. wait for the new terms, or the order's end, on the stream; ask for the order where neither comes

The terms are totals, so an amendment that is repeated after a crash changes nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from domain.errors import NotAccepted, NotFoundOrTooLate, RateLimited, Refused, VenueError
from domain.orders import Order, Pending
from domain.plans import Amend
from domain.updates import Call, CallOutcome, CancelRequested, Origin, Result
from exchanges.venue import OrderRef, Trading
from streams.applied import Applied
from streams.ports import Clock, Turn
from streams.reconciling import Reconciler
from streams.record import Source
from streams.updates import UpdatePublisher
from tables.orders import OrderTable

_NS = 1_000_000_000


class Amender:
    """Amends orders for signals. `timeout_s` bounds the whole, `evidence_s` each wait for the stream."""

    def __init__(
        self,
        *,
        trading: Trading,
        publisher: UpdatePublisher,
        reconciler: Reconciler,
        orders: OrderTable,
        applied: Applied,
        clock: Clock,
        timeout_s: float = 15.0,
        evidence_s: float = 1.0,
    ) -> None:
        self._trading = trading
        self._publisher = publisher
        self._reconciler = reconciler
        self._orders = orders
        self._applied = applied
        self._clock = clock
        self._timeout_s = timeout_s
        self._evidence_s = evidence_s

    async def amend(self, turn: Turn, amend: Amend, *, command_id: str, reason: str) -> Order:
        """The order as it stands at the end: see `has_terms`. Raises `LookupError` when there is no such order."""
        partition = turn.record.partition
        deadline_ns = self._clock.now_ns() + int(self._timeout_s * _NS)
        order = self._order(partition, amend.order_id)
        if order.state.terminal or has_terms(order, amend):
            return order
        await self._record(turn, order, command_id, reason)
        await turn.wait(self._trading.admit(Call.AMEND))
        at, result = await turn.call(partial(self._attempt, partition, amend, command_id))
        await turn.wait(self._applied.reached(at))
        if result in {Result.REFUSED, Result.NOT_ACCEPTED}:
            return self._order(partition, amend.order_id)

        def settled(order: Order) -> bool:
            return order.state.terminal or has_terms(order, amend)

        while not await self._until(turn, amend.order_id, settled) and self._clock.now_ns() < deadline_ns:
            try:
                await turn.wait(self._reconciler.ask(self._order(partition, amend.order_id)))
            except VenueError:
                await turn.wait(self._clock.sleep(self._evidence_s))
        order = self._order(partition, amend.order_id)
        if order.pending is Pending.REPLACE:
            done = has_terms(order, amend)
            await self._conclude(turn, order, command_id, Result.ACCEPTED if done else Result.REFUSED)
        return self._order(partition, amend.order_id)

    async def _record(self, turn: Turn, order: Order, command_id: str, reason: str) -> None:
        wish = CancelRequested(
            instrument=order.instrument,
            account=order.account,
            origin=Origin.COMMAND,
            received_ns=self._clock.now_ns(),
            client_order_id=order.order_id,
            command_id=command_id,
            reason=reason,
            replace=True,
        )
        at = await turn.wait(self._publisher.publish(wish))
        await turn.wait(self._applied.reached(at))

    async def _attempt(self, partition: int, amend: Amend, command_id: str) -> tuple[Source, Result]:
        order = self._order(partition, amend.order_id)
        ref = OrderRef(order.instrument, order.client_order_id or order.order_id, order.venue_order_id)
        quantity = amend.quantity if amend.quantity != order.current_quantity else None
        price = amend.price if amend.price != order.current_price else None
        sent_ns = self._clock.now_ns()
        result, code, sentence = Result.ACCEPTED, "", ""
        try:
            await self._trading.amend(ref, quantity=quantity, price=price)
        except NotFoundOrTooLate as error:
            result, code, sentence = Result.NOT_FOUND, error.code, error.sentence
        except (NotAccepted, RateLimited) as error:
            result, code, sentence = Result.NOT_ACCEPTED, error.code, error.sentence
        except Refused as error:
            result, code, sentence = Result.REFUSED, error.code, error.sentence
        except VenueError as error:
            result, code, sentence = Result.UNCERTAIN, error.code, error.sentence
        return await self._publish(order, command_id, result, code, sentence, sent_ns), result

    async def _conclude(self, turn: Turn, order: Order, command_id: str, result: Result) -> None:
        sentence = "the order's terms show it" if result is Result.ACCEPTED else "the venue does not show the new terms"
        at = await turn.wait(self._publish(order, command_id, result, "AMENDMENT", sentence, 0))
        await turn.wait(self._applied.reached(at))

    async def _publish(
        self, order: Order, command_id: str, result: Result, code: str, sentence: str, sent_ns: int
    ) -> Source:
        now_ns = self._clock.now_ns()
        return await self._publisher.publish(
            CallOutcome(
                instrument=order.instrument,
                account=order.account,
                origin=Origin.OUTCOME,
                received_ns=now_ns,
                client_order_id=order.order_id,
                call=Call.AMEND,
                result=result,
                code=code,
                sentence=sentence,
                attempts=1,
                sent_ns=sent_ns,
                replied_ns=now_ns if sent_ns else 0,
                command_id=command_id,
            )
        )

    async def _until(self, turn: Turn, order_id: str, condition: Callable[[Order], bool]) -> bool:
        partition = turn.record.partition
        symbol = self._order(partition, order_id).instrument.symbol
        return await turn.wait(
            self._applied.until(symbol, lambda: condition(self._order(partition, order_id)), self._evidence_s)
        )

    def _order(self, partition: int, order_id: str) -> Order:
        order = self._orders.get(partition, order_id)
        if order is None:
            raise LookupError(order_id)
        return order


def has_terms(order: Order, amend: Amend) -> bool:
    """Whether the venue shows the order as it was asked to be."""
    return order.current_quantity == amend.quantity and order.current_price == amend.price
