"""Token buckets that follow the venue's own count, with cancels ahead of everything else (requirement X07).

A bucket is the venue's counter as we believe it to be: it fills at the agreed rate, and whenever a reply tells what
the venue counts, the venue is right. Several workers may share one account: each then runs at its share of the rate,
and the count in the replies, which is the account's, keeps them honest.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from exchanges.clock import Clock

LONGEST_PAUSE_S = 3600.0
"""No reply of a venue may silence us for longer, whatever it says."""


class Priority(IntEnum):
    """Who is served first when several wait. What takes risk away goes before what adds it."""

    CANCEL = 0
    AMEND = 1
    READ = 2
    CREATE = 3


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests per second, and at most `burst` of them at once."""

    per_s: float
    burst: float

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst < 1:
            raise ValueError(f"BAD_RATE: per_s={self.per_s} must be above 0 and burst={self.burst} at least 1")


@dataclass(order=True, slots=True)
class _Turn:
    priority: Priority
    number: int
    first: asyncio.Event = field(compare=False, default_factory=asyncio.Event)


class TokenBucket:
    """One counter of the venue. Waiters are served by priority, then in the order of arrival."""

    def __init__(self, rate: Rate, clock: Clock, *, share: float = 1.0) -> None:
        self._clock = clock
        self._share = share
        self._rate = rate
        self._tokens = self._burst
        self._filled_at_s = clock.monotonic_s()
        self._closed_until_s = 0.0
        self._numbers = itertools.count()
        self._waiting: list[_Turn] = []

    @property
    def waiting(self) -> int:
        """How many calls wait for a token."""
        return len(self._waiting)

    @property
    def tokens(self) -> float:
        """Tokens there are now."""
        self._fill()
        return self._tokens

    @property
    def _burst(self) -> float:
        # A whole token must fit, else a small share of a small limit would never let anything through.
        return max(1.0, self._rate.burst * self._share)

    async def take(self, priority: Priority) -> float:
        """Wait for a token; returns the seconds waited. A waiter that is cancelled takes nothing."""
        started_s = self._clock.monotonic_s()
        turn = _Turn(priority, next(self._numbers))
        heapq.heappush(self._waiting, turn)
        try:
            while (delay_s := self._delay_s(turn)) != 0:
                await self._wait(turn, delay_s)
            self._tokens -= 1
        finally:
            self._leave(turn)
        return self._clock.monotonic_s() - started_s

    def follow(self, *, limit: float | None, left: float | None) -> None:
        """Adopt what the venue counts: its `limit` per second, and the requests `left` now."""
        self._fill()
        if limit is not None and limit >= 1 and limit != self._rate.per_s:
            self._rate = Rate(per_s=limit, burst=limit)
        if left is not None:
            self._tokens = min(self._tokens, max(0.0, left))
        self._tokens = min(self._tokens, self._burst)

    def pause(self, seconds: float) -> None:
        """Let nothing through for so long: the venue said so."""
        until_s = self._clock.monotonic_s() + min(max(0.0, seconds), LONGEST_PAUSE_S)
        self._closed_until_s = max(self._closed_until_s, until_s)

    def set_share(self, share: float) -> None:
        """Use this part of the account's limit: 1 ÷ number of workers."""
        self._fill()
        self._share = share
        self._tokens = min(self._tokens, self._burst)

    def _fill(self) -> None:
        now_s = self._clock.monotonic_s()
        gained = (now_s - self._filled_at_s) * self._rate.per_s * self._share
        self._tokens = min(self._burst, self._tokens + gained)
        self._filled_at_s = now_s

    def _delay_s(self, turn: _Turn) -> float | None:
        """Seconds until `turn` may go; 0 = now, None = others are ahead."""
        if self._waiting[0] is not turn:
            return None
        closed_s = self._closed_until_s - self._clock.monotonic_s()
        if closed_s > 0:
            return closed_s
        self._fill()
        missing = 1 - self._tokens
        # What rounding left missing is no reason to wait: at a billionth of a token the venue cannot tell.
        return 0 if missing <= 1e-9 else missing / (self._rate.per_s * self._share)

    async def _wait(self, turn: _Turn, delay_s: float | None) -> None:
        if delay_s is None:
            turn.first.clear()
            await turn.first.wait()
        else:
            await self._clock.sleep(delay_s)

    def _leave(self, turn: _Turn) -> None:
        self._waiting.remove(turn)
        heapq.heapify(self._waiting)
        if self._waiting:
            self._waiting[0].first.set()


class RateLimiter:
    """The buckets of one account at one venue. A call names the buckets it counts in; all must let it through."""

    def __init__(
        self,
        rates: Mapping[str, Rate],
        clock: Clock,
        *,
        on_wait: Callable[[str, float], None] = lambda _group, _seconds: None,
    ) -> None:
        self._buckets = {name: TokenBucket(rate, clock) for name, rate in rates.items()}
        self._on_wait = on_wait

    def bucket(self, name: str) -> TokenBucket:
        """A bucket by its name. Raises `KeyError` for one that was never declared."""
        return self._buckets[name]

    async def acquire(self, names: tuple[str, ...], priority: Priority) -> float:
        """Take a token from each bucket; returns the seconds waited and tells the hook, under the first name."""
        waited_s = 0.0
        for name in names:
            waited_s += await self._buckets[name].take(priority)
        if waited_s > 0:
            self._on_wait(names[0], waited_s)
        return waited_s

    def pause_all(self, seconds: float) -> None:
        """Stop everything for so long: the venue has banned the address or the account."""
        for bucket in self._buckets.values():
            bucket.pause(seconds)

    def set_workers(self, workers: int) -> None:
        """Share the account's limits evenly between so many workers."""
        for bucket in self._buckets.values():
            bucket.set_share(1 / max(1, workers))
