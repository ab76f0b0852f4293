"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools

NS = 1_000_000_000


class VirtualClock:
    """Implements the adapters' `Clock`. `advance` wakes every sleeper on the way, in order of their times."""

    def __init__(self, start_ns: int = 1_800_000_000 * NS) -> None:
        self._start_ns = start_ns
        self._elapsed_s = 0.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return self._start_ns + round(self._elapsed_s * NS)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + max(0.0, seconds), next(self._numbers), future))
        await future

    def jump(self, seconds: float) -> None:
        """The clock is put forward or back; nobody who sleeps is woken."""
        self._elapsed_s += seconds

    async def advance(self, seconds: float) -> None:
        """Let so much time pass; everything that becomes due runs at its own time."""
        end_s = self._elapsed_s + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, future = heapq.heappop(self._sleepers)
            self._elapsed_s = max(self._elapsed_s, due_s)
            if not future.done():
                future.set_result(None)
            await settle()
        self._elapsed_s = end_s


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)
