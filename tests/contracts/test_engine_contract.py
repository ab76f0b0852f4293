"""What the engine promises, on a real broker with worker processes that are killed, stopped and added to."""

from __future__ import annotations

import asyncio
import json

from contract_harness import PARTITIONS, SESSION_S, Scene
from contract_stores import assert_stores_are_prefixes_of_the_changelog, local_rows


async def test_a_commit_never_passes_an_unfinished_record(scene: Scene) -> None:
    await scene.produce(200)
    (slow_place,) = [place for place, (_, number) in scene.produced.items() if number == 5]
    worker = await scene.started("w1", slow_s={5: 60}, work_s=0.01)
    behind_it = sum(1 for key, _ in scene.produced.values() if key == "S5")
    await scene.until(lambda: scene.count("END") >= 200 - behind_it, "all but the slow key to end")
    await asyncio.sleep(0.6)  # several commits: the interval is 0.2 s
    worker.kill()

    committed = await scene.committed(scene.inputs)
    assert committed[slow_place[0]] <= slow_place[1]

    await scene.started("w1", work_s=0.01)
    await scene.all_done()
    verdict = scene.verdict()
    assert verdict.lost == []
    assert verdict.out_of_order == []


async def test_workers_join_and_leave_without_losing_or_repeating_anything(scene: Scene) -> None:
    await scene.started("w1", work_s=0.05)
    load = asyncio.create_task(scene.produce(1_200, rate=150, updates=True))
    await asyncio.sleep(1.5)
    second = await scene.started("w2", work_s=0.05)
    await asyncio.sleep(1.5)
    assert second.terminate() == 0
    await load
    await scene.all_done()

    verdict = scene.verdict()
    assert (verdict.lost, verdict.done_twice, verdict.out_of_order, verdict.overlapping) == ([], [], [], [])
    assert scene.count("END", "w2") > 0
    assert len(await scene.read(scene.events)) == 1_200


async def test_killed_again_and_again_it_loses_nothing_and_keeps_the_order(scene: Scene) -> None:
    load = asyncio.create_task(scene.produce(900, rate=120, updates=True))
    for _ in range(3):
        worker = await scene.started("w1", work_s=0.05)
        await asyncio.sleep(1.0)
        worker.kill()
        await assert_stores_are_prefixes_of_the_changelog(scene, "w1")
    last = await scene.started("w1", work_s=0.05)
    await load
    await scene.all_done()
    await scene.until(lambda: len(set(scene.places("APPLIED"))) == 900, "all updates to be applied")
    assert last.terminate() == 0

    verdict = scene.verdict()
    assert (verdict.lost, verdict.out_of_order, verdict.overlapping) == ([], [], [])
    await assert_stores_are_prefixes_of_the_changelog(scene, "w1")
    rows = {key for partition in range(PARTITIONS) for key in local_rows(scene, "w1", partition)[0]}
    assert {f"{key}-{number}".encode() for key, number in scene.produced.values()} <= rows


async def test_nothing_is_committed_before_its_rows_are_in_the_changelog(scene: Scene) -> None:
    load = asyncio.create_task(scene.produce(900, rate=150))
    worker = await scene.started("w1", work_s=0.0, slow_requests_s=(0.3, 0), awaits_rows=False)
    await scene.until(lambda: scene.count("COMMIT") > 2, "commits")
    worker.kill()
    await load

    committed = await scene.committed(scene.inputs)
    assert any(committed.values())
    in_changelog = {record.key for record in await scene.read(scene.changelog)}
    for (partition, offset), (key, number) in scene.produced.items():
        if offset < committed[partition]:
            assert f"{key}-{number}".encode() in in_changelog


async def test_a_paused_worker_does_nothing_for_records_it_no_longer_owns(scene: Scene) -> None:
    zombie = await scene.started("w1", work_s=0.2, slow_requests_s=(0, 0.1))
    await scene.produce(300, keys=60)
    await scene.until(lambda: scene.count("EFFECT", "w1") > 20, "work to be under way")
    zombie.stop_for_now()
    before = scene.count("EFFECT", "w1")
    heir = scene.start("w2", work_s=0.02)
    await scene.until(lambda: scene.count("FLOW", "w2") > 0, "the second worker to take over", worker=heir)
    await scene.all_done()
    zombie.wake_up()
    woken_s = max(line.at_s for line in scene.lines())
    await scene.until(
        lambda: zombie.process.poll() is not None or scene.count("FLOW", "w1") > 1, "the first to come to its senses"
    )
    await asyncio.sleep(SESSION_S)

    late = [line for line in scene.lines() if line.worker == "w1" and line.event == "EFFECT" and line.at_s > woken_s]
    assert late == []
    assert scene.count("EFFECT", "w1") == before
    assert scene.verdict().lost == []
    assert scene.count("ALERT") == 0, "rows of the paused worker reached the changelog"


async def test_an_unforeseen_error_ends_the_process_and_the_record_comes_again(scene: Scene) -> None:
    await scene.produce(60)
    (place,) = [place for place, (_, number) in scene.produced.items() if number == 30]
    worker = scene.start("w1", crash_at=30)
    assert await asyncio.to_thread(worker.process.wait, 30) == 70
    assert worker.last_line() == (f"FATAL HANDLER_FAILED: {scene.inputs}-{place[0]}-{place[1]}: RuntimeError('boom')")

    await scene.started("w1")
    await scene.all_done()
    assert scene.verdict().lost == []


async def test_markers_of_a_producers_transactions_are_no_lost_records(scene: Scene) -> None:
    worker = await scene.started("w1", work_s=0.0)
    await scene.produce_in_transactions(60)
    await scene.all_done()
    assert worker.terminate() == 0
    verdict = scene.verdict()
    assert (verdict.lost, verdict.done_twice, verdict.out_of_order) == ([], [], [])


async def test_a_foreign_row_in_the_changelog_is_undone(scene: Scene) -> None:
    await scene.produce(40, keys=4)
    worker = await scene.started("w1", work_s=0.0)
    await scene.all_done()
    partition, key = next((place[0], key) for place, (key, _) in sorted(scene.produced.items()))
    number = max(number for other, number in scene.produced.values() if other == key)
    row_key = f"{key}-{number}".encode()
    await scene.append_foreign(partition, row_key, b'{"i": 999999}')
    await scene.produce(40, keys=4)
    await scene.until(lambda: scene.count("ALERT") > 0, "the hole to be noticed")
    await scene.all_done()
    assert worker.terminate() == 0

    newest = {record.key: record.value for record in await scene.read(scene.changelog)}
    assert json.loads(newest[row_key])["i"] == number
    await assert_stores_are_prefixes_of_the_changelog(scene, "w1")
