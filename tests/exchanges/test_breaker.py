"""The circuit breaker: what opens it, what it holds back, and what closes it (requirement X08)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from virtual_clock import VirtualClock

from domain.errors import Duplicate, NotAccepted, RateLimited, Refused, RefusedByAccount, Uncertain, VenueError
from domain.instruments import Instrument
from domain.orders import OrderType, Side, TimeInForce
from domain.updates import Call
from exchanges.breaker import Breaker, BreakerSettings, BreakerState, tells_of_an_unwell_venue
from exchanges.guarded import GuardedTrading
from exchanges.venue import NewOrder

SETTINGS = BreakerSettings(window_s=30, min_calls=4, failure_ratio=0.5, open_s=10)
NO_REPLY = Uncertain("NO_REPLY", "no complete reply within 8 s")


class Venue:
    """Counts the questions of the breaker; answers them unless it is away."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False

    async def probe(self) -> None:
        self.asked += 1
        if self.away:
            raise NotAccepted("NO_CONNECTION", "refused")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def breaker(clock: VirtualClock, venue: Venue) -> Breaker:
    return Breaker(SETTINGS, clock, probe=venue.probe)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(NO_REPLY, create=True)


async def refused(breaker: Breaker) -> bool:
    try:
        await breaker.consent()
    except NotAccepted as error:
        return error.code == "BREAKER_OPEN"
    return False


async def test_it_opens_when_half_of_enough_calls_failed_and_says_why(breaker: Breaker) -> None:
    told: list[tuple[BreakerState, str]] = []
    breaker.on_change = lambda state, why: told.append((state, why))
    for _ in range(2):
        breaker.succeeded(create=True)

    fail(breaker, 1)
    assert not await refused(breaker)
    fail(breaker, 1)

    assert await refused(breaker)
    assert told == [
        (
            BreakerState.OPEN,
            "2 of 4 creates failed within 30 s, the last: NO_REPLY: no complete reply within 8 s",
        )
    ]


async def test_answers_to_questions_do_not_vouch_for_creates(breaker: Breaker) -> None:
    for _ in range(4):
        fail(breaker, 1)
        for _ in range(5):
            breaker.succeeded(create=False)

    assert await refused(breaker)
    assert breaker.why.startswith("4 of 4 creates failed")


async def test_questions_that_fail_open_it_before_a_create_does(breaker: Breaker) -> None:
    breaker.succeeded(create=True)
    for _ in range(3):
        breaker.failed(NO_REPLY, create=False)

    assert await refused(breaker)
    assert breaker.why.startswith("3 of 4 calls failed")


async def test_creates_that_fail_seldom_but_one_after_another_open_it(breaker: Breaker, clock: VirtualClock) -> None:
    for _ in range(4):
        fail(breaker, 1)
        breaker.succeeded(create=False)
        await clock.advance(31)
    assert not await refused(breaker)
    fail(breaker, 1)

    assert await refused(breaker)
    assert breaker.why.startswith("5 creates in a row failed, the last: NO_REPLY")


async def test_a_create_that_is_answered_ends_the_row_of_failures(breaker: Breaker, clock: VirtualClock) -> None:
    for _ in range(3):
        fail(breaker, 3)
        breaker.succeeded(create=True)
        await clock.advance(31)

    assert breaker.state is BreakerState.CLOSED


async def test_a_venue_that_is_well_again_is_told_so_without_an_order(
    breaker: Breaker, clock: VirtualClock, venue: Venue
) -> None:
    watching = asyncio.create_task(breaker.watch())
    fail(breaker, 4)
    venue.away = True
    await clock.advance(25)
    assert breaker.state is BreakerState.OPEN
    assert breaker.unwell

    venue.away = False
    await clock.advance(10)
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.unwell, "no trial may have failed for as long again"
    await clock.advance(10)

    assert not breaker.unwell
    assert not await refused(breaker), "the next order is the trial"
    fail(breaker, 1)
    assert breaker.unwell
    watching.cancel()


