"""One attempt at creating an order at the venue, or several in one call: the checks, the call, what came of each.

1. every check that makes the call legitimate, synchronously: nothing comes between them and the first byte
2. the call
3. what came of each order, published to `order-updates`; what was surely not accepted may be tried again
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from domain.comparing import may_have_come_to
from domain.errors import Duplicate, NotAccepted, RateLimited, Refused, VenueError, Withheld
from domain.money import plain
from domain.orders import Order, OrderType, Pending
from domain.updates import ID_CONFLICT, Call, CallOutcome, OrderReport, Origin, Result
from exchanges.venue import NewOrder, OrderRef, Trading
from streams.admitting import objection_to
from streams.clearance import Clearance
from streams.market import Market
from streams.ports import Clock
from streams.record import Source
from streams.updates import UpdatePublisher
from tables.orders import OrderTable

_log = logging.getLogger(__name__)

_EXPECTED = frozenset({Result.ACCEPTED, Result.EXPIRED, Result.DRY_RUN})


@dataclass(frozen=True, slots=True)
class SubmitSettings:
    """Retries of what was surely not accepted (requirement X05), and the bound on one order's work (X09), seconds."""

    max_attempts: int = 3
    backoff_base_s: float = 1.0
    backoff_multiplier: float = 2.0
    backoff_cap_s: float = 30.0
    execution_timeout_s: float = 30.0
    batch_size: int = 10
    """How many orders may go into one call; 1: each has its own."""


@dataclass(frozen=True, slots=True)
class Again:
    """Surely not accepted: the same order may be sent after a pause."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class Shut:
    """Nothing was sent: the symbol was shut while a token was waited for."""


Tried = Source | Again | Shut | None
"""What came of an attempt. None: the venue's word on the order came first."""


@dataclass(frozen=True, slots=True)
class Try:
    """The `number`-th attempt of a turn; `untold`: how many, with this one, no outcome has told of yet."""

    number: int
    untold: int
    final: bool


