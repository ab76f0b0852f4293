"""The venue's lists are held for those who share a reading, and no longer."""

from __future__ import annotations

import asyncio

import pytest
from trading_desk import Desk

from domain.errors import NotAccepted
from streams import venue_lists


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Nothing is kept for longer than the loop's next turn."""
    monkeypatch.setattr(venue_lists, "KEPT_S", 0.0)
    return Desk()


async def is_let_go(desk: Desk) -> None:
    async with asyncio.timeout(5):
        while desk.lists._last is not None or desk.lists._failure is not None:  # noqa: ASYNC110 -- no event
            await asyncio.sleep(0)


async def test_y03_lists_that_serve_nobody_any_more_are_let_go(desk: Desk) -> None:
    await desk.recovery.compare(0)

    await is_let_go(desk)


async def test_y03_an_error_that_nobody_waits_for_any_more_is_let_go_with_what_was_read_before_it(desk: Desk) -> None:
    desk.venue.away = NotAccepted("NO_CONNECTION", "the connection never opened")
    with pytest.raises(NotAccepted):
        await desk.recovery.compare(0)

    await is_let_go(desk)


async def test_y03_a_reading_is_not_let_go_for_an_earlier_one(desk: Desk) -> None:
    await desk.recovery.compare(0)
    desk.clock.ns += 60 * 1_000_000_000
    first = desk.lists._last
    await desk.recovery.compare(0)
    second = desk.lists._last

    desk.lists._let_go(first, None)

    assert desk.lists._last is second
