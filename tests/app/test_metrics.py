"""What `/metrics` says."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One figure of the exposition, as Prometheus would read it."""
    for family in text_string_to_metric_families(metrics.render().decode()):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return found.value
    return None


def test_what_happened_is_counted_under_the_published_names() -> None:
    metrics = Metrics()
    metrics.signal_ended("executed")
    metrics.signal_ended("executed")
    metrics.order_outcome("paper", "buy", "filled")
    metrics.fill_counted("paper", "buy")
    metrics.dead_letter("BAD_SIGNAL")
    metrics.alert_raised("ORDER_FAILED")
    metrics.compared("missing")
    metrics.compared("")

    assert sample(metrics, "ordermanager_signals_total", result="executed") == 2
    assert sample(metrics, "ordermanager_orders_total", venue="paper", side="buy", result="filled") == 1
    assert sample(metrics, "ordermanager_fills_total", venue="paper", side="buy") == 1
    assert sample(metrics, "ordermanager_dead_letters_total", reason="BAD_SIGNAL") == 1
    assert sample(metrics, "ordermanager_alerts_total", code="ORDER_FAILED") == 1
    assert sample(metrics, "ordermanager_reconcile_differences_total", kind="missing") == 1
    assert sample(metrics, "ordermanager_reconcile_compared_total") == 2
    assert sample(metrics, "ordermanager_reconcile_agreement_ratio") == 0.5


def test_how_long_it_took_is_in_seconds() -> None:
    metrics = Metrics()
    metrics.acknowledged_after(4_000_000)
    metrics.waited_for_rate_limit("create", 0.5)
    metrics.venue_called("/v5/order/create", "accepted", 0.02)

    assert sample(metrics, "ordermanager_signal_to_ack_seconds_sum") == pytest.approx(0.004)
    assert sample(metrics, "ordermanager_signal_to_ack_seconds_bucket", le="0.005") == 1
    assert sample(metrics, "ordermanager_signal_to_ack_seconds_bucket", le="0.0025") == 0
    assert sample(metrics, "ordermanager_rate_limit_wait_seconds_count", group="create") == 1
    call = {"endpoint": "/v5/order/create", "outcome": "accepted"}
    assert sample(metrics, "ordermanager_venue_call_seconds_sum", **call) == pytest.approx(0.02)


def test_a_clock_that_went_back_does_not_make_a_negative_time() -> None:
    metrics = Metrics()
    metrics.acknowledged_after(-5)
    assert sample(metrics, "ordermanager_signal_to_ack_seconds_sum") == 0


def test_gauges_are_read_when_somebody_looks() -> None:
    metrics, open_orders = Metrics(), [3]
    metrics.watch_orders(lambda: open_orders[0], lambda: 1)
    assert sample(metrics, "ordermanager_orders_open") == 3
    open_orders[0] = 4
    assert sample(metrics, "ordermanager_orders_open") == 4
    assert sample(metrics, "ordermanager_orders_uncertain") == 1


def test_lag_is_summed_by_topic_and_lanes_are_told_apart() -> None:
    metrics = Metrics()
    metrics.watch_lag(lambda: {("signals", 0): 3, ("signals", 1): 4, ("order-updates", 0): 1})
    metrics.watch_lanes(lambda: {"signals": (7, 0.5), "order-commands": (0, 0.0)})
    metrics.watch_breakers(lambda: {"paper": 2})

    assert sample(metrics, "ordermanager_consumer_lag", topic="signals") == 7
    assert sample(metrics, "ordermanager_consumer_lag", topic="order-updates") == 1
    assert sample(metrics, "ordermanager_lane_depth", topic="signals") == 7
    assert sample(metrics, "ordermanager_lane_oldest_wait_seconds", topic="signals") == 0.5
    assert sample(metrics, "ordermanager_breaker_state", venue="paper") == 2


def test_a_gauge_that_cannot_be_read_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    metrics.watch_orders(lambda: 1 // 0, lambda: 2)
    assert sample(metrics, "ordermanager_orders_open") is None
    assert sample(metrics, "ordermanager_orders_uncertain") == 2
    assert "ordermanager_orders_open cannot be read" in caplog.text


def test_two_sets_of_metrics_know_nothing_of_each_other() -> None:
    one, other = Metrics(version="1.0", worker="w1"), Metrics()
    one.signal_ended("failed")
    assert sample(other, "ordermanager_signals_total", result="failed") is None
    assert sample(one, "ordermanager_build_info", version="1.0", worker="w1") == 1


def test_a_gauge_has_one_owner() -> None:
    metrics = Metrics()
    metrics.watch_orders(lambda: 1, lambda: 1)
    with pytest.raises(ValueError, match="GAUGE_EXISTS: ordermanager_orders_open"):
        metrics.watch_orders(lambda: 1, lambda: 1)


def test_the_process_itself_is_measured() -> None:
    text = Metrics().render().decode()
    assert "process_resident_memory_bytes" in text
    assert "python_gc_collections_total" in text
