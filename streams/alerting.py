"""Alerts of those who compare and validate: what a person should know although no record led to it."""

from __future__ import annotations

from streams import schemas
from streams.hooks import Hooks
from streams.ports import Clock, Log
from streams.topics import Topics
from tables.receipt import Receipt


class Alerts:
    """Appends alerts. The same cause has the same id, so that it can be folded, and is told once by a process."""

    def __init__(self, *, log: Log, topics: Topics, clock: Clock, hooks: Hooks | None = None) -> None:
        self._log = log
        self._topics = topics
        self._clock = clock
        self._hooks = hooks or Hooks()
        self._told: dict[str, str] = {}

    def tell(self, code: str, subject: str, sentence: str, symbol: str) -> None:
        """`subject`: what it is about, an order or a position. The same sentence about it is told once."""
        alert_id = f"{code}-{subject}"
        if self._told.get(alert_id) == sentence:
            return
        self._told[alert_id] = sentence
        alert = schemas.Alert(
            alert_id=alert_id,
            code=code,
            severity="critical",
            sentence=sentence,
            symbol=symbol,
            at_ns=self._clock.now_ns(),
            source="comparison",
        )
        headers = schemas.event_headers("alert/1", alert_id)
        self._log.append(self._topics.alerts, 0, alert_id.encode(), schemas.encode(alert), Receipt(), headers)
        self._hooks.on_alert(code)

    def over(self, code: str, subject: str) -> None:
        """It is so no more: when it is again, it will be told again."""
        self._told.pop(f"{code}-{subject}", None)
