"""Requests per second: what is counted together, and what is not."""

from __future__ import annotations

import dataclasses

import aiohttp
import pytest
from paper_client import STILL, PaperClient

from exchanges.paper import PaperExchange
from exchanges.paper.endpoints import ENDPOINTS
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


OF_THE_VENUE = RateLimits.of_the_venue()


@pytest.mark.parametrize(
    ("call", "of_contracts", "of_spot"),
    [
        ("order/create", 10, 20),
        ("order/amend", 10, 10),
        ("order/cancel", 10, 20),
        ("order/cancel-all", 10, 20),
        ("order/create-batch", 10, 20),
        ("order/amend-batch", 10, 20),
        ("order/cancel-batch", 10, 20),
    ],
)
def test_spot_orders_have_limits_and_buckets_of_their_own(call: str, of_contracts: int, of_spot: int) -> None:
    counters, group = RateCounters(OF_THE_VENUE), ENDPOINTS["POST", call].group
    spot = [counters.count(1, call, group, NOW_MS, on_spot=True).allowed for _ in range(of_spot + 1)]
    contracts = [counters.count(1, call, group, NOW_MS).allowed for _ in range(of_contracts + 1)]
    assert (spot.count(True), contracts.count(True)) == (of_spot, of_contracts)


@pytest.mark.parametrize(
    ("method", "call", "limit"),
    [
        ("GET", "account/fee-rate", 5),
        ("GET", "account/query-dcp-info", 5),
        ("GET", "account/smp-group", 5),
        ("GET", "account/transaction-log", 25),
        ("GET", "account/wallet-balance", 50),
        ("POST", "account/set-margin-mode", 5),
        ("POST", "order/disconnected-cancel-all", 5),
        ("POST", "position/set-leverage", 10),
    ],
)
def test_some_calls_have_narrower_limits(method: str, call: str, limit: int) -> None:
    counters, group = RateCounters(OF_THE_VENUE), ENDPOINTS[method, call].group
    asked = [counters.count(1, call, group, NOW_MS, on_spot=True).allowed for _ in range(limit + 1)]
    assert asked == [True] * limit + [False]


async def test_public_questions_are_limited_by_address_alone(http: aiohttp.ClientSession) -> None:
    limits = RateLimits(queries_per_s=2, requests_per_5s_of_address=6)
    async with PaperExchange(dataclasses.replace(STILL, rate_limits=limits)) as exchange:
        client = PaperClient(exchange, http)
        asked = [await client.get("market/tickers", symbol="BTCUSDT") for _ in range(5)]
        assert {reply["retCode"] for reply in asked} == {0}
        async with http.get(f"{exchange.url}/v5/market/time") as reply:
            assert reply.status == 200
        async with http.get(f"{exchange.url}/v5/market/time") as reply:
            assert reply.status == 403


async def test_orders_of_spot_leave_room_for_those_of_contracts(http: aiohttp.ClientSession) -> None:
    limits = RateLimits(orders_per_s=1, spot_orders_per_s=2)
    async with PaperExchange(dataclasses.replace(STILL, rate_limits=limits)) as exchange:
        client = PaperClient(exchange, http)
        codes = [
            (await client.post("order/cancel", category=category, symbol="BTCUSDT", orderId="none"))["retCode"]
            for category in ("spot", "spot", "linear", "spot", "inverse")
        ]
    assert codes[:4] == [170213, 170213, 110001, 10006]
    assert codes[4] == 10006, "linear and inverse contracts share a bucket"
