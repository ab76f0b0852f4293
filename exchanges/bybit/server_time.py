"""The venue's clock, as far as ours is off."""

from __future__ import annotations

from exchanges.clock import Clock


class ServerTime:
    """Our wall clock plus what it lacks of the venue's. Shared by REST and stream: one correction serves both."""

    __slots__ = ("_clock", "offset_ms")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_ms = 0
        """What is added to our clock; 0 until the venue complained of a time stamp."""

    def now_ms(self) -> int:
        """The venue's time, milliseconds UTC."""
        return self._clock.now_ns() // 1_000_000 + self.offset_ms

    def learn(self, *, venue_ms: int, asked_ns: int, answered_ns: int) -> None:
        """Take the venue's time from a reply: it was read about half-way between question and answer."""
        self.offset_ms = venue_ms - (asked_ns + answered_ns) // 2_000_000
