"""Alerts of those who compare and validate: what a person should know although no record led to it."""

from __future__ import annotations

from streams import schemas
from streams.hooks import Hooks
from streams.ports import Clock, Log
from streams.topics import Topics
from tables.receipt import Receipt


class Alerts:
    """Appends alerts: each cause once, until it is over."""

    def __init__(self, *, log: Log, topics: Topics, clock: Clock, hooks: Hooks | None = None) -> None:
        self._log = log
        self._topics = topics
        self._clock = clock
        self._hooks = hooks or Hooks()
        self._told: dict[str, str] = {}

    def tell(self, code: str, subject: str, sentence: str, symbol: str) -> None:
        """`subject`: what it is about, an order or a position. The same sentence about it is told once."""
        cause = f"{code}-{subject}"
        if self._told.get(cause) == sentence:
            return
        self._told[cause] = sentence
        at_ns = self._clock.now_ns()
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
