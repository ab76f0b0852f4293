"""A receipt counts what the broker has yet to acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Receipt:
    """Collects the acknowledgements of any number of writes that belong together.

    Every write that is handed a receipt calls `expect` when it is staged and `settle` when the broker has
    acknowledged it. A write that fails ends the process (fail-stop), so a receipt never fails: it is complete or it
    is never heard of again.
    """

    __slots__ = ("_callbacks", "_outstanding")

    def __init__(self) -> None:
        self._outstanding = 0
        self._callbacks: list[Callable[[], None]] | None = None

    @property
    def complete(self) -> bool:
        """True when every write expected so far is acknowledged."""
        return self._outstanding == 0

    def expect(self) -> None:
        """One more write must be acknowledged."""
        self._outstanding += 1

    def settle(self, writes: int = 1) -> None:
        """The broker has acknowledged so many of the writes."""
        self._outstanding -= writes
        if self._outstanding == 0:
            callbacks, self._callbacks = self._callbacks, None
            for callback in callbacks or ():
                callback()

    def then(self, callback: Callable[[], None]) -> None:
        """Call `callback` once everything expected is acknowledged: now, if it already is."""
        if self._outstanding == 0:
            callback()
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    async def durable(self) -> None:
        """Wait until everything expected is acknowledged."""
        if self._outstanding == 0:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settled() -> None:
            if not done.done():  # the waiter may have given up
                done.set_result(None)

        self.then(settled)
        await done
