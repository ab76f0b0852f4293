"""Lanes: records of one symbol one after another, different symbols side by side.

Running and queued records have separate bounds: a busy symbol may fill its queue, but not take the places of others.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterator
from typing import Any, TypeVar

from streams.ports import Inbox, Revoked, Turn
from streams.record import Record

T = TypeVar("T")

Handler = Callable[[Turn], Coroutine[Any, Any, None]]
OnError = Callable[[Record, BaseException], None]

LEASE_RETRY_S = 0.02
"""Between two looks at a lease in doubt; heartbeats come once a second."""


def end_process(record: Record, error: BaseException) -> None:
    """What an unforeseen error does unless told otherwise: end the process, so that the record comes again."""
    sys.stderr.write(f"FATAL handler failed at {record.source}: {error!r}\n")
    sys.stderr.flush()
    os._exit(70)


def by_record_key(record: Record) -> Hashable:
    """One lane per record key: the symbol."""
    return record.key


class _Places:
    """Places to run in: at most `limit` at a time, first come first served."""

    __slots__ = ("_limit", "_waiting", "taken")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.taken = 0

    async def take(self) -> None:
        if self.taken < self._limit and not self._waiting:
            self.taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the place goes over directly
                return
        self.taken -= 1


class LaneTurn:
    """A record's turn. Holds a running place except while it waits, and at an effect's end when that says so."""

    __slots__ = ("_holds_place", "_interrupted", "_lanes", "_waiting", "record")

    def __init__(self, lanes: Lanes, record: Record) -> None:
        self.record = record
        self._lanes = lanes
        self._holds_place = True
        self._waiting: asyncio.Task[Any] | None = None
        self._interrupted = False

    def release(self) -> None:
        """Give the place back, if it is held. The next wait takes another."""
        if self._holds_place:
            self._holds_place = False
            self._lanes.places.give_back()

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait without holding a place; raises `Revoked` at once when the partition is taken away.

        What is awaited is cancelled then, unless it is a future or task of somebody else's.
        """
        lanes, task = self._lanes, asyncio.current_task()
        if task is None or not lanes.taking:
            _let_go(awaitable)
            raise Revoked(str(self.record.source))
        self.release()
        # It runs in this task, which `interrupt` cancels: a task of its own for each wait would cost more than most
        # of what is waited for.
        self._waiting, self._interrupted = task, False
        lanes.waiting[self] = None
        error: BaseException | None = None
        try:
            result = await (awaitable if inspect.iscoroutine(awaitable) else asyncio.shield(awaitable))
        except BaseException as raised:  # noqa: BLE001 -- raised again below, when the place is taken again
            error = raised
        lanes.waiting.pop(self, None)
        if self._interrupted and task.uncancel() == 0:
            raise Revoked(str(self.record.source))
        if isinstance(error, asyncio.CancelledError):
            raise error
        self._still_ours()
        await lanes.places.take()
        self._holds_place = True
        self._still_ours()
        if error is not None:
            raise error
        return result

    def interrupt(self) -> None:
        """End the wait: the partition is taken away."""
        if self._waiting is not None and not self._interrupted:
            self._interrupted = True
            self._waiting.cancel()

    def _still_ours(self) -> None:
        if not self._lanes.taking or not self._lanes.inbox.is_current(self.record):
            raise Revoked(str(self.record.source))

    async def call(self, effect: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `effect` to its end, starting it only while the lease is good."""
        lanes = self._lanes
        while not lanes.inbox.may_act(self.record):
            if not lanes.inbox.is_current(self.record):
                raise Revoked(str(self.record.source))
            await lanes.sleep(LEASE_RETRY_S)
        # No await between the check above and the first step of the effect. It runs in this task, which nothing
        # cancels, so a revocation lets it come to its end.
        return await effect()


def _let_go(awaitable: Awaitable[object]) -> None:
    """It will not be waited for."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


class _Lane:
    __slots__ = ("begun", "queue")

    def __init__(self) -> None:
        self.begun: Record | None = None
        """The record whose turn it is."""
        self.queue: deque[tuple[Record, float]] = deque()
        """With the time each record was queued at, in monotonic seconds."""


class Lanes:
    """Runs `handler` once per submitted record, in order per key.

    When it returns, the record is finished; when it raises `Revoked`, forgotten; any other error goes to `on_error`,
    and the record stays unfinished. `max_running` bounds handlers at work (those that wait don't count), `max_queued`
    the records that have been submitted and not begun.
    """

    def __init__(
        self,
        handler: Handler,
        inbox: Inbox,
        *,
        max_running: int = 64,
        max_queued: int = 2_000,
        key: Callable[[Record], Hashable] = by_record_key,
        on_error: OnError = end_process,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_running < 1 or max_queued < 1:
            raise ValueError(f"LANES_LIMITS: max_running={max_running} max_queued={max_queued}: at least 1 each")
        self.inbox = inbox
        self.places = _Places(max_running)
        self.sleep = sleep
        self._handler = handler
        self._max_queued = max_queued
        self._key = key
        self._on_error = on_error
        self._now_s = monotonic_s
        self._lanes: dict[Hashable, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._queued = 0
        self._room: list[asyncio.Future[None]] = []
        self.taking = True
        """False from the revocation of partitions until the next generation."""
        self.waiting: dict[LaneTurn, None] = {}
        """The turns that wait; a revocation interrupts them."""

    # -- submitting ----------------------------------------------------------------------------------------------

    async def submit(self, record: Record) -> None:
        """Queue a record behind the others of its key; waits while `max_queued` records are queued.

        A record that is not current any more is forgotten.
        """
        while self.taking and self._queued >= self._max_queued:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._room.append(turn)
            await turn
        if not self.taking or not self.inbox.is_current(record):
            self.inbox.forgotten(record)
            return
        key = self._key(record)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
            task = asyncio.get_running_loop().create_task(self._run(key, lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.queue.append((record, self._now_s()))
        self._queued += 1

    async def _run(self, key: Hashable, lane: _Lane) -> None:
        """The lane's task: lives as long as its queue has records."""
        while lane.queue:
            await self.places.take()
            if not lane.queue:  # revoked while it waited for the place
                self.places.give_back()
                break
            record, _ = lane.queue.popleft()
            self._leave_queue(1)
            turn, lane.begun = LaneTurn(self, record), record
            try:
                if not await self._handle(turn):
                    return  # the lane stays shut: what follows must not overtake a record that failed
                lane.begun = None
            finally:
                turn.release()
        del self._lanes[key]

    async def _handle(self, turn: LaneTurn) -> bool:
        record = turn.record
        if not self.inbox.is_current(record):
            self.inbox.forgotten(record)
            return True
        try:
            await self._handler(turn)
        except Revoked:
            self.inbox.forgotten(record)
        except BaseException as error:  # noqa: BLE001 -- no error may pass unseen, whatever it is
            self._on_error(record, error)
            return False
        else:
            self.inbox.finished(record)
        return True

    def _leave_queue(self, n: int) -> None:
        self._queued -= n
        while self._room and self._queued < self._max_queued:
            turns, self._room = self._room, []
            for turn in turns:
                if not turn.done():
                    turn.set_result(None)

    # -- partitions come and go ----------------------------------------------------------------------------------

    def stop_taking(self) -> None:
        """Partitions are taken away: queued records are forgotten, waits end, calls under way go on to their end."""
        self.taking = False
        for lane in self._lanes.values():
            self._leave_queue(len(lane.queue))
            while lane.queue:
                self.inbox.forgotten(lane.queue.popleft()[0])
        turns, self._room = self._room, []
        for turn in turns:
            if not turn.done():
                turn.set_result(None)
        for waiting in list(self.waiting):
            waiting.interrupt()

    def resume(self) -> None:
        """Records of a new generation come."""
        self.taking = True

    async def drained(self) -> None:
        """Wait until no handler is at work."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    # -- figures -------------------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Records submitted and not begun."""
        return self._queued

    @property
    def running(self) -> int:
        """Handlers at work, those that wait not counted."""
        return self.places.taken

    def begun(self) -> Iterator[Record]:
        """The record of each lane whose turn it is."""
        return (lane.begun for lane in self._lanes.values() if lane.begun is not None)

    def depths(self) -> Iterator[tuple[Hashable, int, float]]:
        """(key, records queued, seconds the oldest of them waits) of every lane that is in use."""
        now_s = self._now_s()
        for key, lane in self._lanes.items():
            oldest_s = now_s - lane.queue[0][1] if lane.queue else 0.0
            yield key, len(lane.queue), oldest_s
