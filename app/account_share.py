"""A worker's part of what the account may ask of its venue (requirement X07): one of n, each with as much.

Heartbeats are one log, so all workers read the same order of them. Who comes:

1. takes nothing until its own heartbeat is read back: whoever was there before is known then, whoever comes later will
   know of it
2. waits until each of those has said that it makes do with a smaller part (`Heartbeat.sharing`), and then for as long
   as a venue counts what was sent before

Who hears of somebody new makes do with less at once, and then says so. Who has not read its own heartbeat back for a
while takes nothing any more, before the others go on without it, and begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from exchanges.clock import Clock
from streams.boards import Heartbeat

HEARD_S = 5.0
"""Who has not been heard for so long is not there any more."""
LAPSE_S = 3.5
"""Who has not heard itself for so long takes nothing: others count it longer, though clocks may be a second apart."""
_COUNTED_S = 1.1
"""The venue counts calls within a second."""
_JOIN_LIMIT_S = 8.0
"""Nobody waits longer for those who don't say what they make do with: an older version."""


class AccountShare:
    """Tells `share_with` how many workers there are to share with, 0 while this one may take nothing. `heard` gives the
    heartbeats of the last `HEARD_S` seconds."""

    def __init__(
        self, *, name: str, heard: Callable[[], Iterable[Heartbeat]], share_with: Callable[[int], None], clock: Clock
    ) -> None:
        self._name = name
        self._heard = heard
        self._share_with = share_with
        self._clock = clock
        self._began_s: float | None = None
        self._agreed_s: float | None = None
        self._workers = 0
        share_with(0)

    @property
    def joined(self) -> bool:
        """Whether there is a part for this worker."""
        return self._workers > 0

    @property
    def sharing(self) -> int:
        """How many workers this one leaves a part for, itself included: what its heartbeat says."""
        return max(self._workers, self._count())

    def heard(self) -> bool:
        """A heartbeat was read. True if it is a new worker's, which waits for us to say that we make do with less."""
        if not self._workers or self._count() <= self._workers:
            return False
        self._take(self._count())
        return True

    def read_back(self) -> None:
        """Our own heartbeat was read: nobody who said one before is unknown."""
        now_s, others = self._clock.monotonic_s(), self._others()
        if self._workers:
            self._take(1 + len(others))
            return
        self._began_s = now_s if self._began_s is None else self._began_s
        if any(other.sharing <= len(others) for other in others):
            self._agreed_s = None
        elif self._agreed_s is None:
            self._agreed_s = now_s
        agreed = self._agreed_s is not None and now_s - self._agreed_s >= _COUNTED_S
        if not others or agreed or now_s - self._began_s >= _JOIN_LIMIT_S:
            self._take(1 + len(others))

    def lapse(self) -> None:
        """Our heartbeat is not read back: for all we know the others have gone on without us."""
        self._began_s = self._agreed_s = None
        self._take(0)

    def _take(self, workers: int) -> None:
        if workers != self._workers:
            self._workers = workers
            self._share_with(workers)

    def _count(self) -> int:
        return 1 + len(self._others())

    def _others(self) -> list[Heartbeat]:
        return [beat for beat in self._heard() if beat.role == "worker" and beat.name != self._name]
