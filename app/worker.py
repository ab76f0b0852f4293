"""The worker: agents over the engine, with everything they need, as one process.

engine (Faust, tables, lanes)
  ├── order agent        order-updates    in runs, never waits
  ├── signal agent       signals          a lane per symbol
  ├── command agent      order-commands   lanes of their own
  ├── recovery, timers   ask the venue about what is unfinished
  ├── broadcasts         controls, balances, marks, instruments, heartbeats
  └── web views
"""

# Mode carries no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mode import Service

from app.crash_points import CrashPoint
from app.engine import Engine, build_engine
from app.engine_options import EngineOptions
from app.settings import Settings
from app.topics import topics_of
from app.venue import bybit_options
from exchanges.bybit.trading import BybitTrading
from exchanges.clock import SystemClock
from exchanges.venue import CallHooks, Trading
from streams import boards, schemas
from streams.applied import Applied
from streams.broadcast import Broadcasts
from streams.cancelling import Canceller, CancelSettings
from streams.command_agent import CommandAgent, CommandSettings
from streams.explaining import Explainer
from streams.facts import FactsGatherer, Reservations
from streams.hooks import Hooks
from streams.market_view import MarketSettings, MarketView
from streams.order_agent import OrderAgent
from streams.quarantine import Quarantine
from streams.reconciling import Reconciler, ReconcileSettings
from streams.recovery import Recovery, RecoverySettings
from streams.signal_agent import SignalAgent, SignalSettings
from streams.submitting import SubmitSettings, Submitter
from streams.symbol_gates import SymbolGates
from streams.timers import Timers, TimerSettings
from streams.topics import Topics
from streams.updates import UpdatePublisher
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt
from tables.signals import SignalTable, signal_index

_log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0


@dataclass(frozen=True, slots=True)
class Worker:
    """The assembled parts that the process, its views and its tests look at."""

    settings: Settings
    topics: Topics
    engine: Engine
    orders: OrderTable
    signals: SignalTable
    positions: PositionTable
    gates: SymbolGates
    broadcasts: Broadcasts
    market: MarketView
    trading: Trading
    submitter: Submitter
    explainer: Explainer


