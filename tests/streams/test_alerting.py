"""What those who compare have to tell: each cause once, until it is over or was resolved."""

from __future__ import annotations

from typing import Any

import pytest
from quiet_venue import SECOND
from trading_desk import TOPICS, Desk

from streams import alerting
from streams.alert_board import ACTION_KEY, AlertAction, AlertBoard, AlertState, encode_action
from streams.alerting import Alerts
from streams.broadcast import Entry


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


class Told:
    """What was told by one process after another, and how the topic shows it."""

    def __init__(self) -> None:
        self.desk, self.board, self._read = Desk(), AlertBoard(TOPICS.alerts), 0
        self.restart()

    def restart(self) -> None:
        log: Any = self.desk.log
        self._alerts = Alerts(log=log, topics=TOPICS, clock=self.desk.clock, board=self.board)

    def differs(self, side: str) -> None:
        self._alerts.tell("POSITION_MISMATCH", f"BTCUSDT-{side}", f"{side}: stored 1, the venue's 2", "BTCUSDT")

    def agrees(self, side: str) -> None:
        self._alerts.over("POSITION_MISMATCH", f"BTCUSDT-{side}", "BTCUSDT")

    def resolves(self) -> None:
        """A person does."""
        name = "POSITION_MISMATCH@BTCUSDT"
        word = AlertAction(alert=name, state=AlertState.RESOLVED, by="desk", reason="known", at_ns=0)
        self.board.take(TOPICS.alerts, ACTION_KEY + name.encode(), Entry(encode_action(word), 0, 0))

    def shown(self) -> tuple[AlertState, str] | None:
        """Its state, and who changed it last, once everything is read."""
        told = self.desk.log.records[TOPICS.alerts]
        for record in told[self._read :]:
            self.board.take(TOPICS.alerts, record.key or b"", Entry(record.value or b"", 0, record.offset))
        self._read = len(told)
        self.desk.clock.ns += SECOND
        alert = self.board.get("POSITION_MISMATCH@BTCUSDT")
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
