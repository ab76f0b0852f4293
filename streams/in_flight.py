"""What was handed to the producer and is not acknowledged: in order, bounded, and nothing of it forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


def _nothing() -> None:
    """For those who need not know when they are acknowledged."""


class InFlight:
    """Sends without waiting for each acknowledgement, at most `limit` ahead of the broker.

    Acknowledgements are awaited in the order of sending. The first failure is raised by `acknowledge`: there is
    nothing to do about it but to end.
    """

    def __init__(self, limit: int) -> None:
        self._places = asyncio.Semaphore(limit)
        self._handing_over = asyncio.Lock()
        self._sent: asyncio.Queue[tuple[Awaitable[object] | None, Callable[[], None]]] = asyncio.Queue()
        self._unacknowledged = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return self._unacknowledged

    async def send(
        self, hand_over: Callable[[], Awaitable[Awaitable[object]]], on_ack: Callable[[], None] = _nothing
    ) -> None:
        """Wait for room, hand over, and return. Hand-overs never overlap, so their order is the order of calls.
        `on_ack` is told when this and everything sent before is durable."""
        await self._places.acquire()
        try:
            async with self._handing_over:
                acknowledgement = await hand_over()
        except BaseException:
            self._places.release()
            raise
        self._unacknowledged += 1
        self._empty.clear()
        self._sent.put_nowait((acknowledgement, on_ack))

    def after_all(self, callback: Callable[[], None]) -> None:
        """Tell when everything sent so far is durable."""
        self._sent.put_nowait((None, callback))

    async def acknowledge(self) -> None:
        """Await acknowledgements for ever. Raises the first that fails."""
        while True:
            acknowledgement, on_ack = await self._sent.get()
            if acknowledgement is not None:
                await acknowledgement
                self._unacknowledged -= 1
                self._places.release()
            on_ack()
            if not self._unacknowledged:
                self._empty.set()

    async def drained(self) -> None:
        """Wait until nothing is in flight."""
        await self._empty.wait()
