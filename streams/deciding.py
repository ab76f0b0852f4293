"""Steps 2 and 3 of a signal's way: the facts, the plan, the money and the leave it needs, and giving back what it does
not use (requirements D13, R02, R04)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from domain.drafts import position_side_of
from domain.errors import VenueError
from domain.exposure import Hold
from domain.instruments import Instrument
from domain.orders import Side
from domain.planning import plan_signal
from domain.plans import Plan, PlanSettings
from streams.account import Account, Look
from streams.facts import FactsGatherer, MarketAnswer
from streams.parts import WaitingParts, sides_stopped_by
from streams.ports import Clock, Turn
from streams.signal_intake import Work
from tables.orders import OrderTable
from tables.receipt import Receipt
from tables.signals import SignalRow

_ASK_AGAIN_S = 0.5


class Decider:
    """Plans signals, and keeps account of what their plans hold."""

    def __init__(
        self,
        *,
        facts: FactsGatherer,
        account: Account | None,
        orders: OrderTable,
        parts: WaitingParts,
        clock: Clock,
        settings: PlanSettings,
    ) -> None:
        self._facts = facts
        self._account = account
        self._orders = orders
        self._parts = parts
        self._clock = clock
        self._settings = settings

    async def plan(
        self, turn: Turn, work: Work, attempt: int, phase: Literal[1, 2], without: Collection[str] = ()
    ) -> Plan:
        """The signal's plan on the state as it is now; what its orders may take is reserved. `without`: orders that a
        dry run counts as gone."""
        side = position_side_of(work.signal, self._settings.position_mode, work.instrument.category)
        partition, born_ns = turn.record.partition, work.origin.timestamp_ns
        strategy_id = work.signal.strategy_id
        market: MarketAnswer = (None, None)
        while True:
            try:
                market = await turn.wait(self._facts.ask_market(work.instrument))
                break
            except VenueError:
                # The venue can't say what it trades: no reason to refuse a signal, which ages meanwhile.
                if self._clock.now_ns() > self.expires_at_ns(work):
                    break
                await turn.wait(self._clock.sleep(_ASK_AGAIN_S))

        def make(look: Look) -> Plan:
            # Nothing waits from here to the reservation: signals of other symbols plan on the same money.
            facts = self._facts.read(
                partition,
                work.instrument,
                attempt,
                side,
                born_ns,
                market,
                buys=work.signal.signal_type is Side.BUY,
                look=look,
                strategy_id=strategy_id,
                without=without,
            )
            plan = plan_signal(
                work.signal,
                facts,
                self._settings,
                instrument=work.instrument,
                source=work.source,
                phase=phase,
            )
            self._facts.reserve(plan)
            return plan

        plan = make(self._facts.look(work.instrument))
        if self._account is None:
            return plan
        return await self._account.with_leave(turn, plan, make, self._facts.take_back)

    async def stop_others(self, turn: Turn, row: SignalRow) -> None:
        """Parts of earlier signals that wait make way as resting orders do (requirement C01)."""
        receipt = Receipt()
        sides = sides_stopped_by(row.standing_plan, self._settings)
        reason = f"makes way for signal {row.signal_id}"
        partition = turn.record.partition
        category = row.standing_plan.instrument.category
        ended = self._parts.stop(partition, row.symbol, sides, reason, receipt, but=row.signal_id, category=category)
        if not ended:
            return
        await turn.wait(receipt.durable())
        for other in ended:
            self._facts.given_up(other.source)
            await self._let_go(turn, other.standing_plan.instrument, other.source)

    def take_again(self, partition: int, row: SignalRow) -> None:
        """A turn that ended lost what the stored plan holds. What is at the venue shows in the balance."""
        self._facts.reserve(row.standing_plan, self._shown(partition, row))
        if self._account is not None:
            self._account.executes(row.standing_plan)

    async def give_back(self, turn: Turn, row: SignalRow, written: int) -> None:
        """The orders count themselves from here on; what is still to come of them stays held."""
        if self._account is None or not self._account.holds(row.standing_plan.instrument, row.source):
            return
        left = self._account.held(row.standing_plan, written) if written else None
        await self._let_go(turn, row.standing_plan.instrument, row.source, left)

    async def _let_go(self, turn: Turn, instrument: Instrument, source: str, left: Hold | None = None) -> None:
        if self._account is not None:
            await turn.wait(self._account.settled(instrument, source, left))

    def _shown(self, partition: int, row: SignalRow) -> frozenset[str]:
        """Orders of the signal that the venue has answered for: its balance shows what they take."""
        orders = [self._orders.get(partition, order_id) for order_id in row.order_ids]
        return frozenset(order.order_id for order in orders if order is not None and not order.in_doubt)

    def expires_at_ns(self, work: Work) -> int:
        """When the signal is too old to be executed, ns UTC (requirement S09)."""
        by_age_ns = work.born_ns + self._settings.signal_max_age_ns
        return min(by_age_ns, work.signal.expires_at_ns) if work.signal.expires_at_ns else by_age_ns
