"""Which alerts are worth a message, and when (requirement A01): what was told, what is owed, and what is due again."""

from __future__ import annotations

import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from streams.alert_board import ACTION_KEY, AlertBoard, AlertState, FoldedAlert, folded_id
from streams.broadcast import Entry
from streams.schemas import Alert

RETRY_S = 30.0
"""Between two tries at a message that no channel took."""

_decode_alert = msgspec.json.Decoder(Alert).decode


@dataclass(frozen=True, slots=True, eq=False)
class Notice:
    """A message. `offset`: of the record that led to it; None where time did."""

    alert: str
    title: str
    text: str
    offset: int | None
    ends: bool = False
    """Whether it tells that the alert is over."""


@dataclass(slots=True)
class _Telling:
    """How far the telling of one alert has come."""

    announced: bool = False
    """A beginning was told, or is owed, and no end."""
    told_s: float | None = None
    """When its beginning, or that it goes on, was last delivered."""
    owed: list[Notice] = field(default_factory=list)
    not_before_s: float = -math.inf
    """When the first of `owed` may be sent; never, while it is on its way."""

    @property
    def is_on_its_way(self) -> bool:
        return self.not_before_s == math.inf

    def owe(self, notice: Notice) -> None:
        if len(self.owed) >= 2 and self.owed[-1].ends and not self.is_on_its_way:
            del self.owed[-2:]  # began and ended untold, and it has begun again
        self.owed.append(notice)


class Notices:
    """Which messages are due: the first occurrence of an alert, one after a resolution, one again when it still goes on
    after `repeat_s`, and the end of what was told. Those of an alert go one after another; one that failed is due again
    after `RETRY_S`."""

    def __init__(self, topic: str, repeat_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._repeat_s = repeat_s
        self._now_s = now_s
        self.begin(0)

    def begin(self, known: int) -> None:
        """The topic is read from its beginning; what stands below the offset `known` was told by a former process."""
        self._known = known
        self._board = AlertBoard(self._topic)
        self._next: int | None = None
        self._tellings: defaultdict[str, _Telling] = defaultdict(_Telling)
        """By alert."""

    # -- what is heard -----------------------------------------------------------------------------------------------

    def take(self, key: bytes, entry: Entry) -> None:
        """One record of the topic."""
        self._next = entry.offset + 1
        name = _alert_of(key, entry)
        before = self._board.get(name)
        self._board.take(self._topic, key, entry)
        alert = self._board.get(name)
        if alert is None or alert == before:
            return
        telling, is_over = self._tellings[name], alert.state is AlertState.RESOLVED
        if entry.offset < self._known:
            telling.announced, telling.told_s = not is_over, None if is_over else self._now_s()
        elif is_over:
            if telling.announced:
                telling.announced = False
                text = f"{alert.reason} ({alert.changed_by})"
                telling.owe(Notice(name, f"over: {name}", text, entry.offset, ends=True))
        elif (before is None or alert.count != before.count) and (not telling.announced or self._goes_on(telling)):
            telling.announced = True  # with the same count somebody acknowledged it: they know
            telling.owe(_tells(alert, entry.offset))

    def _goes_on(self, telling: _Telling) -> bool:
        told_s = telling.told_s
        return told_s is not None and not telling.owed and self._now_s() - told_s >= self._repeat_s

    # -- what is sent ------------------------------------------------------------------------------------------------

    def take_due(self) -> list[Notice]:
        """The messages to send now, one an alert; each is to be followed by `delivered` or `failed`."""
        for alert in self._board.alerts():
            telling = self._tellings[alert.alert]
            if alert.state is AlertState.OPEN and self._goes_on(telling):
                telling.owe(_tells(alert, None))
        due = [each for each in self._tellings.values() if each.owed and each.not_before_s <= self._now_s()]
        for telling in due:
            telling.not_before_s = math.inf
        return [telling.owed[0] for telling in due]

    def delivered(self, notice: Notice) -> None:
        """A channel took it."""
        if (telling := self._telling_of(notice)) is not None:
            del telling.owed[0]
            telling.not_before_s = -math.inf
            telling.told_s = None if notice.ends else self._now_s()

    def failed(self, notice: Notice) -> None:
        """No channel took it."""
        if (telling := self._telling_of(notice)) is not None:
            telling.not_before_s = self._now_s() + RETRY_S

    def _telling_of(self, notice: Notice) -> _Telling | None:
        """None for a message of before the topic was read anew."""
        telling = self._tellings[notice.alert]
        return telling if telling.owed and telling.owed[0] is notice else None

    def done_up_to(self) -> int | None:
        """The offset below which nothing is owed; None before there is anything to commit."""
        owed = [each.offset for telling in self._tellings.values() for each in telling.owed if each.offset is not None]
        if self._next is None or self._next <= self._known:
            return None
        return min([self._next, *owed])


def _alert_of(key: bytes, entry: Entry) -> str:
    """The folded id of the alert that a record speaks of; empty if it can't be read."""
    if key.startswith(ACTION_KEY):
        return key.removeprefix(ACTION_KEY).decode(errors="replace")
    with contextlib.suppress(msgspec.DecodeError):
        alert = _decode_alert(entry.value)
        return folded_id(alert.code, alert.symbol)
    return ""


def _tells(alert: FoldedAlert, offset: int | None) -> Notice:
    times = f", {alert.count} times so far" if alert.count > 1 else ""
    return Notice(alert.alert, f"{alert.severity}: {alert.alert}", f"{alert.sentence}{times}", offset)
