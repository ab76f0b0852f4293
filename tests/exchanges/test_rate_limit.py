"""Token buckets: their rate, their order of service, and that the venue's count wins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from random import Random

import pytest
from virtual_clock import VirtualClock, settle

from exchanges.rate_limit import MARGIN_S, Priority, Rate, RateLimiter, TokenBucket

CREATE, CANCEL = Priority.CREATE, Priority.CANCEL


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@asynccontextmanager
async def waiting(*calls: Awaitable[float]) -> AsyncIterator[list[asyncio.Future[float]]]:
    tasks = [asyncio.ensure_future(call) for call in calls]
    await settle()
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def done(tasks: list[asyncio.Future[float]]) -> int:
    return sum(task.done() for task in tasks)


async def test_a_burst_passes_at_once_and_the_next_when_it_has_left_the_window(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=10), clock)
    async with waiting(*(bucket.take(CREATE) for _ in range(25))) as calls:
        assert done(calls) == 10
        await clock.advance(1.0)
        assert done(calls) == 10
        await clock.advance(MARGIN_S)
        assert done(calls) == 20
        await clock.advance(1.0 + MARGIN_S)
        assert done(calls) == 25


async def test_no_window_ever_holds_more_calls_than_the_rate(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=10), clock)
    served_at_s: list[float] = []
    random = Random(7)  # noqa: S311 -- repeatable by intent

    async def call() -> float:
        waited_s = await bucket.take(random.choice(list(Priority)))
        served_at_s.append(clock.monotonic_s())
        return waited_s

    async with waiting(*(call() for _ in range(5))):
        for _ in range(60):
            async with waiting(*(call() for _ in range(random.randrange(6)))):
                await clock.advance(random.random() / 2)
    for begin_s in served_at_s:
        assert sum(begin_s <= at_s < begin_s + 1.0 for at_s in served_at_s) <= 10


async def test_a_waiter_learns_how_long_it_waited(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=2, burst=1), clock)
    async with waiting(bucket.take(CREATE), bucket.take(CREATE)) as calls:
        await clock.advance(5)
        assert [await call for call in calls] == [0.0, 0.5 + MARGIN_S]


async def test_cancels_are_served_before_creates_that_came_earlier(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=1, burst=1), clock)
    await bucket.take(CREATE)
    served: list[str] = []

    async def call(name: str, priority: Priority) -> float:
        waited_s = await bucket.take(priority)
        served.append(name)
        return waited_s

    creates = [call(f"create {number}", CREATE) for number in range(3)]
    async with waiting(*creates, call("cancel", CANCEL), call("amend", Priority.AMEND)):
        await clock.advance(6)
    assert served == ["cancel", "amend", "create 0", "create 1", "create 2"]


async def test_a_cancel_that_comes_while_a_create_waits_for_its_token_takes_that_token(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=1, burst=1), clock)
    await bucket.take(CREATE)
    async with waiting(bucket.take(CREATE)) as creates:
        await clock.advance(0.9)
        async with waiting(bucket.take(CANCEL)) as cancels:
            await clock.advance(0.2)
            assert (done(cancels), done(creates)) == (1, 0)
            await clock.advance(1.1)
            assert done(creates) == 1


async def test_equals_are_served_in_the_order_of_arrival(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=1), clock)
    served: list[int] = []

    async def call(number: int) -> float:
        waited_s = await bucket.take(CREATE)
        served.append(number)
        return waited_s

    async with waiting(*(call(number) for number in range(20))):
        await clock.advance(4)
    assert served == list(range(20))


async def test_a_waiter_that_gives_up_takes_no_token_and_holds_up_nobody(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=1, burst=1), clock)
    await bucket.take(CREATE)
    async with waiting(bucket.take(CREATE), bucket.take(CREATE)) as calls:
        calls[0].cancel()
        await clock.advance(1.1)
        assert calls[1].done()
        assert not calls[1].cancelled()
    assert bucket.waiting == 0


async def test_the_venues_count_of_what_is_left_wins(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=10), clock)
    bucket.follow(limit=None, left=2)
    async with waiting(*(bucket.take(CREATE) for _ in range(5))) as calls:
        assert done(calls) == 2


async def test_a_late_reply_with_a_higher_count_gives_nothing_back(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=10), clock)
    bucket.follow(limit=None, left=2)
    bucket.follow(limit=None, left=9)
    assert bucket.tokens == 2


async def test_a_lower_limit_of_the_venue_is_adopted_and_given_up_with_it(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=10), clock)
    bucket.follow(limit=4, left=4)
    assert bucket.tokens == 4
    bucket.follow(limit=10, left=10)
    await clock.advance(2)
    assert bucket.tokens == 10


async def test_a_higher_limit_of_the_venue_does_not_lift_what_the_user_allows(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=2, burst=2), clock)
    bucket.follow(limit=20, left=20)
    assert bucket.tokens == 2


async def test_a_limit_of_nothing_says_nothing(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=10), clock)
    bucket.follow(limit=0, left=0)
    assert bucket.tokens == 10


async def test_calls_that_others_of_the_account_made_leave_after_a_window(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=10), clock)
    bucket.follow(limit=10, left=4)
    assert bucket.tokens == 4
    await clock.advance(1 + MARGIN_S)
    assert bucket.tokens == 10


async def test_a_pause_holds_everybody_cancels_included(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=10), clock)
    bucket.pause(2)
    async with waiting(bucket.take(CANCEL), bucket.take(CREATE)) as calls:
        await clock.advance(1.9)
        assert done(calls) == 0
        await clock.advance(0.2)
        assert done(calls) == 2


async def test_a_pause_given_while_somebody_waits_holds_him_too(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=1, burst=1), clock)
    await bucket.take(CREATE)
    async with waiting(bucket.take(CREATE)) as calls:
        bucket.pause(5)
        await clock.advance(4.9)
        assert done(calls) == 0
        await clock.advance(0.2)
        assert done(calls) == 1


async def test_a_shorter_pause_does_not_shorten_a_longer_one(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=10, burst=10), clock)
    bucket.pause(5)
    bucket.pause(1)
    async with waiting(bucket.take(CREATE)) as calls:
        await clock.advance(4.9)
        assert done(calls) == 0


async def test_workers_that_share_an_account_keep_its_limit_together(clock: VirtualClock) -> None:
    buckets = [TokenBucket(Rate(per_s=12, burst=12), clock) for _ in range(3)]
    for bucket in buckets:
        bucket.set_share(1 / 3)
    async with waiting(*(bucket.take(CREATE) for bucket in buckets for _ in range(50))) as calls:
        assert done(calls) == 12
        await clock.advance(2 * (1 + MARGIN_S))
        assert done(calls) == 12 + 24


async def test_a_share_smaller_than_one_token_is_one_token_less_often(clock: VirtualClock) -> None:
    bucket = TokenBucket(Rate(per_s=1, burst=1), clock)
    bucket.set_share(1 / 4)
    async with waiting(*(bucket.take(CREATE) for _ in range(3))) as calls:
        await clock.advance(3.9)
        assert done(calls) == 1
        await clock.advance(4.3)
        assert done(calls) == 3


async def test_a_call_counts_in_each_of_its_buckets(clock: VirtualClock) -> None:
    waits: list[tuple[str, float]] = []
    limiter = RateLimiter(
        {"create": Rate(per_s=100, burst=100), "address": Rate(per_s=2, burst=2)},
        clock,
        on_wait=lambda group, seconds: waits.append((group, seconds)),
    )
    async with waiting(*(limiter.acquire(("create", "address"), CREATE) for _ in range(3))) as calls:
        assert done(calls) == 2
        await clock.advance(1.1)
        assert done(calls) == 3
    assert waits == [("create", 1 + MARGIN_S)]


async def test_x07_a_kind_of_process_keeps_to_its_part_of_a_bucket_however_many_there_are(clock: VirtualClock) -> None:
    limiter = RateLimiter({"query": Rate(per_s=50, burst=50), "create": Rate(10, 10)}, clock, shares={"query": 0.5})
    assert (limiter.bucket("query").tokens, limiter.bucket("create").tokens) == (25, 10)

    limiter.set_workers(5)

    assert (limiter.bucket("query").tokens, limiter.bucket("create").tokens) == (5, 2)


async def test_in_a_shared_bucket_cancels_pass_before_queued_creates(clock: VirtualClock) -> None:
    limiter = RateLimiter({"create": Rate(10, 10), "cancel": Rate(10, 10), "address": Rate(per_s=1, burst=1)}, clock)
    await limiter.acquire(("address",), Priority.READ)
    creates = [limiter.acquire(("create", "address"), CREATE) for _ in range(5)]
    async with waiting(*creates, limiter.acquire(("cancel", "address"), CANCEL)) as calls:
        await clock.advance(1.1)
        assert [call.done() for call in calls] == [False] * 5 + [True]


async def test_a_ban_silences_every_bucket(clock: VirtualClock) -> None:
    limiter = RateLimiter({"create": Rate(10, 10), "query": Rate(10, 10)}, clock)
    limiter.pause_all(600)
    async with waiting(limiter.acquire(("create",), CREATE), limiter.acquire(("query",), Priority.READ)) as calls:
        await clock.advance(599)
        assert done(calls) == 0
        await clock.advance(2)
        assert done(calls) == 2


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (-1, 1), (10, 0)])
def test_a_rate_that_could_never_let_anything_through_is_refused(per_s: float, burst: int) -> None:
    with pytest.raises(ValueError, match="BAD_RATE"):
        Rate(per_s, burst)


async def test_who_has_no_share_waits_until_there_is_one(clock: VirtualClock) -> None:
    limiter = RateLimiter({"create": Rate(10, 10)}, clock)
    limiter.set_workers(0)

    async with waiting(limiter.acquire(("create",), CREATE), limiter.acquire(("create",), CANCEL)) as calls:
        await clock.advance(60.0)
        assert not any(call.done() for call in calls)
        limiter.set_workers(2)
        await clock.advance(0.1)

        assert all(call.done() for call in calls)
    assert limiter.bucket("create").tokens == 3