class Attempts:
    """Makes attempts. Each runs to its end once it has begun, and is over when its outcome is published. `answered` is
    called before that: nobody needs to wait for the broker in the place of another's call."""

    def __init__(
        self,
        *,
        trading: Trading,
        publisher: UpdatePublisher,
        orders: OrderTable,
        market: Market,
        clearance: Clearance,
        clock: Clock,
        settings: SubmitSettings,
        jitter: random.Random,
    ) -> None:
        self._trading = trading
        self._publisher = publisher
        self._orders = orders
        self._market = market
        self._clearance = clearance
        self._clock = clock
        self._settings = settings
        self._jitter = jitter

    async def alone(
        self, partition: int, order_id: str, this: Try, expires_at_ns: int, answered: Callable[[], None]
    ) -> Tried:
        """The outcome's place in the log; or that it may be tried again, after a pause or when the symbol is open; or
        None, when the venue's word on the order came while a token was waited for: it has it, or its end is known."""
        order = self._order(partition, order_id)
        if not order.in_doubt:
            return None
        outcome = self._withheld(order, this, expires_at_ns)
        if outcome is None:
            if not self._clearance.may_call(partition, order):
                return Shut()
            sent_ns = self._clock.now_ns()
            answer: str | VenueError
            try:
                answer = await self._trading.create(_request(order))
            except VenueError as error:
                answer = error
            judged = await self._judged(order, answer, this, sent_ns)
            if isinstance(judged, Again):
                return judged
            outcome = judged
        answered()
        return await self._publisher.publish(outcome)

    async def together(
        self, partition: int, expiries: Mapping[str, int], answered: Callable[[], None]
    ) -> dict[str, Tried]:
        """The first attempt at several orders: all checks, then one call, then what came of each."""
        this = Try(1, 1, final=self._settings.max_attempts == 1)
        orders = {order_id: self._order(partition, order_id) for order_id in expiries}
        doubtful = [order for order in orders.values() if order.in_doubt]
        kept = {each.order_id: self._withheld(each, this, expiries[each.order_id]) for each in doubtful}
        ready = [order for order in doubtful if kept[order.order_id] is None]
        sent = [order for order in ready if self._clearance.may_call(partition, order)]
        sent_ns = self._clock.now_ns()
        answers = await self._create_all(sent)
        judged: dict[str, CallOutcome | Again | Shut] = {order.order_id: Shut() for order in ready}
        judged |= {name: outcome for name, outcome in kept.items() if outcome is not None}
        for number, (order, answer) in enumerate(zip(sent, answers, strict=True), start=1):
            batch = f"{number} of {len(sent)}" if len(sent) > 1 else msgspec.UNSET
            judged[order.order_id] = await self._judged(order, answer, this, sent_ns, batch)
        answered()
        told = [outcome for outcome in judged.values() if isinstance(outcome, CallOutcome)]
        at = await self._publisher.publish_all(told) if told else None
        places: dict[str, Tried] = dict.fromkeys(orders)
        for name, outcome in judged.items():
            places[name] = at if isinstance(outcome, CallOutcome) else outcome
        return places

    async def _create_all(self, orders: Sequence[Order]) -> Sequence[str | VenueError]:
        """One call, whose first byte nothing comes before."""
        if len(orders) > 1:
            return await self._trading.create_batch([_request(order) for order in orders])
        try:
            return [await self._trading.create(_request(order)) for order in orders]
        except VenueError as error:
            return [error]

    def _order(self, partition: int, order_id: str) -> Order:
        order = self._orders.get(partition, order_id)
        if order is None:
            raise LookupError(f"order {order_id} has no row although its intent was acknowledged")
        return order

    def _withheld(self, order: Order, this: Try, expires_at_ns: int) -> CallOutcome | None:
        """What becomes of an order that is not sent; None: it may be sent now."""
        if (objection := self._objection(order, expires_at_ns)) is not None:
            return self.outcome(order, Result.EXPIRED, *objection, attempts=this.untold - 1)
        if order.dry_run:
            return self.outcome(order, Result.DRY_RUN, "", "dry run: the order is not sent", this.untold - 1)
        return None

    async def _judged(
        self,
        order: Order,
        answer: str | VenueError,
        this: Try,
        sent_ns: int,
        batch: str | msgspec.UnsetType = msgspec.UNSET,
    ) -> CallOutcome | Again:
        """What the venue's answer comes to."""
        result, attempts, venue_order_id = Result.UNCERTAIN, this.untold, ""
        match answer:
            case str():
                result, venue_order_id = Result.ACCEPTED, answer
            case Duplicate():
                return await self._identify(order, answer, attempts, sent_ns, batch)
            case Withheld():  # meant for real, and now this is a dry run
                return self.outcome(order, Result.EXPIRED, answer.code, answer.sentence, attempts - 1)
            case Refused():
                result = Result.REFUSED
            case NotAccepted() if not this.final:
                return Again(self._pause_s(answer, this.number))
            case NotAccepted():
                result = Result.NOT_ACCEPTED
        code, sentence = ("", "") if isinstance(answer, str) else (answer.code, answer.sentence)
        return self.outcome(order, result, code, sentence, attempts, sent_ns, venue_order_id, batch)

    def _objection(self, order: Order, expires_at_ns: int) -> tuple[str, str] | None:
        """Why the order must not be sent now, if anything speaks against it. Synchronous."""
        if order.pending is not Pending.NOTHING:
            return "CANCELLED_BEFORE_SENT", f"cancel was requested before the order was sent: {order.reason}"
        return objection_to(self._market, self._clock, order, expires_at_ns, "sent")

    async def _identify(
        self, order: Order, error: Duplicate, attempts: int, sent_ns: int, batch: str | msgspec.UnsetType
    ) -> CallOutcome:
        """The venue has an order of this id: it is ours if it agrees in symbol and side, and has
        a quantity that ours may have come to (requirement X02)."""
        try:
            report = await self._trading.order(OrderRef(order.instrument, order.order_id))
        except VenueError:
            report = None
        if report is None:
            result, code, sentence, theirs = Result.UNCERTAIN, error.code, error.sentence, ""
        elif (difference := _difference(order, report)) is not None:
            sentence = f"the venue has another order under this id: {difference}"
            result, code, theirs = Result.REFUSED, ID_CONFLICT, report.venue_order_id
        else:
            result, code, sentence, theirs = Result.ACCEPTED, "", "", report.venue_order_id
        return self.outcome(order, result, code, sentence, attempts, sent_ns, theirs, batch)

    def _pause_s(self, error: NotAccepted, number: int) -> float:
        """Exponential with jitter; what the venue asks for wins (requirement X05)."""
        if isinstance(error, RateLimited):
            return error.retry_after_s
        settings = self._settings
        ceiling_s = min(settings.backoff_cap_s, settings.backoff_base_s * settings.backoff_multiplier ** (number - 1))
        return ceiling_s * self._jitter.uniform(0.5, 1.0)

    def outcome(
        self,
        order: Order,
        result: Result,
        code: str,
        sentence: str,
        attempts: int = 0,
        sent_ns: int = 0,
        venue_order_id: str = "",
        batch: str | msgspec.UnsetType = msgspec.UNSET,
    ) -> CallOutcome:
        replied_ns = self._clock.now_ns()
        _log.log(
            logging.INFO if result in _EXPECTED else logging.WARNING,
            "create %s: %s",
            result,
            sentence or "the venue has the order",
            extra={
                "order_id": order.order_id,
                "symbol": order.instrument.symbol,
                "trace_id": order.trace_id,
                "code": code,
                "attempt": attempts,
                "took_ms": (replied_ns - sent_ns) // 1_000_000 if sent_ns else None,
                "batch": None if batch is msgspec.UNSET else batch,
            },
        )
        return CallOutcome(
            instrument=order.instrument,
            account=order.account,
            origin=Origin.OUTCOME,
            received_ns=replied_ns,
            client_order_id=order.order_id,
            venue_order_id=venue_order_id,
            call=Call.CREATE,
            result=result,
            code=code,
            sentence=sentence,
            attempts=attempts,
            sent_ns=sent_ns,
            replied_ns=replied_ns,
            batch=batch,
        )


def _request(order: Order) -> NewOrder:
    # A market order with a price goes out as a limit that cannot rest: the venue keeps the guard (requirement D07).
    return NewOrder(
        instrument=order.instrument,
        client_order_id=order.order_id,
        side=order.side,
        order_type=OrderType.MARKET if order.price is None else OrderType.LIMIT,
        quantity=order.quantity,
        price=order.price,
        time_in_force=order.time_in_force,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
        position_side=order.position_side,
        protection=order.protection,
    )


def _difference(order: Order, report: OrderReport) -> str | None:
    """What tells our order from the venue's; None when they are the same."""
    if order.instrument.symbol != report.instrument.symbol:
        return f"symbol {report.instrument.symbol}, ours {order.instrument.symbol}"
    if order.side is not report.side:
        return f"side {report.side}, ours {order.side}"
    if not may_have_come_to(order, report.quantity, reduce_only=report.reduce_only):
        return f"quantity {plain(report.quantity)}, ours {plain(order.quantity)}"
    return None
