"""What is committed: never past an unfinished record, never before its rows are in the changelog.

Each contract stands twice: what stock Faust does with a load, and what ours does with the same one.
"""

from __future__ import annotations

import asyncio
import signal
from itertools import pairwise

import pytest
from contract_harness import Scene
from contract_report import Report
from contract_trace import Place, Verdict

UNFINISHED = "commit past an unfinished record, then kill -9"
SLOW_ACKNOWLEDGEMENTS = "commit while acknowledgements are slow"
EXCEPTION = "exception in a handler"


async def killed_beside_a_slow_record(scene: Scene, *, stock: bool) -> tuple[int, int, Verdict]:
    """One record takes a minute; when all others are finished and committed the worker is killed, and another one
    goes on. Returns the slow record's offset, what was committed of its partition, and what became of all."""
    await scene.produce(200)
    places = sorted(scene.produced)
    # Followed by a record of another key, which finishes first: where the next one waits for it, Faust's guard holds.
    key_of = {place: key for place, (key, _) in scene.produced.items()}
    place = scene.rnd.choice([a for a, b in pairwise(places) if a[0] == b[0] and key_of[a] != key_of[b]])
    slow_key, number = scene.produced[place]
    behind_it = {p for p, (key, _) in scene.produced.items() if key == slow_key and p > place}
    worker = await scene.started("w1", stock=stock, slow_s={number: 60}, work_s=[0.0, 0.05])
    others = scene.produced.keys() - behind_it - {place}
    await scene.until(lambda: others <= set(scene.places("END")), "all but the slow key to end", worker=worker)
    for _ in range(3):  # reasons to commit again: Faust passes the record in one of the next commits
        settled = scene.count("COMMIT")
        await scene.produce_to_every_partition(1)
        await scene.until(
            lambda settled=settled: scene.count("COMMIT") > settled, "a commit after everything else", worker=worker
        )
    worker.kill()
    committed = (await scene.committed(scene.inputs))[place[0]]
    await scene.started("w2", stock=stock, work_s=[0.0, 0.05])
    return place[1], committed, await scene.given_time()


async def test_an_unfinished_record_stock_faust_commits_past_it(scene: Scene, report: Report) -> None:
    slow, committed, verdict = await killed_beside_a_slow_record(scene, stock=True)
    figures = f"slow record at {slow}, committed {committed}; {len(verdict.lost)} lost"
    report.stock(UNFINISHED, figures, failed=bool(verdict.lost))


async def test_an_unfinished_record_is_never_committed_past(scene: Scene, report: Report) -> None:
    slow, committed, verdict = await killed_beside_a_slow_record(scene, stock=False)
    report.ours(UNFINISHED, f"slow record at {slow}, committed {committed}; {verdict.figures()}")
    assert committed <= slow
    assert (verdict.lost, verdict.out_of_order) == ([], [])


async def killed_at_a_commit(scene: Scene, *, stock: bool) -> tuple[int, int]:
    """Every produce request takes 0.4 s; the worker dies in the moment its second commit is accepted. Returns how many
    records were committed, and how many of them miss a row in the changelog."""
    await scene.produce(1_000)
    enough = asyncio.Event()
    load = asyncio.create_task(scene.produce(10_000, rate=200, stop=enough))
    worker = scene.start(
        "w1",
        stock=stock,
        work_s=[0.0, 0.02],
        row_bytes=2_000,
        awaits_rows=False,
        slow_requests_s=(0.4, 0),
        kill_at_commit=2,
    )
    await scene.until(lambda: worker.process.poll() is not None, "the second commit")
    assert worker.process.returncode == -signal.SIGKILL, worker.last_line()
    enough.set()
    await load
    committed = await scene.committed(scene.inputs)
    in_changelog = {record.key for record in await scene.read(scene.changelog)}
    passed = [(key, i) for (p, offset), (key, i) in scene.produced.items() if offset < committed[p]]
    return len(passed), sum(f"{key}-{i}".encode() not in in_changelog for key, i in passed)


async def test_slow_acknowledgements_stock_faust_commits_records_without_rows(scene: Scene, report: Report) -> None:
    committed, missing = await killed_at_a_commit(scene, stock=True)
    report.stock(
        SLOW_ACKNOWLEDGEMENTS, f"{missing} of {committed} committed records miss in the changelog", failed=missing > 0
    )


async def test_slow_acknowledgements_hold_the_commit_back(scene: Scene, report: Report) -> None:
    committed, missing = await killed_at_a_commit(scene, stock=False)
    report.ours(SLOW_ACKNOWLEDGEMENTS, f"{missing} of {committed} committed records miss in the changelog")
    assert committed > 0
    assert missing == 0


def record_of(scene: Scene, number: int) -> Place:
    (place,) = [place for place, (_, i) in scene.produced.items() if i == number]
    return place


@pytest.mark.slow
async def test_an_exception_stock_faust_skips_the_record(scene: Scene, report: Report) -> None:
    await scene.produce(60)
    number = scene.rnd.randrange(20, 40)
    worker = await scene.started("w1", stock=True, crash_at=number, style="serial")
    await scene.until(lambda: scene.count("END") >= 59, "the others to be done", worker=worker)
    assert worker.process.poll() is None
    worker.terminate()
    await scene.started("w2", stock=True, style="serial")
    verdict = await scene.given_time()
    report.stock(EXCEPTION, f"goes on; {len(verdict.lost)} lost", failed=bool(verdict.lost))


async def test_an_exception_ends_the_process_and_the_record_comes_again(scene: Scene, report: Report) -> None:
    await scene.produce(60)
    number = scene.rnd.randrange(20, 40)
    partition, offset = record_of(scene, number)
    worker = scene.start("w1", crash_at=number)
    await scene.until(lambda: worker.process.poll() is not None, "the process to end")
    assert worker.process.returncode == 70
    assert worker.last_line() == f"FATAL HANDLER_FAILED: {scene.inputs}-{partition}-{offset}: RuntimeError('boom')"

    await scene.started("w1")
    await scene.all_done()
    report.ours(EXCEPTION, f"exit 70, last line names the record; {scene.verdict().figures()}")
    assert scene.verdict().lost == []
    assert scene.verdict().out_of_order == []