async def test_a_venue_that_only_answers_questions_is_not_called_well_between_orders(
    breaker: Breaker, clock: VirtualClock
) -> None:
    watching = asyncio.create_task(breaker.watch())
    fail(breaker, 4)
    was_well = []
    for _ in range(10):  # an order every 100 s
        await clock.advance(100)
        was_well.append(not breaker.unwell)
        await breaker.consent()
        fail(breaker, 1)

    assert was_well == [True] * 4 + [False] * 6
    watching.cancel()


async def test_one_that_waits_for_an_order_opens_again_when_questions_fail(
    breaker: Breaker, clock: VirtualClock, venue: Venue
) -> None:
    watching = asyncio.create_task(breaker.watch())
    fail(breaker, 4)
    await clock.advance(30)
    assert not breaker.unwell
    venue.away = True
    for _ in range(4):
        breaker.failed(NO_REPLY, create=False)

    assert breaker.state is BreakerState.OPEN
    watching.cancel()


async def test_one_question_at_a_time_and_none_undoes_what_a_create_has_shown(clock: VirtualClock) -> None:
    answer = asyncio.Event()
    asked = 0

    async def slow() -> None:
        nonlocal asked
        asked += 1
        await answer.wait()

    breaker = Breaker(SETTINGS, clock, probe=slow)
    fail(breaker, 4)
    await clock.advance(10)
    first = asyncio.create_task(breaker.consent())
    await clock.advance(20)
    assert await refused(breaker), "one asks already"
    answer.set()
    await first

    assert asked == 1
    assert breaker.state is BreakerState.HALF_OPEN


async def test_a_few_failures_among_few_calls_conclude_nothing(breaker: Breaker) -> None:
    fail(breaker, 3)

    assert not await refused(breaker)


async def test_failures_that_have_left_the_window_do_not_count(breaker: Breaker, clock: VirtualClock) -> None:
    fail(breaker, 3)
    await clock.advance(31)
    fail(breaker, 1)

    assert breaker.state is BreakerState.CLOSED


async def test_after_its_time_it_asks_first_and_lets_one_create_through(
    breaker: Breaker, clock: VirtualClock, venue: Venue
) -> None:
    fail(breaker, 4)
    await clock.advance(9.9)
    assert await refused(breaker)
    assert venue.asked == 0
    await clock.advance(0.2)

    assert not await refused(breaker)

    assert venue.asked == 1
    assert breaker.state is BreakerState.HALF_OPEN
    assert await refused(breaker), "a second create went out before the first was answered"


async def test_an_answered_trial_closes_it(breaker: Breaker, clock: VirtualClock) -> None:
    fail(breaker, 4)
    await clock.advance(10)
    await breaker.consent()

    breaker.succeeded(create=False)
    assert breaker.state is BreakerState.HALF_OPEN, "a question is no trial of orders"
    breaker.succeeded(create=True)

    assert breaker.state is BreakerState.CLOSED
    assert not await refused(breaker)


async def test_a_failed_trial_opens_it_again(breaker: Breaker, clock: VirtualClock) -> None:
    fail(breaker, 4)
    await clock.advance(10)
    await breaker.consent()

    breaker.failed(NO_REPLY, create=True)

    assert breaker.state is BreakerState.OPEN
    assert await refused(breaker)


async def test_a_question_without_an_answer_keeps_it_open(breaker: Breaker, clock: VirtualClock, venue: Venue) -> None:
    fail(breaker, 4)
    venue.away = True
    await clock.advance(10)

    assert await refused(breaker)
    assert await refused(breaker)

    assert venue.asked == 1
    assert "NO_CONNECTION" in breaker.why


async def test_a_trial_that_was_never_sent_does_not_hold_the_others_for_ever(
    breaker: Breaker, clock: VirtualClock
) -> None:
    fail(breaker, 4)
    await clock.advance(10)
    await breaker.consent()

    await clock.advance(10)

    assert not await refused(breaker)


