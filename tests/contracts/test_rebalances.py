"""Workers join and leave, with a table, with and without a backlog, while records come one by one and in runs.

Each contract stands twice: what stock Faust does with a load, and what ours does with the same one.
"""

from __future__ import annotations

import asyncio

import pytest
from contract_folds import assert_updates_are_folded_once
from contract_harness import Scene
from contract_report import Report

JOIN_AND_LEAVE = "graceful join and leave, with a table"
WITH_BACKLOG = "graceful join and leave, with a table and a backlog"
HELD_SEEK = "gaps and duplicates within a generation after recovery"

WORK_S = [0.02, 0.2]


async def join_and_leave(scene: Scene, *, stock: bool) -> None:
    """150 records a second; a second worker comes, the first one goes in order, the first one comes back."""
    await scene.started("w1", stock=stock, work_s=WORK_S)
    enough = asyncio.Event()
    load = asyncio.create_task(
        scene.produce(10_000, rate=150, keys=100, updates=not stock, commands=not stock, stop=enough)
    )
    await scene.until(lambda: scene.count("END") > 100, "work to be under way")
    await scene.started("w2", stock=stock, work_s=WORK_S)
    await scene.until(lambda: scene.count("END", "w2") > 50, "work of the second")
    code = await asyncio.to_thread(scene.workers[0].terminate)
    assert stock or code == 0
    await scene.started("w1", stock=stock, work_s=WORK_S)
    enough.set()
    await load


@pytest.mark.slow
async def test_join_and_leave_stock_faust_repeats_loses_or_reorders(scene: Scene, report: Report) -> None:
    await join_and_leave(scene, stock=True)
    verdict = await scene.given_time()
    report.stock(JOIN_AND_LEAVE, f"{verdict.figures()} of {len(scene.produced)}", failed=not verdict.is_clean())


async def test_join_and_leave_loses_repeats_and_reorders_nothing(scene: Scene, report: Report) -> None:
    await join_and_leave(scene, stock=False)
    await scene.all_done()
    await scene.all_applied()
    await scene.until(lambda: scene.commanded <= set(scene.places("COMMANDED")), "all commands to be done")
    verdict = scene.verdict()
    report.ours(JOIN_AND_LEAVE, f"{verdict.figures()} of {len(scene.produced)}")
    assert verdict.is_clean()
    assert scene.count("END", "w2") > 0
    assert sorted(scene.places("COMMANDED")) == sorted(scene.commanded)
    assert len(await scene.read(scene.events)) == len(scene.updated), (
        "an update was applied twice in an orderly handover"
    )
    await assert_updates_are_folded_once(scene)


async def join_and_leave_with_backlog(scene: Scene, *, stock: bool) -> None:
    """1,500 records of few keys wait, so that most are queued behind others when partitions move."""
    await scene.produce(1_500, keys=40)
    await scene.started("w1", stock=stock, work_s=WORK_S)
    await scene.until(lambda: scene.count("END") > 60, "work to be under way")
    second = await scene.started("w2", stock=stock, work_s=WORK_S)
    await scene.until(lambda: scene.count("END", "w2") > 60 or not scene.verdict().lost, "work of the second")
    code = await asyncio.to_thread(second.terminate)
    assert stock or code == 0


@pytest.mark.slow
async def test_a_backlog_stock_faust_repeats_loses_or_reorders(scene: Scene, report: Report) -> None:
    await join_and_leave_with_backlog(scene, stock=True)
    verdict = await scene.given_time()
    report.stock(WITH_BACKLOG, f"{verdict.figures()} of {len(scene.produced)}", failed=not verdict.is_clean())


async def test_a_backlog_is_handed_over_in_order(scene: Scene, report: Report) -> None:
    await join_and_leave_with_backlog(scene, stock=False)
    await scene.all_done()
    verdict = scene.verdict()
    report.ours(WITH_BACKLOG, f"{verdict.figures()} of {len(scene.produced)}")
    assert verdict.is_clean()
    assert scene.count("END", "w2") > 0


async def rebalances_with_a_held_seek(scene: Scene, *, stock: bool) -> None:
    """Records flow in while recovery is between setting positions and being done, which takes 0.5 s on each side."""
    options = {"stock": stock, "work_s": 0.002, "hold_seek_s": 0.5, "traces_taken": True}
    await scene.started("w1", **options)
    enough = asyncio.Event()
    load = asyncio.create_task(scene.produce(10_000, rate=200, keys=100, stop=enough))
    await scene.until(lambda: scene.count("END") > 100, "work to be under way")
    await scene.started("w2", **options)
    seen = scene.count("END")
    await scene.until(lambda: scene.count("END") > seen + 100, "work to go on")
    await asyncio.to_thread(scene.workers[1].terminate)
    seen = scene.count("END")
    await scene.until(lambda: scene.count("END") > seen + 100, "work to go on")
    enough.set()
    await load


@pytest.mark.slow
async def test_a_held_seek_stock_faust_skips_or_repeats_records(scene: Scene, report: Report) -> None:
    await rebalances_with_a_held_seek(scene, stock=True)
    verdict, taken = await scene.given_time(), scene.deliveries()
    report.stock(
        HELD_SEEK,
        f"{taken.skipped} skipped, {taken.repeated} repeated of {taken.taken}; {len(verdict.lost)} not done",
        failed=bool(taken.skipped or taken.repeated or verdict.lost),
    )


async def test_a_held_seek_skips_and_repeats_nothing(scene: Scene, report: Report) -> None:
    await rebalances_with_a_held_seek(scene, stock=False)
    await scene.all_done()
    taken = scene.deliveries()
    report.ours(HELD_SEEK, f"{taken.skipped} skipped, {taken.repeated} repeated of {taken.taken}; 0 not done")
    assert taken.taken >= len(scene.produced)
    assert (taken.skipped, taken.repeated) == (0, 0)
    assert scene.verdict().is_clean()


@pytest.mark.slow
async def test_many_rebalances_lose_and_repeat_nothing(scene: Scene, report: Report) -> None:
    await scene.started("w1", work_s=WORK_S)
    load = asyncio.create_task(scene.produce(6_000, rate=150, keys=100, updates=True))
    for round_ in range(5):
        guest = await scene.started(f"guest{round_}", work_s=WORK_S)
        await asyncio.sleep(scene.rnd.uniform(0.5, 3.0))
        assert await asyncio.to_thread(guest.terminate) == 0
        await asyncio.sleep(scene.rnd.uniform(0.0, 1.5))
    await load
    await scene.all_done()
    await scene.all_applied()
    verdict = scene.verdict()
    report.ours(f"{JOIN_AND_LEAVE}, 5 times", f"{verdict.figures()} of {len(scene.produced)}")
    assert verdict.is_clean()
    assert len(await scene.read(scene.events)) == len(scene.updated)
    await assert_updates_are_folded_once(scene)
