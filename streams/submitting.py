"""Sending one order: step 6 and 7 of a signal's way.

A call runs to its end once it has begun, and publishes its outcome before it is over: whoever owns the symbol then
learns of it. Every attempt is preceded, synchronously, by the checks that make it legitimate.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from functools import partial

from domain.errors import Duplicate, NotAccepted, RateLimited, Refused, VenueError, Withheld
from domain.money import plain
from domain.orders import Order, OrderState, OrderType, Pending
from domain.plans import TradingState
from domain.updates import ID_CONFLICT, Call, CallOutcome, OrderReport, Origin, Result
from exchanges.venue import NewOrder, OrderRef, Trading
from streams.applied import Applied
from streams.market import Market
from streams.ports import Clock, Turn
from streams.reconciling import Finding, Reconciler
from streams.record import Source
from streams.updates import UpdatePublisher
from tables.orders import OrderTable

_log = logging.getLogger(__name__)

_NS = 1_000_000_000
_ASK_AGAIN_S = 0.25
_EXPECTED = frozenset({Result.ACCEPTED, Result.EXPIRED, Result.DRY_RUN})


@dataclass(frozen=True, slots=True)
class SubmitSettings:
    """Retries of what was surely not accepted (requirement X05), and the bound on one order's work (X09), seconds."""

    max_attempts: int = 3
    backoff_base_s: float = 1.0
    backoff_multiplier: float = 2.0
    backoff_cap_s: float = 30.0
    execution_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class _Again:
    """Surely not accepted: the same order may be sent after a pause."""

    pause_s: float


@dataclass(frozen=True, slots=True)
class _Try:
    """The `number`-th attempt of a turn; `untold`: how many, with this one, no outcome has told of yet."""

    number: int
    untold: int
    final: bool


