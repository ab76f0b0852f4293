"""When a gap counts as filled: once the broker has what REST told of it (requirement J07)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quiet_venue import NOW, QuietVenue
from table_cases import fill
from virtual_clock import VirtualClock, settle

from domain.updates import Update
from streams.gap_fill import GapFill, Position
from streams.gateway import GatewayOptions
from streams.in_flight import InFlight

OPTIONS = GatewayOptions(settle_s=15.0)


class Room:
    """Gap fills before a broker that acknowledges when a test lets it."""

    def __init__(self) -> None:
        self.clock, self.venue = VirtualClock(), QuietVenue()
        self.position = Position(self.clock, OPTIONS)
        self.published: list[Update] = []
        self.broker = asyncio.Event()
        self.in_flight = InFlight(limit=10)
        trading: Any = self.venue  # what is asked here it has
        self.gap_fill = GapFill(trading, self.position, OPTIONS, self.clock, self._publish, self.in_flight.after_all)

    async def _publish(self, update: Update) -> None:
        async def hand_over() -> asyncio.Future[object]:
            self.published.append(update)
            return asyncio.ensure_future(self.broker.wait())

        await self.in_flight.send(hand_over)

    async def connect(self) -> None:
        self.position.connection_gained()
        self.gap_fill.wanted()
        await settle()


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    """One execution was missed."""
    room = Room()
    room.venue.executed = [fill("e1")]
    running = [asyncio.create_task(work()) for work in (room.gap_fill.run, room.in_flight.acknowledge)]
    yield room
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_j07_a_gap_is_filled_when_the_broker_has_what_was_missed(room: Room) -> None:
    await room.connect()
    published, filled_before = len(room.published), room.position.gap_filled

    room.broker.set()
    await settle()

    assert (published, filled_before, room.position.gap_filled) == (1, False, True)


async def test_j07_the_history_is_asked_again_so_long_after_the_gap_was_filled_and_not_before(room: Room) -> None:
    await room.connect()
    await room.clock.advance(OPTIONS.settle_s * 2)
    while_unacknowledged = room.venue.readings

    room.broker.set()
    await room.clock.advance(OPTIONS.settle_s * 2)

    assert (while_unacknowledged, room.venue.readings) == (1, 2)
    assert room.position.complete_until_ns > 0


async def test_j07_while_the_broker_is_away_a_connection_that_changes_is_asked_for_again(room: Room) -> None:
    await room.connect()
    room.position.connection_lost()
    room.venue.executed.append(fill("e2", executed_ns=NOW + 1))

    await room.connect()
    published, filled_before = len(room.published), room.position.gap_filled
    room.broker.set()
    await settle()

    assert (published, filled_before, room.position.gap_filled) == (2, False, True)


async def test_j07_what_is_acknowledged_after_the_connection_went_fills_no_gap_of_the_next_one(room: Room) -> None:
    await room.connect()
    room.position.connection_lost()
    room.position.connection_gained()

    room.broker.set()
    await settle()

    assert not room.position.gap_filled
