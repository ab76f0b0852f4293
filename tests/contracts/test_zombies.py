"""A worker that is stopped (SIGSTOP, a suspended machine) while the group gives its partitions away, and wakes up.

Each contract stands twice: what stock Faust does with a load, and what ours does with the same one.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from contract_harness import SESSION_S, Scene, Worker
from contract_report import Report

EFFECTS = "zombie: effects after waking up"
BUFFERED = "zombie: buffered rows that land after newer ones"
ON_THE_WAY = "zombie: rows already handed to the network"


async def taken_over(scene: Scene, zombie: Worker, *, stock: bool, **config: object) -> None:
    """Stop the first worker; a second one takes its partitions and does all its work."""
    zombie.stop_for_now()
    heir = scene.start("w2", stock=stock, **config)
    await scene.until(lambda: scene.count("FLOW", "w2") > 0, "the second worker to take over", worker=heir)


async def woken(scene: Scene, zombie: Worker) -> float:
    """Wake the first one, and wait until it has found out: it ended, or takes part in the group again. Returns when
    it was woken."""
    flows = scene.count("FLOW", zombie.name)
    zombie.trace.write("WOKEN")
    zombie.wake_up()
    await scene.until(
        lambda: zombie.process.poll() is not None or scene.count("FLOW", zombie.name) > flows, "the zombie to notice"
    )
    return next(line.at_s for line in scene.lines() if line.event == "WOKEN")


async def stopped_in_thought(scene: Scene, *, stock: bool) -> int:
    """40 symbols are between their durable rows and their effects when the worker is stopped. Returns how many
    effects it had after waking up and before it took part in the group again."""
    zombie = await scene.started("w1", stock=stock, think_s=1.0, work_s=0.05)
    await scene.produce(120, keys=40)
    await scene.until(lambda: scene.count("BEGIN", "w1") >= 20, "work to be under way", worker=zombie)
    await taken_over(scene, zombie, stock=stock, think_s=0.0, work_s=0.01)
    await scene.produce(80, keys=40)  # stock Faust may have committed the first ones before they were done
    await scene.until(lambda: scene.count("END", "w2") > 40, "work of the second")
    woken_s = await woken(scene, zombie)
    lines = [line for line in scene.lines() if line.worker == "w1" and line.at_s > woken_s]
    until_s = next((line.at_s for line in lines if line.event == "FLOW"), float("inf"))
    return sum(line.event == "EFFECT" and line.at_s < until_s for line in lines)


@pytest.mark.slow
async def test_a_zombie_of_stock_faust_acts_on_what_it_no_longer_owns(scene: Scene, report: Report) -> None:
    late = await stopped_in_thought(scene, stock=True)
    report.stock(EFFECTS, f"{late} effects for partitions it had lost", failed=late > 0)


async def test_a_zombie_does_nothing_for_what_it_no_longer_owns(scene: Scene, report: Report) -> None:
    late = await stopped_in_thought(scene, stock=False)
    report.ours(EFFECTS, f"{late} effects for partitions it had lost")
    assert late == 0
    await scene.all_done()
    assert scene.verdict().lost == []


async def stopped_with_rows_unsent(scene: Scene, *, stock: bool, slow_requests_s: tuple[float, float]) -> list[str]:
    """Rows wait in the producer when the worker is stopped; the next owner writes newer ones of the same keys.
    Returns the keys whose newest row in the changelog is an older one."""
    await scene.produce(200, keys=8)
    zombie = await scene.started("w1", stock=stock, work_s=0.005, awaits_rows=False, slow_requests_s=slow_requests_s)
    await scene.until(lambda: scene.count("END", "w1") > 40, "rows to be on their way", worker=zombie)
    await taken_over(scene, zombie, stock=stock, work_s=0.001)
    await scene.produce(40, keys=8)
    await scene.given_time()  # stock Faust may lose some on its way: what counts here is what the second one wrote
    newest = newest_rows(scene, "w2")
    await scene.until(
        lambda: scene.count("COMMIT", "w2") > 0, "commits of the second: its rows are in the changelog then"
    )
    await woken(scene, zombie)
    await scene.produce_to_every_partition(1)  # the zombie's sender has its turn meanwhile, if it ever has
    await scene.given_time()
    return await undone(scene, newest)


def newest_rows(scene: Scene, worker: str) -> dict[str, int]:
    """The number in the newest row of each key that a worker wrote."""
    ended = [line for line in scene.lines() if line.event == "END" and line.worker == worker]
    return {line.key: int(line.details[3]) for line in ended if line.key.startswith("S")}


async def undone(scene: Scene, newest: dict[str, int]) -> list[str]:
    """The keys whose newest row in the changelog is an older one."""
    rows = {record.key: json.loads(record.value)["i"] for record in await scene.read(scene.changelog)}
    return [key for key, number in newest.items() if rows[f"last-{key}".encode()] != number]


async def test_a_zombie_of_stock_faust_overwrites_newer_rows(scene: Scene, report: Report) -> None:
    old = await stopped_with_rows_unsent(scene, stock=True, slow_requests_s=(0, 1.0))
    report.stock(BUFFERED, f"{len(old)} of 8 keys have an old row on top of the changelog", failed=bool(old))


async def test_a_zombie_keeps_its_unsent_rows_to_itself(scene: Scene, report: Report) -> None:
    old = await stopped_with_rows_unsent(scene, stock=False, slow_requests_s=(0, 1.0))
    zombie = scene.workers[0]
    assert scene.verdict().lost == []
    report.ours(BUFFERED, f"{len(old)} of 8 keys have an old row on top of the changelog; {zombie.last_line()[:60]}")
    assert old == []
    assert scene.count("ALERT") == 0, "rows of the zombie reached the changelog"


async def test_rows_of_a_zombie_that_were_on_the_network_are_undone(scene: Scene, report: Report) -> None:
    await stopped_with_rows_unsent(scene, stock=False, slow_requests_s=(SESSION_S / 3, 0))
    await scene.until(lambda: scene.count("ALERT", "w2") > 0, "the foreign rows to be noticed", limit_s=20)
    newest = newest_rows(scene, "w2")
    async with asyncio.timeout(20):
        while await undone(scene, newest):  # noqa: ASYNC110 -- other processes write the topic that is looked at
            await asyncio.sleep(0.2)
    report.ours(ON_THE_WAY, f"{scene.count('ALERT', 'w2')} alerts FOREIGN_WRITE, newer rows on top again")
