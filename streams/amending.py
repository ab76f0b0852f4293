"""Changing a resting order's quantity and price, until the venue's evidence (requirement D10).

1. publish the wish (`cancel_requested` with `amend`): the order is `pending_replace`. Where somebody wants the order
   gone, that stays, and nothing is asked
2. wait for a token, then checks and call as one step, as for an order of its own: an amendment adds exposure. What came
   of it is published. An accepted amendment is no evidence
3. wait for the new terms, or the order's end in the venue's words, on the stream; ask for the order where neither comes

The terms are totals, so an amendment that is repeated after a crash changes nothing more.

That an amendment was not taken lets the signal's quantity be wanted again, so it has to be certain: nothing was ever
asked, the venue refused the only request there was, or it shows the old terms when no request can be on its way any
more. Single fills that add up to the order's quantity say nothing: the amendment may have come before them, and the
venue's row of it later.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial

from domain.errors import VenueError
from domain.events import EventKind
from domain.orders import Order, Pending
from domain.plans import Amend
from domain.updates import Call, Result
from exchanges.venue import OrderRef, Trading
from streams.admitting import admitted, objection_to
from streams.applied import Applied
from streams.clearance import Clearance
from streams.market import Market
from streams.order_calls import OrderCalls
from streams.ports import Clock, Turn
from streams.reconciling import Finding, Reconciler
from streams.record import Source
from streams.symbol_gates import SymbolGates
from streams.updates import UpdatePublisher
from tables.orders import OrderTable

_NS = 1_000_000_000
_UNCHANGED = frozenset({Result.REFUSED, Result.NOT_ACCEPTED, Result.EXPIRED})
"""The venue has surely not changed the order."""


class Taken(StrEnum):
    """What came of an amendment, by the venue's evidence."""

    YES = "yes"
    NO = "no"
    ENDED = "ended"
    """Not taken, and the order has ended."""
    UNKNOWN = "unknown"


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
        gates: SymbolGates,
        market: Market,
        clock: Clock,
        timeout_s: float = 15.0,
        evidence_s: float = 1.0,
    ) -> None:
        self._trading = trading
        self._reconciler = reconciler
        self._orders = orders
        self._calls = OrderCalls(Call.AMEND, publisher=publisher, orders=orders, applied=applied, clock=clock)
        self._applied = applied
        self._clearance = Clearance(orders=orders, gates=gates, applied=applied, clock=clock)
        self._market = market
        self._clock = clock
        self._timeout_s = timeout_s
        self._evidence_s = evidence_s

    async def amend(
        self, turn: Turn, amend: Amend, *, command_id: str, reason: str, until_ns: int
    ) -> tuple[Order, Taken]:
        """The order as it stands at the end, and whether it has taken the terms. Raises `OrderNotFound` when there is
        no such order. Wishes of the same `reason` are for the same terms; none is asked for after `until_ns` (UTC)."""
        partition = turn.record.partition
        order = self._calls.order(partition, amend.order_id)
        if (taken := taken_by(order, amend)) is not Taken.UNKNOWN:
            if order.pending and order.pending_by == command_id:  # an earlier turn got no further
                await self._conclude(turn, order, command_id, done=taken is Taken.YES)
            return self._calls.order(partition, amend.order_id), taken
        may_be_on_its_way = self._was_wished(partition, amend.order_id, reason)
        if not order.state.terminal:
            result = await self._ask(turn, amend, command_id, reason, until_ns)
            may_be_on_its_way = may_be_on_its_way or result not in _UNCHANGED
            order = self._calls.order(partition, amend.order_id)
            if not (may_be_on_its_way or order.state.terminal or order.pending.ends):
                taken = taken_by(order, amend)
                return order, Taken.NO if taken is Taken.UNKNOWN else taken
        taken = await self._settle(turn, amend, self._clock.now_ns() + int(self._timeout_s * _NS))
        order = self._calls.order(partition, amend.order_id)
        if order.pending is Pending.AMEND:
            await self._conclude(turn, order, command_id, done=taken is Taken.YES)
        unasked = taken is Taken.UNKNOWN and not may_be_on_its_way
        return self._calls.order(partition, amend.order_id), Taken.NO if unasked else taken

    def _was_wished(self, partition: int, order_id: str, reason: str) -> bool:
        """Whether an earlier turn may have asked for it."""
        history = self._orders.history(partition, order_id)
        return any(each.kind is EventKind.PENDING_REPLACE and each.reason == reason for each in history)

    async def _ask(self, turn: Turn, amend: Amend, command_id: str, reason: str, until_ns: int) -> Result:
        """Steps 1 and 2. What came of it is applied when this returns."""
        partition = turn.record.partition
        while True:
            order = self._calls.order(partition, amend.order_id)
            if not self._is_on_record(order, command_id):
                await self._calls.record(turn, [order], command_id, [reason])
            await admitted(self._trading, self._clock, turn, Call.AMEND, until_ns)
            tried = await turn.call(partial(self._attempt, partition, amend, command_id, until_ns))
            if tried is not None:
                await turn.wait(self._applied.reached(tried[0]))
                return tried[1]
            await self._clearance.to_call(turn, order, until_ns, _needs_no_call)

    async def _attempt(
        self, partition: int, amend: Amend, command_id: str, until_ns: int
    ) -> tuple[Source, Result] | None:
        """None: the symbol was shut, or the wish taken back, while a token was waited for."""
        order = self._calls.order(partition, amend.order_id)
        if order.state.terminal or taken_by(order, amend) is Taken.YES:
            # What an earlier turn has asked for, or the order's end, came while a token was waited for.
            sentence = f"nothing is left to amend: the order is {order.state}"
            at = await self._calls.publish(order, command_id, Result.ACCEPTED, "AMENDMENT", sentence)
            return at, Result.ACCEPTED
        if (objection := self._objection(order, until_ns)) is not None:
            return await self._calls.publish(order, command_id, Result.EXPIRED, *objection), Result.EXPIRED
        if not (self._is_on_record(order, command_id) and self._clearance.may_call(partition, order)):
            return None
        quantity = amend.quantity if amend.quantity != order.current_quantity else None
        price = amend.price if amend.price != order.current_price else None

        async def ask(ref: OrderRef) -> None:
            await self._trading.amend(ref, quantity=quantity, price=price)

        return await self._calls.attempt(order, command_id, ask)

    def _is_on_record(self, order: Order, command_id: str) -> bool:
        return order.pending is Pending.AMEND and order.pending_by == command_id

    def _objection(self, order: Order, until_ns: int) -> tuple[str, str] | None:
        """Why nothing may be added to the order now, if anything speaks against it. Synchronous, as for a create."""
        if order.pending.ends:
            return "CANCEL_REQUESTED", f"the order is to end: {order.reason}"
        return objection_to(self._market, self._clock, order, until_ns, "amended")

    async def _settle(self, turn: Turn, amend: Amend, deadline_ns: int) -> Taken:
        """Wait for the new terms, or the order's end; ask where the stream brings neither."""
        partition = turn.record.partition
        arrives_by_ns = self._reconciler.arrives_by_ns(self._clock.now_ns())

        def settled(order: Order) -> bool:
            return order.evidence.state.terminal or taken_by(order, amend) is not Taken.UNKNOWN

        while not await self._calls.until(turn, [amend.order_id], settled, self._evidence_s):
            asked_ns = self._clock.now_ns()
            if asked_ns >= deadline_ns:
                break
            try:
                finding = await turn.wait(self._reconciler.ask(self._calls.order(partition, amend.order_id)))
            except VenueError:
                await turn.wait(self._clock.sleep(self._evidence_s))
                continue
            order = self._calls.order(partition, amend.order_id)
            if (
                finding is Finding.FOUND
                and asked_ns > arrives_by_ns
                and not settled(order)
                and not order.state.terminal
            ):
                return Taken.NO
        return taken_by(self._calls.order(partition, amend.order_id), amend)

    async def _conclude(self, turn: Turn, order: Order, command_id: str, *, done: bool) -> None:
        sentence = "the order's terms show it" if done else "the venue does not show the new terms"
        result = Result.ACCEPTED if done else Result.REFUSED
        at = await turn.wait(self._calls.publish(order, command_id, result, "AMENDMENT", sentence))
        await turn.wait(self._applied.reached(at))


def taken_by(order: Order, amend: Amend) -> Taken:
    """What the venue has said of it so far; never `NO`, as that is not for the order alone to tell. Its quantity tells:
    each amendment adds to it, while somebody may have changed the price since. A quantity that is neither the old nor
    the new one is somebody's too, and says nothing of ours."""
    if order.current_quantity == amend.quantity:
        return Taken.YES
    ended = order.evidence.state.terminal and order.current_quantity == amend.quantity - amend.added
    return Taken.ENDED if ended else Taken.UNKNOWN


def _needs_no_call(order: Order) -> bool:
    return order.state.terminal or order.pending.ends
