"""Lanes: in order per symbol, side by side across symbols, and let go of at once when partitions go."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

import pytest

from streams.lanes import Lanes
from streams.ports import Revoked, Turn
from streams.record import Record


class FakeInbox:
    """One generation that can be ended, and a lease that can lapse."""

    def __init__(self) -> None:
        self.current = True
        self.lease = True
        self.done: list[int] = []
        self.left: list[int] = []

    def is_current(self, record: Record) -> bool:
        return self.current

    def may_act(self, record: Record) -> bool:
        return self.current and self.lease

    def finished(self, record: Record) -> None:
        self.done.append(record.offset)

    def forgotten(self, record: Record) -> None:
        self.left.append(record.offset)


def record(offset: int, key: str = "BTCUSDT") -> Record:
    return Record("signals", 0, offset, key.encode(), b"", (), 0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- there is no event to wait for: the condition is on figures
            await asyncio.sleep(0)


@pytest.fixture
def inbox() -> FakeInbox:
    return FakeInbox()


async def test_records_of_one_symbol_run_one_after_another(inbox: FakeInbox) -> None:
    running: list[int] = []
    order: list[int] = []

    async def handle(turn: Turn) -> None:
        running.append(turn.record.offset)
        assert len(running) == 1
        await asyncio.sleep(0)
        order.append(turn.record.offset)
        running.clear()

    lanes = Lanes(handle, inbox)
    for offset in range(20):
        await lanes.submit(record(offset))
    await lanes.drained()
    assert order == inbox.done == list(range(20))


async def test_one_slow_symbol_delays_no_other(inbox: FakeInbox) -> None:
    release = asyncio.Event()

    async def handle(turn: Turn) -> None:
        if turn.record.key == b"SLOW":
            await release.wait()

    lanes = Lanes(handle, inbox)
    await lanes.submit(record(0, "SLOW"))
    for offset in range(1, 10):
        await lanes.submit(record(offset, f"S{offset}"))
    await until(lambda: len(inbox.done) == 9)
    release.set()
    await lanes.drained()
    assert sorted(inbox.done) == list(range(10))


async def test_no_more_handlers_run_than_allowed_but_those_that_wait_do_not_count(inbox: FakeInbox) -> None:
    evidence = asyncio.Event()
    at_work = 0
    most = 0

    async def handle(turn: Turn) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.001)
        at_work -= 1
        await turn.wait(evidence.wait())

    lanes = Lanes(handle, inbox, max_running=3)
    for offset in range(12):
        await lanes.submit(record(offset, f"S{offset}"))
    await until(lambda: lanes.queued == 0 and lanes.running == 0)  # all wait
    assert most == 3
    evidence.set()
    await lanes.drained()
    assert sorted(inbox.done) == list(range(12))


async def test_submitting_waits_while_the_queue_is_full(inbox: FakeInbox) -> None:
    release = asyncio.Event()

    async def handle(turn: Turn) -> None:
        await release.wait()

    lanes = Lanes(handle, inbox, max_queued=2)
    await lanes.submit(record(0))
    await until(lambda: lanes.running == 1)
    await lanes.submit(record(1))
    await lanes.submit(record(2))
    fourth = asyncio.create_task(lanes.submit(record(3)))
    await asyncio.sleep(0)
    assert not fourth.done()
    assert list(lanes.depths()) == [(b"BTCUSDT", 2, pytest.approx(0, abs=1))]
    release.set()
    await fourth
    await lanes.drained()
    assert inbox.done == [0, 1, 2, 3]


async def test_on_revoke_queued_records_and_waits_are_forgotten_and_calls_come_to_their_end(inbox: FakeInbox) -> None:
    reply = asyncio.Event()
    never = asyncio.Event()
    waiting: list[int] = []

    async def call() -> None:
        await reply.wait()

    async def handle(turn: Turn) -> None:
        if turn.record.key == b"CALLS":
            await turn.call(call)
        else:
            waiting.append(turn.record.offset)
            await turn.wait(never.wait())

    lanes = Lanes(handle, inbox)
    await lanes.submit(record(0, "CALLS"))
    await lanes.submit(record(1, "CALLS"))
    await lanes.submit(record(2, "WAITS"))
    await until(lambda: waiting == [2] and lanes.running == 1)

    inbox.current = False
    lanes.stop_taking()
    await until(lambda: len(inbox.left) == 2)
    assert sorted(inbox.left) == [1, 2]
    assert inbox.done == []

    reply.set()
    await lanes.drained()
    assert inbox.done == [0]
    await lanes.submit(record(3, "CALLS"))
    assert 3 in inbox.left


async def test_a_wait_whose_partition_goes_ends_as_revoked_although_what_it_waits_for_has_just_come(
    inbox: FakeInbox,
) -> None:
    came = asyncio.Event()

    async def handle(turn: Turn) -> None:
        await turn.wait(came.wait())

    lanes = Lanes(handle, inbox)
    await lanes.submit(record(0))
    await until(lambda: lanes.queued == 0 and lanes.running == 0)

    came.set()
    lanes.stop_taking()
    lanes.stop_taking()
    await lanes.drained()

    assert (inbox.done, inbox.left) == ([], [0])


async def test_what_somebody_else_waits_for_too_outlives_a_revoked_wait(inbox: FakeInbox) -> None:
    theirs: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handle(turn: Turn) -> None:
        await turn.wait(theirs)

    lanes = Lanes(handle, inbox)
    await lanes.submit(record(0))
    await until(lambda: lanes.queued == 0 and lanes.running == 0)
    lanes.stop_taking()
    await lanes.drained()

    assert inbox.left == [0]
    assert not theirs.cancelled()


async def test_an_error_of_what_is_waited_for_comes_with_the_place_taken_again(inbox: FakeInbox) -> None:
    places: list[int] = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("not there")

    async def handle(turn: Turn) -> None:
        with pytest.raises(LookupError):
            await turn.wait(fails())
        places.append(lanes.running)

    lanes = Lanes(handle, inbox)
    await lanes.submit(record(0))
    await lanes.drained()

    assert (places, lanes.running, inbox.done) == ([1], 0, [0])


async def test_an_effect_that_gives_its_place_back_goes_on_beside_the_next_one_to_its_end(inbox: FakeInbox) -> None:
    told = asyncio.Event()
    begun: list[int] = []

    async def handle(turn: Turn) -> None:
        async def effect() -> None:
            begun.append(turn.record.offset)
            turn.release()
            await told.wait()

        await turn.call(effect)

    lanes = Lanes(handle, inbox, max_running=1)
    for offset in range(3):
        await lanes.submit(record(offset, f"S{offset}"))
    await until(lambda: len(begun) == 3)
    lanes.stop_taking()  # effects come to their end all the same
    told.set()
    await lanes.drained()

    assert (sorted(inbox.done), lanes.running) == ([0, 1, 2], 0)


async def test_a_submit_that_waits_for_room_ends_on_revoke(inbox: FakeInbox) -> None:
    async def handle(turn: Turn) -> None:
        await turn.wait(asyncio.Event().wait())

    lanes = Lanes(handle, inbox, max_queued=1)
    await lanes.submit(record(0))
    await until(lambda: lanes.queued == 0)
    await lanes.submit(record(1))
    third = asyncio.create_task(lanes.submit(record(2)))
    await asyncio.sleep(0)
    inbox.current = False
    lanes.stop_taking()
    await third
    await lanes.drained()
    assert sorted(inbox.left) == [0, 1, 2]


async def test_a_call_waits_while_only_the_lease_is_in_doubt(inbox: FakeInbox) -> None:
    calls: list[int] = []

    async def effect() -> None:
        calls.append(1)

    async def handle(turn: Turn) -> None:
        await turn.call(effect)

    async def no_time(seconds: float) -> None:
        await asyncio.sleep(0)

    inbox.lease = False
    lanes = Lanes(handle, inbox, sleep=no_time)
    await lanes.submit(record(0))
    for _ in range(50):
        await asyncio.sleep(0)
    assert calls == []
    inbox.lease = True
    await lanes.drained()
    assert calls == [1]
    assert inbox.done == [0]


async def test_a_call_for_a_revoked_record_does_not_begin(inbox: FakeInbox) -> None:
    async def effect() -> None:
        raise AssertionError("must not run")

    async def handle(turn: Turn) -> None:
        inbox.current = False
        await turn.call(effect)

    lanes = Lanes(handle, inbox)
    await lanes.submit(record(0))
    await lanes.drained()
    assert inbox.left == [0]


async def test_an_unforeseen_error_is_told_and_shuts_the_lane(inbox: FakeInbox) -> None:
    told: list[tuple[int, str]] = []

    async def handle(turn: Turn) -> None:
        raise RuntimeError(f"bug at {turn.record.offset}")

    lanes = Lanes(handle, inbox, on_error=lambda record, error: told.append((record.offset, str(error))))
    await lanes.submit(record(0))
    await lanes.submit(record(1))
    await lanes.drained()
    assert told == [(0, "bug at 0")]
    assert inbox.done == inbox.left == []


async def test_lanes_that_are_empty_leave_nothing_behind(inbox: FakeInbox) -> None:
    async def handle(turn: Turn) -> None:
        await asyncio.sleep(0)

    lanes = Lanes(handle, inbox)
    for offset in range(3_000):
        await lanes.submit(record(offset, f"S{offset}"))
    await lanes.drained()
    assert list(lanes.depths()) == []
    assert lanes.queued == lanes.running == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_after_a_rebalance_records_flow_again(inbox: FakeInbox) -> None:
    handled: dict[int, int] = defaultdict(int)

    async def handle(turn: Turn) -> None:
        handled[turn.record.offset] += 1
        await turn.wait(asyncio.sleep(0))

    lanes = Lanes(handle, inbox)
    inbox.current = False
    lanes.stop_taking()
    inbox.current = True
    lanes.resume()
    await lanes.submit(record(0))
    await lanes.drained()
    assert inbox.done == [0]


async def test_a_wait_gives_back_what_it_waited_for_and_passes_errors_on(inbox: FakeInbox) -> None:
    seen: list[object] = []

    async def answer() -> int:
        return 42

    async def fail() -> None:
        raise LookupError("no such order")

    async def handle(turn: Turn) -> None:
        seen.append(await turn.wait(answer()))
        with pytest.raises(LookupError):
            await turn.wait(fail())

    lanes = Lanes(handle, inbox)
    await lanes.submit(record(0))
    await lanes.drained()
    assert seen == [42]
    assert inbox.done == [0]


async def test_a_future_of_somebody_else_survives_the_end_of_a_wait(inbox: FakeInbox) -> None:
    shared: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handle(turn: Turn) -> None:
        with pytest.raises(Revoked):
            await turn.wait(shared)
        raise Revoked

    lanes = Lanes(handle, inbox)
    await lanes.submit(record(0))
    await until(lambda: lanes.queued == 0 and lanes.running == 0)
    inbox.current = False
    lanes.stop_taking()
    await lanes.drained()
    assert not shared.cancelled()
    assert inbox.left == [0]
