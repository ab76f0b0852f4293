"""Playing a recording to the markets: one moment after the other, at its pace, from where the books left off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from exchanges.paper.books import Books
from exchanges.paper.refusals import Refusal
from exchanges.paper.replay import NS_PER_S, Recording

NOTE: Final = "replay"
AT_ONCE: Final = 50  # moments without a pause after which everybody else has a turn
FROZEN_POLL_S: Final = 0.05


class Player:
    """Plays a recording. Its place is kept in the books: a restart goes on with the moment after the last one."""

    def __init__(
        self, books: Books, recording: Recording, speed: float, *, loops: bool, is_frozen: Callable[[], bool]
    ) -> None:
        self._books = books
        self._recording = recording
        self._speed = speed
        self._loops = loops
        self._is_frozen = is_frozen
        self.place = self._kept_place()

    def _kept_place(self) -> int:
        digest, _, place = (self._books.store.note(NOTE) or "").partition(":")
        return int(place) if digest == self._recording.digest else 0

    @property
    def keys(self) -> frozenset[str]:
        """The markets that follow the recording."""
        return self._recording.keys

    async def run(self) -> None:
        """Play to the end, or for ever if it loops. A frozen market holds it."""
        while True:
            moments = self._recording.moments
            while self.place < len(moments):
                await self._wait()
                with contextlib.suppress(Refusal):  # broken books: the log and every caller are told
                    self._books.perform(self._play_next)
                    await self._books.committed()
            if not self._loops:
                return
            self.place = 0

    def _play_next(self) -> None:
        self._books.venue.replay(self._recording.moments[self.place])
        self.place += 1
        self._books.store.put_note(NOTE, f"{self._recording.digest}:{self.place}")

    async def _wait(self) -> None:
        """As long as it took between the last moment and this one."""
        while self._is_frozen():  # noqa: ASYNC110 -- a flag that others set, and that is seldom up
            await asyncio.sleep(FROZEN_POLL_S)
        moments = self._recording.moments
        if self._speed and self.place:
            gap_ns = moments[self.place].at_ns - moments[self.place - 1].at_ns
            await asyncio.sleep(gap_ns / NS_PER_S / self._speed)
        elif self.place % AT_ONCE == 0:
            await asyncio.sleep(0)
