"""A circuit breaker for one venue: while it looks unwell, nothing new is sent to it (requirement X08).

    closed ── too many of the window's calls failed ──► open ── after a while, and a question answered ──► half open
       ▲                                                 ▲                                                  │
       └────────────── one create was answered ──────────┼──────────────────────────────────────────────────┤
                                                         └─────────────────── it failed ────────────────────┘

Creates are judged by themselves, and all calls together: each create that failed is followed by questions after its
order, and their answers don't vouch for a venue that takes no orders. A few symbols make few creates, as an order in
doubt holds its symbol back: so many that failed in a row open it too, however long they took.

A failure is an answer that tells of an unwell venue: an unknown outcome, a connection that never opened, keys that are
refused. A refusal of an order, or a rate limit, is a healthy answer. Cancels and questions are never held back: they
take risk away; amendments are, while it is open, as ours add to orders. Half open lets one create through, after a
harmless question; with real money at stake, nothing else should find out whether the venue is back. The question is
asked though nobody wants to create anything (`watch`): one that is answered, and no trial that fails for as long again
(twice as long after each that did), and the venue is no longer called unwell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from domain.errors import NotAccepted, RateLimited, RefusedByAccount, Uncertain, VenueError
from exchanges.clock import Clock

OPEN_CODE = "BREAKER_OPEN"

_HEALTHY_CODES = frozenset({"CLOCK_SKEW", "NO_QUOTE", "CLOSED", OPEN_CODE})
"""Codes of `NotAccepted` that say nothing about the venue's health."""


_UNUSED_S = 1.0
"""A trial of which nothing was sent by then is given to somebody else."""

_MOST_DOUBLED = 6
"""So often the time without a failed trial is doubled."""


class BreakerState(IntEnum):
    """The numbers are those of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """It opens when, of at least `min_calls` within `window_s` seconds, `failure_ratio` or more failed, of creates or
    of calls of all kinds, or when `creates_in_a_row` failed one after another, and stays open for `open_s` seconds."""

    window_s: float = 30.0
    min_calls: int = 10
    failure_ratio: float = 0.5
    creates_in_a_row: int = 5
    open_s: float = 10.0


def tells_of_an_unwell_venue(error: VenueError) -> bool:
    """Whether an error is the venue's, or the way's, and not the order's."""
    if isinstance(error, RateLimited) or error.code in _HEALTHY_CODES:
        return False
    return isinstance(error, Uncertain | NotAccepted | RefusedByAccount)


class _Window:
    """How the calls of some kind ended within the last seconds."""

    def __init__(self, what: str, settings: BreakerSettings) -> None:
        self._what = what
        self._settings = settings
        self._answers: deque[tuple[float, bool]] = deque()

    def count(self, now_s: float, *, failed: bool) -> None:
        """One more call ended."""
        self._answers.append((now_s, failed))
        while self._answers[0][0] < now_s - self._settings.window_s:
            self._answers.popleft()

    def clear(self) -> None:
        """What was counted says nothing any more."""
        self._answers.clear()

    @property
    def too_many(self) -> str:
        """The figures, once too many failed; else empty."""
        calls = len(self._answers)
        failures = sum(failed for _, failed in self._answers)
        if calls < self._settings.min_calls or failures < calls * self._settings.failure_ratio:
            return ""
        return f"{failures} of {calls} {self._what} failed within {self._settings.window_s:g} s"


