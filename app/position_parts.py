"""What looks at a worker's positions by the clock, and what follows them."""

from __future__ import annotations

from app.snapshot_log import SnapshotLog
from app.worker_parts import Shared
from streams.alert_board import AlertBoard
from streams.alerting import Alerts
from streams.auto_stop import AutoStop, AutoStopSettings
from streams.position_watch import PositionWatch, PositionWatchSettings


def position_watch(shared: Shared, board: AlertBoard) -> PositionWatch:
    """Publishes positions at regular moments, and warns of losses."""
    settings, topics = shared.settings, shared.topics
    return PositionWatch(
        log=shared.engine.log,
        topics=topics,
        positions=shared.positions,
        mark=shared.market.mark,
        board=board,
        taken=SnapshotLog(settings.bootstrap, topics.position_snapshots).taken,
        is_open=lambda: shared.engine.inbox.is_open,
        clock=shared.clock,
        settings=PositionWatchSettings(
            snapshot_s=settings.position_snapshot_interval_s,
            loss_threshold=settings.unrealized_loss_warning_threshold,
            look_s=min(settings.timer_interval_s, 1.0),
        ),
        hooks=shared.hooks,
    )


def auto_stop(shared: Shared, alerts: Alerts) -> AutoStop | None:
    """The stop-loss that follows every position, where it is switched on. A dry run sets none."""
    settings = shared.settings
    if not settings.auto_stop_loss or settings.dry_run:
        return None
    return AutoStop(
        log=shared.engine.log,
        topics=shared.topics,
        orders=shared.orders,
        positions=shared.positions,
        signals=shared.signals,
        trading=shared.trading,
        publisher=shared.publisher,
        market=shared.market,
        gates=shared.gates,
        applied=shared.applied,
        alerts=alerts,
        clock=shared.clock,
        settings=AutoStopSettings(
            account=settings.account,
            distance=settings.auto_stop_loss_distance,
            trigger_by=settings.protection_trigger,
            look_s=min(settings.timer_interval_s, 1.0),
            again_s=settings.doubt_s,
            timeout_s=settings.cancel_timeout_s,
        ),
    )
