"""The broker goes away, in order and as by a power cut: the set waits and goes on.

While it is away nothing reaches the exchange whose intent is not durable, so nothing new does.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fault_set import FaultSet, hurt_under_load

from app.kafka.broker import LocalKafka, free_ports
from app.kafka.options import KafkaOptions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

IN_FLIGHT_MS = 500
"""What had passed its last check when the broker went may still arrive at the exchange."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalKafka]:
    """A broker that only these tests use."""
    port, controller_port = free_ports(2)
    directory = tmp_path_factory.mktemp("outage-kafka")
    made = LocalKafka(KafkaOptions(directory, port, controller_port, quick=True, with_parent=True))
    await made.start()
    yield made
    await made.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hurt(own_broker: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultSet]:
    """A set on it."""
    directory = tmp_path_factory.mktemp("outage")
    async with FaultSet(own_broker.bootstrap, directory, paper_market_interval_s=0.1) as made:
        yield made


async def test_fault_10_to_11_the_set_waits_for_a_broker_that_stops_and_one_that_is_killed(
    own_broker: LocalKafka, hurt: FaultSet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")  # the load's own producer says thousands of times what is known
    away_ms: list[tuple[float, float]] = []

    async def stop_then_kill(draw: random.Random) -> None:
        for end in (own_broker.stop, own_broker.kill):
            await asyncio.sleep(draw.uniform(1.0, 3.0))
            await end()
            gone_ms = time.time() * 1000
            await asyncio.sleep(draw.uniform(5.0, 6.0))
            away_ms.append((gone_ms + IN_FLIGHT_MS, time.time() * 1000))
            await own_broker.start()

    verdict = await hurt_under_load(hurt, 4_711, stop_then_kill, count=80)
    verdict.assert_agreed()
    placed_ms = [int(row["createdTime"]) for row in verdict.books.account["orders"]]
    assert not [at for at in placed_ms for start, end in away_ms if start < at < end]
    # One that is opening a connection when the broker goes ends, and its next start waits for the broker.
    assert hurt.local.workers[0].child.restarts <= 1


async def test_fault_42_an_order_accepted_while_the_broker_died_is_one_order(
    own_broker: LocalKafka, hurt: FaultSet
) -> None:
    placed = await hurt.creates()
    await hurt.local.paper_post(
        "/paper/faults", {"kind": "late_reply", "endpoint": "order/create", "count": 1, "delay_ms": 1_500}
    )
    signal = await hurt.send("BTCUSDT", order_type="market")
    await hurt.until_creates(placed + 1)
    await own_broker.kill()
    await asyncio.sleep(2.5)  # the reply comes, and nobody can be told
    await own_broker.start()
    verdict = await hurt.verdict()
    verdict.assert_agreed()
    (order,) = verdict.orders_of(signal)
    assert order["state"] == "filled"
    assert await hurt.creates() == placed + 1


async def test_fault_12_a_set_that_starts_before_its_broker_waits_for_it(
    own_broker: LocalKafka, hurt: FaultSet
) -> None:
    local = hurt.local
    assert [await local.workers[0].stop(), await local.gateway.stop()] == [0, 0]
    await own_broker.stop()
    restarts = hurt.worker.restarts
    local.gateway.start()
    local.workers[0].start()
    await asyncio.sleep(4.0)
    await own_broker.start()
    await hurt.until_ready()
    signal = await hurt.send("BTCUSDT", order_type="market")
    verdict = await hurt.verdict()
    verdict.assert_agreed()
    assert verdict.orders_of(signal)[0]["state"] == "filled"
    assert hurt.worker.restarts == restarts


async def test_fault_10_what_is_told_to_end_while_the_broker_is_away_ends_in_order(
    own_broker: LocalKafka, hurt: FaultSet
) -> None:
    local = hurt.local
    resting = await hurt.send_resting("ETHUSDT")
    await hurt.rest()
    await own_broker.kill()
    assert [await local.workers[0].stop(), await local.gateway.stop()] == [0, 0]
    await own_broker.start()
    local.gateway.start()
    local.workers[0].start()
    await hurt.until_ready()
    verdict = await hurt.verdict()
    verdict.assert_agreed()
    assert verdict.orders_of(resting)[0]["state"] == "acknowledged"
