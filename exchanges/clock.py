"""Time as the adapters need it, so that tests can bring their own."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall clock for what is signed and recorded, monotonic clock for what is waited for."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds UTC."""

    def monotonic_s(self) -> float:
        """A clock that never jumps, seconds since an arbitrary moment."""

    async def sleep(self, seconds: float) -> None:
        """Wait on the monotonic clock."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def now_ns(self) -> int:
        """Wall clock, nanoseconds UTC."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """The machine's monotonic clock, seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop's clock, which is monotonic."""
        await asyncio.sleep(seconds)