def build_worker(settings: Settings, *, hooks: Hooks | None = None, call_hooks: CallHooks | None = None) -> Worker:
    """Assemble a worker; nothing is connected before the engine runs."""
    topics = topics_of(settings)
    clock = SystemClock()
    engine = build_engine(_engine_options(settings, topics))
    orders = OrderTable(engine.table("orders", index=order_index))
    signals = SignalTable(engine.table("signals", index=signal_index))
    positions = PositionTable(engine.table("positions", index=position_index))
    adapter = BybitTrading(bybit_options(settings), hooks=call_hooks)
    trading: Trading = adapter
    broadcasts = Broadcasts(
        settings.bootstrap, (topics.controls, topics.balances, topics.marks, topics.instruments, topics.heartbeats)
    )
    broadcasts.on_failure = lambda error: engine.wiring.stop(f"BROADCASTS_FAILED: {error!r}")
    market = MarketView(
        broadcasts=broadcasts,
        topics=topics,
        trading=trading,
        clock=clock,
        settings=MarketSettings(
            armed_by_default=settings.armed_by_default,
            max_quote_age_s=settings.max_quote_age_s,
            balance_max_age_s=settings.balance_max_age_s,
            instruments_lifetime_s=settings.instruments_lifetime_s,
        ),
    )
    applied, gates, publisher = Applied(), SymbolGates(), UpdatePublisher(engine.log, topics)
    if settings.crash_at:
        crash = CrashPoint(settings.crash_at, settings.data_dir)
        hooks, trading, publisher = crash.hooks(hooks or Hooks()), crash.trading(trading), crash.publisher(publisher)
    reconciler = Reconciler(
        trading=trading,
        publisher=publisher,
        orders=orders,
        applied=applied,
        gates=gates,
        clock=clock,
        settings=ReconcileSettings(clock_error_s=settings.clock_error_s),
    )
    canceller = Canceller(
        trading=trading,
        publisher=publisher,
        reconciler=reconciler,
        orders=orders,
        applied=applied,
        clock=clock,
        settings=CancelSettings(timeout_s=settings.cancel_timeout_s),
    )
    submitter = Submitter(
        trading=trading,
        publisher=publisher,
        reconciler=reconciler,
        orders=orders,
        applied=applied,
        market=market,
        clock=clock,
        settings=SubmitSettings(
            max_attempts=settings.api_retry_max_attempts,
            backoff_base_s=settings.api_retry_base_s,
            backoff_multiplier=settings.api_retry_multiplier,
            backoff_cap_s=settings.api_retry_cap_s,
            execution_timeout_s=settings.order_execution_timeout_s,
        ),
        jitter=random.Random(),  # noqa: S311 -- spreads retries over time, guards nothing
    )
    order_agent = OrderAgent(
        log=engine.log,
        inbox=engine.inbox,
        topics=topics,
        orders=orders,
        positions=positions,
        applied=applied,
        instance=settings.instance,
        hooks=hooks,
    )
    facts = FactsGatherer(
        orders=orders,
        positions=positions,
        market=market,
        reservations=Reservations(),
        clock=clock,
        account=settings.account,
    )
    signal_settings = SignalSettings(
        plan=settings.plan_settings(),
        venue=settings.venue.value,
        category=settings.category,
        account=settings.account,
        max_bytes=settings.signal_max_bytes,
    )
    signal_agent = SignalAgent(
        log=engine.log,
        topics=topics,
        orders=orders,
        signals=signals,
        facts=facts,
        submitter=submitter,
        canceller=canceller,
        applied=applied,
        gates=gates,
        clock=clock,
        settings=signal_settings,
        hooks=hooks,
    )
    command_agent = CommandAgent(
        log=engine.log,
        topics=topics,
        orders=orders,
        signals=signals,
        canceller=canceller,
        reconciler=reconciler,
        submitter=submitter,
        clock=clock,
        settings=CommandSettings(),
    )
    explainer = Explainer(signals=signals, facts=facts, clock=clock, settings=signal_settings)
    recovery = Recovery(
        reconciler=reconciler,
        orders=orders,
        gates=gates,
        applied=applied,
        clock=clock,
        settings=RecoverySettings(),
        on_failure=lambda error: engine.wiring.stop(f"RECOVERY_FAILED: {error!r}"),
    )
    timers = Timers(
        log=engine.log,
        topics=topics,
        orders=orders,
        signals=signals,
        clock=clock,
        settings=TimerSettings(
            interval_s=settings.timer_interval_s,
            doubt_s=settings.doubt_s,
            reconcile_s=settings.reconcile_interval_s,
        ),
    )
    quarantine = Quarantine(log=engine.log, topics=topics, signals=signals, clock=clock, hooks=hooks)
    engine.runs(topics.order_updates, order_agent.handle)
    engine.lanes(
        topics.signals,
        quarantine.around(signal_agent.handle),
        max_running=settings.max_running,
        max_queued=settings.max_queued,
    )
    engine.lanes(topics.order_commands, quarantine.around(command_agent.handle))
    engine.writes_to(
        topics.signals,
        topics.order_updates,
        topics.order_commands,
        topics.order_events,
        topics.position_events,
        topics.alerts,
        topics.controls,
        topics.heartbeats,
        topics.signals_dead,
        topics.order_updates_dead,
        topics.order_commands_dead,
    )
    worker = Worker(
        settings, topics, engine, orders, signals, positions, gates, broadcasts, market, trading, submitter, explainer
    )
    # Waiting for a venue that is away is progress: the watchdog looks for a worker that is stuck by itself.
    engine.explains_waiting = lambda: bool(submitter.in_hand or gates.shut())
    engine.on_alert(lambda code, sentence: _raise_alert(worker, hooks, code, sentence))
    _follow_partitions(engine, order_agent, recovery, broadcasts, trading)
    engine.app.service(_Background(engine, "heartbeats", lambda: _beat(worker, clock, adapter.set_workers)))
    engine.app.service(_Background(engine, "timers", timers.run))
    return worker


