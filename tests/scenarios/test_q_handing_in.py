"""Signals handed in by the views: as good as a producer's, and their outcome awaited (requirement Q06)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"categories": "linear,spot"}


async def test_q06_a_signal_handed_in_is_executed_and_its_outcome_told(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="market")

    reply = await desk.post("/signals?wait_s=10", **signal)

    told = reply.json()
    assert (reply.status_code, told["outcome"]) == (200, "executed"), told
    assert told["signal"]["source"] == told["source"]
    order = await desk.order_in(told["signal"]["order_ids"][0], "filled")
    assert (order["trace_id"], order["quantity"]) == (told["trace_id"], "10")
    record = await desk.record("signals", signal_id=signal["signal_id"])
    assert (record.source, record.key) == (told["source"], symbol.encode())


async def test_q06_a_signal_handed_in_again_is_a_duplicate(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="market")
    first = (await desk.post("/signals?wait_s=10", **signal)).json()

    again = (await desk.post("/signals?wait_s=10", **signal)).json()
    other = (await desk.post("/signals?wait_s=10", **{**signal, "amount": "2000"})).json()

    assert (first["outcome"], again["outcome"], other["outcome"]) == ("executed", "duplicate", "conflict")
    assert again["signal"]["order_ids"] == first["signal"]["order_ids"]
    assert len(await desk.at_venue(symbol)) == 1


async def test_q06_a_refused_signal_says_why_and_may_come_again(desk: Desk, symbol: str) -> None:
    sell = wish(symbol, "sell", order_type="market")
    refused = (await desk.post("/signals?wait_s=10", **sell)).json()
    await desk.bought(symbol)

    again = (await desk.post("/signals?wait_s=10", **sell)).json()

    assert (refused["outcome"], refused["signal"]["code"]) == ("rejected", "NOTHING_TO_SELL")
    assert (again["outcome"], again["signal"]["attempt"]) == ("executed", 2)
    await desk.order_in(again["signal"]["order_ids"][0], "filled")


async def test_q06_a_signal_that_waits_for_its_venue_is_accepted_and_asked_for_later(desk: Desk, symbol: str) -> None:
    await desk.fault("latency", endpoint="order/create", symbol=symbol, delay_ms=900, count=1)
    signal = wish(symbol, order_type="market")

    accepted = await desk.post("/signals", **signal)
    told = accepted.json()
    later = await desk.ask(
        f"/signals/{told['signal_id']}", symbol=symbol, source=told["source"], wait_s="10", missing={"outcome": None}
    )

    assert (accepted.status_code, told["outcome"]) == (202, None)
    assert later["outcome"] == "executed"
    assert Decimal(later["items"][0]["orders"][0]["quantity"]) == 10


async def test_q06_what_is_not_traded_here_is_refused_and_never_published(desk: Desk, symbol: str) -> None:
    reply = await desk.post("/signals", **wish(symbol, category="inverse", venue="elsewhere", amount="10"))

    assert (reply.status_code, len(reply.json()["error"]["details"]["reasons"])) == (400, 2)
    marker = await desk.trade(wish(symbol, order_type="limit"))
    await desk.record("signals", signal_id=marker["signal_id"])
    assert [row.body["signal_id"] for row in desk.told("signals", symbol=symbol)] == [marker["signal_id"]]
