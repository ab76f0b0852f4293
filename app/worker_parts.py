"""The parts of a worker, each made from what all of them share and from its own settings."""

from __future__ import annotations

import random
from dataclasses import dataclass

from app.engine import Engine
from app.settings import Settings
from exchanges.breaker import Breaker, BreakerSettings
from exchanges.clock import SystemClock
from exchanges.guarded import GuardedTrading
from exchanges.venue import Trading, VenueTraits
from streams.account import Account
from streams.alert_board import AlertBoard
from streams.alerting import Alerts as ComparisonAlerts
from streams.amending import Amender
from streams.applied import Applied
from streams.auto_stop import AutoStop
from streams.broadcast import Broadcasts
from streams.cancelling import Canceller, CancelSettings
from streams.command_agent import CommandAgent, CommandSettings
from streams.comparing import Comparer, CompareSettings
from streams.creating import SubmitSettings
from streams.exposure import ExposureBoard
from streams.facts import FactsGatherer
from streams.hooks import Hooks
from streams.limits_board import LimitsBoard
from streams.market_view import MarketSettings, MarketView
from streams.order_agent import OrderAgent
from streams.position_check import PositionCheck, PositionSettings
from streams.reconciling import Reconciler, ReconcileSettings
from streams.recovery import Recovery, RecoverySettings
from streams.reservations import Reservations
from streams.signal_agent import SignalAgent, SignalSettings
from streams.stream_watch import StreamWatch, StreamWatchSettings
from streams.submitting import Submitter
from streams.symbol_gates import SymbolGates
from streams.taken_before import TakenBefore
from streams.timers import Timers, TimerSettings
from streams.topics import Topics
from streams.updates import UpdatePublisher
from streams.venue_lists import ListReader
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.signals import SignalRow, SignalTable


@dataclass(frozen=True, slots=True)
class Shared:
    """What nearly every part needs: the engine with its tables, the venue, the market, and what is known of symbols."""

    settings: Settings
    topics: Topics
    engine: Engine
    clock: SystemClock
    hooks: Hooks | None
    orders: OrderTable
    signals: SignalTable
    positions: PositionTable
    trading: Trading
    """What nothing leaves through in a dry run (requirement X10)."""
    venue: Trading
    """The venue itself: for what an operator asks to be cancelled, and nothing else."""
    publisher: UpdatePublisher
    market: MarketView
    applied: Applied
    gates: SymbolGates
    limits: LimitsBoard
    exposure: ExposureBoard
    reservations: Reservations
    account: Account


def guarded(settings: Settings, trading: Trading, clock: SystemClock) -> GuardedTrading:
    """The venue behind its breaker (requirement X08)."""
    breaker = Breaker(
        BreakerSettings(
            window_s=settings.breaker_window_s,
            min_calls=settings.breaker_min_calls,
            failure_ratio=settings.breaker_failure_ratio,
            creates_in_a_row=settings.breaker_creates_in_a_row,
            open_s=settings.breaker_open_s,
        ),
        clock,
        probe=trading.balances,
    )
    return GuardedTrading(trading, breaker)


