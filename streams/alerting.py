"""Alerts of those who compare and validate: what a person should know although no record led to it."""

from __future__ import annotations

from typing import NamedTuple

from streams import schemas
from streams.alert_board import AlertBoard, AlertState, action_record, folded_id, is_resolved_since, resolution
from streams.hooks import Hooks
from streams.ports import Clock, Log
from streams.topics import Topics
from tables.receipt import Receipt

_KNOWN_CAUSES = 10_000
_SOURCE = "comparison"


class _Told(NamedTuple):
    """The folded id of an alert, what was said, and when, ns."""

    alert: str
    sentence: str
    at_ns: int


class Alerts:
    """Appends alerts: each cause once, until it is over, or until what `board` shows of it was resolved."""

    def __init__(
        self, *, log: Log, topics: Topics, clock: Clock, hooks: Hooks | None = None, board: AlertBoard | None = None
    ) -> None:
        self._log = log
        self._topics = topics
        self._clock = clock
        self._hooks = hooks or Hooks()
        self._board = board
        self._told: dict[str, _Told] = {}
        """By cause, the one told last at the end."""

    def tell(self, code: str, subject: str, sentence: str, symbol: str) -> None:
        """`subject`: what it is about, an order or a position. The same sentence about it is told once,
        and again after somebody has resolved it."""
        cause, at_ns = f"{code}-{subject}", self._clock.now_ns()
        alert_name, before = folded_id(code, symbol), self._told.get(cause)
        standing = None if self._board is None else self._board.get(alert_name)
        if before is not None and before.sentence == sentence and not is_resolved_since(standing, before.at_ns):
            return
        self._told.pop(cause, None)
        self._told[cause] = _Told(alert_name, sentence, at_ns)
        if len(self._told) > _KNOWN_CAUSES:  # of an order's, nobody says that it is over
            del self._told[next(iter(self._told))]
        alert_id = f"{cause}-{at_ns}"
        alert = schemas.Alert(
            alert_id=alert_id,
            code=code,
            severity="critical",
            sentence=sentence,
            symbol=symbol,
            at_ns=at_ns,
            source=_SOURCE,
        )
        headers = schemas.event_headers("alert/1", alert_id)
        self._log.append(self._topics.alerts, 0, alert_id.encode(), schemas.encode(alert), Receipt(), headers)
        self._hooks.on_alert(code)

    def over(self, code: str, subject: str, symbol: str) -> None:
        """It is so no more: when it is again, it will be told again. What was told, by a former process too, is
        resolved, unless something else is told of under the same code and symbol."""
        told, name = self._told.pop(f"{code}-{subject}", None), folded_id(code, symbol)
        standing = None if self._board is None else self._board.get(name)
        stands = standing is not None and standing.state is not AlertState.RESOLVED and standing.source == _SOURCE
        on_its_way = told is not None and (standing is None or standing.last_ns < told.at_ns)
        if self._board is None or not (stands or on_its_way):
            return
        if any(each.alert == name for each in self._told.values()):
            return
        key, value, headers = action_record(resolution(name, "it no longer holds", self._clock.now_ns()))
        self._log.append(self._topics.alerts, 0, key, value, Receipt(), headers)

    def forget(self, code: str, subject: str) -> None:
        """Whether it is so is somebody else's to say from now on."""
        self._told.pop(f"{code}-{subject}", None)
