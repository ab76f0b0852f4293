"""One process of the order manager: the real handlers, wired as the application wires them, over simulated ports."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from domain.orders import Side
from domain.plans import PlanSettings
from simulation.books import ACCOUNT, Books
from simulation.broker import Broker, StagedLog, TopicPartition
from simulation.calls import Road, SimulatedTrading
from simulation.effects import Crashed, Effects, Life
from simulation.inbox import SimulatedInbox
from simulation.market import SimulatedMarket
from simulation.rows import SimulatedRows
from simulation.virtual_time import SimulatedClock, VirtualLoop
from simulation.watch import Watch
from simulation.weather import Weather
from streams.alerting import Alerts
from streams.applied import Applied
from streams.cancelling import Canceller, CancelSettings
from streams.command_agent import CommandAgent, CommandSettings
from streams.comparing import Comparer, CompareSettings
from streams.facts import FactsGatherer
from streams.lanes import Lanes
from streams.order_agent import OrderAgent
from streams.parts import WaitingParts
from streams.position_check import PositionCheck, PositionSettings
from streams.reconciling import Reconciler, ReconcileSettings
from streams.record import Record
from streams.recovery import Recovery, RecoverySettings
from streams.reservations import Reservations
from streams.signal_agent import SignalAgent, SignalSettings
from streams.submitting import SubmitSettings, Submitter
from streams.symbol_gates import SymbolGates
from streams.timers import StaleAction, Timers, TimerSettings
from streams.topics import Topics
from streams.updates import UpdatePublisher
from streams.venue_lists import ListReader
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.signals import SignalTable, signal_index

INSTANCE = "om"
VENUE = "paper"
CATEGORY = "linear"


@dataclass(slots=True)
class Surroundings:
    """What outlives a process."""

    loop: VirtualLoop
    clock: SimulatedClock
    broker: Broker
    topics: Topics
    books: Books
    road: Road
    market: SimulatedMarket
    effects: Effects
    weather: Weather
    chance: random.Random
    orders_grow_stale: bool = True
    """While it is so; replacing what is stale would go on for ever."""
    sent_up_to: dict[tuple[str, Side], int] = field(default_factory=dict)
    """Per symbol and side the offset of the last signal that was sent, whichever process did it."""


class Worker:
    """A process from its start to its end. `life` says whether it still runs."""

    def __init__(self, name: str, around: Surroundings) -> None:
        self.life = Life(name)
        self.around = around
        effects, broker, weather = around.effects, around.broker, around.weather
        self.log = StagedLog(broker, self.life, effects, around.chance, weather.slow_broker, around.topics)
        self.inbox = SimulatedInbox(self.life, effects)
        self.clock = SimulatedClock(around.loop, weather.skew_s)
        self.rows = {
            "orders": SimulatedRows("orders", order_index, broker),
            "signals": SimulatedRows("signals", signal_index, broker),
            "positions": SimulatedRows("positions", position_index, broker),
        }
        self.orders = OrderTable(self.rows["orders"])
        self.signals = SignalTable(self.rows["signals"])
        self.positions = PositionTable(self.rows["positions"])
        self.trading = SimulatedTrading(around.books, around.road, self.clock, self.life, effects)
        watch = Watch(self, INSTANCE)
        self.trading.before_create = watch.before_create
        self.trading.before_cancel = watch.before_cancel
        self.log.before_event = watch.before_event
        self.applied = Applied()
        self.gates = SymbolGates()
        self.caught_up_at: dict[int, int] = {}
        """Per partition the end of `order-updates` when it became ours."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._wire()

    def _wire(self) -> None:
        around, topics = self.around, self.around.topics
        publisher = UpdatePublisher(self.log, topics)
        self.reconciler = Reconciler(
            trading=self.trading,
            publisher=publisher,
            orders=self.orders,
            applied=self.applied,
            gates=self.gates,
            clock=self.clock,
            settings=ReconcileSettings(),
        )
        self.submitter = Submitter(
            trading=self.trading,
            publisher=publisher,
            reconciler=self.reconciler,
            orders=self.orders,
            applied=self.applied,
            market=around.market,
            clock=self.clock,
            settings=SubmitSettings(execution_timeout_s=20.0),
            jitter=around.chance,
        )
        self.canceller = Canceller(
            trading=self.trading,
            publisher=publisher,
            reconciler=self.reconciler,
            orders=self.orders,
            applied=self.applied,
            clock=self.clock,
            settings=CancelSettings(),
        )
        self.signal_agent = SignalAgent(
            log=self.log,
            topics=topics,
            orders=self.orders,
            signals=self.signals,
            facts=FactsGatherer(
                orders=self.orders,
                positions=self.positions,
                market=around.market,
                reservations=Reservations(),
                clock=self.clock,
                account=ACCOUNT,
            ),
            submitter=self.submitter,
            canceller=self.canceller,
            applied=self.applied,
            gates=self.gates,
            clock=self.clock,
            settings=SignalSettings(self._plan_settings(), VENUE, (CATEGORY,), ACCOUNT),
        )
        alerts = Alerts(log=self.log, topics=topics, clock=self.clock)
        comparer = Comparer(
            reconciler=self.reconciler,
            publisher=publisher,
            orders=self.orders,
            applied=self.applied,
            alerts=alerts,
            clock=self.clock,
            settings=CompareSettings(instance=INSTANCE),
            in_hand=lambda order_id: order_id in self.submitter.in_hand,
        )
        position_check = PositionCheck(
            trading=self.trading,
            reconciler=self.reconciler,
            publisher=publisher,
            orders=self.orders,
            positions=self.positions,
            applied=self.applied,
            alerts=alerts,
            clock=self.clock,
            settings=PositionSettings(account=ACCOUNT),
        )
        self.recovery = Recovery(
            reconciler=self.reconciler,
            lists=ListReader(trading=self.trading, clock=self.clock, categories=(CATEGORY,)),
            comparer=comparer,
            position_check=position_check,
            orders=self.orders,
            positions=self.positions,
            gates=self.gates,
            applied=self.applied,
            log=self.log,
            clock=self.clock,
            settings=RecoverySettings(
                venue=VENUE,
                categories=(CATEGORY,),
                interval_s=around.weather.round_s,
                positions_s=around.weather.round_s,
            ),
            on_failure=lambda error: self._failed("recovery", error),
        )
        self.timers = Timers(
            log=self.log,
            topics=topics,
            orders=self.orders,
            clock=self.clock,
            settings=TimerSettings(
                stale_s=around.weather.stale_order_s if around.orders_grow_stale else 0.0,
                stale_action=StaleAction.REPLACE if around.weather.replace_stale else StaleAction.CANCEL,
            ),
        )
        self.waiting_parts = WaitingParts(log=self.log, topics=topics, signals=self.signals, clock=self.clock)
        self.command_agent = CommandAgent(
            log=self.log,
            topics=topics,
            orders=self.orders,
            signals=self.signals,
            canceller=self.canceller,
            reconciler=self.reconciler,
            submitter=self.submitter,
            compare=self.recovery.compare,
            clock=self.clock,
            settings=CommandSettings(),
            on_timer_done=self.timers.finished,
        )
        self.order_agent = OrderAgent(
            log=self.log,
            inbox=self.inbox,
            topics=topics,
            orders=self.orders,
            positions=self.positions,
            applied=self.applied,
            instance=INSTANCE,
        )
        self.signal_lanes = self._lanes(self.signal_agent.handle)
        self.command_lanes = self._lanes(self.command_agent.handle)

    def _plan_settings(self) -> PlanSettings:
        weather = self.around.weather
        return PlanSettings(
            instance=INSTANCE,
            allow_short=weather.allow_short,
            cancel_opposite_orders_only=weather.opposite_only,
            cancel_partially_filled=weather.cancel_partially_filled,
            signal_max_age_ns=int(weather.signal_max_age_s * 1_000_000_000),
            market_order_spread_threshold=Decimal("0.003"),
            enable_order_splitting=bool(weather.split_over),
            max_single_order_size=Decimal(weather.split_over) if weather.split_over else None,
            split_interval_ns=int(weather.part_s * 1_000_000_000),
        )

    def _lanes(self, handler: Callable[[Any], Coroutine[Any, Any, None]]) -> Lanes:  # Any: Turn; a test's handler
        return Lanes(
            handler,
            self.inbox,
            on_error=lambda record, error: self._failed(str(record.source), error),
            monotonic_s=self.around.loop.time,
        )

    def _failed(self, where: str, error: BaseException) -> None:
        """An error that a handler let out ends the process in production; here it is a finding."""
        if self.life.alive and not isinstance(error, Crashed | asyncio.CancelledError):
            self.around.effects.violate(f"handler failed at {where}: {error!r}")

    def calm_down(self) -> None:
        """What rests may rest from now on."""
        self.timers._settings = replace(self.timers._settings, stale_s=0.0)  # private: nobody else changes settings

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recover, ask the venue, let records flow."""
        self._own()
        self._spawn(self.timers.run(), self._tasks)
        self._spawn(self.waiting_parts.run(0.5), self._tasks)
        self._spawn(self._commit_now_and_then(), self._tasks)

    def _own(self) -> None:
        broker, topics = self.around.broker, self.around.topics
        self.own_rows()
        for partition in range(broker.partitions):
            self.recovery.assigned(partition)
        inputs = [(topic, partition) for topic in topics.inputs for partition in range(broker.partitions)]
        starts = {at: broker.committed.get(at, 0) for at in inputs}
        self.inbox.open(starts)
        self.caught_up_at = {at[1]: broker.end(at) for at in inputs if at[0] == topics.order_updates}
        self.signal_lanes.resume()
        self.command_lanes.resume()
        for at in inputs:
            self._spawn(self._deliver(at, starts[at]), self._pumps)

    def applied_up_to(self, partition: int) -> int:
        """The offset in `order-updates` after the last record that is applied (or was, by a former owner)."""
        committed = self.around.broker.committed.get((self.around.topics.order_updates, partition), 0)
        return max(committed, self.applied._offsets.get(partition, -1) + 1)

    def own_rows(self) -> None:
        """Recover the tables."""
        for rows in self.rows.values():
            rows.recover(self.log)

    def died(self) -> None:
        """The process is gone, wherever it was; called by whoever noticed."""
        self.life.alive = False
        self.log.lost()
        for partition in range(self.around.broker.partitions):
            self.recovery.revoked(partition)
        # A dead process runs nothing any more: nothing of it may come to life by being cancelled.
        lanes = (*self.signal_lanes._tasks, *self.command_lanes._tasks)  # private: nobody else kills a process
        for task in (*self._tasks, *self._pumps, *lanes):
            task.cancel()

    def begin_hand_over(self) -> None:
        """A rebalance takes the partitions away and gives them back, unless one is under way."""
        if self.inbox.is_open:
            self._spawn(self._hand_over(), self._tasks)

    async def _hand_over(self) -> None:
        """A rebalance that gives the partitions away and back: let go in order, then own them again."""
        self.around.effects.note(f"{self.life.name} HAND OVER")
        self.inbox.close()
        for pump in self._pumps:
            pump.cancel()
        self._pumps.clear()
        self.signal_lanes.stop_taking()
        self.command_lanes.stop_taking()
        await self.signal_lanes.drained()
        await self.command_lanes.drained()
        await self.inbox.idle()
        await self.log.flushed()
        try:
            self._commit()
        except Crashed:
            return
        for rows in self.rows.values():
            rows.withdraw()
        for partition in range(self.around.broker.partitions):
            self.recovery.revoked(partition)
            self.order_agent.forget(partition)
        await asyncio.sleep(self.around.chance.uniform(0.01, 3.0))
        if self.life.alive:
            self._own()

    def _spawn(self, work: Coroutine[Any, Any, None], into: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        into.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, into))

    def _ended(self, task: asyncio.Task[None], tasks: set[asyncio.Task[None]]) -> None:
        tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed("a task", error)

    # -- records flow --------------------------------------------------------------------------------------------

    async def _deliver(self, at: TopicPartition, position: int) -> None:
        """Deliver one partition from its committed offset on, in small runs."""
        broker, chance, topics = self.around.broker, self.around.chance, self.around.topics
        generation = self.inbox.generation
        while True:
            await broker.beyond(at, position)
            slow = chance.random() < self.around.weather.slow_delivery
            await asyncio.sleep(chance.uniform(0.5, 4.0) if slow else chance.uniform(0.0, 0.01))
            run = []
            for _ in range(chance.randint(1, broker.end(at) - position)):
                record = self._record(at, position, generation)
                self.inbox.take(record)
                run.append(record)
                position += 1
            try:
                if at[0] == topics.order_updates:
                    self.order_agent.handle(run)
                    continue
                lanes = self.signal_lanes if at[0] == topics.signals else self.command_lanes
                for record in run:
                    await lanes.submit(record)
            except Crashed:
                return

    def record_at(self, at: TopicPartition, offset: int, value: bytes) -> Record:
        """A record of the current generation."""
        return Record(*at, offset, None, value, (), self.clock.now_ns(), self.inbox.generation)

    def _record(self, at: TopicPartition, offset: int, generation: int) -> Record:
        stored = self.around.broker.logs[at][offset]
        return Record(*at, offset, stored.key, stored.value, stored.headers, stored.timestamp_ns, generation)

    async def _commit_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self.around.chance.uniform(0.05, 3.0))
            try:
                self._commit()
            except Crashed:
                return

    def _commit(self) -> None:
        for at, offset in self.inbox.watermarks().items():
            if offset > self.around.broker.committed.get(at, 0):
                self.around.effects.happens(self.life, f"commit {at[0]}-{at[1]} at {offset}")
                self.around.broker.committed[at] = offset
