"""What the engine promises, on a real broker with worker processes that are killed, stopped and added to."""

from __future__ import annotations

import asyncio
import json

from contract_harness import SESSION_S, Scene
from contract_stores import assert_stores_are_prefixes_of_the_changelog


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
