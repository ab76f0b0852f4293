"""The set on three brokers: the loss of one costs nothing but time; with too few copies in sync nothing is sent."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fault_set import FaultSet, hurt_under_load

from app.kafka.cluster import LocalCluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300), pytest.mark.slow]

SEED = 1_314


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCluster]:
    """Three brokers that only these tests use."""
    made = LocalCluster(tmp_path_factory.mktemp("cluster-kafka"))
    await made.start()
    yield made
    await made.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hurt(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultSet]:
    """A set on them: three copies of everything, two needed."""
    directory = tmp_path_factory.mktemp("cluster")
    async with FaultSet(cluster.bootstrap, directory, replication_factor=3, paper_market_interval_s=0.1) as made:
        yield made


async def test_fault_13_the_loss_of_each_broker_in_turn_costs_nothing_but_time(
    cluster: LocalCluster, hurt: FaultSet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")

    async def kill_in_turn(draw: random.Random) -> None:
        for node in cluster.nodes:
            await asyncio.sleep(draw.uniform(1.0, 3.0))
            await node.kill()
            await asyncio.sleep(draw.uniform(3.0, 5.0))
            await node.start()

    (await hurt_under_load(hurt, SEED, kill_in_turn, count=120)).assert_agreed()


async def test_fault_14_with_one_copy_of_three_nothing_is_sent_until_a_second_is_back(
    cluster: LocalCluster, hurt: FaultSet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")
    await hurt.until_ready()
    placed = await hurt.creates()
    first, second, _ = cluster.nodes
    await asyncio.gather(first.kill(), second.kill())
    sending = asyncio.create_task(hurt.send("BTCUSDT", order_type="market"))
    await asyncio.sleep(6.0)
    sent_meanwhile = await hurt.creates() - placed
    await asyncio.gather(first.start(), second.start())
    signal = await sending
    verdict = await hurt.verdict()
    verdict.assert_agreed()
    assert sent_meanwhile == 0
    assert len(verdict.orders_of(signal)) == 1
