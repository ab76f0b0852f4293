"""What is measured, under Prometheus' names (requirement A03). Seconds are floats here: nothing counts money with them.

The hooks are plain methods, so nobody else needs to know of Prometheus. Gauges of what is there now ask for it when
they are read, so nothing has to be kept in step. No label has an order, a signal or a symbol in it.
"""

from __future__ import annotations

import logging
import platform
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from streams.alert_board import AlertState, FoldedAlert

log = logging.getLogger(__name__)

PREFIX = "ordermanager"

_FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""From our own share of a signal's way (milliseconds) to the longest call that is let live."""


_AGREEMENT_OF = 10_000
"""The agreement rate is that of so many comparisons."""

Labelled = Mapping[tuple[str, ...], float]


class Metrics:
    """All metrics of one process, in a registry of their own. `render` is what `/metrics` says."""

    def __init__(self, version: str = "", worker: str = "") -> None:
        self.registry = CollectorRegistry()
        self._gauges = _Gauges()
        self.registry.register(self._gauges)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build: Labelled = {(version, worker, platform.python_version()): 1.0}
        self.gauge("build_info", "What runs here.", lambda: build, labels=("version", "worker", "python"))

        self._signals = self._counter("signals_total", "Signals that ended, by result.", "result")
        self._orders = self._counter("orders_total", "Orders, by what came of them.", "venue", "side", "result")
        self._fills = self._counter("fills_total", "Executions counted.", "venue", "side")
        self._dead = self._counter("dead_letters_total", "Records put aside, by reason.", "reason")
        self._far = self._counter(
            "signal_timestamps_far_total", "Signals whose timestamp is far from their record's.", "side"
        )
        self._alerts = self._counter("alerts_total", "Alerts raised, by code.", "code")
        self._differences = self._counter(
            "reconcile_differences_total", "Differences to the venue that were found and repaired.", "kind"
        )
        self._compared = self._counter("reconcile_compared_total", "Orders and positions compared with the venue.")
        self._agreement: deque[bool] = deque(maxlen=_AGREEMENT_OF)
        self.gauge("reconcile_agreement_ratio", "Share that agreed of what was compared lately.", self._agreeing)
        self._keys = self._counter("web_keys_refused_total", "Requests refused for their key.", "cause")
        self._peers = self._counter("web_peer_failures_total", "Other workers that did not answer.")
        self._acknowledged = self._histogram("signal_to_ack_seconds", "From a signal's time to the venue's word.")
        self._rate_limit = self._histogram("rate_limit_wait_seconds", "Waits for the venue's rate limit.", "group")
        self._calls = self._histogram("venue_call_seconds", "Calls to a venue.", "endpoint", "outcome")

    # -- what happened -------------------------------------------------------------------------------------------

    def signal_ended(self, result: str) -> None:
        """A signal's turn is over."""
        self._signals.labels(result).inc()

    def order_outcome(self, venue: str, side: str, result: str) -> None:
        """An order was acknowledged, refused, filled, cancelled, …"""
        self._orders.labels(venue, side, result).inc()

    def fill_counted(self, venue: str, side: str) -> None:
        """An execution reached the position."""
        self._fills.labels(venue, side).inc()

    def far_timestamp(self, side: str) -> None:
        """A signal's timestamp is far from its record's: `early` or `ahead`."""
        self._far.labels(side).inc()

    def dead_letter(self, reason: str) -> None:
        """A record was put aside; `reason` is its code."""
        self._dead.labels(reason).inc()

    def alert_raised(self, code: str) -> None:
        """Somebody should know something."""
        self._alerts.labels(code).inc()

    def compared(self, kind: str) -> None:
        """An order or a position was compared with its venue; `kind` says what differed, and is empty if nothing did
        (requirement Y04)."""
        self._agreement.append(not kind)
        self._compared.inc()
        if kind:
            self._differences.labels(kind).inc()

    def key_refused(self, cause: str) -> None:
        """A request came without a key, with a wrong one, or with one of too narrow a scope."""
        self._keys.labels(cause).inc()

    def peer_failed(self) -> None:
        """Another worker did not answer a question in time."""
        self._peers.inc()

    # -- how long it took ----------------------------------------------------------------------------------------

    def acknowledged_after(self, waited_ns: int) -> None:
        """The venue acknowledged an order this long after its signal's time."""
        self._acknowledged.observe(max(0, waited_ns) / 1e9)

    def waited_for_rate_limit(self, group: str, waited_s: float) -> None:
        """A call of this group of endpoints had to wait."""
        self._rate_limit.labels(group).observe(waited_s)

    def venue_called(self, endpoint: str, outcome: str, took_s: float) -> None:
        """A call to a venue ended. `endpoint` is one of a fixed set, never an address with an id in it."""
        self._calls.labels(endpoint, outcome).observe(took_s)

    # -- what is there now ---------------------------------------------------------------------------------------

    def gauge(self, name: str, help_text: str, read: Callable[[], Labelled], labels: tuple[str, ...] = ()) -> None:
        """A gauge that is read when somebody looks: `read` gives the value of each tuple of label values."""
        self._gauges.add(f"{PREFIX}_{name}", help_text, read, labels)

    def watch_orders(self, open_orders: Callable[[], int], uncertain_orders: Callable[[], int]) -> None:
        """`ordermanager_orders_open` and `ordermanager_orders_uncertain`."""
        self.gauge("orders_open", "Orders that have not ended.", lambda: {(): open_orders()})
        self.gauge("orders_uncertain", "Orders that may be at their venue.", lambda: {(): uncertain_orders()})

    def watch_lag(self, lag: Callable[[], Mapping[tuple[str, int], int]]) -> None:
        """`ordermanager_consumer_lag{topic}`: records of the topic not yet finished, over our partitions."""

        def by_topic() -> Labelled:
            totals: dict[tuple[str, ...], float] = {}
            for (topic, _), records in lag().items():
                totals[topic,] = totals.get((topic,), 0) + records
            return totals

        self.gauge("consumer_lag", "Records not yet finished.", by_topic, ("topic",))

    def watch_lanes(self, lanes: Callable[[], Mapping[str, tuple[int, float]]]) -> None:
        """`ordermanager_lane_depth{topic}` and `…_lane_oldest_wait_seconds{topic}`: `lanes` gives (records waiting,
        seconds that the oldest has waited) by topic."""
        self.gauge(
            "lane_depth",
            "Records that wait for their turn.",
            lambda: {(topic,): depth for topic, (depth, _) in lanes().items()},
            ("topic",),
        )
        self.gauge(
            "lane_oldest_wait_seconds",
            "How long the first in line has waited.",
            lambda: {(topic,): wait_s for topic, (_, wait_s) in lanes().items()},
            ("topic",),
        )

    def watch_breakers(self, states: Callable[[], Mapping[str, int]]) -> None:
        """`ordermanager_breaker_state{venue}`: 0 closed, 1 half open, 2 open."""
        self.gauge(
            "breaker_state",
            "0 closed, 1 half open, 2 open.",
            lambda: {(venue,): state for venue, state in states().items()},
            ("venue",),
        )

    def watch_alerts(self, alerts: Callable[[], Iterable[FoldedAlert]]) -> None:
        """`ordermanager_alerts_standing{code,state}`: alerts that nobody has resolved."""

        def standing() -> Labelled:
            found = Counts((alert.code, alert.state.value) for alert in alerts())
            return {labels: count for labels, count in found.items() if labels[1] != AlertState.RESOLVED}

        self.gauge("alerts_standing", "Alerts that nobody has resolved.", standing, ("code", "state"))

    def _agreeing(self) -> Labelled:
        return {(): sum(self._agreement) / len(self._agreement)} if self._agreement else {}

    def render(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", help_text, labels, registry=self.registry, buckets=_FAST_S)


class _Gauges(Collector):
    """Gauges whose values are asked for. One that cannot be read is left out, with a line in the log: the others are
    needed most when something is wrong."""

    def __init__(self) -> None:
        self._gauges: dict[str, tuple[str, Callable[[], Labelled], tuple[str, ...]]] = {}

    def add(self, name: str, help_text: str, read: Callable[[], Labelled], labels: tuple[str, ...]) -> None:
        if name in self._gauges:
            raise ValueError(f"GAUGE_EXISTS: {name}")
        self._gauges[name] = (help_text, read, labels)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: the registry would read every gauge at start to learn their names."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All that can be read."""
        for name, (help_text, read, labels) in self._gauges.items():
            family = GaugeMetricFamily(name, help_text, labels=labels)
            try:
                for values, value in read().items():
                    family.add_metric(values, value)
            except Exception:  # any gauge is somebody else's code
                log.exception("gauge %s cannot be read", name)
                continue
            yield family
