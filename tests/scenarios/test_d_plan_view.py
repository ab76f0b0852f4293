"""What would be decided, without deciding it (requirement D13)."""

from __future__ import annotations

import pytest
from scenario_set import Desk, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_d13_a_plan_is_shown_with_every_verdict_and_nothing_is_done(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="market", amount="500")

    shown = (await desk.post("/plan", **signal)).json()
    later = await desk.trade(signal)

    assert shown["decision"] == "execute"
    assert [verdict["outcome"] for verdict in shown["verdicts"]].count("reject") == 0
    assert shown["intents"][0]["quantity"] == later["orders"][0]["quantity"]
    assert shown["intents"][0]["order_id"] == later["orders"][0]["order_id"]  # planning is pure: so are its ids
    assert len(await desk.at_venue(symbol)) == 1


async def test_d13_a_plan_of_what_is_no_signal_says_every_reason(desk: Desk, symbol: str) -> None:
    reply = await desk.post("/plan", **(wish(symbol) | {"amount": "-1", "signal_type": "hold"}))

    assert reply.status_code == 400
    assert len(reply.json()["error"]["details"]["reasons"]) == 2
