"""What stands in topics and is not ours: markers of transactions in the inputs, rows of others in a changelog."""

from __future__ import annotations

import json

from contract_harness import Scene
from contract_stores import assert_stores_are_prefixes_of_the_changelog


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
