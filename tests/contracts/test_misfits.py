"""What becomes of a worker whose topics or stores don't fit, or whose time runs out."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from contract_harness import PARTITIONS, Scene, Worker
from contract_stores import assert_stores_are_prefixes_of_the_changelog, local_rows


async def exit_code(worker: Worker, limit_s: float = 30.0) -> int:
    return await asyncio.to_thread(worker.process.wait, limit_s)


async def test_a_missing_topic_and_a_wrong_partition_count_are_refused_by_name(scene: Scene) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=scene.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(f"{scene.prefix}seven", 7, 1)])
    await admin.close()
    worker = scene.start("w1", inputs=f"{scene.prefix}seven", updates=f"{scene.prefix}none")
    assert await exit_code(worker) != 0
    output = worker.output.read_text()
    assert f"{scene.prefix}seven has 7 partitions, not {PARTITIONS}" in output
    assert f"{scene.prefix}none does not exist" in output
    assert scene.count("FLOW") == 0


async def test_a_session_that_the_broker_does_not_permit_is_refused_by_name(scene: Scene) -> None:
    worker = scene.start("w1", options={"session_timeout_s": 0.9, "lease_margin_s": 0.1, "heartbeat_s": 0.2})
    assert await exit_code(worker) == 70
    assert worker.last_line().startswith("FATAL GROUP_REFUSED: the coordinator of group ")
    assert "SESSION_TIMEOUT_S is 0.9; the broker's group.min.session.timeout.ms" in worker.last_line()
    assert scene.count("FLOW") == 0


async def test_a_call_longer_than_the_drain_limit_ends_the_process_when_partitions_go(scene: Scene) -> None:
    await scene.produce(1)
    first = await scene.started("w1", slow_s={0: 60}, options={"drain_limit_s": 1.0})
    await scene.until(lambda: scene.count("EFFECT") == 1, "the call to begin", worker=first)
    scene.start("w2", work_s=0.01)
    assert await exit_code(first) == 70
    (partition, offset) = next(iter(scene.produced))
    assert first.last_line().startswith("FATAL DRAIN_LIMIT: not finished within 1.0 s of losing partitions: ")
    assert f"{scene.inputs}-{partition}-{offset}" in first.last_line()
    await scene.all_done()
    assert scene.verdict().lost == []


async def test_a_store_of_a_changelog_that_was_made_anew_is_built_anew(scene: Scene) -> None:
    await scene.produce(40)
    worker = await scene.started("w1", work_s=0.0)
    await scene.all_done()
    assert worker.terminate() == 0
    await scene.make_anew(scene.changelog)
    for partition in range(PARTITIONS):
        for number in range(60):  # longer than before, so that offsets alone tell nothing
            await scene.append_foreign(partition, b"other-%d" % number, b'{"i": 1}')

    again = await scene.started("w1", work_s=0.0)
    await scene.until(lambda: b"not of this changelog" in again.output.read_bytes(), "the store to be refused")
    assert again.terminate() == 0
    rows = {key for partition in range(PARTITIONS) for key in local_rows(scene, "w1", partition)[0]}
    assert rows == {b"other-%d" % number for number in range(60)}


async def test_without_its_local_files_a_worker_comes_back_with_every_row(scene: Scene) -> None:
    await scene.produce(100)
    worker = await scene.started("w1", work_s=0.0)
    await scene.all_done()
    assert worker.terminate() == 0
    await asyncio.to_thread(shutil.rmtree, scene.directory / "data-w1")

    again = await scene.started("w1", work_s=0.0)
    assert again.terminate() == 0
    await assert_stores_are_prefixes_of_the_changelog(scene, "w1")
    assert scene.count("END") == 100


@pytest.mark.parametrize(
    ("broken", "last_line"),
    [
        ("poll", "FATAL CRASHED: CorruptRecordException('crc')"),
        ("recovered", "FATAL RECOVERY_FAILED: LookupError('no venue')"),
        ("revoked", "FATAL LET_GO_FAILED: LookupError('no venue')"),
    ],
)
async def test_an_error_in_a_part_that_nobody_watches_ends_the_process(
    scene: Scene, broken: str, last_line: str
) -> None:
    worker = scene.start("w1", broken=broken)
    if broken == "revoked":
        await scene.until(lambda: scene.count("FLOW") == 1, "records to flow", worker=worker)
        worker.process.terminate()
    assert await exit_code(worker) == 70
    assert worker.last_line() == last_line


async def test_rows_without_committed_offsets_are_refused(scene: Scene) -> None:
    await scene.produce(20)
    worker = await scene.started("w1", work_s=0.0)
    await scene.all_done()
    assert worker.terminate() == 0
    await scene.make_anew(scene.inputs)
    await scene.produce(20)

    again = scene.start("w1")
    assert await exit_code(again) == 70
    assert "OFFSETS_LOST: table t has rows in partition" in again.last_line()
