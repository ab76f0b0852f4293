"""A gateway whose clock was ahead for a moment: gaps are filled all the same, and balances shown (requirement J07)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from gateway_room import OPTIONS, Room
from virtual_clock import NS, VirtualClock

from exchanges.venue import StreamEvent
from streams.gap_fill import Position

HOUR_NS = 3_600 * NS


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    """With a gateway that has filled its first gap, and settled."""
    async with Room().at_work() as room:
        yield room


async def test_j07_an_update_heard_while_the_clock_was_ahead_leaves_no_hole_before_the_next_gap(room: Room) -> None:
    heard_ns = room.clock.now_ns()
    await room.wire.say(room.report(ahead_ns=HOUR_NS))
    await room.wire.say(StreamEvent(connected=False, reason="gone"))
    await room.clock.advance(20.0)

    await room.wire.say(StreamEvent(connected=True))

    assert room.venue.since_ns[-1] <= heard_ns - int(OPTIONS.overlap_s * NS)
    assert max(room.topic.complete_until_ns) <= heard_ns


def test_j07_a_figure_from_a_clock_that_was_ahead_is_never_believed_again() -> None:
    clock = VirtualClock()
    position = Position(clock, OPTIONS)
    began_ns = clock.now_ns()
    position.start_at(began_ns - NS)
    position.connection_gained()
    position.filled(1)
    position.settled(1, began_ns + HOUR_NS)

    seen_ns = position.complete_until_ns
    position.connection_lost()
    clock.jump(7_200.0)  # the venue is away for as long
    after_ns = position.complete_until_ns

    assert seen_ns == after_ns == began_ns - int(OPTIONS.look_back_s * NS)


async def test_j07_the_figure_follows_what_is_heard_once_the_clock_is_right_again() -> None:
    clock = VirtualClock()
    position = Position(clock, OPTIONS)
    position.connection_gained()
    position.filled(1)
    position.settled(1, clock.now_ns() + HOUR_NS)
    position.heard(clock.now_ns())

    assert position.complete_until_ns == clock.now_ns()


async def test_a_balance_of_a_clock_that_was_ahead_keeps_no_later_one_away(room: Room) -> None:
    room.venue.coins["USDT"], room.venue.ahead_ns = Decimal(500), HOUR_NS
    await room.clock.advance(6.0)
    ahead = room.shown.balances[-1].available
    room.venue.coins["USDT"], room.venue.ahead_ns = Decimal(100), 0

    await room.clock.advance(7.0)

    assert (ahead, room.shown.balances[-1].available) == (500, 100)


async def test_j07_rest_stands_in_for_a_stream_that_goes_down_after_the_clock_was_ahead(room: Room) -> None:
    room.clock.jump(3_600.0)
    await room.wire.say(StreamEvent(connected=False, reason="gone"))
    room.clock.jump(-3_600.0)
    passes = len(room.venue.since_ns)

    await room.wire.say(StreamEvent(connected=False, reason="still gone"))

    assert len(room.venue.since_ns) > passes
