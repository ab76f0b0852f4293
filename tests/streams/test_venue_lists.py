"""The venue's lists: how far back they go, and for how long they are held."""

from __future__ import annotations

import asyncio

import pytest
from listed_orders import at_venue
from quiet_venue import SECOND
from trading_desk import Desk, report

from domain.errors import NotAccepted
from streams import venue_lists
from streams.venue_lists import CLOSED_S, OVERLAP_S


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


async def closed_since_s(desk: Desk) -> float:
    """How long ago the placements are whose ends a comparison lists."""
    now_ns = desk.clock.now_ns()
    await desk.recovery.compare(0)
    return (now_ns - desk.venue.closed_since_ns[-1]) / SECOND


async def test_y03_ends_are_listed_since_the_oldest_order_that_goes_on_here_and_not_there() -> None:
    desk = Desk()
    desk.venue.listed = [report(at_venue(desk, "om1", age_s=900.0))]
    at_venue(desk, "om2", age_s=300.0)
    at_venue(desk, "om3", age_s=200.0)

    assert await closed_since_s(desk) == 300.0 + OVERLAP_S


async def test_y03_ends_are_listed_since_the_last_reading_that_came_to_its_end() -> None:
    desk = Desk()
    assert await closed_since_s(desk) == OVERLAP_S

    desk.clock.ns += 300 * SECOND
    desk.venue.away = NotAccepted("NO_CONNECTION", "the connection never opened")
    with pytest.raises(NotAccepted):
        await desk.recovery.compare(0)
    desk.venue.away = None
    desk.clock.ns += 100 * SECOND

    assert await closed_since_s(desk) == 400.0 + OVERLAP_S


async def test_y03_an_order_in_doubt_is_none_of_those_without_an_id_of_their_own() -> None:
    desk = Desk()
    by_hand = at_venue(desk, "om1", age_s=900.0)
    desk.venue.listed = [report(by_hand, client_order_id="")]
    desk.intend("om2", age_s=300.0)

    assert await closed_since_s(desk) == 300.0 + OVERLAP_S


async def test_y03_a_last_reading_by_a_clock_that_was_ahead_shortens_no_list(desk: Desk) -> None:
    await closed_since_s(desk)
    await is_let_go(desk)
    desk.clock.ns -= 600 * SECOND

    assert await closed_since_s(desk) == OVERLAP_S


async def test_y03_ends_of_more_than_an_hour_ago_are_not_listed() -> None:
    desk = Desk()
    at_venue(desk, age_s=100_000.0)

    assert await closed_since_s(desk) == CLOSED_S
