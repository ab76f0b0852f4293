"""The venue with its books: durable once per turn of the event loop, and told to the streams after that."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import TypeVar

from exchanges.paper.options import PaperOptions
from exchanges.paper.refusals import Refusal, books_broken
from exchanges.paper.store import Store
from exchanges.paper.turn import StreamMessage
from exchanges.paper.venue import PaperVenue

Deed = TypeVar("Deed")

log = logging.getLogger(__name__)


class Books:
    """Group commit: all calls served in one turn of the loop share a transaction, and are answered after it.

    When the books cannot be written, memory is ahead of them: nothing is acknowledged or told any more, until the
    process is started again from what is on disk.
    """

    def __init__(self, options: PaperOptions, clock: Callable[[], int]) -> None:
        self._options = options
        self._clock = clock
        self.store = Store(options.database, cache_mib=options.cache_mib)
        self.venue = PaperVenue(options, self.store, clock)
        self.failure: str | None = None
        self._listener: Callable[[list[StreamMessage]], None] = lambda _messages: None
        self._pending: asyncio.Future[None] | None = None

    def listen(self, listener: Callable[[list[StreamMessage]], None]) -> None:
        """Call `listener` with what each commit has to tell the private streams."""
        self._listener = listener

    def check(self) -> None:
        """Raises `Refusal` 10016 once the books are broken."""
        if self.failure is not None:
            raise books_broken()

    def perform(self, deed: Callable[[], Deed]) -> Deed:
        """Do something to the venue. Raises `Refusal`: 10016 once the books are broken, else the deed's own.

        An error that is none of the venue's answers leaves the venue half changed: the books count as broken then.
        """
        self.check()
        try:
            return deed()
        except Refusal:
            raise
        except Exception as error:
            self.failure = f"VENUE_FAILED: {type(error).__name__}: {error}"
            log.critical("an operation failed half-way, nothing is acknowledged any more", exc_info=True)
            raise books_broken() from error

    async def committed(self) -> None:
        """Wait until all that was done so far is in the books. Raises `Refusal` 10016 if that failed."""
        await asyncio.shield(self.commit_soon())
        self.check()

    def commit_soon(self) -> asyncio.Future[None]:
        """Commit at the end of this turn of the loop; the future is done when that has been tried."""
        if self._pending is None:
            loop = asyncio.get_running_loop()
            self._pending = loop.create_future()
            loop.call_soon(self._commit, self._pending)
        return self._pending

    def _commit(self, waiting: asyncio.Future[None]) -> None:
        self._pending = None
        messages, self.venue.outbox = self.venue.outbox, []
        try:
            self.check_and_flush()
        finally:
            waiting.set_result(None)
        if self.failure is None and messages:
            self._listener(messages)

    def check_and_flush(self) -> None:
        """Write to disk what is not there yet; remembers a failure instead of raising it."""
        if self.failure is not None:
            return
        try:
            self.store.flush()
        except Exception as error:  # noqa: BLE001 -- whatever it is, what is not written is not acknowledged
            self.failure = f"BOOKS_NOT_WRITTEN: {error}"
            log.critical("the books could not be written, nothing is acknowledged any more: %s", error)

    def reset(self, seed: int | None = None) -> None:
        """Forget everything and open fresh accounts, with another seed if one is given."""
        self.store.clear()
        if seed is not None:
            self._options = dataclasses.replace(self._options, seed=seed)
        self.venue = PaperVenue(self._options, self.store, self._clock)
        self.check_and_flush()

    def close(self) -> None:
        if self.failure is None:
            self.check_and_flush()
        self.store.close()