def _raise_alert(worker: Worker, hooks: Hooks | None, code: str, sentence: str) -> None:
    """What the engine has to tell an operator: in the log, and on the topic as soon as the broker takes it."""
    _log.error("%s", sentence, extra={"code": code})
    at_ns = SystemClock().now_ns()
    alert = schemas.Alert(
        alert_id=f"{worker.settings.worker_id}-{code}-{at_ns}",
        code=code,
        severity="critical",
        sentence=sentence,
        symbol="",
        at_ns=at_ns,
        source=worker.settings.worker_id,
    )
    headers = schemas.event_headers("alert/1", alert.alert_id)
    log, topic = worker.engine.log, worker.topics.alerts
    log.append(topic, 0, alert.alert_id.encode(), schemas.encode(alert), Receipt(), headers)
    if hooks is not None:
        hooks.on_alert(code)


def _engine_options(settings: Settings, topics: Topics) -> EngineOptions:
    return EngineOptions(
        app_id=topics.app_id,
        bootstrap=settings.bootstrap,
        data_directory=settings.worker_dir,
        partitions=settings.partitions,
        replication_factor=settings.replication_factor,
        web_host=settings.web_host,
        web_port=settings.web_port,
        session_timeout_s=settings.session_timeout_s,
        heartbeat_s=min(1.0, settings.session_timeout_s / 5),
        lease_margin_s=min(2.0, settings.session_timeout_s / 5),
        request_timeout_s=max(15.0, settings.session_timeout_s),
        drain_limit_s=settings.drain_limit_s,
        rebalance_timeout_s=max(30.0, settings.drain_limit_s * 1.5),
    )


def _follow_partitions(
    engine: Engine, order_agent: OrderAgent, recovery: Recovery, broadcasts: Broadcasts, trading: Trading
) -> None:
    """What has to happen when partitions come and go."""
    started = False

    async def recovered(partitions: frozenset[int]) -> None:
        nonlocal started
        if not started:
            await broadcasts.start()
            started = True
        for partition in partitions:
            recovery.assigned(partition)

    async def revoked(partitions: frozenset[int]) -> None:
        for partition in partitions:
            recovery.revoked(partition)
            order_agent.forget(partition)

    engine.on_recovered(recovered)
    engine.on_revoked(revoked)

    engine.app.service(_Connections(broadcasts, trading))


class _Connections(Service):
    """Closed when the process ends."""

    def __init__(self, broadcasts: Broadcasts, trading: Trading) -> None:
        super().__init__()
        self._broadcasts = broadcasts
        self._trading = trading

    async def on_stop(self) -> None:
        await self._broadcasts.stop()
        await self._trading.close()


class _Background(Service):
    """Something that runs for as long as the engine runs. An error in it ends the process: it would be missed
    otherwise."""

    def __init__(self, engine: Engine, name: str, run: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._engine = engine
        self._name = name
        self._run = run

    async def on_start(self) -> None:
        self.add_future(self._work())

    async def _work(self) -> None:
        try:
            await self._run()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must not be missed
            _log.error("%s ended", self._name, exc_info=error)
            self._engine.wiring.stop(f"SERVICE_FAILED: {self._name}: {error!r}")


async def _beat(worker: Worker, clock: SystemClock, share_with: Callable[[int], None]) -> None:
    """Say every second that this worker lives, where it is asked, and what it has; and hear how many there are, since
    they share the account's rate limits (requirement X07)."""
    settings, engine = worker.settings, worker.engine
    key = f"worker/{settings.worker_id}".encode()
    while True:
        heard = worker.market.heartbeats(HEARTBEAT_S * 5)
        share_with(max(1, sum(beat.role == "worker" for beat in heard)))
        if engine.inbox.is_open:
            ready, reasons = engine.ready()
            heartbeat = boards.Heartbeat(
                role="worker",
                name=settings.worker_id,
                url=settings.own_url,
                partitions=tuple(sorted(worker.orders.rows.partitions())),
                ready=ready,
                reasons=tuple(reasons),
                at_ns=clock.now_ns(),
            )
            await engine.log.publish(worker.topics.heartbeats, key, boards.encode(heartbeat), partition=0)
        await clock.sleep(HEARTBEAT_S)