def market_view(
    settings: Settings, topics: Topics, broadcasts: Broadcasts, trading: Trading, clock: SystemClock
) -> MarketView:
    """Quotes, balances, instruments, controls and heartbeats, as the broadcasts tell them."""
    return MarketView(
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


def comparer(shared: Shared, reconciler: Reconciler, submitter: Submitter, alerts: ComparisonAlerts) -> Comparer:
    """Compares orders with the venue's lists."""
    return Comparer(
        reconciler=reconciler,
        publisher=shared.publisher,
        orders=shared.orders,
        applied=shared.applied,
        alerts=alerts,
        clock=shared.clock,
        settings=CompareSettings(instance=shared.settings.instance),
        in_hand=lambda order_id: order_id in submitter.in_hand,
        hooks=shared.hooks,
    )


def position_check(shared: Shared, reconciler: Reconciler, alerts: ComparisonAlerts) -> PositionCheck:
    """Compares positions with their fills and with the venue."""
    return PositionCheck(
        trading=shared.trading,
        reconciler=reconciler,
        publisher=shared.publisher,
        orders=shared.orders,
        positions=shared.positions,
        applied=shared.applied,
        alerts=alerts,
        clock=shared.clock,
        settings=PositionSettings(account=shared.settings.account),
        hooks=shared.hooks,
    )


def stream_watch(shared: Shared, reconciler: Reconciler) -> StreamWatch:
    """Shuts symbols while the account's stream may miss something."""
    return StreamWatch(
        heartbeats=shared.market.heartbeats,
        partitions=shared.orders.rows.partitions,
        reconciler=reconciler,
        gates=shared.gates,
        applied=shared.applied,
        clock=shared.clock,
        settings=StreamWatchSettings(),
    )


def reconciler(shared: Shared) -> Reconciler:
    """Asks the venue what it knows of an order."""
    return Reconciler(
        trading=shared.trading,
        publisher=shared.publisher,
        orders=shared.orders,
        applied=shared.applied,
        gates=shared.gates,
        clock=shared.clock,
        settings=ReconcileSettings(
            clock_error_s=shared.settings.clock_error_s,
            unseen_s=shared.settings.unseen_s,
            looks_apart_s=3 * shared.settings.reconcile_interval_s,
        ),
    )


def canceller(shared: Shared, reconciler: Reconciler, trading: Trading) -> Canceller:
    """Cancels and waits for the venue's evidence."""
    return Canceller(
        trading=trading,
        publisher=shared.publisher,
        reconciler=reconciler,
        orders=shared.orders,
        applied=shared.applied,
        clock=shared.clock,
        settings=CancelSettings(
            timeout_s=shared.settings.cancel_timeout_s, batch_size=shared.settings.cancel_batch_size
        ),
    )


def submitter(shared: Shared, reconciler: Reconciler) -> Submitter:
    """Sends what is intended, once."""
    settings = shared.settings
    return Submitter(
        trading=shared.trading,
        publisher=shared.publisher,
        reconciler=reconciler,
        orders=shared.orders,
        applied=shared.applied,
        gates=shared.gates,
        market=shared.market,
        clock=shared.clock,
        settings=SubmitSettings(
            max_attempts=settings.api_retry_max_attempts,
            backoff_base_s=settings.api_retry_base_s,
            backoff_multiplier=settings.api_retry_multiplier,
            backoff_cap_s=settings.api_retry_cap_s,
            execution_timeout_s=settings.order_execution_timeout_s,
            batch_size=settings.create_batch_size,
        ),
        jitter=random.Random(),  # noqa: S311 -- spreads retries over time, guards nothing
    )


def facts_gatherer(shared: Shared) -> FactsGatherer:
    """What a plan is made from."""
    plan = shared.settings.plan_settings()
    return FactsGatherer(
        orders=shared.orders,
        signals=shared.signals,
        positions=shared.positions,
        market=shared.market,
        reservations=shared.reservations,
        clock=shared.clock,
        account=shared.settings.account,
        limits=shared.account,
        cooldown_ns=max(plan.cooldown_ns, plan.strategy_cooldown_ns),
        clock_error_ns=int(shared.settings.clock_error_s * 1_000_000_000),
        dry_run=plan.dry_run,
    )


def taken_before(shared: Shared) -> TakenBefore:
    """What a process that has ended has still reserved."""
    return TakenBefore(
        orders=shared.orders,
        signals=shared.signals,
        reservations=shared.reservations,
        board=shared.exposure,
        clock=shared.clock,
        clock_error_ns=int(shared.settings.clock_error_s * 1_000_000_000),
    )


def signal_settings(settings: Settings, venue: VenueTraits) -> SignalSettings:
    """How signals are read and planned."""
    return SignalSettings(
        plan=settings.plan_settings(venue_protects=venue.protects),
        venue=settings.venue.value,
        categories=settings.traded_categories,
        account=settings.account,
        max_bytes=settings.signal_max_bytes,
        far_timestamp_ns=int(settings.far_timestamp_s * 1_000_000_000),
    )


def order_agent(shared: Shared) -> OrderAgent:
    """Joins updates to orders."""
    return OrderAgent(
        log=shared.engine.log,
        inbox=shared.engine.inbox,
        topics=shared.topics,
        orders=shared.orders,
        positions=shared.positions,
        applied=shared.applied,
        instance=shared.settings.instance,
        hooks=shared.hooks,
    )


def signal_agent(
    shared: Shared, facts: FactsGatherer, submitter: Submitter, canceller: Canceller, reconciler: Reconciler
) -> SignalAgent:
    """Turns signals into orders."""
    amender = Amender(
        trading=shared.trading,
        publisher=shared.publisher,
        reconciler=reconciler,
        orders=shared.orders,
        applied=shared.applied,
        gates=shared.gates,
        market=shared.market,
        clock=shared.clock,
        timeout_s=shared.settings.cancel_timeout_s,
    )
    return SignalAgent(
        log=shared.engine.log,
        topics=shared.topics,
        orders=shared.orders,
        signals=shared.signals,
        facts=facts,
        submitter=submitter,
        canceller=canceller,
        applied=shared.applied,
        gates=shared.gates,
        clock=shared.clock,
        settings=signal_settings(shared.settings, shared.trading.traits),
        hooks=shared.hooks,
        amender=amender,
        account=shared.account,
    )


def command_agent(
    shared: Shared,
    canceller: Canceller,
    reconciler: Reconciler,
    submitter: Submitter,
    recovery: Recovery,
    timers: Timers,
    facts: FactsGatherer,
    auto_stop: AutoStop | None,
) -> CommandAgent:
    """Does what operators and timers ask for."""

    def stopped(row: SignalRow) -> None:
        """What the parts held is free again."""
        facts.given_up(row.source)
        shared.exposure.release(row.standing_plan.instrument, row.source)

    def is_past(partition: int, offset: int) -> bool:
        lowest = shared.engine.wiring.ledger.watermark((shared.topics.signals, partition))
        return lowest is not None and offset < lowest

    return CommandAgent(
        log=shared.engine.log,
        topics=shared.topics,
        orders=shared.orders,
        signals=shared.signals,
        canceller=canceller,
        reconciler=reconciler,
        submitter=submitter,
        compare=recovery.compare,
        clock=shared.clock,
        settings=CommandSettings(dry_run=shared.settings.dry_run),
        on_timer_done=timers.finished,
        on_parts_stopped=stopped,
        protect=None if auto_stop is None else auto_stop.protect,
        is_past=is_past,
    )


def comparison_alerts(shared: Shared, board: AlertBoard) -> ComparisonAlerts:
    """What those who compare and protect have to tell."""
    return ComparisonAlerts(
        log=shared.engine.log, topics=shared.topics, clock=shared.clock, hooks=shared.hooks, board=board
    )


def recovery(shared: Shared, reconciler: Reconciler, submitter: Submitter, alerts: ComparisonAlerts) -> Recovery:
    """Agrees with the venue before a symbol trades, and at intervals from then on."""
    settings = shared.settings
    return Recovery(
        reconciler=reconciler,
        lists=ListReader(
            trading=shared.trading, clock=shared.clock, categories=settings.traded_categories, orders=shared.orders
        ),
        comparer=comparer(shared, reconciler, submitter, alerts),
        position_check=position_check(shared, reconciler, alerts),
        orders=shared.orders,
        positions=shared.positions,
        gates=shared.gates,
        applied=shared.applied,
        alerts=alerts,
        log=shared.engine.log,
        clock=shared.clock,
        settings=RecoverySettings(
            venue=settings.venue.value,
            categories=settings.traded_categories,
            interval_s=settings.reconcile_interval_s,
            positions_s=settings.position_validation_interval_s,
        ),
        on_failure=lambda error: shared.engine.wiring.stop(f"RECOVERY_FAILED: {error!r}"),
    )


def timers(shared: Shared) -> Timers:
    """Ask for what has been in doubt, or at rest, for too long."""
    settings = shared.settings
    return Timers(
        log=shared.engine.log,
        topics=shared.topics,
        orders=shared.orders,
        clock=shared.clock,
        settings=TimerSettings(
            interval_s=settings.timer_interval_s,
            doubt_s=settings.doubt_s,
            stale_s=settings.cancel_stale_order_timeout_s,
            stale_action=settings.stale_action,
            dry_run=settings.dry_run,
        ),
    )
