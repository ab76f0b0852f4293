"""Conditions that somebody should know of while they hold (requirement A01): an alert when one begins, its resolution
by the manager itself when it is over. Folded like every other alert, so two workers that see the same raise one; and
whoever still sees what another worker, or a person, has resolved raises it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from streams.alert_board import AlertState, FoldedAlert, is_resolved_since
from streams.ports import Clock

LOOK_EVERY_S = 0.5
_NS = 1_000_000_000
AGAIN_AFTER_S = 2.0
"""What was resolved and still holds is told again so long after: others may see its end a moment later."""


class Alerts(Protocol):
    """Where they are told."""

    def __call__(self, code: str, sentence: str) -> None:
        """Raise an alert."""

    def over(self, code: str, sentence: str) -> None:
        """Resolve it."""


class Conditions:
    """Looks at every condition, by its code: `grace_s` is how long it must have held, and `look` says in a sentence
    what is wrong, or nothing. `standing`: the alert of a code as the topic shows it; `source` is our name."""

    def __init__(
        self,
        alerts: Alerts,
        clock: Clock,
        conditions: Mapping[str, tuple[float, Callable[[], str]]],
        standing: Callable[[str], FoldedAlert | None] = lambda _code: None,
        source: str = "",
    ) -> None:
        self._alerts = alerts
        self._clock = clock
        self._conditions = conditions
        self._since_ns: dict[str, int] = {}
        self._told: dict[str, int] = {}
        """By code: when, ns."""
        self._resolved_ns: dict[str, int] = {}
        """By code: since when the topic shows that what we told of, and still holds, is resolved."""
        self._standing = standing
        self._source = source
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
                self._resolved_ns.pop(code, None)
                if self._told.pop(code, None) is not None or (code in self._inherited and self._left_open(code)):
                    self._inherited.discard(code)
                    self._alerts.over(code, "it no longer holds")
                continue
            since_ns = self._since_ns.setdefault(code, now_ns)
            due = now_ns - since_ns >= grace_s * _NS if code not in self._told else self._is_due_again(code, now_ns)
            if due:
                self._told[code] = now_ns
                self._resolved_ns.pop(code, None)
                self._inherited.discard(code)
                self._alerts(code, sentence)

    def _is_due_again(self, code: str, now_ns: int) -> bool:
        if not is_resolved_since(self._standing(code), self._told[code]):
            self._resolved_ns.pop(code, None)
            return False
        return now_ns - self._resolved_ns.setdefault(code, now_ns) >= AGAIN_AFTER_S * _NS

    def _left_open(self, code: str) -> bool:
        """Whether a process that went by our name has left the alert open."""
        alert = self._standing(code)
        return alert is not None and alert.state is not AlertState.RESOLVED and alert.source == self._source
