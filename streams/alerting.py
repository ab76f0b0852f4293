"""Alerts of those who compare and validate: what a person should know although no record led to it."""

from __future__ import annotations

from streams import schemas
from streams.alert_board import AlertBoard, folded_id, is_resolved_since
from streams.hooks import Hooks
from streams.ports import Clock, Log
from streams.topics import Topics
from tables.receipt import Receipt

_KNOWN_CAUSES = 10_000


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
        self._told: dict[str, tuple[str, int]] = {}
        """By cause, the one told last at the end: the sentence, and when it was told, ns."""

    def tell(self, code: str, subject: str, sentence: str, symbol: str) -> None:
        """`subject`: what it is about, an order or a position. The same sentence about it is told once,
        and again after somebody has resolved it."""
        cause, at_ns = f"{code}-{subject}", self._clock.now_ns()
        before, told_ns = self._told.get(cause, ("", 0))
        standing = None if self._board is None else self._board.get(folded_id(code, symbol))
        if before == sentence and not is_resolved_since(standing, told_ns):
            return
        self._told.pop(cause, None)
        self._told[cause] = sentence, at_ns
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
            source="comparison",
        )
        headers = schemas.event_headers("alert/1", alert_id)
        self._log.append(self._topics.alerts, 0, alert_id.encode(), schemas.encode(alert), Receipt(), headers)
        self._hooks.on_alert(code)

    def over(self, code: str, subject: str) -> None:
        """It is so no more: when it is again, it will be told again."""
        self._told.pop(f"{code}-{subject}", None)
