"""What the web views are given of a worker, and the worker's metrics."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from app.metrics import Metrics
from app.settings import Settings, api_key
from app.snapshot_log import SnapshotLog
from app.web import ApiKey, Check, Mark, Scope, WebContext, WebSettings, key_hash, readiness
from app.worker import Worker
from domain.commands import Command, encode_command
from domain.events import Transition
from domain.instruments import Instrument
from domain.orders import Order
from exchanges.venue import CallHooks
from streams import boards
from streams.alert_board import AlertAction, FoldedAlert, action_record
from streams.boards import Control
from streams.hooks import Hooks
from streams.limits_board import ScopeLimits, encode_limits, limits_key
from tables.queries import count_open_orders, count_uncertain_orders

HEARD_WITHIN_S = 5.0


def worker_metrics(settings: Settings) -> Metrics:
    """The metrics of this process."""
    return Metrics(version("ordermanager"), settings.worker_id)


def stream_hooks(metrics: Metrics) -> Hooks:
    """What the agents tell the metrics."""

    def on_transition(order: Order, transition: Transition) -> None:
        metrics.order_outcome(order.instrument.venue, order.side, transition.kind)
        times = order.times
        if transition.kind == "acknowledged" and times.signal_ns and times.acknowledged_ns:
            metrics.acknowledged_after(times.acknowledged_ns - times.signal_ns)

    return Hooks(
        on_signal_end=metrics.signal_ended,
        on_transition=on_transition,
        on_fill=lambda fill: metrics.fill_counted(fill.instrument.venue, fill.side),
        on_far_timestamp=metrics.far_timestamp,
        on_dead_letter=metrics.dead_letter,
        on_alert=metrics.alert_raised,
        on_compared=metrics.compared,
    )


def call_hooks(metrics: Metrics) -> CallHooks:
    """What the venue's adapter tells the metrics."""
    return CallHooks(
        on_call=lambda endpoint, seconds, outcome: metrics.venue_called(endpoint, outcome, seconds),
        on_rate_limit=metrics.waited_for_rate_limit,
    )


