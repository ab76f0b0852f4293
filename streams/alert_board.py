"""What people should know, folded: the same alert again counts up instead of standing there twice (requirement A01).

The topic `alerts` carries occurrences, each under the id of its cause, and people's words on them. Two occurrences are
the same alert when code and symbol agree; its id is `CODE` or `CODE@SYMBOL`. The fold goes by offset, so every worker
shows the same. An alert that occurs again after it was resolved is open again; one that was acknowledged stays so.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum

import msgspec

from streams.broadcast import Entry
from streams.ports import Headers
from streams.schemas import Alert, event_headers

ACTION_KEY = b"action/"
"""Keys of people's words begin with this; those of occurrences never do."""

_KNOWN_OCCURRENCES = 20_000
_KEPT_ALERTS = 2_000

replace = msgspec.structs.replace


class AlertState(StrEnum):
    """What people have said of an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertAction(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word on an alert, by its folded id."""

    alert: str
    state: AlertState
    by: str
    reason: str
    at_ns: int


class FoldedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert with how often it occurred, its newest sentence, and what people said of it."""

    alert: str
    code: str
    severity: str
    symbol: str
    sentence: str
    state: AlertState
    count: int
    first_ns: int
    last_ns: int
    source: str
    trace_id: str
    changed_ns: int = 0
    changed_by: str = ""
    reason: str = ""


MANAGER = "manager"
"""Who has spoken, where that was nobody in person: what was told is over."""

encode_action = msgspec.json.Encoder().encode
_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_action = msgspec.json.Decoder(AlertAction).decode


def folded_id(code: str, symbol: str) -> str:
    """The id under which occurrences are one alert."""
    return f"{code}@{symbol}" if symbol else code


def resolution(alert: str, reason: str, at_ns: int) -> AlertAction:
    """The manager's own word that what was told under the folded id is over."""
    return AlertAction(alert=alert, state=AlertState.RESOLVED, by=MANAGER, reason=reason, at_ns=at_ns)


def action_record(action: AlertAction) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of a word in the topic `alerts`."""
    headers = event_headers("alert-action/1", f"{action.alert}-{action.at_ns}")
    return ACTION_KEY + action.alert.encode(), encode_action(action), headers


def is_resolved_since(alert: FoldedAlert | None, told_ns: int) -> bool:
    """Whether it is resolved, and what was told at `told_ns` is folded in already: no longer on its way."""
    return alert is not None and alert.state is AlertState.RESOLVED and alert.last_ns >= told_ns


class AlertBoard:
    """Folds the topic `alerts`. `topic` is its name; `take` is to be told of every record of the broadcasts."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._alerts: dict[str, FoldedAlert] = {}
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def take(self, topic: str, key: bytes, entry: Entry | None) -> None:
        """One record of any broadcast. What cannot be read is left out: it is somebody else's."""
        if topic != self._topic or entry is None:
            return
        try:
            if key.startswith(ACTION_KEY):
                self._act(_decode_action(entry.value))
            elif key not in self._seen:
                self._occur(_decode_alert(entry.value))
                self._seen[key] = None
                if len(self._seen) > _KNOWN_OCCURRENCES:
                    self._seen.popitem(last=False)
        except msgspec.DecodeError:
            return

    def alerts(self) -> list[FoldedAlert]:
        """All, the newest occurrence first."""
        return sorted(self._alerts.values(), key=lambda alert: (-alert.last_ns, alert.alert))

    def get(self, alert: str) -> FoldedAlert | None:
        """One by its folded id."""
        return self._alerts.get(alert)

    def _occur(self, alert: Alert) -> None:
        name = folded_id(alert.code, alert.symbol)
        known = self._alerts.get(name)
        if known is None:
            self._forget_old()
            self._alerts[name] = FoldedAlert(
                alert=name,
                code=alert.code,
                severity=alert.severity,
                symbol=alert.symbol,
                sentence=alert.sentence,
                state=AlertState.OPEN,
                count=1,
                first_ns=alert.at_ns,
                last_ns=alert.at_ns,
                source=alert.source,
                trace_id=alert.trace_id,
            )
            return
        self._alerts[name] = replace(
            known,
            severity=alert.severity,
            sentence=alert.sentence,
            state=AlertState.OPEN if known.state is AlertState.RESOLVED else known.state,
            count=known.count + 1,
            last_ns=max(known.last_ns, alert.at_ns),
            source=alert.source,
            trace_id=alert.trace_id,
        )

    def _act(self, action: AlertAction) -> None:
        known = self._alerts.get(action.alert)
        if known is not None:
            self._alerts[action.alert] = replace(
                known,
                state=action.state,
                changed_ns=action.at_ns,
                changed_by=action.by,
                reason=action.reason,
            )

    def _forget_old(self) -> None:
        """Codes and symbols are few; should they not be, the oldest resolved ones go first."""
        if len(self._alerts) >= _KEPT_ALERTS:
            oldest = min(
                self._alerts.values(), key=lambda alert: (alert.state is not AlertState.RESOLVED, alert.last_ns)
            )
            del self._alerts[oldest.alert]
