"""What a worker stands on is not as it must be: it refuses to start and says why, or it ends before it lies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fault_set import FaultSet

from app.topic_creation import create_topics

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def refusal(unfit: FaultSet) -> str:
    """Start the worker alone; returns what it said when it ended by itself."""
    worker = unfit.worker
    worker.start()
    await unfit.until(lambda: worker.exit_code is not None, "the worker's end", 30.0)
    assert worker.exit_code == 1
    return worker.last_lines(40)


async def test_fault_16_a_worker_without_its_topics_refuses_to_start(kafka: str, tmp_path: Path) -> None:
    unfit = FaultSet(kafka, tmp_path)
    assert f"{unfit.local.topics.signals} is missing" in await refusal(unfit)


async def test_fault_16_a_worker_whose_topics_have_other_counts_refuses_to_start(kafka: str, tmp_path: Path) -> None:
    unfit = FaultSet(kafka, tmp_path)
    topics = unfit.local.topics
    await create_topics(kafka, topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_topics([topics.order_updates])
    await admin.create_topics([NewTopic(topics.order_updates, 7, 1)])
    await admin.close()
    assert f"{topics.order_updates} has 7 partitions, expected {unfit.settings.partitions}" in await refusal(unfit)


# -- a full disk -----------------------------------------------------------------------------------------------------

DISK_BYTES = 8 << 20


@pytest_asyncio.fixture(loop_scope="session")
async def on_small_disk(kafka: str, tmp_path: Path) -> AsyncIterator[FaultSet]:
    """A set whose worker's directory is a file system of its own, of a few megabytes."""
    place = tmp_path / "worker-1"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:  # noqa: ASYNC221 -- at once
        pytest.skip("file systems can't be mounted here: the limited worker stands for it")
    try:
        async with FaultSet(kafka, tmp_path, paper_market_interval_s=0.0) as made:
            yield made
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # noqa: ASYNC221, S607 -- wherever it is


@pytest_asyncio.fixture(loop_scope="session")
async def to_be_limited(kafka: str, tmp_path: Path) -> AsyncIterator[FaultSet]:
    """A set to hurt."""
    async with FaultSet(kafka, tmp_path, paper_market_interval_s=0.0) as made:
        yield made


async def send_until(hurt: FaultSet, condition: Callable[[], bool]) -> None:
    """One market signal after another, until it is so."""
    async with asyncio.timeout(40):
        while not condition():
            await hurt.send("BTCUSDT", order_type="market")


async def test_fault_29_a_worker_whose_disk_is_full_ends_and_is_whole_when_there_is_room(
    on_small_disk: FaultSet,
) -> None:
    worker = on_small_disk.worker
    filler = on_small_disk.settings.data_dir / "worker-1" / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), b"x" * 4_096)

    await send_until(on_small_disk, lambda: worker.restarts > 0)
    filler.unlink()

    assert "STORE_FAILED" in (log := worker.log_file.read_text()) or "ACKNOWLEDGEMENT_FAILED" in log
    await on_small_disk.until_ready()
    (await on_small_disk.verdict()).assert_agreed()


async def test_fault_29_a_worker_that_may_not_write_on_ends_and_is_whole_afterwards(to_be_limited: FaultSet) -> None:
    worker = to_be_limited.worker
    assert worker.pid is not None
    largest = max(file.stat().st_size for file in to_be_limited.settings.worker_dir.rglob("*") if file.is_file())
    limit = max(largest, worker.log_file.stat().st_size) + 65_536
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    await send_until(to_be_limited, lambda: worker.restarts > 0)

    await to_be_limited.until_ready()
    (await to_be_limited.verdict()).assert_agreed()
