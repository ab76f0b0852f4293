"""What those who compare have to tell: each cause once, until it is over or was resolved."""

from __future__ import annotations

from typing import Any

import pytest
from quiet_venue import SECOND
from trading_desk import TOPICS, Desk

from domain.errors import NotAccepted
from streams import alerting
from streams.alert_board import ACTION_KEY, AlertAction, AlertBoard, AlertState, encode_action
from streams.alerting import Alerts
from streams.broadcast import Entry
from streams.uncompared import Uncompared


def test_what_was_resolved_and_is_still_so_is_told_again_once_the_board_shows_it() -> None:
    desk, board = Desk(), AlertBoard(TOPICS.alerts)
    log: Any = desk.log
    alerts, told = Alerts(log=log, topics=TOPICS, clock=desk.clock, board=board), desk.log.records[TOPICS.alerts]

    def tell() -> int:
        """How often it was told by then."""
        desk.clock.ns += SECOND
        alerts.tell("POSITION_MISMATCH", "BTCUSDT-net", "stored 1, the venue's 2", "BTCUSDT")
        return len(told)

    def arrive() -> None:
        record = told[-1]
        board.take(TOPICS.alerts, record.key or b"", Entry(record.value or b"", 0, record.offset))

    def resolve() -> None:
        name = "POSITION_MISMATCH@BTCUSDT"
        word = AlertAction(alert=name, state=AlertState.RESOLVED, by="desk", reason="known", at_ns=0)
        board.take(TOPICS.alerts, ACTION_KEY + name.encode(), Entry(encode_action(word), 0, 0))

    assert [tell(), tell()] == [1, 1]
    arrive()
    assert tell() == 1
    resolve()
    assert [tell(), tell()] == [2, 2], "the second is on its way"
    arrive()
    assert tell() == 2


MISMATCH = "POSITION_MISMATCH@BTCUSDT"


class Told:
    """What was told by one process after another, and how the topic shows it."""

    def __init__(self) -> None:
        self.desk, self.board, self._read = Desk(), AlertBoard(TOPICS.alerts), 0
        self.restart()

    def restart(self) -> None:
        log: Any = self.desk.log
        self.alerts = Alerts(log=log, topics=TOPICS, clock=self.desk.clock, board=self.board)

    def differs(self, side: str) -> None:
        self.alerts.tell("POSITION_MISMATCH", f"BTCUSDT-{side}", f"{side}: stored 1, the venue's 2", "BTCUSDT")

    def agrees(self, side: str) -> None:
        self.alerts.over("POSITION_MISMATCH", f"BTCUSDT-{side}", "BTCUSDT")

    def resolves(self, name: str = MISMATCH) -> None:
        """A person does."""
        word = AlertAction(alert=name, state=AlertState.RESOLVED, by="desk", reason="known", at_ns=0)
        self.board.take(TOPICS.alerts, ACTION_KEY + name.encode(), Entry(encode_action(word), 0, 0))

    def shown(self, name: str = MISMATCH) -> tuple[AlertState, str] | None:
        """Its state, and who changed it last, once everything is read."""
        told = self.desk.log.records[TOPICS.alerts]
        for record in told[self._read :]:
            self.board.take(TOPICS.alerts, record.key or b"", Entry(record.value or b"", 0, record.offset))
        self._read = len(told)
        self.desk.clock.ns += SECOND
        alert = self.board.get(name)
        return None if alert is None else (alert.state, alert.changed_by)


@pytest.mark.parametrize("restarted", [False, True], ids=["same process", "another process"])
@pytest.mark.parametrize("read", [False, True], ids=["on its way", "read"])
def test_a01_what_is_over_is_resolved_by_the_manager(restarted: bool, read: bool) -> None:
    told = Told()
    told.differs("long")
    if read or restarted:
        assert told.shown() == (AlertState.OPEN, "")
    if restarted:
        told.restart()

    told.agrees("long")

    assert told.shown() == (AlertState.RESOLVED, "manager")


def test_a01_an_alert_about_two_of_a_symbol_is_over_when_both_are() -> None:
    told = Told()
    told.differs("long")
    told.differs("short")

    told.agrees("long")
    of_both = told.shown()
    told.agrees("short")

    assert (of_both, told.shown()) == ((AlertState.OPEN, ""), (AlertState.RESOLVED, "manager"))


def test_a01_what_a_person_has_resolved_or_nobody_told_of_is_left_alone() -> None:
    told = Told()
    told.agrees("long")
    nothing = told.shown()
    told.differs("long")
    told.shown()
    told.resolves()

    told.agrees("long")

    assert (nothing, told.shown()) == (None, (AlertState.RESOLVED, "desk"))


def test_y02_what_still_cannot_be_compared_is_told_again_after_it_was_resolved() -> None:
    told = Told()
    uncompared = Uncompared(alerts=told.alerts, clock=told.desk.clock, lasting_s=0.0)
    error = NotAccepted("VENUE_TROUBLE", "HTTP 502")
    states = []

    for resolved in (False, True, False):
        uncompared.failed(0, "BTCUSDT", error)
        states.append(told.shown("NOT_COMPARED@BTCUSDT"))
        if resolved:
            told.resolves("NOT_COMPARED@BTCUSDT")

    count = told.board.get("NOT_COMPARED@BTCUSDT")
    assert [state for state, _ in filter(None, states)] == [AlertState.OPEN] * 3
    assert count is not None
    assert count.count == 2, "the same is told once, and once more after it was resolved"


def test_of_ever_new_causes_the_one_told_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerting, "_KNOWN_CAUSES", 2)
    desk = Desk()
    told = desk.log.records[TOPICS.alerts]

    def tells(subject: str) -> bool:
        before = len(told)
        desk.alerts.tell("ORDER_NOT_SHOWN", subject, "it is shown nowhere", "BTCUSDT")
        return len(told) > before

    assert [tells(subject) for subject in ("om1", "om2", "om2", "om3")] == [True, True, False, True]
    assert [tells(subject) for subject in ("om2", "om3", "om1")] == [False, False, True]