@pytest.mark.parametrize(
    ("error", "unwell"),
    [
        (NO_REPLY, True),
        (NotAccepted("NO_CONNECTION", "refused"), True),
        (RefusedByAccount("ACCOUNT", "the key is not known"), True),
        (RateLimited("THROTTLED", "too many visits"), False),
        (NotAccepted("CLOCK_SKEW", "10002"), False),
        (Refused("FUNDS", "not enough"), False),
        (Duplicate("DUPLICATE", "seen"), False),
    ],
)
def test_what_tells_of_an_unwell_venue(error: VenueError, unwell: bool) -> None:
    assert tells_of_an_unwell_venue(error) is unwell


async def test_a_trial_of_which_nothing_was_sent_is_given_to_the_next(breaker: Breaker, clock: VirtualClock) -> None:
    fail(breaker, 4)
    await clock.advance(10)
    await breaker.consent()
    breaker.handed_over()  # and its order has expired

    assert await refused(breaker)
    await clock.advance(1)
    await breaker.consent()
    breaker.handed_over()
    breaker.began()
    await clock.advance(1)
    assert await refused(breaker), "this one is on its way"
    breaker.succeeded(create=True)

    assert breaker.state is BreakerState.CLOSED


# -- batches (requirement X03) ---------------------------------------------------------------------------------------

BTC = Instrument("paper", "linear", "BTCUSDT")
ORDER = NewOrder(BTC, "om1", Side.BUY, OrderType.LIMIT, Decimal(1), Decimal(100), TimeInForce.GTC)


class BatchVenue:
    """Takes batches only, and answers them as told."""

    def __init__(self) -> None:
        self.outcomes: list[str | VenueError] = ["v1", "v2"]

    async def admit(self, call: Call, wanted: int = 1) -> int:
        return wanted

    async def create_batch(self, orders: Sequence[NewOrder]) -> Sequence[str | VenueError]:
        return self.outcomes


def behind(breaker: Breaker, venue: BatchVenue) -> GuardedTrading:
    trading: Any = venue
    return GuardedTrading(trading, breaker)


async def test_x08_a_batch_that_failed_as_a_whole_is_one_failure(breaker: Breaker) -> None:
    venue = BatchVenue()
    trading = behind(breaker, venue)
    venue.outcomes = [NO_REPLY] * 4

    for _ in range(3):
        await trading.create_batch([ORDER] * 4)
    assert breaker.state is BreakerState.CLOSED
    await trading.create_batch([ORDER] * 4)

    assert breaker.state is BreakerState.OPEN


async def test_x08_one_healthy_answer_in_a_batch_is_a_healthy_answer(breaker: Breaker) -> None:
    venue = BatchVenue()
    trading = behind(breaker, venue)
    venue.outcomes = [NO_REPLY, Refused("FUNDS", "not enough")]

    for _ in range(8):
        await trading.create_batch([ORDER, ORDER])

    assert breaker.state is BreakerState.CLOSED


async def test_x08_the_trial_is_one_order_not_a_batch(breaker: Breaker, clock: VirtualClock) -> None:
    trading = behind(breaker, BatchVenue())
    assert await trading.admit(Call.CREATE, 5) == 5
    fail(breaker, 4)
    await clock.advance(10)

    assert await trading.admit(Call.CREATE, 5) == 1
    assert await trading.admit(Call.CANCEL, 5) == 5


async def test_x08_an_open_breaker_holds_amendments_back_and_the_trial_is_left_to_creates(
    breaker: Breaker, clock: VirtualClock
) -> None:
    trading = behind(breaker, BatchVenue())
    fail(breaker, 4)

    with pytest.raises(NotAccepted, match="BREAKER_OPEN"):
        await trading.admit(Call.AMEND)
    await clock.advance(10)
    assert await trading.admit(Call.CREATE) == 1
    assert await trading.admit(Call.AMEND) == 1, "half open: a question was answered"
