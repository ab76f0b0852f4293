"""The worker: agents over the engine, with everything they need, as one process.

engine (Faust, tables, lanes)
  ├── order agent        order-updates    in runs, never waits
  ├── signal agent       signals          a lane per symbol
  ├── command agent      order-commands   lanes of their own
  ├── recovery, timers   ask the venue about what is unfinished
  ├── broadcasts         controls, balances, marks, instruments, heartbeats
  └── web views

`worker_parts` makes each part; here they are joined, and the engine is told what goes to whom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app import worker_parts as parts
from app.account_parts import LossWatch, exposure_board, noting
from app.conditions import Conditions
from app.crash_points import CrashPoint
from app.engine import Engine, build_engine
from app.engine_options import EngineOptions
from app.position_parts import auto_stop, position_watch
from app.settings import Settings
from app.topics import topics_of
from app.transport.fail_stop import refuse_to_start
from app.venue import bybit_options
from app.worker_conditions import worker_conditions
from app.worker_parts import Shared
from app.worker_services import Background, Connections, EngineAlerts, Heartbeats, PositionModeCheck
from domain.sizing import MAX_PARTS
from exchanges.breaker import Breaker
from exchanges.bybit.trading import BybitTrading
from exchanges.clock import SystemClock
from exchanges.dry_run import DryTrading
from exchanges.venue import CallHooks, Trading
from streams import boards
from streams.account import Account
from streams.alert_board import AlertBoard
from streams.applied import Applied
from streams.broadcast import Broadcasts
from streams.command_agent import CommandAgent, lane_of
from streams.explaining import Explainer
from streams.exposure import ExposureBoard
from streams.hooks import Hooks
from streams.limits_board import LimitsBoard
from streams.market_view import MarketView
from streams.order_agent import OrderAgent
from streams.parts import WaitingParts
from streams.quarantine import Quarantine
from streams.recovery import Recovery
from streams.reservations import Reservations
from streams.run_mode import Mode, ModeKeeper
from streams.signal_agent import SignalAgent
from streams.signal_door import SignalDoor
from streams.stream_watch import StreamWatch
from streams.submitting import Submitter
from streams.symbol_gates import SymbolGates
from streams.timers import Timers
from streams.topics import Topics
from streams.updates import UpdatePublisher
from tables.orders import LIVE_ORDERS, ORDER_INDEX_VERSION, OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt
from tables.signals import LIVE_SIGNALS, SignalTable, signal_index

OTHERS_HEARD_S = 3.0
"""A worker says every second that it lives."""


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
    breaker: Breaker
    alerts: AlertBoard
    submitter: Submitter
    explainer: Explainer
    signal_door: SignalDoor
    limits: LimitsBoard
    exposure: ExposureBoard


def build_worker(settings: Settings, *, hooks: Hooks | None = None, call_hooks: CallHooks | None = None) -> Worker:
    """Assemble a worker; nothing is connected before the engine runs."""
    topics = topics_of(settings)
    engine = build_engine(_engine_options(settings, topics))
    adapter = BybitTrading(bybit_options(settings), hooks=call_hooks)
    alert = EngineAlerts(settings, engine, topics, hooks)
    guarded = parts.guarded(settings, adapter, SystemClock())
    broadcasts = _broadcasts(settings, topics, engine)
    alerts = AlertBoard(topics.alerts)
    broadcasts.listen(alerts.take)
    shared = _shared(settings, topics, engine, broadcasts, guarded, hooks)
    modes = _mode_keeper(shared, broadcasts, alert)

    reconciler = parts.reconciler(shared)
    canceller = parts.canceller(shared, reconciler, shared.trading)
    on_request = parts.canceller(shared, reconciler, shared.venue)
    submitter = parts.submitter(shared, reconciler)
    facts = parts.facts_gatherer(shared)
    order_agent = parts.order_agent(shared)
    signal_agent = parts.signal_agent(shared, facts, submitter, canceller, reconciler)
    comparison_alerts = parts.comparison_alerts(shared, alerts)
    recovery = parts.recovery(shared, reconciler, submitter, comparison_alerts)
    timers = parts.timers(shared)
    stop = auto_stop(shared, comparison_alerts)
    command_agent = parts.command_agent(shared, on_request, reconciler, submitter, recovery, timers, facts, stop)
    reading = parts.signal_settings(settings, shared.trading.traits)
    explainer = Explainer(signals=shared.signals, facts=facts, clock=shared.clock, settings=reading)
    door = SignalDoor(log=engine.log, topics=topics, clock=shared.clock, settings=reading)

    _deliver(shared, order_agent, signal_agent, command_agent)
    _follow_partitions(shared, order_agent, recovery, broadcasts, modes, _heartbeats(shared, adapter, broadcasts))
    engine.app.service(Background(engine, "breaker", guarded.breaker.watch))
    conditions = worker_conditions(shared, alert, guarded.breaker, alerts, lambda: adapter.banned_s)
    _run_beside(shared, adapter, timers, parts.stream_watch(shared, reconciler), conditions)
    _watch_account(shared, alert)
    watch = position_watch(shared, alerts)
    engine.app.service(Background(engine, "position-watch", watch.run))
    if stop is not None:
        engine.app.service(Background(engine, "auto-stop", stop.run))
    # Waiting for a venue that is away is progress: the watchdog looks for a worker that is stuck by itself.
    engine.explains_waiting = lambda: bool(
        submitter.in_hand or shared.gates.awaited() or shared.gates.blind_because or adapter.banned_s
    )
    engine.explains_turn = lambda record: bool(
        guarded.breaker.unwell
        or adapter.banned_s
        or not shared.gates.is_open(record.partition, (record.key or b"").decode(errors="replace"))
    )
    engine.on_alert(alert)
    return Worker(
        settings=settings,
        topics=topics,
        engine=engine,
        orders=shared.orders,
        signals=shared.signals,
        positions=shared.positions,
        gates=shared.gates,
        broadcasts=broadcasts,
        market=shared.market,
        trading=shared.trading,
        breaker=guarded.breaker,
        alerts=alerts,
        submitter=submitter,
        explainer=explainer,
        signal_door=door,
        limits=shared.limits,
        exposure=shared.exposure,
    )


def _shared(
    settings: Settings,
    topics: Topics,
    engine: Engine,
    broadcasts: Broadcasts,
    venue: Trading,
    hooks: Hooks | None,
) -> Shared:
    clock = SystemClock()
    publisher = UpdatePublisher(engine.log, topics)
    market = parts.market_view(settings, topics, broadcasts, venue, clock)
    if settings.crash_at:
        crash = CrashPoint(settings.crash_at, settings.data_dir)
        hooks, venue, publisher = crash.hooks(hooks or Hooks()), crash.trading(venue), crash.publisher(publisher)
    trading = DryTrading(venue) if settings.dry_run else venue
    orders = OrderTable(engine.table("orders", index=order_index, live=LIVE_ORDERS, version=ORDER_INDEX_VERSION))
    positions = PositionTable(engine.table("positions", index=position_index))
    limits = LimitsBoard(settings.limits(), lambda: broadcasts.table(topics.controls))
    reservations, gates = Reservations(), SymbolGates()
    exposure = exposure_board(settings, topics, engine, broadcasts, market, orders, positions, reservations, gates)
    broadcasts.listen(exposure.heard)
    hooks = noting(hooks, exposure)
    return Shared(
        settings=settings,
        topics=topics,
        engine=engine,
        clock=clock,
        hooks=hooks,
        orders=orders,
        signals=SignalTable(engine.table("signals", index=signal_index, live=LIVE_SIGNALS)),
        positions=positions,
        trading=trading,
        venue=venue,
        publisher=publisher,
        market=market,
        applied=Applied(),
        gates=gates,
        limits=limits,
        exposure=exposure,
        reservations=reservations,
        account=Account(limits=limits, board=exposure, clock=clock),
    )


def _broadcasts(settings: Settings, topics: Topics, engine: Engine) -> Broadcasts:
    followed = (
        *(topics.controls, topics.balances, topics.marks),
        *(topics.instruments, topics.heartbeats, topics.alerts, topics.order_exposure),
    )
    # Each occurrence of an alert has a key of its own: what stands of them is on the alert board.
    broadcasts = Broadcasts(settings.bootstrap, followed, passed_on=(topics.alerts,))
    broadcasts.on_failure = lambda error: engine.wiring.stop(f"BROADCASTS_FAILED: {error!r}")
    broadcasts.overtaken = boards.too_late(topics, SystemClock().now_ns)

    def write_again(topic: str, key: bytes, standing: bytes) -> None:
        if topic == topics.controls:  # balances are told again anyway
            engine.log.append(topic, 0, key, boards.restored(standing), Receipt(), ())

    broadcasts.on_overtaken = write_again
    return broadcasts


def _engine_options(settings: Settings, topics: Topics) -> EngineOptions:
    return EngineOptions(
        app_id=topics.app_id,
        bootstrap=settings.bootstrap,
        data_directory=settings.worker_dir,
        store_memory_bytes=settings.store_memory_mib << 20,
        partitions=settings.partitions,
        replication_factor=settings.replication_factor,
        web_host=settings.web_host,
        web_port=settings.web_port,
        session_timeout_s=settings.session_timeout_s,
        heartbeat_s=min(1.0, settings.session_timeout_s / 5),
        lease_margin_s=min(2.0, settings.session_timeout_s / 5),
        request_timeout_s=max(15.0, settings.session_timeout_s),
        drain_limit_s=settings.drain_limit_s,
        # Longer than any turn: a signal waits until it expires, and then each of its parts is still asked for.
        turn_limit_s=1_800.0 + settings.signal_max_age_s + MAX_PARTS * settings.order_execution_timeout_s,
        rebalance_timeout_s=max(30.0, settings.drain_limit_s * 1.5),
    )


def _deliver(shared: Shared, order_agent: OrderAgent, signal_agent: SignalAgent, command_agent: CommandAgent) -> None:
    """Which topic goes to which agent, and how; and what any of them may write to."""
    engine, topics, settings = shared.engine, shared.topics, shared.settings
    quarantine = Quarantine(
        log=engine.log,
        topics=topics,
        signals=shared.signals,
        clock=shared.clock,
        hooks=shared.hooks,
        withdraw=shared.exposure.withdraw,
    )
    engine.runs(topics.order_updates, quarantine.around_runs(order_agent.handle, engine.inbox, order_agent.pass_over))
    engine.lanes(
        topics.signals,
        quarantine.around(signal_agent.handle),
        max_running=settings.max_running,
        max_queued=settings.max_queued,
    )
    engine.lanes(topics.order_commands, quarantine.around(command_agent.handle), key=lane_of)
    engine.writes_to(
        topics.signals,
        topics.order_updates,
        topics.order_commands,
        topics.order_events,
        topics.position_events,
        topics.position_snapshots,
        topics.alerts,
        topics.controls,
        topics.order_exposure,
        topics.heartbeats,
        topics.signals_dead,
        topics.order_updates_dead,
        topics.order_commands_dead,
    )


def _mode_keeper(shared: Shared, broadcasts: Broadcasts, alert: Callable[[str, str], None]) -> ModeKeeper:
    """Lets partitions go from a dry run to live only where nothing is open (requirement X10)."""
    settings, topic = shared.settings, shared.topics.controls
    return ModeKeeper(
        mode=Mode.DRY_RUN if settings.dry_run else Mode.LIVE,
        home=boards.AccountName(settings.venue.value, settings.account),
        with_open=settings.live_with_open,
        worker=settings.worker_id,
        categories=settings.traded_categories,
        topic=topic,
        log=shared.engine.log,
        read_back=broadcasts.read_back,
        controls=lambda: broadcasts.table(topic),
        heartbeats=lambda: shared.market.heartbeats(OTHERS_HEARD_S),
        orders=shared.orders,
        positions=shared.positions,
        signals=shared.signals,
        trading=shared.trading,
        clock=shared.clock,
        refuse=refuse_to_start,
        alert=alert,
    )


def _heartbeats(shared: Shared, adapter: BybitTrading, broadcasts: Broadcasts) -> Background:
    heartbeats = Heartbeats(
        settings=shared.settings,
        engine=shared.engine,
        topics=shared.topics,
        orders=shared.orders,
        market=shared.market,
        broadcasts=broadcasts,
        clock=shared.clock,
        share_with=adapter.set_workers,
    )
    return Background(shared.engine, "heartbeats", heartbeats.run)


def _follow_partitions(
    shared: Shared,
    order_agent: OrderAgent,
    recovery: Recovery,
    broadcasts: Broadcasts,
    modes: ModeKeeper,
    heartbeats: Background,
) -> None:
    """What has to happen when partitions come and go."""
    engine, taken_before = shared.engine, parts.taken_before(shared)
    started = False

    async def recovered(partitions: frozenset[int]) -> None:
        nonlocal started
        if not started:
            await broadcasts.start()
            # The app's own services come later; before them, the venue may be asked what is open, and who asks needs a
            # part of the account's limits, which heartbeats bring.
            await engine.app.add_runtime_dependency(heartbeats)
            started = True
        await modes.assigned(partitions)
        await shared.exposure.catch_up()
        for partition in partitions:
            recovery.assigned(partition)
            taken_before.assigned(partition)
            shared.exposure.assigned(partition)
            taken_before.let_go(partition)

    async def revoked(partitions: frozenset[int]) -> None:
        for partition in partitions:
            recovery.revoked(partition)
            order_agent.forget(partition)
        await shared.exposure.parting(partitions)

    engine.on_recovered(recovered)
    engine.on_revoked(revoked)
    engine.app.service(Connections(broadcasts, shared.trading))


def _run_beside(
    shared: Shared,
    adapter: BybitTrading,
    timers: Timers,
    stream_watch: StreamWatch,
    conditions: Conditions,
) -> None:
    """Timers and the watches over the stream and over conditions, for as long as the engine runs."""
    engine = shared.engine
    engine.app.service(Background(engine, "timers", timers.run))
    mode = PositionModeCheck(shared.settings, engine, adapter, shared.clock)
    engine.app.service(Background(engine, "position-mode", mode.run))
    engine.app.service(Background(engine, "stream-watch", stream_watch.run))
    engine.app.service(Background(engine, "conditions", lambda: _when_followed(shared, conditions)))


def _watch_account(shared: Shared, alert: Callable[[str, str], None]) -> None:
    """Parts of split orders are woken when they are due; the account's load is published, its losses watched."""
    engine, settings = shared.engine, shared.settings
    waiting = WaitingParts(log=engine.log, topics=shared.topics, signals=shared.signals, clock=shared.clock)
    watch = LossWatch(
        log=engine.log,
        topics=shared.topics,
        board=shared.exposure,
        limits=shared.limits,
        is_certain=lambda: engine.inbox.is_certain,
        alert=alert,
        clock=shared.clock,
    )
    interval_s = min(settings.timer_interval_s, 0.5)
    engine.app.service(Background(engine, "waiting-parts", lambda: waiting.run(interval_s)))
    engine.app.service(Background(engine, "losses", watch.run))


async def _when_followed(shared: Shared, conditions: Conditions) -> None:
    """Nothing is known of gateways and balances before their topics are read."""
    while not shared.engine.inbox.is_open:
        await shared.clock.sleep(0.2)
    await conditions.run()