@dataclass(frozen=True, slots=True)
class _Answers:
    """The questions of the views, answered from the worker's memory."""

    worker: Worker

    def api_keys(self) -> Sequence[ApiKey]:
        settings = self.worker.settings
        keys = [ApiKey("operator", key_hash(api_key(settings)), Scope.TRADE)]
        if read_key := settings.api_read_key.get_secret_value():
            keys.append(ApiKey("reader", key_hash(read_key), Scope.READ))
        return keys

    def checks(self) -> Sequence[Check]:
        """Conditions of readiness: each holds, or says why not (requirement Q05)."""
        worker = self.worker
        found = readiness(
            worker.engine.ready,
            self._gateway_ages,
            worker.gates.awaited,
            lambda: worker.gates.blind_because,
            lambda: not worker.settings.enable_balance_check or worker.market.knows_a_balance(worker.settings.account),
        )()
        silent_s = worker.broadcasts.silent_s(worker.topics.heartbeats)
        silent = f"BROADCASTS_SILENT: nothing heard for {silent_s:.1f} s" if silent_s > HEARD_WITHIN_S else ""
        unwell = "; ".join(reason for beat in self._gateways() if not beat.ready for reason in beat.reasons)
        breaker = f"BREAKER_OPEN: {worker.breaker.why}" if worker.breaker.unwell else ""
        return [*found, Check("broadcasts", silent), Check("venue", unwell), Check("breaker", breaker)]

    def _gateways(self) -> list[boards.Heartbeat]:
        return [beat for beat in self.worker.market.heartbeats(HEARD_WITHIN_S) if beat.role == "gateway"]

    def _gateway_ages(self) -> list[tuple[str, float | None]]:
        """How long ago a gateway of the venue was heard of; None = not lately."""
        now_ns = time.time_ns()
        ages = [(now_ns - beat.at_ns) / 1e9 for beat in self._gateways()]
        return [(self.worker.settings.venue.value, min(ages, default=None))]

    def peers(self) -> Mapping[str, frozenset[int]]:
        """Other workers, by their heartbeats."""
        own = self.worker.settings.own_url
        beats = self.worker.market.heartbeats(HEARD_WITHIN_S)
        return {beat.url: frozenset(beat.partitions) for beat in beats if beat.role == "worker" and beat.url != own}

    async def publish_everywhere(self, command: Command) -> None:
        log, topics = self.worker.engine.log, self.worker.topics
        for partition in range(self.worker.settings.partitions):
            await log.publish(topics.order_commands, command.symbol.encode(), encode_command(command), (), partition)

    async def publish_command(self, command: Command) -> None:
        log, topics = self.worker.engine.log, self.worker.topics
        await log.publish(topics.order_commands, command.symbol.encode(), encode_command(command))

    def controls(self) -> Sequence[Control]:
        return self.worker.market.controls()

    async def set_control(self, control: Control) -> None:
        """Durable, and in force here, when this returns; every other worker reads it as soon."""
        worker = self.worker
        topic = worker.topics.controls
        at = await worker.engine.log.publish(topic, control.scope.encode(), boards.encode(control), partition=0)
        await worker.broadcasts.read_back(topic, at.offset)

    async def set_limits(self, record: ScopeLimits) -> None:
        """Durable, and in force here, when this returns; every other worker reads it as soon."""
        worker = self.worker
        topic = worker.topics.controls
        at = await worker.engine.log.publish(topic, limits_key(record.scope), encode_limits(record), partition=0)
        await worker.broadcasts.read_back(topic, at.offset)

    def alerts(self) -> Sequence[FoldedAlert]:
        return self.worker.alerts.alerts()

    async def act_on_alert(self, action: AlertAction) -> None:
        """Durable, and shown here, when this returns."""
        worker = self.worker
        key, value, headers = action_record(action)
        at = await worker.engine.log.publish(worker.topics.alerts, key, value, headers, partition=0)
        await worker.broadcasts.read_back(worker.topics.alerts, at.offset)

    def mark(self, instrument: Instrument) -> Mark | None:
        quote = self.worker.market.mark(instrument)
        return None if quote is None else Mark(quote.mark, quote.at_ns)

    def open_orders(self) -> int:
        rows = self.worker.orders.rows
        return count_open_orders(rows, rows.partitions())

    def uncertain_orders(self) -> int:
        rows = self.worker.orders.rows
        return count_uncertain_orders(rows, rows.partitions())

    def lanes(self) -> Mapping[str, tuple[int, float]]:
        """(records waiting, seconds the oldest has waited) by topic."""
        found = {}
        for topic, lanes in self.worker.engine.all_lanes.items():
            depths = list(lanes.depths())
            waiting = sum(depth for _, depth, _ in depths)
            found[topic] = (waiting, max((waited_s for _, _, waited_s in depths), default=0.0))
        return found


def web_context(worker: Worker, metrics: Metrics) -> WebContext:
    """Everything the views use."""
    settings = worker.settings
    answers = _Answers(worker)
    metrics.watch_orders(answers.open_orders, answers.uncertain_orders)
    metrics.watch_lag(worker.engine.lag)
    metrics.watch_lanes(answers.lanes)
    metrics.watch_alerts(worker.alerts.alerts)
    metrics.watch_breakers(lambda: {settings.venue.value: worker.breaker.state})
    # Workers of one installation share the key, so what they show each other can follow from it.
    internal_key = hmac.new(api_key(settings).encode(), b"between workers", hashlib.sha256).hexdigest()
    return WebContext(
        settings=WebSettings(
            partitions=settings.partitions,
            own_url=settings.own_url,
            dry_run=settings.dry_run,
            internal_key=internal_key,
            venues=frozenset({settings.venue.value}),
        ),
        orders=worker.orders.rows,
        signals=worker.signals.rows,
        positions=worker.positions.rows,
        partition_of=lambda symbol: worker.engine.log.partition_of(symbol.encode()),
        api_keys=answers.api_keys,
        metrics=metrics,
        checks=answers.checks,
        peers=answers.peers,
        publish_command=answers.publish_command,
        publish_everywhere=answers.publish_everywhere,
        explainer=worker.explainer,
        signal_door=worker.signal_door,
        snapshots=SnapshotLog(settings.bootstrap, worker.topics.position_snapshots),
        controls=answers.controls,
        set_control=answers.set_control,
        alerts=answers.alerts,
        act_on_alert=answers.act_on_alert,
        mark=answers.mark,
        limits=worker.limits,
        set_limits=answers.set_limits,
        exposure=worker.exposure,
    )
