"""kill -9 under load: what is lost, what comes again, and what is on the disk afterwards.

Each contract stands twice: what stock Faust does with a load, and what ours does with the same one.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from contract_folds import assert_events_have_their_rows, assert_updates_are_folded_once
from contract_harness import PARTITIONS, Scene
from contract_report import Report
from contract_stores import assert_stores_are_prefixes_of_the_changelog, local_rows
from rocksdict import Options, Rdict

UNDER_LOAD = "kill -9 three times under load, with a table"
STORE = "local store against changelog after kill -9"
EVENTS = "events only after their rows, kill -9 with slow acknowledgements"

WORK_S = [0.02, 0.2]


async def killed_three_times(scene: Scene, *, stock: bool) -> None:
    """120 records a second; three times the worker dies in the moment a commit is accepted: the first one, where stock
    Faust's guard has nothing to go by, then such as the seed draws."""
    enough = asyncio.Event()
    load = asyncio.create_task(scene.produce(10_000, rate=120, keys=100, updates=not stock, stop=enough))
    for commit in (1, scene.rnd.randrange(2, 8), scene.rnd.randrange(2, 8)):
        worker = scene.start("w1", stock=stock, work_s=WORK_S, kill_at_commit=commit)
        await scene.until(lambda worker=worker: worker.process.poll() is not None, "the worker to be killed")
        worker.kill()  # it did so itself; this notes it
        if not stock:
            await assert_stores_are_prefixes_of_the_changelog(scene, "w1")
    await scene.started("w1", stock=stock, work_s=WORK_S)
    enough.set()
    await load


@pytest.mark.slow
async def test_killed_under_load_stock_faust_loses_or_reorders(scene: Scene, report: Report) -> None:
    await killed_three_times(scene, stock=True)
    verdict = await scene.given_time()
    failed = bool(verdict.lost or verdict.out_of_order)
    report.stock(UNDER_LOAD, f"{verdict.figures()} of {len(scene.produced)}", failed=failed)


async def test_killed_under_load_it_loses_nothing_and_keeps_the_order(scene: Scene, report: Report) -> None:
    await killed_three_times(scene, stock=False)
    await scene.all_done()
    await scene.all_applied()
    verdict = scene.verdict()
    report.ours(UNDER_LOAD, f"{verdict.figures()} of {len(scene.produced)}")
    assert (verdict.lost, verdict.out_of_order, verdict.overlapping) == ([], [], [])
    await assert_updates_are_folded_once(scene)
    assert await asyncio.to_thread(scene.workers[-1].terminate) == 0
    await assert_stores_are_prefixes_of_the_changelog(scene, "w1")
    rows = {key for partition in range(PARTITIONS) for key in local_rows(scene, "w1", partition)[0]}
    assert {f"{key}-{number}".encode() for key, number in scene.produced.values()} <= rows


async def killed_with_rows_on_their_way(scene: Scene, *, stock: bool) -> None:
    """Every produce request takes 0.3 s; the worker is killed in the middle of its writes."""
    enough = asyncio.Event()
    load = asyncio.create_task(scene.produce(10_000, rate=300, stop=enough))
    worker = await scene.started("w1", stock=stock, work_s=0.005, awaits_rows=False, slow_requests_s=(0.3, 0))
    at = scene.count("END") + scene.rnd.randrange(400, 600)
    await scene.until(
        lambda: scene.count("END") > at and sum(scene.commits(scene.inputs).values()) > 0,
        "work to be under way, some of it committed",
        worker=worker,
    )
    worker.kill()
    enough.set()
    await load


def stock_rows(directory: Path) -> dict[bytes, bytes]:
    """What stock Faust has on disk: one database per partition, its own entries left out."""
    rows: dict[bytes, bytes] = {}
    for path in directory.glob("**/tables/t-*.db"):
        disk = Rdict(str(path), Options(raw_mode=True))
        rows |= {key: value for key, value in disk.items() if not key.startswith(b"__faust")}
        disk.close()
    return rows


async def test_after_a_kill_stock_fausts_disk_has_rows_that_the_changelog_never_got(
    scene: Scene, report: Report
) -> None:
    await killed_with_rows_on_their_way(scene, stock=True)
    changelog = {(record.key, record.value) for record in await scene.read(scene.changelog)}
    rows = stock_rows(scene.directory / "data-w1")
    ahead = [key for key, value in rows.items() if (key, value) not in changelog]
    report.stock(STORE, f"{len(ahead)} of {len(rows)} rows on disk are not in the changelog", failed=bool(ahead))


async def test_after_a_kill_the_disk_is_a_prefix_of_the_changelog(scene: Scene, report: Report) -> None:
    await killed_with_rows_on_their_way(scene, stock=False)
    await assert_stores_are_prefixes_of_the_changelog(scene, "w1")
    rows = [len(local_rows(scene, "w1", partition)[0]) for partition in range(PARTITIONS)]
    report.ours(STORE, f"{sum(rows)} rows on disk: each partition a prefix of its changelog, index exact")
    assert sum(rows) > 0


async def test_events_go_out_after_their_rows(scene: Scene, report: Report) -> None:
    """Rows and events take the same slow way; the worker is killed with both on it, again and again."""
    enough = asyncio.Event()
    load = asyncio.create_task(scene.produce(10_000, rate=300, updates=True, stop=enough))
    seen = 0
    for _ in range(3):
        worker = await scene.started("w1", work_s=0.0, slow_requests_s=(0.1, 0))
        before = scene.count("APPLIED")
        at = before + scene.rnd.randrange(20, 200)
        await scene.until(lambda at=at: scene.count("APPLIED") > at, "updates to be applied", worker=worker)
        worker.kill()
        seen = await assert_events_have_their_rows(scene)
    enough.set()
    await load
    await scene.started("w1", work_s=0.0)
    await scene.all_applied()
    await assert_updates_are_folded_once(scene)
    report.ours(EVENTS, f"{seen} events at the third kill, each with its row; {len(scene.updated)} updates folded once")


@pytest.mark.slow
async def test_killed_fifteen_times_it_folds_every_update_once(scene: Scene, report: Report) -> None:
    """Two workers, one of them killed every few seconds: runs of updates under live rebalances and kills."""
    enough = asyncio.Event()
    load = asyncio.create_task(scene.produce(100_000, rate=400, keys=60, updates=True, commands=True, stop=enough))
    await scene.started("stays", work_s=[0.0, 0.05])
    for _ in range(15):
        worker = scene.start("dies", work_s=[0.0, 0.05])
        flows = scene.count("FLOW", "dies")
        await scene.until(lambda flows=flows: scene.count("FLOW", "dies") > flows, "records to flow", worker=worker)
        await asyncio.sleep(scene.rnd.uniform(0.0, 1.5))
        worker.kill()
    enough.set()
    await load
    await scene.all_done(120)
    await scene.all_applied(120)
    verdict = scene.verdict()
    events = [json.loads(record.value) for record in await scene.read(scene.events)]
    report.ours(
        "runs of updates, one of two workers killed 15 times",
        f"{verdict.figures()} of {len(scene.produced)}; {len(scene.updated)} updates folded once, "
        f"{len(events) - len(scene.updated)} events told again",
    )
    assert (verdict.lost, verdict.out_of_order, verdict.overlapping) == ([], [], [])
    await assert_updates_are_folded_once(scene)
