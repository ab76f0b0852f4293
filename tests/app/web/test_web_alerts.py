"""Alerts: folded, acknowledged, resolved (requirement A01)."""

from __future__ import annotations

from typing import Any

import pytest
from web_cases import READ, Worker

from streams.schemas import Alert


def occurrence(number: int, code: str = "ORDER_FAILED", symbol: str = "BTCUSDT") -> Alert:
    return Alert(
        alert_id=f"order-updates-0-{number}-{code}",
        code=code,
        severity="critical",
        sentence=f"the {number}th time",
        symbol=symbol,
        at_ns=number * 1_000,
        source=f"order-updates-0-{number}",
    )


async def shown(worker: Worker, **parameters: Any) -> list[dict[str, Any]]:
    reply = await worker.get("/alerts", **parameters)
    assert reply.status_code == 200, reply.text
    items: list[dict[str, Any]] = reply.json()["items"]
    return items


async def test_the_same_alert_again_counts_up_and_shows_its_newest_sentence(worker: Worker) -> None:
    for number in (1, 2, 3):
        worker.raise_alert(occurrence(number))
    worker.raise_alert(occurrence(3))  # the record came again
    worker.raise_alert(occurrence(9, symbol="ETHUSDT"))

    [newest, folded] = await shown(worker)

    assert newest["alert"] == "ORDER_FAILED@ETHUSDT"
    assert folded["alert"] == "ORDER_FAILED@BTCUSDT"
    assert (folded["count"], folded["sentence"], folded["state"]) == (3, "the 3th time", "open")
    assert (folded["first_ns"], folded["last_ns"]) == (1_000, 3_000)


async def test_an_acknowledged_alert_stays_so_when_it_occurs_again_and_a_resolved_one_is_open_again(
    worker: Worker,
) -> None:
    worker.raise_alert(occurrence(1))
    reply = await worker.post("/alerts/ORDER_FAILED@BTCUSDT", {"state": "acknowledged", "reason": "looking"})
    assert reply.status_code == 200, reply.text
    assert (reply.json()["state"], reply.json()["changed_by"], reply.json()["reason"]) == (
        "acknowledged",
        "web:desk",
        "looking",
    )

    worker.raise_alert(occurrence(2))
    assert [alert["state"] for alert in await shown(worker)] == ["acknowledged"]

    await worker.post("/alerts/ORDER_FAILED@BTCUSDT", {"state": "resolved"})
    assert await shown(worker) == []
    assert [alert["state"] for alert in await shown(worker, state="all")] == ["resolved"]

    worker.raise_alert(occurrence(3))
    assert [alert["state"] for alert in await shown(worker)] == ["open"]


@pytest.mark.parametrize(
    ("parameters", "codes"),
    [
        ({"code": "BREAKER_OPEN"}, ["BREAKER_OPEN"]),
        ({"symbol": "btcusdt"}, ["ORDER_FAILED"]),
        ({"state": "open"}, ["BREAKER_OPEN", "ORDER_FAILED"]),
        ({"state": "resolved"}, []),
    ],
)
async def test_alerts_are_chosen_by_state_code_and_symbol(
    worker: Worker, parameters: dict[str, str], codes: list[str]
) -> None:
    worker.raise_alert(occurrence(1))
    worker.raise_alert(occurrence(2, code="BREAKER_OPEN", symbol=""))

    assert [alert["code"] for alert in await shown(worker, **parameters)] == codes


async def test_an_unknown_alert_a_wrong_state_and_a_reader_are_refused(worker: Worker) -> None:
    worker.raise_alert(occurrence(1))

    assert (await worker.post("/alerts/NO_SUCH", {"state": "resolved"})).status_code == 404
    assert (await worker.post("/alerts/ORDER_FAILED@BTCUSDT", {"state": "gone"})).status_code == 400
    refused = await worker.post("/alerts/ORDER_FAILED@BTCUSDT", {"state": "resolved"}, key=READ)
    assert refused.status_code == 403
    assert [alert["state"] for alert in await shown(worker)] == ["open"]
