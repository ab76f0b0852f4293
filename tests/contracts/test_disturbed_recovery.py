"""Recovery that is cut short: by another rebalance, by a clock that stands still, by a kill."""

from __future__ import annotations

import asyncio

import pytest
from contract_folds import assert_updates_are_folded_once
from contract_harness import PARTITIONS, Scene
from contract_report import Report
from contract_stores import assert_stores_are_prefixes_of_the_changelog, has_store

MOMENTS = {"FOLLOWS": {"slow_recovery_s": 1.0}, "FOLLOWED": {"slow_recovery_s": 1.0}, "RECOVERED": {"asks_s": 1.0}}
"""Before the changelogs are read, after it, and while the application asks its venue."""


def moments(by_default: str) -> pytest.MarkDecorator:
    """All moments; one of them in every run."""
    marked = [pytest.param(moment, marks=() if moment == by_default else pytest.mark.slow) for moment in MOMENTS]
    return pytest.mark.parametrize("moment", marked)


async def with_rows(scene: Scene) -> None:
    """Rows of an earlier worker, and records that nobody has taken yet."""
    await scene.produce(300, keys=40, updates=True)
    first = await scene.started("w0", work_s=0.0)
    await scene.all_done()
    await scene.all_applied()
    assert await asyncio.to_thread(first.terminate) == 0
    await scene.produce(200, keys=40, updates=True)


async def settled(scene: Scene) -> None:
    await scene.all_done()
    await scene.all_applied()
    verdict = scene.verdict()
    assert (verdict.lost, verdict.out_of_order, verdict.overlapping) == ([], [], [])
    await assert_updates_are_folded_once(scene)


async def stores_are_right(scene: Scene) -> None:
    for worker in scene.workers:
        assert worker.process.poll() is not None
        if any(has_store(scene, worker.name, partition) for partition in range(PARTITIONS)):
            await assert_stores_are_prefixes_of_the_changelog(scene, worker.name)


@moments("FOLLOWED")
async def test_a_rebalance_in_the_middle_of_recovery(scene: Scene, report: Report, moment: str) -> None:
    """The second worker comes while the first recovers, and goes while both do."""
    await with_rows(scene)
    first = scene.start("w1", work_s=0.01, **MOMENTS[moment])
    await scene.until(lambda: scene.count(moment, "w1") > 0, f"the first to be at {moment}", worker=first)
    second = scene.start("w2", work_s=0.01, **MOMENTS[moment])
    await scene.until(lambda: scene.count(moment, "w2") > 0, f"the second to be at {moment}", worker=second)
    assert await asyncio.to_thread(second.terminate) == 0
    await scene.until(lambda: scene.count("FLOW", "w1") > 0, "records to flow", worker=first)
    await settled(scene)
    report.ours(f"rebalance during recovery ({moment})", scene.verdict().figures())
    assert scene.verdict().done_twice == []
    assert scene.count("ALERT") == 0
    assert await asyncio.to_thread(first.terminate) == 0
    await stores_are_right(scene)


@moments("RECOVERED")
async def test_a_worker_that_sleeps_through_its_session_in_recovery(scene: Scene, report: Report, moment: str) -> None:
    """Stopped while it recovers; the next owner does all the work; woken, it goes on with what it knew."""
    await with_rows(scene)
    sleeper = scene.start("w1", work_s=0.01, **MOMENTS[moment])
    await scene.until(lambda: scene.count(moment, "w1") > 0, f"the first to be at {moment}", worker=sleeper)
    sleeper.stop_for_now()
    heir = scene.start("w2", work_s=0.01)
    await scene.until(lambda: scene.count("FLOW", "w2") > 0, "the second to take over", worker=heir)
    await scene.until(lambda: not scene.verdict().lost, "the second to do all the work")
    await scene.all_applied()
    sleeper.wake_up()
    await scene.until(lambda: scene.count("FLOW", "w1") > 0, "the first to be in the group again", worker=sleeper)
    await scene.produce(200, keys=40, updates=True)
    await settled(scene)
    report.ours(f"SIGSTOP during recovery ({moment})", scene.verdict().figures())
    assert scene.verdict().done_twice == []
    assert scene.count("END", "w1") > 0
    assert scene.count("ALERT") == 0
    for worker in (sleeper, heir):
        assert await asyncio.to_thread(worker.terminate) == 0
    await stores_are_right(scene)


@moments("FOLLOWS")
async def test_a_worker_that_is_killed_in_recovery(scene: Scene, report: Report, moment: str) -> None:
    await with_rows(scene)
    for _ in range(2):
        worker = scene.start("w1", work_s=0.01, **MOMENTS[moment])
        seen = scene.count(moment, "w1")
        await scene.until(lambda seen=seen: scene.count(moment, "w1") > seen, f"{moment}", worker=worker)
        worker.kill()
    last = await scene.started("w1", work_s=0.01)
    await settled(scene)
    report.ours(f"kill -9 during recovery ({moment})", scene.verdict().figures())
    assert scene.verdict().done_twice == []
    assert await asyncio.to_thread(last.terminate) == 0
    await stores_are_right(scene)
