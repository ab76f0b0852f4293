"""Alerts: raised at once, folded, resolved by people or by themselves (requirement A01)."""

from __future__ import annotations

from typing import Any

import pytest
from scenario_set import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def shown(desk: Desk, code: str, **parameters: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await desk.ask("/alerts", code=code, **parameters))["items"]
    return items


async def test_a01_dead_letters_are_one_alert_until_somebody_resolves_it(desk: Desk, symbol: str) -> None:
    for text in (b"not json", b"[]", b"{}"):
        await desk.send(text, key=symbol.encode())

    async def three() -> dict[str, Any] | None:
        [alert] = await shown(desk, "DEAD_LETTER") or [{"count": 0}]
        return alert if alert["count"] == 3 else None

    alert = await desk.until(three, 10, "three letters in one alert")
    assert alert["state"] == "open"
    assert "signals-dead" in alert["sentence"]

    reply = await desk.post("/alerts/DEAD_LETTER", state="resolved", reason="a producer's test")

    assert reply.status_code == 200
    assert (reply.json()["changed_by"], reply.json()["reason"]) == ("web:operator", "a producer's test")
    assert await shown(desk, "DEAD_LETTER") == []


async def test_a01_a_stream_that_is_down_is_an_alert_that_ends_with_it(desk: Desk) -> None:
    await desk.set.gateway.stop()

    async def down() -> dict[str, Any] | None:
        return next(iter(await shown(desk, "STREAM_DOWN")), None)

    alert = await desk.until(down, 20, "the alert")
    desk.set.gateway.start()
    await desk.stream_is_up()

    async def resolved() -> dict[str, Any] | None:
        [alert] = await shown(desk, "STREAM_DOWN", state="all")
        return alert if alert["state"] == "resolved" else None

    after = await desk.until(resolved, 15, "the end of the alert")
    assert "no gateway listens" in alert["sentence"]
    assert after["changed_by"] == "manager"
