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
