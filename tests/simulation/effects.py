"""Effects: the moments at which a process may end, and the trace of everything that happened."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import NoReturn

from simulation.virtual_time import VirtualLoop


class Crashed(BaseException):
    """The process ended here. No handler may catch it: a dead process handles nothing."""


class Refused(Exception):  # noqa: N818 -- an end of a process, no error of it
    """The process does not want to start like this."""


def refused(sentence: str) -> NoReturn:
    """A process that ends with its reason."""
    raise Refused(sentence)


class Life:
    """Whether a process is alive. Everything that a process does asks here first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True

    def guarded(self, callback: Callable[[], None]) -> Callable[[], None]:
        """A callback that does nothing once the process is dead, and in which it may die."""

        def run() -> None:
            if self.alive:
                try:
                    callback()
                except Crashed:
                    return

        return run


class Effects:
    """Counts effects, ends a process at those that were drawn for it, keeps the trace and the violations."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, crashes: int, between: int) -> None:
        self._loop = loop
        self._chance = chance
        self._left = crashes
        self._between = between
        self._next = self._drawn()
        self.trace: list[str] = []
        self.violations: list[str] = []
        self.count = 0
        self.crashing = True
        self.on_crash: Callable[[Life], None] = lambda _life: None
        self.violated: asyncio.Event = asyncio.Event()

    def _drawn(self) -> int:
        return self._chance.randint(1, 2 * self._between)

    def happens(self, life: Life, what: str) -> None:
        """An effect of a process is about to happen (or has just happened). Raises `Crashed` if it ends there."""
        if not life.alive:
            raise Crashed
        self.count += 1
        self.note(f"{life.name} {what}")
        if not self.crashing or not self._left:
            return
        self._next -= 1
        if self._next <= 0:
            self._next = self._drawn()
            self._left -= 1
            self.note(f"{life.name} CRASH")
            life.alive = False
            self.on_crash(life)
            raise Crashed

    def note(self, what: str) -> None:
        """A line of the trace."""
        self.trace.append(f"{self._loop.time():10.4f} {what}")

    def violate(self, sentence: str) -> None:
        """Something that must never happen: the run ends, the trace tells how it came to it."""
        self.note(f"VIOLATION {sentence}")
        self.violations.append(sentence)
        self.violated.set()
