"""What looks at a worker's positions by the clock."""

from __future__ import annotations

from app.snapshot_log import SnapshotLog
from app.worker_parts import Shared
from streams.alert_board import AlertBoard
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
