"""Answers as the fault rules leave them that hide things: late rows, an unknown balance, maintenance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from exchanges.paper.endpoints import Answer
from exchanges.paper.faults import FaultKind, FaultRule, Faults
from exchanges.paper.turn import Row

CHANGE_TIMES: Final = ("updatedTime", "execTime", "transactionTime")


def as_seen(answer: Answer, endpoint: str, uid: int, faults: Faults, rules: Iterable[FaultRule], now_ms: int) -> Answer:
    """What the caller gets to see of `answer`."""
    if endpoint == "system/status" and faults.standing(FaultKind.MAINTENANCE) is not None:
        return {"list": [maintenance_row(now_ms, "ongoing")]}
    if endpoint == "account/wallet-balance" and faults.standing(FaultKind.BALANCE_UNKNOWN, uid) is not None:
        return {"list": []}
    for rule in rules:
        if rule.kind is FaultKind.HIDE_ROWS and isinstance(answer, dict):
            answer = _without_late_rows(answer, now_ms - rule.delay_ms if rule.delay_ms else 0)
    return answer


def maintenance_row(now_ms: int, state: str) -> Row:
    """What the system's status says of maintenance: it is "ongoing" while the rule stands, and then "completed"."""
    return {
        "id": "paper-maintenance", "title": "Maintenance", "state": state, "begin": str(now_ms), "end": str(now_ms),
        "href": "", "serviceTypes": [1, 2, 3, 4, 5], "product": [1, 2, 3, 4], "uidSuffix": [], "maintainType": 1,
        "env": 1,
    }  # fmt: skip


def _without_late_rows(answer: Row, from_ms: int) -> Row:
    """A list without the rows that changed from `from_ms` on."""
    rows = answer.get("list")
    if not isinstance(rows, list):
        return answer
    return answer | {"list": [row for row in rows if _changed_at_ms(row) < from_ms]}


def _changed_at_ms(row: Row) -> int:
    return next((int(str(row[name])) for name in CHANGE_TIMES if name in row), 0)
