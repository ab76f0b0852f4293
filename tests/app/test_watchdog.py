"""The watchdog: what comes to no end is found, whatever else is finished; what has a reason to wait is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest_asyncio

from app.inbox import GroupInbox
from app.transport.ledger import Ledger
from app.watchdog import LongestWork, Watch, Work
from streams.lanes import Lanes
from streams.ports import Turn
from streams.record import Record, Source

LIMIT_S = 60
PROGRESS_LIMIT_S = 300


class Looked:
    """An engine with one topic of lanes and one without, where what is said of BTCUSDT comes to no end."""

    def __init__(self) -> None:
        self.ledger, self.stopped, self.offset = Ledger(), list[str](), 0
        self.certain, self.explained = True, False
        self.in_hand = True  # an order, of whatever symbol
        lease: Any = SimpleNamespace(good=lambda: self.certain)
        self.inbox, self.ends, self.begun = GroupInbox(self.ledger, lease), asyncio.Semaphore(0), asyncio.Event()
        self.lanes = Lanes(self.handle, self.inbox)
        engine = SimpleNamespace(
            options=SimpleNamespace(progress_limit_s=PROGRESS_LIMIT_S, turn_limit_s=LIMIT_S),
            wiring=SimpleNamespace(ledger=self.ledger, lease=lease, stop=self.stopped.append),
            inbox=self.inbox,
            all_lanes={"signals": self.lanes},
            explains_waiting=lambda: self.in_hand,
            explains_turn=lambda record: self.explained and record.key == b"BTCUSDT",
        )
        self.watch: Watch = type("Looking", (Watch,), {"engine": engine})()
        self.generation = 0
        self.own()

    def own(self) -> None:
        """Both partitions are ours, from now on."""
        self.generation, self.offset = self.inbox.open(), 0
        for topic in ("signals", "order-updates"):
            self.ledger.start((topic, 0), 0, None, self.generation)

    async def handle(self, turn: Turn) -> None:
        if turn.record.key == b"BTCUSDT":
            self.begun.set()
            await turn.wait(self.ends.acquire())

    async def take(self, symbol: str) -> Record:
        record = Record("signals", 0, self.offset, symbol.encode(), b"", (), 0, self.generation)
        assert self.ledger.take(record, self.offset)
        self.offset += 1
        await self.lanes.submit(record)
        return record

    async def look_for(self, seconds: int) -> None:
        """Look once a second, while others of the partition are finished."""
        for _ in range(seconds):
            finished = self.ledger.finished_total
            await self.take("ETHUSDT")
            async with asyncio.timeout(5):
                while self.ledger.finished_total == finished:  # noqa: ASYNC110 -- a figure, not an event
                    await asyncio.sleep(0)
            self.watch.check_progress()


@pytest_asyncio.fixture
async def looked() -> AsyncIterator[Looked]:
    made = Looked()
    yield made
    for _ in range(made.offset):
        made.ends.release()
    await made.lanes.drained()


async def test_a_turn_without_end_ends_the_process_although_others_are_finished(looked: Looked) -> None:
    stuck = await looked.take("BTCUSDT")
    await looked.begun.wait()

    await looked.look_for(LIMIT_S)
    assert looked.stopped == []
    await looked.look_for(1)

    assert looked.stopped == [f"NO_PROGRESS: {stuck.source} has been handled for {LIMIT_S} s and comes to no end"]


async def test_a_turn_that_waits_for_the_venue_and_one_while_the_lease_is_in_doubt_are_left_alone(
    looked: Looked,
) -> None:
    await looked.take("BTCUSDT")
    await looked.begun.wait()

    for _ in range(3):
        await looked.look_for(LIMIT_S // 2)
        looked.explained = True
        await looked.look_for(LIMIT_S)
        looked.explained = False
        await looked.look_for(LIMIT_S // 2)
        looked.certain = False
        for _ in range(LIMIT_S):
            looked.watch.check_progress()
        looked.certain = True

    assert looked.stopped == []


async def test_where_nothing_is_finished_what_waits_must_have_a_reason(looked: Looked) -> None:
    await looked.take("BTCUSDT")
    await looked.begun.wait()
    looked.in_hand, looked.explained = False, True  # its symbol is shut, say, and no other has anything to do

    for _ in range(PROGRESS_LIMIT_S + LIMIT_S):
        looked.watch.check_progress()
    while_it_has = list(looked.stopped)
    looked.explained = False
    looked.watch.check_progress()

    assert while_it_has == []
    assert looked.stopped == [f"NO_PROGRESS: nothing finished for {PROGRESS_LIMIT_S} s; oldest: signals-0-0"]


async def test_what_waits_behind_a_long_turn_has_time_of_its_own(looked: Looked) -> None:
    await looked.take("BTCUSDT")
    await looked.take("BTCUSDT")
    await looked.begun.wait()
    await looked.look_for(LIMIT_S)

    looked.begun.clear()
    looked.ends.release()
    await looked.begun.wait()  # the second's turn
    await looked.look_for(LIMIT_S)

    assert looked.stopped == []


async def test_the_oldest_update_of_a_partition_that_is_never_finished_ends_the_process(looked: Looked) -> None:
    for offset in range(3):
        update = Record("order-updates", 0, offset, b"BTCUSDT", b"", (), 0, looked.generation)
        looked.ledger.take(update, offset)
        if offset != 1:
            looked.inbox.finished(update)

    await looked.look_for(LIMIT_S + 1)

    assert len(looked.stopped) == 1
    assert looked.stopped[0].startswith(f"NO_PROGRESS: {Source('order-updates', 0, 1)} has been handled")


def test_a_record_of_another_generation_is_another_work() -> None:
    longest, source = LongestWork(), Source("signals", 0, 7)

    for generation in (1, 1, 1):
        looked_s = longest.look([Work(source, generation)], 1.0)
    assert looked_s == (2.0, source)

    assert longest.look([Work(source, 2)], 1.0) == (0.0, source)