class Submitter:
    """Creates orders at the venue from their intents. `in_hand` are the orders somebody is working on right now:
    timers and commands leave them alone."""

    def __init__(
        self,
        *,
        trading: Trading,
        publisher: UpdatePublisher,
        reconciler: Reconciler,
        orders: OrderTable,
        applied: Applied,
        market: Market,
        clock: Clock,
        settings: SubmitSettings,
        jitter: random.Random,
    ) -> None:
        self._trading = trading
        self._publisher = publisher
        self._reconciler = reconciler
        self._orders = orders
        self._applied = applied
        self._market = market
        self._clock = clock
        self._settings = settings
        self._jitter = jitter
        self.in_hand: set[str] = set()

    async def submit(
        self, turn: Turn, order_id: str, *, expires_at_ns: int, maybe_sent: bool, insist: bool = False
    ) -> None:
        """Bring the order to an outcome that is applied, or leave it `uncertain` at the time bound.

        `maybe_sent`: a former turn may have sent it, so the venue is asked first (requirement X06). `insist`: leave it
        `uncertain` only when it has expired: the turn's next order waits for this one, and nobody else may conclude
        anything of it while the turn goes on.
        """
        self.in_hand.add(order_id)
        try:
            await self._submit(turn, order_id, expires_at_ns, maybe_sent)
            while insist and self._is_in_doubt(turn, order_id) and self._clock.now_ns() <= expires_at_ns:
                await turn.wait(self._clock.sleep(_ASK_AGAIN_S))
                await self._submit(turn, order_id, expires_at_ns, maybe_sent=True)
        finally:
            self.in_hand.discard(order_id)

    def _is_in_doubt(self, turn: Turn, order_id: str) -> bool:
        order = self._orders.get(turn.record.partition, order_id)
        return order is not None and order.in_doubt

    async def _submit(self, turn: Turn, order_id: str, expires_at_ns: int, maybe_sent: bool) -> None:
        partition = turn.record.partition
        deadline_ns = self._clock.now_ns() + int(self._settings.execution_timeout_s * _NS)
        attempt = untold = 0
        order = self._orders.get(partition, order_id)
        maybe_sent = maybe_sent and not (order is not None and order.dry_run)  # nobody ever sends those
        while True:
            if maybe_sent and not await self._absent(turn, order_id, deadline_ns):
                return
            await self._admitted(turn, expires_at_ns)
            attempt, untold = attempt + 1, untold + 1
            last = attempt >= self._settings.max_attempts or self._clock.now_ns() >= deadline_ns
            effect = partial(self._attempt, partition, order_id, _Try(attempt, untold, last), expires_at_ns)
            outcome = await turn.call(effect)
            if outcome is None:
                return
            if isinstance(outcome, Source):
                untold = 0
                await turn.wait(self._applied.reached(outcome))
                order = self._orders.get(partition, order_id)
                if order is None or order.state is not OrderState.UNCERTAIN:
                    return
                maybe_sent = True
            else:
                await turn.wait(self._clock.sleep(outcome.pause_s))
                maybe_sent = False

    async def _admitted(self, turn: Turn, expires_at_ns: int) -> None:
        """Wait for the consent of the venue's breaker and rate limit; while the breaker is open, no longer than until
        the order expires: the check before the call then ends it."""
        while (left_ns := expires_at_ns - self._clock.now_ns()) >= 0:
            try:
                await turn.wait(self._trading.admit(Call.CREATE))
            except NotAccepted:
                await turn.wait(self._clock.sleep(min(_ASK_AGAIN_S, left_ns / _NS + 0.001)))
            else:
                return

    async def _absent(self, turn: Turn, order_id: str, deadline_ns: int) -> bool:
        """True when the order may be sent (again): surely not at the venue, and the venue refuses a second one."""
        partition = turn.record.partition
        finding = await turn.wait(self._reconciler.settle(partition, order_id, deadline_ns))
        order = self._orders.get(partition, order_id)
        if order is None or finding is Finding.FOUND:
            return False
        if finding is Finding.ABSENT:
            if self._reconciler.out_of_reach(order):
                sentence = "the venue does not know the order, and no longer would if it had ended without a fill"
            elif self._trading.traits.unique_client_ids:
                return True
            else:
                sentence = "the venue does not know the order, and would not refuse a second one: it is not sent again"
            await turn.wait(self._reconciler.conclude_absent(order, sentence))
            return False
        if order.state is not OrderState.UNCERTAIN:
            sentence = "the venue could not be asked within the time bound whether it has the order"
            at = await turn.wait(self._publish(order, Result.UNCERTAIN, "UNRESOLVED", sentence, attempts=0))
            await turn.wait(self._applied.reached(at))
        return False

    # -- one attempt ---------------------------------------------------------------------------------------------

    async def _attempt(self, partition: int, order_id: str, this: _Try, expires_at_ns: int) -> Source | _Again | None:
        """The outcome's place in the log; or that it may be tried again; or None, when the venue's word on the order
        came while a token was waited for: it has it, or its end is known."""
        order = self._orders.get(partition, order_id)
        if order is None:
            raise LookupError(f"order {order_id} has no row although its intent was acknowledged")
        if not order.in_doubt:
            return None
        if (objection := self._objection(order, expires_at_ns)) is not None:
            return await self._publish(order, Result.EXPIRED, *objection, attempts=this.untold - 1)
        if order.dry_run:
            return await self._publish(order, Result.DRY_RUN, "", "dry run: the order is not sent", this.untold - 1)
        sent_ns = self._clock.now_ns()
        try:
            venue_order_id = await self._trading.create(_request(order))
        except Duplicate as error:
            return await self._identify(order, error, this.untold, sent_ns)
        except Withheld as error:  # meant for real, and now this is a dry run
            return await self._publish(order, Result.EXPIRED, error.code, error.sentence, this.untold - 1)
        except Refused as error:
            return await self._publish(order, Result.REFUSED, error.code, error.sentence, this.untold, sent_ns)
        except NotAccepted as error:
            if this.final:
                return await self._publish(order, Result.NOT_ACCEPTED, error.code, error.sentence, this.untold, sent_ns)
            return _Again(self._pause_s(error, this.number))
        except VenueError as error:
            return await self._publish(order, Result.UNCERTAIN, error.code, error.sentence, this.untold, sent_ns)
        return await self._publish(order, Result.ACCEPTED, "", "", this.untold, sent_ns, venue_order_id)

    def _objection(self, order: Order, expires_at_ns: int) -> tuple[str, str] | None:
        """Why the order must not be sent now, if anything speaks against it. Synchronous: nothing can come between
        this and the first byte but the socket."""
        if order.pending is not Pending.NOTHING:
            return "CANCELLED_BEFORE_SENT", f"cancel was requested before the order was sent: {order.reason}"
        state, why = self._market.trading(order.instrument)
        if state is TradingState.HALTED or (state is TradingState.REDUCE_ONLY and not order.reduce_only):
            return "TRADING_" + state.upper(), f"trading is {state}: {why}"
        late_ns = self._clock.now_ns() - expires_at_ns
        if late_ns > 0:
            return "SIGNAL_EXPIRED", f"the signal expired {late_ns / _NS:.3f} s before the order could be sent"
        return None

    async def _identify(self, order: Order, error: Duplicate, attempts: int, sent_ns: int) -> Source:
        """The venue has an order of this id: it is ours if it agrees in symbol, side and quantity (requirement X02)."""
        try:
            report = await self._trading.order(OrderRef(order.instrument, order.order_id))
        except VenueError:
            report = None
        if report is None:
            return await self._publish(order, Result.UNCERTAIN, error.code, error.sentence, attempts, sent_ns)
        if (difference := _difference(order, report)) is not None:
            sentence = f"the venue has another order under this id: {difference}"
            theirs = report.venue_order_id
            return await self._publish(order, Result.REFUSED, ID_CONFLICT, sentence, attempts, sent_ns, theirs)
        return await self._publish(order, Result.ACCEPTED, "", "", attempts, sent_ns, report.venue_order_id)

    def _pause_s(self, error: NotAccepted, number: int) -> float:
        """Exponential with jitter; what the venue asks for wins (requirement X05)."""
        if isinstance(error, RateLimited):
            return error.retry_after_s
        settings = self._settings
        ceiling_s = min(settings.backoff_cap_s, settings.backoff_base_s * settings.backoff_multiplier ** (number - 1))
        return ceiling_s * self._jitter.uniform(0.5, 1.0)

    async def _publish(
        self,
        order: Order,
        result: Result,
        code: str,
        sentence: str,
        attempts: int = 0,
        sent_ns: int = 0,
        venue_order_id: str = "",
    ) -> Source:
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
            },
        )
        return await self._publisher.publish(
            CallOutcome(
                instrument=order.instrument,
                account=order.account,
                origin=Origin.OUTCOME,
                received_ns=self._clock.now_ns(),
                client_order_id=order.order_id,
                venue_order_id=venue_order_id,
                call=Call.CREATE,
                result=result,
                code=code,
                sentence=sentence,
                attempts=attempts,
                sent_ns=sent_ns,
                replied_ns=replied_ns,
            )
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
    if order.quantity != report.quantity:
        return f"quantity {plain(report.quantity)}, ours {plain(order.quantity)}"
    return None
