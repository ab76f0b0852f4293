"""Token buckets that follow the venue's own count, with cancels ahead of everything else (requirement X07).

Venues count calls in a rolling window, so a token that was taken comes back one window later and not before: a bucket
that filled evenly would let a burst and its refill into the same window, twice what the venue allows. Whenever a
reply tells what the venue counts, the venue is right. Several workers may share one account: each then has its share
of the tokens, and the count in the replies, which is the account's, keeps them honest.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
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


MARGIN_S = 0.05
"""A window is taken to be so much longer than the venue says: calls sent a window apart may arrive closer together."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `burst` calls in any stretch of `burst` ÷ `per_s` seconds: 10 and 10 is ten in any second."""

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst < 1:
            raise ValueError(f"BAD_RATE: per_s={self.per_s} must be above 0 and burst={self.burst} at least 1")

    @property
    def window_s(self) -> float:
        """How long a call counts."""
        return self.burst / self.per_s


@dataclass(order=True, slots=True)
class _Turn:
    priority: Priority
    number: int
    first: asyncio.Event = field(compare=False, default_factory=asyncio.Event)


class TokenBucket:
    """One counter of the venue. Waiters are served by priority, then in the order of arrival."""

    def __init__(self, ceiling: Rate, clock: Clock) -> None:
        """`ceiling` is what the user allows: the venue's limit counts where it is lower, never where it is higher."""
        self._clock = clock
        self._ceiling = ceiling
        self._rate = ceiling
        self._share = 1.0
        self._returns_at_s: deque[float] = deque()
        self._closed_until_s = 0.0
        self._numbers = itertools.count()
        self._waiting: list[_Turn] = []

    @property
    def waiting(self) -> int:
        """How many calls wait for a token."""
        return len(self._waiting)

    @property
    def tokens(self) -> int:
        """Tokens there are now."""
        now_s = self._clock.monotonic_s()
        while self._returns_at_s and self._returns_at_s[0] <= now_s:
            self._returns_at_s.popleft()
        return max(0, self._capacity - len(self._returns_at_s))

    @property
    def _capacity(self) -> int:
        return max(1, int(self._rate.burst * self._share)) if self._share else 0

    @property
    def _window_s(self) -> float:
        """How long a token stays away; longer where the share is less than one token, so that it is still kept."""
        return self._rate.window_s / min(1.0, self._rate.burst * (self._share or 1.0)) + MARGIN_S

    async def take(self, priority: Priority) -> float:
        """Wait for a token; returns the seconds waited. A waiter that is cancelled takes nothing."""
        began_s = self._clock.monotonic_s()
        if not self._waiting and began_s >= self._closed_until_s and self.tokens:
            self._returns_at_s.append(began_s + self._window_s)  # the usual case: nobody waits, nor need this call
            return 0.0
        waited = False
        turn = _Turn(priority, next(self._numbers))
        heapq.heappush(self._waiting, turn)
        try:
            while (delay_s := self._delay_s(turn)) != 0:
                waited = True
                await self._wait(turn, delay_s)
            self._returns_at_s.append(self._clock.monotonic_s() + self._window_s)
        finally:
            self._leave(turn)
        return self._clock.monotonic_s() - began_s if waited else 0.0

    def take_more(self, wanted: int) -> int:
        """Take up to so many tokens without waiting, after one was waited for; returns how many. Whoever waits
        meanwhile goes first."""
        now_s = self._clock.monotonic_s()
        if self._waiting or now_s < self._closed_until_s:
            return 0
        taken = min(wanted, self.tokens)
        self._returns_at_s.extend([now_s + self._window_s] * taken)
        return taken

    def follow(self, *, limit: int | None, left: int | None) -> None:
        """Adopt what the venue counts: its `limit` per second, and the calls `left` now. Calls that it counts and we
        don't were made by others of the same account; when they leave the window is unknown, so it is a whole one.
        A limit of 0 comes with replies that were not counted, such as those to a bad signature, and says nothing."""
        if limit == 0:
            return
        if limit is not None:
            lower = limit < self._ceiling.per_s
            self._rate = Rate(per_s=limit, burst=limit) if lower else self._ceiling
        if left is not None and (missing := self.tokens - left) > 0:
            self._returns_at_s.extend([self._clock.monotonic_s() + self._window_s] * missing)

    def pause(self, seconds: float) -> None:
        """Let nothing through for so long: the venue said so."""
        until_s = self._clock.monotonic_s() + min(max(0.0, seconds), LONGEST_PAUSE_S)
        self._closed_until_s = max(self._closed_until_s, until_s)

    def set_share(self, share: float) -> None:
        """Use this part of the account's limit: 1 ÷ number of workers. 0: nothing, until there is a share again."""
        self._share = share
        if self._waiting:
            self._waiting[0].first.set()

    def _delay_s(self, turn: _Turn) -> float | None:
        """Seconds until `turn` may go; 0 = now, None = others are ahead, or there is no share."""
        if self._waiting[0] is not turn or not self._share:
            return None
        now_s = self._clock.monotonic_s()
        if self._closed_until_s > now_s:
            return self._closed_until_s - now_s
        if self.tokens:
            return 0
        return self._returns_at_s[len(self._returns_at_s) - self._capacity] - now_s

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
        shares: Mapping[str, float] | None = None,
        on_wait: Callable[[str, float], None] = lambda _group, _seconds: None,
    ) -> None:
        """`shares`: the part of a bucket that processes of our kind may use; all of it where none is named."""
        self._buckets = {name: TokenBucket(rate, clock) for name, rate in rates.items()}
        self._shares = shares or {}
        self._on_wait = on_wait
        self._clock = clock
        self._all_paused_until_s = 0.0
        self.set_workers(1)

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
        seconds = min(seconds, LONGEST_PAUSE_S)
        self._all_paused_until_s = max(self._all_paused_until_s, self._clock.monotonic_s() + seconds)
        for bucket in self._buckets.values():
            bucket.pause(seconds)

    @property
    def all_paused_s(self) -> float:
        """For how long everything is still stopped; 0 where nothing is."""
        return max(0.0, self._all_paused_until_s - self._clock.monotonic_s())

    def set_workers(self, workers: int) -> None:
        """Share the account's limits evenly between so many processes of our kind. 0: nothing is left for this one."""
        for name, bucket in self._buckets.items():
            bucket.set_share(self._shares.get(name, 1.0) / workers if workers else 0.0)
