"""Parts of the set die, leave, freeze and lose their files while signals come in.

Afterwards, each time: every signal has its end, both books agree order by order and position by position, no intent
has two orders at the exchange, none was sent before it was durable, and the events of each order are whole.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from pathlib import Path

import pytest
from fault_set import SEED, FaultSet, hurt_under_load

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

SESSION_S = 3.0


async def kill_workers_at_random(hurt: FaultSet, times: int, draw: random.Random) -> None:
    for _ in range(times):
        soon = draw.random() < 0.3  # while it recovers, or the other takes over
        await asyncio.sleep(draw.uniform(0.5, 2.0) if soon else draw.uniform(2.0, 7.0))
        draw.choice(hurt.local.workers).child.signal(signal.SIGKILL)


async def test_fault_07_workers_killed_at_random_moments(busy: FaultSet) -> None:
    verdict = await hurt_under_load(
        busy, SEED, lambda draw: kill_workers_at_random(busy, 6, draw), count=200, rate_per_s=7.0
    )
    verdict.assert_agreed()


async def test_fault_06_a_worker_killed_again_and_again_while_it_recovers(busy: FaultSet) -> None:
    first, second = busy.local.workers

    async def kill_in_recovery(draw: random.Random) -> None:
        await asyncio.sleep(draw.uniform(1.0, 2.0))
        await second.kill()
        shutil.rmtree(tables_of(busy, 2))  # all of it is to be read again
        for _ in range(4):
            first.child.signal(signal.SIGKILL)
            await asyncio.sleep(draw.uniform(1.2, 3.0))  # starting takes about one second, recovering the next
        second.start()

    (await hurt_under_load(busy, SEED + 9, kill_in_recovery)).assert_agreed()


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_fault_07_workers_killed_fifty_times(busy: FaultSet) -> None:
    verdict = await hurt_under_load(
        busy, SEED + 1, lambda draw: kill_workers_at_random(busy, 50, draw), count=1_500, rate_per_s=6.0
    )
    verdict.assert_agreed()


async def test_the_gateway_and_the_exchange_killed(busy: FaultSet) -> None:
    async def kill(draw: random.Random) -> None:
        for keeper in (busy.local.gateway, busy.local.paper, busy.local.gateway):
            await asyncio.sleep(draw.uniform(1.0, 3.0))
            keeper.child.signal(signal.SIGKILL)

    (await hurt_under_load(busy, SEED + 2, kill)).assert_agreed()


@pytest.mark.slow
async def test_fault_15_a_worker_leaves_in_order_and_joins_again(busy: FaultSet) -> None:
    async def leave_and_join(draw: random.Random) -> None:
        for keeper in busy.local.workers:
            await asyncio.sleep(draw.uniform(0.5, 1.5))
            assert await keeper.stop() == 0
            await asyncio.sleep(draw.uniform(0.5, 1.5))
            keeper.start()

    (await hurt_under_load(busy, SEED + 3, leave_and_join)).assert_agreed()


async def test_fault_15_the_other_worker_takes_over_from_one_that_was_killed(busy: FaultSet) -> None:
    gone, stays = busy.local.workers

    async def kill(draw: random.Random) -> None:
        await asyncio.sleep(draw.uniform(1.0, 3.0))
        await gone.kill()

    verdict = await hurt_under_load(busy, SEED + 4, kill)
    restarts = stays.child.restarts
    gone.start()
    verdict.assert_agreed()
    assert stays.child.restarts == restarts


@pytest.mark.slow
async def test_fault_08_every_worker_told_to_end_ends_with_its_work_done(busy: FaultSet) -> None:
    async def end_all(draw: random.Random) -> None:
        await asyncio.sleep(draw.uniform(1.0, 3.0))
        codes = await asyncio.gather(*(keeper.stop() for keeper in busy.local.workers))
        assert codes == [0, 0]
        for keeper in busy.local.workers:
            keeper.start()

    (await hurt_under_load(busy, SEED + 5, end_all)).assert_agreed()


async def test_fault_08_workers_told_to_end_while_partitions_change_hands_end_in_order(busy: FaultSet) -> None:
    first, second = busy.local.workers

    async def end_in_turn(draw: random.Random) -> None:
        for _ in range(2):
            ending = asyncio.create_task(first.stop())
            await asyncio.sleep(draw.uniform(0.2, 1.5))
            assert await second.stop() == 0
            assert await ending == 0
            first.start()
            second.start()
            await asyncio.gather(busy.until_ready(0), busy.until_ready(1))

    (await hurt_under_load(busy, SEED + 8, end_in_turn, count=80)).assert_agreed()


async def test_fault_09_a_worker_that_slept_through_its_session_does_no_harm(busy: FaultSet) -> None:
    async def freeze(draw: random.Random) -> None:
        sleeper = busy.local.workers[1].child
        for _ in range(2):
            await asyncio.sleep(draw.uniform(0.5, 2.0))
            sleeper.signal(signal.SIGSTOP)
            await asyncio.sleep(SESSION_S + draw.uniform(1.5, 3.0))
            sleeper.signal(signal.SIGCONT)

    (await hurt_under_load(busy, SEED + 6, freeze)).assert_agreed()


def tables_of(hurt: FaultSet, number: int) -> Path:
    return hurt.settings.data_dir / f"worker-{number}" / "tables"


def flip_bytes(directory: Path, draw: random.Random, pattern: str = "*") -> int:
    """A few bytes of every file of the stores are not what was written."""
    flipped = 0
    for file in sorted(directory.rglob(pattern)):
        if file.is_file() and file.stat().st_size and file.name != "LOCK":
            content = bytearray(file.read_bytes())
            for _ in range(3):
                content[draw.randrange(len(content))] ^= 0xFF
            file.write_bytes(content)
            flipped += 1
    return flipped


async def test_fault_30_to_31_stores_with_flipped_bytes_lost_or_old_are_built_anew(busy: FaultSet) -> None:
    first, second = busy.local.workers
    old = busy.settings.data_dir / "old-tables"

    async def spoil(draw: random.Random) -> None:
        assert await first.stop() == 0
        shutil.copytree(tables_of(busy, 1), old)
        assert flip_bytes(tables_of(busy, 1), draw, "*.sst")
        first.start()
        await busy.until_ready(0)
        await asyncio.sleep(draw.uniform(1.0, 2.0))
        await asyncio.gather(first.kill(), second.kill())
        assert flip_bytes(tables_of(busy, 1), draw)
        shutil.rmtree(tables_of(busy, 2))
        first.start()
        second.start()
        await busy.until_ready(0)
        await asyncio.sleep(draw.uniform(1.0, 2.0))
        await asyncio.gather(first.kill(), second.kill())
        shutil.rmtree(tables_of(busy, 1))
        shutil.copytree(old, tables_of(busy, 1))
        first.start()
        second.start()

    (await hurt_under_load(busy, SEED + 7, spoil, count=120)).assert_agreed()
