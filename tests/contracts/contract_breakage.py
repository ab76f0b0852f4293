"""What contract workers do to themselves: libraries made slow or broken at a chosen place.

Each function changes a class of aiokafka or Faust in this process, stock Faust's worker and ours alike where both have
that place.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import CorruptRecordException
from aiokafka.producer.sender import Sender
from contract_trace import Trace


def slow_down_requests(before_s: float, after_s: float) -> None:
    """Let every produce request take longer, as with a slow leader: its acknowledgement, or the next request."""
    send = Sender._send_produce_req

    async def slow_send(self: Any, node_id: Any, batches: Any) -> None:
        await asyncio.sleep(before_s)
        await send(self, node_id, batches)
        self._in_flight.add(node_id)
        await asyncio.sleep(after_s)
        self._in_flight.discard(node_id)

    Sender._send_produce_req = slow_send


def note_commits(trace: Trace, inputs: str, kill_at: int | None) -> None:
    """Note every commit that the coordinator accepted. At the `kill_at`-th one of input offsets the process kills
    itself before anything else can happen."""
    commit = GroupCoordinator.commit_offsets
    seen = 0

    async def noted_commit(self: Any, assignment: Any, offsets: Any) -> None:
        nonlocal seen
        await commit(self, assignment, offsets)
        trace.write("COMMIT", *(f"{tp.topic}-{tp.partition}:{at.offset}" for tp, at in offsets.items()))
        seen += any(tp.topic == inputs and at.offset > 0 for tp, at in offsets.items())
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    GroupCoordinator.commit_offsets = noted_commit


def break_polls() -> None:
    """Let our third poll fail as on a damaged batch."""
    from app.transport.group_member import GroupMember  # noqa: PLC0415 -- not in stock Faust's process

    poll, polls = GroupMember.poll, iter(range(1_000_000))

    async def failing_poll(self: Any, wanted: Any, timeout_s: float) -> Any:
        if next(polls) == 2:
            raise CorruptRecordException("crc")
        return await poll(self, wanted, timeout_s)

    GroupMember.poll = failing_poll  # type: ignore[method-assign]


def hold_our_seek(hold_s: float) -> None:
    """Let the end of our recovery linger: after the group's offsets are known, and after the positions are set."""
    from app.transport.group_member import GroupMember  # noqa: PLC0415 -- not in stock Faust's process

    starts, seek = GroupMember.starts, GroupMember.seek_and_resume

    async def slow_starts(self: Any, tps: Any) -> Any:
        found = await starts(self, tps)
        await asyncio.sleep(hold_s)
        return found

    async def slow_seek(self: Any, positions: Any) -> None:
        await seek(self, positions)
        await asyncio.sleep(hold_s)

    GroupMember.starts = slow_starts  # type: ignore[method-assign]
    GroupMember.seek_and_resume = slow_seek  # type: ignore[method-assign]


def hold_stock_seek(hold_s: float) -> None:
    """The same in stock Faust: before and after it sets the positions."""
    from faust.transport.consumer import Consumer  # noqa: PLC0415 -- beside its counterpart

    seek = Consumer.perform_seek

    async def slow_seek(self: Any) -> None:
        await asyncio.sleep(hold_s)
        await seek(self)
        await asyncio.sleep(hold_s)

    Consumer.perform_seek = slow_seek


def slow_down_recovery(hold_s: float, trace: Trace) -> None:
    """Let our recovery linger before it follows the changelogs, and before it is done with each read of them."""
    from app.transport import recovery  # noqa: PLC0415 -- not in stock Faust's process

    read_topics = recovery.read_topics

    async def slow_read(connection: Any, starts: Any, ends: Any, on_records: Any) -> None:
        trace.write("FOLLOWS")
        await asyncio.sleep(hold_s)
        await read_topics(connection, starts, ends, on_records)
        trace.write("FOLLOWED")
        await asyncio.sleep(hold_s)

    recovery.read_topics = slow_read  # type: ignore[assignment]


def hold_consumer_start(hold_s: float, trace: Trace) -> None:
    """Let our group consumer linger before it connects; the producer has connected then."""
    from app.transport.group_member import GroupMember  # noqa: PLC0415 -- not in stock Faust's process

    start = GroupMember.on_start

    async def slow_start(self: Any) -> None:
        trace.write("CONNECTS")
        await asyncio.sleep(hold_s)
        await start(self)

    GroupMember.on_start = slow_start  # type: ignore[method-assign]
