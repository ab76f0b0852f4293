"""Requests per second: what is counted together, and what is not."""

from __future__ import annotations

from exchanges.paper.options import RateLimits
from exchanges.paper.rates import RateCounters, RateGroup

NOW_MS = 1_000_000


def test_each_endpoint_has_a_bucket_of_its_own() -> None:
    counters = RateCounters(RateLimits(queries_per_s=2))
    asked = [counters.count(1, "order/realtime", RateGroup.QUERY, NOW_MS).allowed for _ in range(3)]
    elsewhere = counters.count(1, "position/list", RateGroup.QUERY, NOW_MS)
    assert asked == [True, True, False]
    assert (elsewhere.allowed, elsewhere.remaining) == (True, 1)


def test_each_account_has_buckets_of_its_own() -> None:
    counters = RateCounters(RateLimits(queries_per_s=1))
    assert counters.count(1, "order/realtime", RateGroup.QUERY, NOW_MS).allowed
    assert counters.count(2, "order/realtime", RateGroup.QUERY, NOW_MS).allowed
    assert not counters.count(1, "order/realtime", RateGroup.QUERY, NOW_MS).allowed


def test_a_batch_is_charged_for_each_of_its_orders() -> None:
    counters = RateCounters(RateLimits(orders_per_s=10))
    first = counters.count(1, "order/create-batch", RateGroup.CREATE_BATCH, NOW_MS, 8)
    second = counters.count(1, "order/create-batch", RateGroup.CREATE_BATCH, NOW_MS, 8)
    single = counters.count(1, "order/create", RateGroup.CREATE, NOW_MS)
    assert (first.granted, second.granted, single.remaining) == (8, 2, 9)


def test_a_full_bucket_tells_when_there_is_room_again() -> None:
    counters = RateCounters(RateLimits(orders_per_s=1))
    counters.count(1, "order/create", RateGroup.CREATE, NOW_MS)
    refused = counters.count(1, "order/create", RateGroup.CREATE, NOW_MS + 400)
    assert not refused.allowed
    assert refused.headers()["X-Bapi-Limit-Reset-Timestamp"] == str(NOW_MS + 1000)
    assert counters.count(1, "order/create", RateGroup.CREATE, refused.reset_at_ms).allowed
