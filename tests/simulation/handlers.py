"""The real handlers of one process, wired as the application wires them, over simulated ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.account_parts import LossWatch, noting
from exchanges.dry_run import DryTrading
from exchanges.venue import Trading
from simulation.airwaves import Airwaves
from simulation.broker import StagedLog
from simulation.calls import SimulatedTrading
from simulation.effects import Crashed, Life, Refused, refused
from simulation.inbox import SimulatedInbox
from simulation.listing import VENUE
from simulation.market import MarketHere
from simulation.rows import SimulatedRows
from simulation.surroundings import Surroundings, limits, plan_settings
from simulation.venue_orders import ACCOUNT, INSTANCE
from simulation.virtual_time import SimulatedClock
from simulation.watch import STOP_DISTANCE, Watch
from streams.account import Account
from streams.alerting import Alerts
from streams.amending import Amender
from streams.applied import Applied
from streams.auto_stop import AutoStop, AutoStopSettings
from streams.boards import AccountName
from streams.cancelling import Canceller, CancelSettings
from streams.command_agent import CommandAgent, CommandSettings, lane_of
from streams.comparing import Comparer, CompareSettings
from streams.creating import SubmitSettings
from streams.exposure import ExposureBoard
from streams.facts import FactsGatherer
from streams.hooks import Hooks
from streams.lanes import Lanes, by_record_key
from streams.limits_board import LimitsBoard
from streams.market_view import MarketSettings, MarketView
from streams.order_agent import OrderAgent
from streams.parts import WaitingParts
from streams.position_check import PositionCheck, PositionSettings
from streams.reconciling import Reconciler, ReconcileSettings
from streams.record import Record
from streams.recovery import Recovery, RecoverySettings
from streams.reservations import Reservations
from streams.run_mode import Mode, ModeKeeper
from streams.signal_agent import SignalAgent, SignalSettings
from streams.submitting import Submitter
from streams.symbol_gates import SymbolGates
from streams.taken_before import TakenBefore
from streams.timers import StaleAction, Timers, TimerSettings
from streams.updates import UpdatePublisher
from streams.venue_lists import ListReader
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.signals import SignalRow, SignalTable, signal_index


class Handlers:
    """What a process has. `life` says whether it still runs; `seat`: which of the installation's processes it is, over
    its lives; `dry_run`, `with_open`: how it was started."""

    def __init__(
        self,
        name: str,
        around: Surroundings,
        seat: str = "w1",
        *,
        dry_run: bool = False,
        with_open: bool = True,
        drift_s: float = 0.0,
    ) -> None:
        self.life = Life(name)
        self.seat = seat
        self.dry_run = dry_run
        self.with_open = with_open
        self.around = around
        effects, broker, weather = around.effects, around.broker, around.weather
        self.log = StagedLog(broker, self.life, effects, around.chance, weather.slow_broker, around.topics)
        self.inbox = SimulatedInbox(self.life, effects)
        self.clock = SimulatedClock(around.loop, weather.skew_s + drift_s)
        self.rows = {
            "orders": SimulatedRows("orders", order_index, broker),
            "signals": SimulatedRows("signals", signal_index, broker),
            "positions": SimulatedRows("positions", position_index, broker),
        }
        self.orders = OrderTable(self.rows["orders"])
        self.signals = SignalTable(self.rows["signals"])
        self.positions = PositionTable(self.rows["positions"])
        self.venue = SimulatedTrading(around.books, around.road, self.clock, self.life, effects)
        self.trading: Trading = DryTrading(self.venue) if dry_run else self.venue
        self.watch = Watch(self, INSTANCE)
        self.venue.before_create, self.venue.before_amend = self.watch.before_create, self.watch.before_amend
        self.venue.before_cancel, self.venue.before_stop = self.watch.before_cancel, self.watch.before_stop
        self.log.before_event = self.watch.before_event
        self.applied = Applied()
        self.gates = SymbolGates()
        self.caught_up_at: dict[int, int] = {}
        """Per partition the end of `order-updates` when it became ours."""
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._pumps: dict[asyncio.Task[None], None] = {}
        self._wire()

    def _wire(self) -> None:
        self._wire_account()
        self._wire_calls()
        self._wire_signals()
        self._wire_agreement()
        self._wire_clockwork()
        self._wire_agents()
        self.signal_lanes = self._lanes(self.signal_agent.handle, by_record_key)
        self.command_lanes = self._lanes(self.command_agent.handle, lane_of)

    def _wire_account(self) -> None:
        """What is shared with other workers: the broadcasts, and the account's load."""
        around, topics = self.around, self.around.topics
        self.reservations = Reservations()
        self.airwaves = Airwaves(around.broker, topics, around.chance, around.weather.slow_broadcasts, self.clock)
        self.view = MarketView(
            broadcasts=self.airwaves,
            topics=topics,
            trading=self.venue,
            clock=self.clock,
            settings=MarketSettings(armed_by_default=True, balance_max_age_s=300.0),
        )
        self.market = MarketHere(around.market, self.view, whole=bool(around.weather.balance) or around.weather.coins)
        self.limits = LimitsBoard(limits(around.weather), lambda: self.airwaves.table(topics.controls))
        self.board = ExposureBoard(
            log=self.log,
            topic=topics.order_exposure,
            partitions=around.broker.partitions,
            read_back=self.airwaves.read_back,
            orders=self.orders,
            positions=self.positions,
            reservations=self.reservations,
            mark=around.market.mark,
            dollars=lambda _currency: Decimal(1),
            worth=lambda: self.view.worth(ACCOUNT),
            clock=self.clock,
            worker=self.seat,
            venue=VENUE,
            is_caught_up=self.gates.is_caught_up,
        )
        self.account: Account | None = None
        self.hooks: Hooks | None = None
        if around.weather.account:
            self.airwaves.listen(self.board.heard)
            self.account = Account(limits=self.limits, board=self.board, clock=self.clock)
            self.hooks = noting(None, self.board)
        self.loss_watch = LossWatch(
            log=self.log,
            topics=topics,
            board=self.board,
            limits=self.limits,
            is_certain=lambda: self.inbox.is_open,
            alert=lambda code, sentence: around.effects.note(f"{self.life.name} {code}: {sentence}"),
            clock=self.clock,
        )

    def _wire_calls(self) -> None:
        """What asks the venue about single orders."""
        around = self.around
        self.publisher = publisher = UpdatePublisher(self.log, around.topics)
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
            gates=self.gates,
            market=self.market,
            clock=self.clock,
            settings=SubmitSettings(execution_timeout_s=20.0),
            jitter=around.chance,
        )
        self.canceller = self._canceller(self.trading)
        self.on_request = self._canceller(self.venue) if self.dry_run else self.canceller
        self.amender = Amender(
            trading=self.trading,
            publisher=publisher,
            reconciler=self.reconciler,
            orders=self.orders,
            applied=self.applied,
            gates=self.gates,
            market=self.market,
            clock=self.clock,
        )

    def _canceller(self, trading: Trading) -> Canceller:
        return Canceller(
            trading=trading,
            publisher=self.publisher,
            reconciler=self.reconciler,
            orders=self.orders,
            applied=self.applied,
            clock=self.clock,
            settings=CancelSettings(),
        )

    def _wire_signals(self) -> None:
        self.facts = FactsGatherer(
            orders=self.orders,
            signals=self.signals,
            positions=self.positions,
            market=self.market,
            reservations=self.reservations,
            clock=self.clock,
            account=ACCOUNT,
            limits=self.account,
            clock_error_ns=int(self.around.weather.clocks_apart_s * 1_000_000_000),
            dry_run=self.dry_run,
        )
        self.signal_agent = SignalAgent(
            log=self.log,
            topics=self.around.topics,
            orders=self.orders,
            signals=self.signals,
            facts=self.facts,
            submitter=self.submitter,
            canceller=self.canceller,
            applied=self.applied,
            gates=self.gates,
            clock=self.clock,
            settings=SignalSettings(
                plan_settings(self.around.weather, dry_run=self.dry_run), VENUE, self.around.weather.categories, ACCOUNT
            ),
            hooks=self.hooks,
            amender=self.amender,
            account=self.account,
        )
        self.taken_before = TakenBefore(
            orders=self.orders,
            signals=self.signals,
            reservations=self.reservations,
            board=self.board,
            clock=self.clock,
            clock_error_ns=int(self.around.weather.clocks_apart_s * 1_000_000_000),
        )

    def _wire_agreement(self) -> None:
        """What compares our rows with the venue's lists."""
        weather = self.around.weather
        self.alerts = alerts = Alerts(log=self.log, topics=self.around.topics, clock=self.clock)
        comparer = Comparer(
            reconciler=self.reconciler,
            publisher=self.publisher,
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
            publisher=self.publisher,
            orders=self.orders,
            positions=self.positions,
            applied=self.applied,
            alerts=alerts,
            clock=self.clock,
            settings=PositionSettings(account=ACCOUNT),
        )
        self.recovery = Recovery(
            reconciler=self.reconciler,
            lists=ListReader(trading=self.trading, clock=self.clock, categories=weather.categories, orders=self.orders),
            comparer=comparer,
            position_check=position_check,
            orders=self.orders,
            positions=self.positions,
            gates=self.gates,
            applied=self.applied,
            alerts=alerts,
            log=self.log,
            clock=self.clock,
            settings=RecoverySettings(
                venue=VENUE, categories=weather.categories, interval_s=weather.round_s, positions_s=weather.round_s
            ),
            on_failure=lambda error: self._failed("recovery", error),
        )

    def _wire_clockwork(self) -> None:
        """What looks at the rows by the clock, and wishes for something."""
        around, topics, weather = self.around, self.around.topics, self.around.weather
        self.timers = Timers(
            log=self.log,
            topics=topics,
            orders=self.orders,
            clock=self.clock,
            settings=TimerSettings(
                stale_s=weather.stale_order_s if around.orders_grow_stale else 0.0,
                stale_action=StaleAction.REPLACE if weather.replace_stale else StaleAction.CANCEL,
                dry_run=self.dry_run,
            ),
        )
        self.waiting_parts = WaitingParts(log=self.log, topics=topics, signals=self.signals, clock=self.clock)
        self.auto_stop: AutoStop | None = None
        if weather.auto_stop and not self.dry_run:
            self.auto_stop = AutoStop(
                log=self.log,
                topics=topics,
                orders=self.orders,
                positions=self.positions,
                signals=self.signals,
                trading=self.trading,
                publisher=self.publisher,
                market=self.market,
                gates=self.gates,
                applied=self.applied,
                alerts=self.alerts,
                clock=self.clock,
                settings=AutoStopSettings(account=ACCOUNT, distance=STOP_DISTANCE, again_s=5.0),
            )
        self.modes = ModeKeeper(
            mode=Mode.DRY_RUN if self.dry_run else Mode.LIVE,
            home=AccountName(VENUE, ACCOUNT),
            with_open=self.with_open,
            worker=self.seat,
            categories=weather.categories,
            topic=topics.controls,
            log=self.log,
            read_back=self.airwaves.read_back,
            controls=lambda: self.airwaves.table(topics.controls),
            heartbeats=lambda: (),
            orders=self.orders,
            positions=self.positions,
            signals=self.signals,
            trading=self.trading,
            clock=self.clock,
            refuse=refused,
            alert=lambda code, sentence: around.effects.note(f"{self.life.name} {code}: {sentence}"),
        )

    def _wire_agents(self) -> None:
        self.command_agent = CommandAgent(
            log=self.log,
            topics=self.around.topics,
            orders=self.orders,
            signals=self.signals,
            canceller=self.on_request,
            reconciler=self.reconciler,
            submitter=self.submitter,
            compare=self.recovery.compare,
            clock=self.clock,
            settings=CommandSettings(dry_run=self.dry_run),
            on_timer_done=self.timers.finished,
            on_parts_stopped=self._parts_stopped,
            protect=None if self.auto_stop is None else self.auto_stop.protect,
        )
        self.order_agent = OrderAgent(
            log=self.log,
            inbox=self.inbox,
            topics=self.around.topics,
            orders=self.orders,
            positions=self.positions,
            applied=self.applied,
            instance=INSTANCE,
            hooks=self.hooks,
        )

    def _parts_stopped(self, row: SignalRow) -> None:
        """What the parts held is free again."""
        self.facts.given_up(row.source)
        self.board.release(row.standing_plan.instrument, row.source)

    def _lanes(
        self,
        handler: Callable[[Any], Coroutine[Any, Any, None]],  # Any: Turn; a test's handler
        key: Callable[[Record], Hashable],
    ) -> Lanes:
        return Lanes(
            handler,
            self.inbox,
            key=key,
            on_error=lambda record, error: self._failed(str(record.source), error),
            monotonic_s=self.around.loop.time,
        )

    def _failed(self, where: str, error: BaseException) -> None:
        """An error that a handler let out ends the process in production; here it is a finding."""
        if self.life.alive and not isinstance(error, Crashed | Refused | asyncio.CancelledError):
            self.around.effects.violate(f"handler failed at {where}: {error!r}")

    def calm_down(self) -> None:
        """What rests may rest from now on."""
        self.timers._settings = replace(self.timers._settings, stale_s=0.0)  # private: nobody else changes settings
