"""What the order agent has applied, for those who wait for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

from streams.announced import Announced
from streams.record import Source


class Applied:
    """How far each partition of `order-updates` is applied in this process, and which symbols changed."""

    def __init__(self) -> None:
        self._offsets: dict[int, int] = {}
        self._reaching: dict[int, list[tuple[int, asyncio.Future[None]]]] = defaultdict(list)
        self._changing: dict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self.announced = Announced()
        """What the signals' turns have told of."""

    def advance(self, partition: int, offset: int, symbol: str | None) -> None:
        """The record at `offset` is in the rows (visible, not yet durable)."""
        self._offsets[partition] = offset
        waiting = self._reaching.get(partition)
        if waiting:
            self._reaching[partition] = [entry for entry in waiting if not _release(entry, offset)]
        if symbol is not None:
            self.touch(symbol)

    def touch(self, symbol: str) -> None:
        """Something about the symbol changed: whoever waits looks again."""
        for future in self._changing.pop(symbol, ()):
            if not future.done():
                future.set_result(None)

    def touch_all(self) -> None:
        """Something about every symbol may have changed."""
        for symbol in list(self._changing):
            self.touch(symbol)

    def forget(self, partition: int) -> None:
        """The partition is no longer ours; its waiters are ended by their turns."""
        self._offsets.pop(partition, None)
        self._reaching.pop(partition, None)
        self.announced.forget(partition)

    async def reached(self, at: Source) -> None:
        """Wait until the record at `at` is applied."""
        if self._offsets.get(at.partition, -1) >= at.offset:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reaching[at.partition].append((at.offset, future))
        await future

    async def until(self, symbol: str, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `condition` holds, looking again after every change of the symbol. False when time is up."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while not condition():
            remaining_s = end - loop.time()
            if remaining_s <= 0:
                return False
            future: asyncio.Future[None] = loop.create_future()
            self._changing[symbol].append(future)
            try:
                await asyncio.wait((future,), timeout=remaining_s)
            finally:
                self._gone(symbol, future)
        return True

    def _gone(self, symbol: str, future: asyncio.Future[None]) -> None:
        """Whoever waited does so no more: a symbol of which nothing is heard must not collect them."""
        waiting = self._changing.get(symbol)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._changing[symbol]


def _release(entry: tuple[int, asyncio.Future[None]], offset: int) -> bool:
    wanted, future = entry
    if future.done():
        return True
    if wanted <= offset:
        future.set_result(None)
        return True
    return False