class Breaker:
    """Counts answers and gives, or refuses, its consent to creates. `probe` asks the venue something harmless;
    `on_change` is told (state, why)."""

    def __init__(
        self,
        settings: BreakerSettings,
        clock: Clock,
        *,
        probe: Callable[[], Awaitable[object]],
        on_change: Callable[[BreakerState, str], None] = lambda _state, _why: None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._probe = probe
        self.on_change = on_change
        self._state = BreakerState.CLOSED
        self._why = ""
        self._creates = _Window("creates", settings)
        self._calls = _Window("calls", settings)
        self._in_a_row = 0
        """Creates that failed since one was answered."""
        self._not_before_s = 0.0
        """When open: no probe earlier. When half open: the trial counts as lost from then on."""
        self._changed_s = 0.0
        self._failed_trials = 0
        """Since a create was answered."""
        self._probing = False

    @property
    def state(self) -> BreakerState:
        """As it stands."""
        return self._state

    @property
    def why(self) -> str:
        """What opened it; empty when closed."""
        return self._why

    @property
    def unwell(self) -> bool:
        """Whether somebody should know. Half open is not, once no trial has failed for `open_s`: it awaits an order.
        After each that did it takes twice as long, so that one that only answers questions is not well now and then.
        """
        if self._state is BreakerState.HALF_OPEN:
            quiet_s = self._settings.open_s * (1 << min(self._failed_trials, _MOST_DOUBLED))
            return self._clock.monotonic_s() - self._changed_s < quiet_s
        return self._state is BreakerState.OPEN

    async def watch(self) -> None:
        """Ask an open breaker's venue from time to time, until cancelled; the trial is left to the next order."""
        while True:
            await self._clock.sleep(self._settings.open_s)
            if self._state is BreakerState.OPEN and self._clock.monotonic_s() >= self._not_before_s:
                with suppress(NotAccepted):
                    await self.consent()
                    self._not_before_s = self._clock.monotonic_s()

    async def consent(self) -> None:
        """Return when one create may be sent now. Raises `NotAccepted` (`BREAKER_OPEN`) when it may not."""
        if self._state is BreakerState.CLOSED:
            return
        now_s = self._clock.monotonic_s()
        if self._probing or now_s < self._not_before_s:
            raise self.refusal()
        # This caller has the trial; whoever asks meanwhile is refused.
        self._not_before_s = now_s + self._settings.open_s
        self._probing = True
        try:
            await self._probe()
        except VenueError as error:
            if self.state is BreakerState.CLOSED:  # a create was answered meanwhile, which says more
                return
            self._open(f"still unwell: {error}")
            raise self.refusal() from error
        finally:
            self._probing = False
        if self.state is BreakerState.OPEN:
            self._forget()  # what failed before says nothing of how it is now
            self._change(BreakerState.HALF_OPEN, self._why)

    def refusal(self) -> NotAccepted:
        """What whoever must not send now is told."""
        return NotAccepted(OPEN_CODE, f"nothing is sent while the venue looks unwell: {self._why}")

    def handed_over(self) -> None:
        """Who has the consent may send now. If nothing is sent at once, because the order has expired, say, the trial
        is free for the next."""
        if self._state is BreakerState.HALF_OPEN:
            self._not_before_s = self._clock.monotonic_s() + _UNUSED_S

    def began(self) -> None:
        """A create is on its way."""
        if self._state is BreakerState.HALF_OPEN:
            self._not_before_s = self._clock.monotonic_s() + self._settings.open_s

    def succeeded(self, *, create: bool) -> None:
        """A call was answered as a healthy venue answers."""
        if create:
            self._in_a_row = self._failed_trials = 0
        if create and self._state is BreakerState.HALF_OPEN:
            self._forget()
            self._change(BreakerState.CLOSED, "")
        self._count(create=create, failed=False)

    def failed(self, error: VenueError, *, create: bool) -> None:
        """A call ended with an error that tells of an unwell venue."""
        windows = self._count(create=create, failed=True)
        self._in_a_row += create
        if self._state is BreakerState.HALF_OPEN and create:
            self._failed_trials += 1
            self._open(f"the trial failed: {error}")
        elif self._state is not BreakerState.OPEN:  # half open, it may wait for an order for long
            too_many = next(filter(None, (window.too_many for window in windows)), "")
            if not too_many and self._in_a_row >= self._settings.creates_in_a_row:
                too_many = f"{self._in_a_row} creates in a row failed"
            if too_many:
                self._open(f"{too_many}, the last: {error}")

    def _count(self, *, create: bool, failed: bool) -> Sequence[_Window]:
        windows = (self._creates, self._calls) if create else (self._calls,)
        for window in windows:
            window.count(self._clock.monotonic_s(), failed=failed)
        return windows

    def _forget(self) -> None:
        self._in_a_row = 0
        self._creates.clear()
        self._calls.clear()

    def _open(self, why: str) -> None:
        self._not_before_s = self._clock.monotonic_s() + self._settings.open_s
        self._forget()
        self._change(BreakerState.OPEN, why)

    def _change(self, state: BreakerState, why: str) -> None:
        changed = state is not self._state
        self._state, self._why = state, why
        if changed:
            self._changed_s = self._clock.monotonic_s()
            self.on_change(state, why)
