"""The circuit breaker around the venue (requirement X08)."""

from __future__ import annotations

import time

import pytest
from scenario_set import Desk, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"breaker_min_calls": 3, "breaker_window_s": 15.0, "breaker_failure_ratio": 0.4, "breaker_open_s": 0.5}


async def test_x08_an_unwell_venue_gets_no_creates_but_cancels_and_what_waited_is_sent_when_it_is_well(
    desk: Desk,
) -> None:
    resting, *others = desk.symbols(6)
    order = await desk.resting(resting)
    await desk.fault("error_5xx_before", endpoint="order/create")
    for name in others[:4]:
        await desk.send(wish(name, order_type="market"))
    await desk.alert("BREAKER_OPEN")
    health = await desk.health()
    arrived, began_s = await desk.arrived("order/create"), time.monotonic()

    waiting = wish(others[4], order_type="market")
    await desk.send(waiting)
    cancel = await desk.command(action="cancel", order_id=order["order_id"])
    await desk.order_in(order["order_id"], "cancelled")

    assert cancel["done"]
    assert health["checks"]["breaker"]["ok"] is False
    assert "BREAKER_OPEN" in health["checks"]["breaker"]["reason"]
    assert await desk.at_venue(others[4]) == []
    trials = await desk.arrived("order/create") - arrived
    assert trials <= 1 + (time.monotonic() - began_s) / 0.5, "more than one create each half second"

    await desk.heal()
    row = await desk.end_of(waiting["signal_id"], within_s=15)

    assert row["result"] == "executed"
    assert len(await desk.at_venue(others[4])) == 1
    assert (await desk.health())["checks"]["breaker"]["ok"] is True
