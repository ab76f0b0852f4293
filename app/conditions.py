"""Conditions that somebody should know of while they hold (requirement A01): an alert when one begins, its resolution
by the manager itself when it is over. Folded like every other alert, so two workers that see the same raise one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from streams.ports import Clock

LOOK_EVERY_S = 0.5


class Alerts(Protocol):
    """Where they are told."""

    def __call__(self, code: str, sentence: str) -> None:
        """Raise an alert."""

    def over(self, code: str, sentence: str) -> None:
        """Resolve it."""


class Conditions:
    """Looks at every condition, by its code: `grace_s` is how long it must have held, and `look` says in a sentence
    what is wrong, or nothing. `left_open`: whether a process that went by our name has left an alert open."""

    def __init__(
        self,
        alerts: Alerts,
        clock: Clock,
        conditions: Mapping[str, tuple[float, Callable[[], str]]],
        left_open: Callable[[str], bool] = lambda _code: False,
    ) -> None:
        self._alerts = alerts
        self._clock = clock
        self._conditions = conditions
        self._since_ns: dict[str, int] = {}
        self._told: set[str] = set()
        self._left_open = left_open
        self._inherited = set(conditions)
        """Codes of which a former process may have told, and died before it could say that they are over."""

    async def run(self) -> None:
        """Look for as long as the process runs."""
        while True:
            self.look()
            await self._clock.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Look once."""
        now_ns = self._clock.now_ns()
        for code, (grace_s, look) in self._conditions.items():
            sentence = look()
            if not sentence:
                self._since_ns.pop(code, None)
                if code in self._told or (code in self._inherited and self._left_open(code)):
                    self._told.discard(code)
                    self._inherited.discard(code)
                    self._alerts.over(code, "it no longer holds")
                continue
            since_ns = self._since_ns.setdefault(code, now_ns)
            if code not in self._told and now_ns - since_ns >= grace_s * 1_000_000_000:
                self._told.add(code)
                self._inherited.discard(code)
                self._alerts(code, sentence)
