"""Sending orders: step 6 and 7 of a signal's way.

A call runs to its end once it has begun, and publishes its outcome before it is over: whoever owns the symbol then
learns of it. What one attempt is, alone or together with others, is in `streams.creating`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from functools import partial

from domain.orders import Order, OrderState
from domain.updates import Call, Result
from exchanges.venue import Trading
from streams.admitting import admitted
from streams.applied import Applied
from streams.clearance import Clearance
from streams.creating import Again, Attempts, Shut, SubmitSettings, Tried, Try
from streams.market import Market
from streams.ports import Clock, Turn
from streams.reconciling import Finding, Reconciler
from streams.record import Source
from streams.symbol_gates import SymbolGates
from streams.updates import UpdatePublisher
from tables.orders import OrderTable

_NS = 1_000_000_000
_ASK_AGAIN_S = 0.25
_CROWD = 10
"""Orders that are asked for side by side wait for each other's questions: that many have that many times the bound."""


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
        gates: SymbolGates,
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
        self._clock = clock
        self._settings = settings
        self._clearance = Clearance(orders=orders, gates=gates, applied=applied, clock=clock)
        self._attempts = Attempts(
            trading=trading,
            publisher=publisher,
            orders=orders,
            market=market,
            clearance=self._clearance,
            clock=clock,
            settings=settings,
            jitter=jitter,
        )
        self.in_hand: set[str] = set()

    def most_together(self, category: str) -> int:
        """How many orders of a category may be sent in one call."""
        return max(1, min(self._settings.batch_size, self._trading.traits.batch_sizes.get(category, 1)))

    async def submit_together(self, turn: Turn, expiries: Mapping[str, int], *, last: str) -> list[str]:
        """Try several orders of one symbol and category, never sent before, in one call; then bring each to its outcome
        by itself, as `submit` does. Returns those it tried: the first ones, as many as the rate limit let through.

        `expiries`: by order, when it expires, ns UTC. `last`: the one that is not insisted on.
        """
        self.in_hand.update(expiries)
        try:
            tried = await self._try_together(turn, expiries)
            again = any(isinstance(outcome, Again | Shut) for outcome in tried.values())
            doubtful = [name for name, at in tried.items() if isinstance(at, Source) and self._is_in_doubt(turn, name)]
            absent: set[str] = set()
            if len(doubtful) + again > 1:  # one is sent again only when it is known whether the venue has the others
                absent = await self.look_for(turn, {order_id: expiries[order_id] for order_id in doubtful})
            for order_id, outcome in tried.items():
                if outcome is not None:
                    found = Finding.ABSENT if order_id in absent else None
                    await self._submit(turn, order_id, expiries[order_id], False, first=outcome, finding=found)
                if order_id != last:
                    await self._insist(turn, order_id, expiries[order_id])
        finally:
            self.in_hand.difference_update(expiries)
        return list(tried)

    async def look_for(self, turn: Turn, expiries: Mapping[str, int]) -> set[str]:
        """Ask the venue, side by side, for orders that it may have, until that is known of each, or it has expired and
        their time bound is over. What is there is applied; returns those that surely are not."""
        findings = await turn.wait(self._look_side_by_side(turn.record.partition, expiries))
        return {order_id for order_id, finding in zip(expiries, findings, strict=True) if finding is Finding.ABSENT}

    async def _look_side_by_side(self, partition: int, expiries: Mapping[str, int]) -> list[Finding]:
        bound_ns = int(self._settings.execution_timeout_s * _NS) * min(len(expiries), _CROWD)
        looks = [asyncio.create_task(self._look(partition, *each, bound_ns)) for each in expiries.items()]
        try:
            return await asyncio.gather(*looks)
        finally:
            for look in looks:  # none goes on when the turn, or one of them, is over
                look.cancel()

    async def _look(self, partition: int, order_id: str, expires_at_ns: int, bound_ns: int) -> Finding:
        while self._maybe_at_venue(partition, order_id):  # also when it has expired: else each is asked for in turn
            await self._clearance.to_ask(partition, order_id, self._clock.now_ns() + bound_ns)
            finding = await self._reconciler.settle(partition, order_id, self._clock.now_ns() + bound_ns)
            if finding is not Finding.UNANSWERED or self._clock.now_ns() > expires_at_ns:
                return finding
            await self._clock.sleep(_ASK_AGAIN_S)
        return Finding.UNANSWERED

    def _maybe_at_venue(self, partition: int, order_id: str) -> bool:
        order = self._orders.get(partition, order_id)
        return order is not None and order.in_doubt and not order.dry_run

    async def _try_together(self, turn: Turn, expiries: Mapping[str, int]) -> dict[str, Tried]:
        while True:
            through = await self._admitted(turn, min(expiries.values()), len(expiries))
            chosen = dict(list(expiries.items())[:through])
            tried = await turn.call(partial(self._attempts.together, turn.record.partition, chosen, turn.release))
            if not all(isinstance(outcome, Shut) for outcome in tried.values()):
                break
            await self._opened(turn, next(iter(chosen)), min(chosen.values()))
        for outcome in tried.values():
            if isinstance(outcome, Source):
                await turn.wait(self._applied.reached(outcome))
        return tried

    async def submit(
        self,
        turn: Turn,
        order_id: str,
        *,
        expires_at_ns: int,
        maybe_sent: bool,
        insist: bool = False,
        finding: Finding | None = None,
    ) -> None:
        """Bring the order to an outcome that is applied, or leave it `uncertain` at the time bound.

        `maybe_sent`: a former turn may have sent it, so the venue is asked first (requirement X06). `insist`: leave it
        `uncertain` only when it has expired: the turn's next order waits for this one, and nobody else may conclude
        anything of it while the turn goes on.
        """
        self.in_hand.add(order_id)
        try:
            await self._submit(turn, order_id, expires_at_ns, maybe_sent, finding=finding)
            if insist:
                await self._insist(turn, order_id, expires_at_ns)
        finally:
            self.in_hand.discard(order_id)

    async def _insist(self, turn: Turn, order_id: str, expires_at_ns: int) -> None:
        while self._is_in_doubt(turn, order_id) and self._clock.now_ns() <= expires_at_ns:
            await turn.wait(self._clock.sleep(_ASK_AGAIN_S))
            await self._submit(turn, order_id, expires_at_ns, maybe_sent=True)

    def _is_in_doubt(self, turn: Turn, order_id: str) -> bool:
        order = self._orders.get(turn.record.partition, order_id)
        return order is not None and order.in_doubt

    async def _submit(
        self,
        turn: Turn,
        order_id: str,
        expires_at_ns: int,
        maybe_sent: bool,
        *,
        first: Tried = None,
        finding: Finding | None = None,
    ) -> None:
        """`first`: what came of a first attempt that was made already, together with others; `finding`: what came of
        asking whether the venue has it."""
        partition = turn.record.partition
        deadline_ns = self._clock.now_ns() + int(self._settings.execution_timeout_s * _NS)
        attempt = untold = 0 if first is None else 1
        outcome = first
        order = self._orders.get(partition, order_id)
        maybe_sent = maybe_sent and not (order is not None and order.dry_run)  # nobody ever sends those
        while True:
            if outcome is None:
                if maybe_sent and not await self._absent(turn, order_id, deadline_ns, finding):
                    return
                finding = None
                await self._admitted(turn, expires_at_ns)
                attempt, untold = attempt + 1, untold + 1
                last = attempt >= self._settings.max_attempts or self._clock.now_ns() >= deadline_ns
                this = Try(attempt, untold, last)
                effect = partial(self._attempts.alone, partition, order_id, this, expires_at_ns, turn.release)
                outcome = await turn.call(effect)
            if outcome is None:
                return
            if isinstance(outcome, Shut):  # no attempt, and none of its time
                attempt, untold = attempt - 1, untold - 1
                await self._opened(turn, order_id, expires_at_ns)
                deadline_ns = self._clock.now_ns() + int(self._settings.execution_timeout_s * _NS)
            elif isinstance(outcome, Source):
                untold = 0
                await turn.wait(self._applied.reached(outcome))
                order = self._orders.get(partition, order_id)
                if order is None or order.state is not OrderState.UNCERTAIN:
                    return
                maybe_sent = True
            else:
                await turn.wait(self._clock.sleep(outcome.pause_s))
                maybe_sent = False
            outcome = None

    async def _admitted(self, turn: Turn, expires_at_ns: int, wanted: int = 1) -> int:
        return await admitted(self._trading, self._clock, turn, Call.CREATE, expires_at_ns, wanted)

    async def _opened(self, turn: Turn, order_id: str, expires_at_ns: int) -> None:
        """Wait for the symbol to be open, as before the first attempt: comparing it with the venue takes no notice of
        orders in hand."""
        order = self._orders.get(turn.record.partition, order_id)
        if order is not None:
            await self._clearance.to_call(turn, order, expires_at_ns, _needs_no_call)

    async def _absent(self, turn: Turn, order_id: str, deadline_ns: int, finding: Finding | None) -> bool:
        """True when the order may be sent (again): surely not at the venue, and the venue refuses a second one."""
        partition = turn.record.partition
        if finding is None:
            finding = await turn.wait(self._reconciler.settle(partition, order_id, deadline_ns))
        order = self._orders.get(partition, order_id)
        if order is None or finding is Finding.FOUND or not order.in_doubt:
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
            told = self._attempts.outcome(order, Result.UNCERTAIN, "UNRESOLVED", sentence)
            at = await turn.wait(self._publisher.publish(told))
            await turn.wait(self._applied.reached(at))
        return False


def _needs_no_call(order: Order) -> bool:
    return bool(order.pending) or not order.in_doubt
