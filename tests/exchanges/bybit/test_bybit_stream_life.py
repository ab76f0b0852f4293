"""How long a connection of the private stream lives, and what comes after it (requirement J07)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from odd_stream import Conversation, OddStream
from stream_hearing import ORDER, QUICK, heard, stream_of, told, updates, welcome_and_stay

from exchanges.bybit.options import StreamTimings
from exchanges.venue import StreamEvent


async def test_it_pings_while_nothing_happens() -> None:
    pings = 0

    async def count(venue: Conversation) -> None:
        nonlocal pings
        await venue.welcome()
        while True:
            await venue.hear("ping")
            pings += 1
            await venue.say({"op": "pong", "args": ["1800000000000"], "conn_id": "c-1"})

    async with OddStream(count) as venue, heard(stream_of(venue)) as until:
        with pytest.raises(TimeoutError):
            await until(lambda events: len(events) > 1, within_s=0.8)
        assert pings >= 4
        assert venue.connections == 1  # pongs are signs of life: it stays although nothing else comes


async def test_a_connection_that_falls_silent_is_given_up() -> None:
    async def mute(venue: Conversation) -> None:
        await venue.welcome()
        await venue.stay()

    async with OddStream(mute) as venue, heard(stream_of(venue)) as until:
        events = await until(lambda events: len([event for event in events if event.connected]) == 2)
    assert [event.connected for event in events] == [True, False, True]
    assert "StreamSilent" in events[1].reason


async def test_a_slow_reader_does_not_take_its_own_delay_for_the_venues_silence() -> None:
    async def talk(venue: Conversation) -> None:
        await venue.welcome()
        await venue.say(told("order", ORDER))
        while True:
            await venue.hear("ping")
            await venue.say({"op": "pong", "args": []})

    async with OddStream(talk) as venue, heard(stream_of(venue)) as until:
        await until(updates)
        await asyncio.sleep(QUICK.silence_s * 1.5)  # the reader's delay is what is tested
        with pytest.raises(TimeoutError):
            await until(lambda events: events[-1].connected is False, within_s=0.3)
        assert venue.connections == 1


async def test_waits_between_attempts_grow_and_stay_bounded() -> None:
    attempts: list[float] = []

    async def hang_up(venue: Conversation) -> None:
        attempts.append(time.monotonic())
        await venue.hang_up()

    async with OddStream(hang_up) as venue, heard(stream_of(venue, jitter=lambda: 1.0)) as until:
        await until(lambda events: len(events) >= 8)
    waits = [after - before for before, after in pairwise(attempts)]
    assert min(waits[-3:]) >= 0.1  # the cap, reached by doubling
    assert min(waits) < 0.1
    assert max(waits) < 2.0


async def test_a_venue_that_cannot_be_reached_is_tried_until_it_is_there() -> None:
    async with OddStream(welcome_and_stay) as gone:
        pass
    async with heard(stream_of(gone)) as until:
        events = await until(lambda events: len(events) >= 3)
    assert {event.connected for event in events} == {False}


async def test_closing_ends_the_iteration_while_it_waits_for_the_next_attempt() -> None:
    async def hang_up(venue: Conversation) -> None:
        await venue.hang_up()

    slow = StreamTimings(backoff_base_s=60, backoff_cap_s=60)
    async with OddStream(hang_up) as venue, asyncio.timeout(5):
        stream = stream_of(venue, stream=slow)
        events = stream.events()
        assert (await anext(events)).connected is False
        rest = asyncio.ensure_future(_count(events))
        await stream.close()
        assert await rest == 0


async def _count(events: AsyncIterator[StreamEvent]) -> int:
    return len([event async for event in events])
