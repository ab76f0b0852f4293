"""An event loop whose time jumps to the next timer when nothing is ready: a minute of waiting costs nothing."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")

_NS = 1_000_000_000
EPOCH_NS = 1_763_700_000 * _NS
"""What the wall clock shows when a simulation begins."""


class NothingLeft(Exception):  # noqa: N818 -- a state of the world, not an error of a call
    """Nothing is ready and no timer is set: whoever still waits would wait for ever."""


class _Jump:
    """Stands where the selector of sockets is: there are none, so waiting means moving the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:  # Any: the selector's keys; there never is one
        if timeout is None:
            raise NothingLeft("no timer is set")
        if timeout > 0:
            self._loop.jump()
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Deterministic: callbacks run in the order in which they became ready, timers in the order of their moments."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._now_s

    def jump(self) -> None:
        """On to the next timer."""
        self._now_s = max(self._now_s, self._scheduled[0].when())  # type: ignore[attr-defined]  # BaseEventLoop's own

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """There are no threads that would have to wake it."""


class SimulatedClock:
    """The `Clock` port on virtual time; `skew_s` is how far this clock is ahead of the world's."""

    def __init__(self, loop: VirtualLoop, skew_s: float = 0.0) -> None:
        self._loop = loop
        self._skew_ns = int(skew_s * _NS)

    def now_ns(self) -> int:
        """Nanoseconds UTC."""
        return EPOCH_NS + self._skew_ns + round(self._loop.time() * _NS)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
