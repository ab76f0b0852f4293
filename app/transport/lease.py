"""How long this process may believe that its partitions are still its own.

The group's coordinator gives a member's partitions away once it has not heard of it for the session time-out. A member
that was paused (stopped, swapped out, suspended with its machine) wakes up and doesn't know. Its generation and flow
control still look fine until its next heartbeat is refused; the time since its last accepted one does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable

NS_PER_S = 1_000_000_000

_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Runs on while the machine sleeps, which the monotonic clock of Linux does not."""


def boottime_ns() -> int:
    """Nanoseconds since the machine started, time asleep included."""
    return time.clock_gettime_ns(_CLOCK_ID)


class Lease:
    """Good from the sending of an accepted heartbeat until `session_timeout_s - margin_s` later.

    The coordinator starts its own count when it receives the heartbeat, so counting from the sending errs on the safe
    side. `margin_s` covers the time from the check to the first byte on the wire.
    """

    __slots__ = ("_good_for_ns", "_listener", "_now_ns", "_sent_at_ns", "_session_ns")

    def __init__(self, session_timeout_s: float, margin_s: float, now_ns: Callable[[], int] = boottime_ns) -> None:
        if not 0 <= margin_s < session_timeout_s:
            raise ValueError(f"LEASE_MARGIN: {margin_s} s is not within the session time-out, {session_timeout_s} s")
        self._now_ns = now_ns
        self._session_ns = int(session_timeout_s * NS_PER_S)
        self._good_for_ns = self._session_ns - int(margin_s * NS_PER_S)
        self._sent_at_ns: int | None = None
        self._listener: Callable[[], None] | None = None

    def now_ns(self) -> int:
        """The lease's own clock, to be read before a heartbeat is sent."""
        return self._now_ns()

    def on_regained(self, listener: Callable[[], None]) -> None:
        """`listener` is called when a lapsed lease is good again."""
        self._listener = listener

    def renew(self, sent_at_ns: int) -> None:
        """The coordinator accepted the heartbeat (or joining) that was sent at `sent_at_ns`."""
        was_good = self.good()
        if self._sent_at_ns is None or sent_at_ns > self._sent_at_ns:
            self._sent_at_ns = sent_at_ns
        if not was_good and self._listener is not None and self.good():
            self._listener()

    def good(self) -> bool:
        """Whether nobody else can have been given our partitions."""
        return self._sent_at_ns is not None and self._now_ns() - self._sent_at_ns < self._good_for_ns

    def age_s(self) -> float | None:
        """Seconds since the last accepted heartbeat was sent; None before the first."""
        return None if self._sent_at_ns is None else (self._now_ns() - self._sent_at_ns) / NS_PER_S
