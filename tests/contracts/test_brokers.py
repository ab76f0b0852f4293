"""Brokers that go and come back: one of its own, and three of a cluster."""

from __future__ import annotations

import asyncio

import pytest
from contract_folds import assert_updates_are_folded_once
from contract_harness import Scene
from contract_report import Report
from contract_stores import assert_stores_are_prefixes_of_the_changelog

from app.kafka.broker import LocalKafka
from app.kafka.cluster import LocalCluster

WORK_S = [0.0, 0.1]


async def settled(scene: Scene) -> None:
    """Everything produced is done, in order, and folded once."""
    await scene.all_done()
    await scene.all_applied()
    verdict = scene.verdict()
    assert (verdict.lost, verdict.out_of_order, verdict.overlapping) == ([], [], [])
    await assert_updates_are_folded_once(scene)


async def test_a_broker_that_is_restarted_in_order_is_waited_for(
    own_broker: LocalKafka, own_scene: Scene, report: Report
) -> None:
    worker = await own_scene.started("w1", work_s=WORK_S)
    load = asyncio.create_task(own_scene.produce(900, rate=100, keys=60, updates=True))
    await own_scene.until(lambda: own_scene.count("END") > 50, "work to be under way", worker=worker)
    await own_broker.stop()
    await own_broker.start()
    await load
    await settled(own_scene)
    assert await asyncio.to_thread(worker.terminate) == 0
    report.ours("broker restarted in order, under load", own_scene.verdict().figures())
    await assert_stores_are_prefixes_of_the_changelog(own_scene, "w1")


@pytest.mark.slow
async def test_a_broker_that_is_killed_and_comes_back_costs_nothing_but_time(
    own_broker: LocalKafka, own_scene: Scene, report: Report
) -> None:
    worker = await own_scene.started("w1", work_s=0.05)
    await own_scene.produce(300, updates=True)
    await own_scene.until(lambda: own_scene.count("END") > 30, "work to be under way", worker=worker)
    await own_broker.kill()
    done = own_scene.count("END")
    await asyncio.sleep(away_s := 6.0)
    assert own_scene.count("END") - done < 100, f"{away_s} s without a broker: no new durable intents"
    await own_broker.start()
    await settled(own_scene)
    assert await asyncio.to_thread(worker.terminate) == 0
    report.ours(f"broker killed, back after {away_s} s", own_scene.verdict().figures())


async def test_a_worker_waits_for_a_broker_that_is_not_there_yet(own_broker: LocalKafka, own_scene: Scene) -> None:
    await own_broker.stop()
    worker = own_scene.start("w1")
    await own_scene.until(lambda: b"no broker yet" in worker.output.read_bytes(), "the worker to notice", worker=worker)
    await own_broker.start()
    await own_scene.until(lambda: own_scene.count("FLOW") == 1, "records to flow", worker=worker)


@pytest.mark.parametrize(
    ("held", "moment", "who_waits"),
    [
        ({"hold_start_s": 0.5}, "CONNECTS", b"the group's consumer waits for the brokers"),
        ({"slow_recovery_s": 0.5}, "FOLLOWS", b"a reader of topics waits for the brokers"),
        pytest.param({"slow_recovery_s": 0.5}, "FOLLOWED", None, marks=pytest.mark.slow),
        pytest.param({"asks_s": 0.5}, "RECOVERED", None, marks=pytest.mark.slow),
    ],
)
async def test_a_broker_that_goes_while_a_worker_starts_is_waited_for(
    own_broker: LocalKafka, own_scene: Scene, held: dict[str, float], moment: str, who_waits: bytes | None
) -> None:
    """Each place of a start where a connection is made or used: the worker ends at none of them."""
    await own_scene.produce(100, updates=True)
    first = await own_scene.started("w1", work_s=0.0)
    await own_scene.all_done()
    assert await asyncio.to_thread(first.terminate) == 0
    await own_scene.produce(20, updates=True)
    worker = own_scene.start("w2", work_s=0.0, **held)
    await own_scene.until(lambda: own_scene.count(moment, "w2") > 0, f"the worker to reach {moment}", worker=worker)
    await own_broker.kill()
    if who_waits is not None:
        await own_scene.until(lambda: who_waits in worker.output.read_bytes(), "the worker to notice", worker=worker)
    await asyncio.sleep(away_s := 2.0)
    assert worker.process.poll() is None, f"ended within {away_s} s: {worker.last_line()}"
    await own_broker.start()
    await own_scene.until(lambda: own_scene.count("FLOW", "w2") > 0, "records to flow", worker=worker)
    await settled(own_scene)
    assert await asyncio.to_thread(worker.terminate) == 0


async def test_the_loss_of_a_leader_costs_nothing_but_time(
    cluster: LocalCluster, cluster_scene: Scene, report: Report
) -> None:
    """Three copies, two needed. The node that is killed leads two partitions of every topic."""
    scene = cluster_scene
    await scene.create_topics([1, 2, 3])
    worker = await scene.started("w1", work_s=WORK_S)
    load = asyncio.create_task(scene.produce(1_000, rate=100, keys=60, updates=True))
    await scene.until(lambda: scene.count("END") > 50, "work to be under way", worker=worker)
    lost = cluster.node(1)
    await lost.kill()
    seen = scene.count("END")
    await scene.until(lambda: scene.count("END") > seen + 200, "work to go on without the node", worker=worker)
    await lost.start()
    await load
    await settled(scene)
    assert await asyncio.to_thread(worker.terminate) == 0
    report.ours("leader lost, of three brokers", scene.verdict().figures())
    await assert_stores_are_prefixes_of_the_changelog(scene, "w1")


@pytest.mark.slow
async def test_with_too_few_copies_in_sync_nothing_is_done_until_they_are_back(
    cluster: LocalCluster, cluster_scene: Scene, report: Report
) -> None:
    """Two copies, both needed: without one of the nodes rows cannot become durable, so nothing may have an effect. The
    first time the worker goes on by itself, the second time it is killed with what it could not write."""
    scene, lost = cluster_scene, cluster.node(2)
    await scene.create_topics([1, 2])
    await scene.produce(900, keys=60, updates=True)
    worker = await scene.started("w1", max_running=4, work_s=0.05)
    await scene.until(lambda: scene.count("END") > 50, "work to be under way", worker=worker)
    await lost.kill()
    effects = await effects_until_quiet(scene)
    await asyncio.sleep(2.0)
    during = scene.count("EFFECT") - effects
    await lost.start()
    await scene.until(lambda: scene.count("EFFECT") > effects + 50, "the worker to go on", worker=worker)
    await lost.kill()
    effects = await effects_until_quiet(scene)
    worker.kill()
    await lost.start()
    missing = await effects_without_row(scene)
    await scene.started("w2", work_s=0.0)
    await settled(scene)
    report.ours(
        "too few copies in sync, of three brokers",
        f"{during} effects meanwhile, {len(missing)} without their row; {scene.verdict().figures()}",
    )
    assert effects < 900, "the load was done before the outage showed"
    assert (during, missing) == (0, [])


async def effects_until_quiet(scene: Scene, quiet_s: float = 1.5) -> int:
    """How many effects there are when none has come for a while."""
    effects = scene.count("EFFECT")
    async with asyncio.timeout(30):
        while True:
            await asyncio.sleep(quiet_s)
            if effects == (now := scene.count("EFFECT")):
                return now
            effects = now


async def effects_without_row(scene: Scene) -> list[bytes]:
    """Effects whose row is not in the changelog."""
    rows = {record.key for record in await scene.read(scene.changelog)}
    done = {f"{scene.produced[place][0]}-{scene.produced[place][1]}".encode() for place in scene.places("EFFECT")}
    return sorted(done - rows)


@pytest.mark.slow
async def test_brokers_of_a_cluster_may_go_one_after_another(
    cluster: LocalCluster, cluster_scene: Scene, report: Report
) -> None:
    scene = cluster_scene
    await scene.create_topics([1, 2, 3])
    worker = await scene.started("w1", work_s=WORK_S)
    load = asyncio.create_task(scene.produce(1_500, rate=60, updates=True))
    for node in cluster.nodes:
        await asyncio.sleep(scene.rnd.uniform(1.0, 3.0))
        await node.kill()
        await asyncio.sleep(scene.rnd.uniform(1.0, 3.0))
        await node.start()
    await load
    await settled(scene)
    assert await asyncio.to_thread(worker.terminate) == 0
    report.ours("three brokers killed one after another", scene.verdict().figures())
    await assert_stores_are_prefixes_of_the_changelog(scene, "w1")
