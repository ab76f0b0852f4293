"""Warm-up signals, low confidence, deep queues (requirements S08, S10, S11)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"min_confidence": Decimal("0.6"), "max_queue_depth": 3, "max_queue_wait_s": 30.0}


async def test_s08_a_warm_up_signal_is_decided_and_nothing_is_sent(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="limit", is_warmup=True)

    row = await desk.trade(signal)

    assert (row["result"], row["code"], row["is_warmup"]) == ("ignored", "WARMUP", True)
    [plan] = row["plans"]
    assert plan["decision"] == "simulate"
    assert plan["intents"][0]["quantity"] == "10"
    assert not await desk.at_venue(symbol)
    event = (await desk.record("order_events", signal_id=signal["signal_id"])).body
    assert (event["type"], event["is_warmup"]) == ("dry_run", True)


async def test_s08_a_warm_up_signal_keeps_no_money_from_the_next(desk: Desk, symbol: str) -> None:
    await desk.trade(wish(symbol, order_type="limit", is_warmup=True, amount="900000"))

    row = await desk.trade(wish(symbol, order_type="limit", amount="900000"))

    assert row["result"] == "executed"
    await desk.command(action="cancel", symbol=symbol)


async def test_s10_too_little_confidence_is_rejected_with_the_figures(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", confidence="0.59"))

    assert (row["result"], row["code"]) == ("rejected", "BELOW_MIN_CONFIDENCE")
    assert row["plans"][-1]["verdicts"][-1]["figures"] == {"confidence": "0.59", "minimum": "0.6"}


async def test_s11_a_queue_that_is_too_deep_raises_an_alert(desk: Desk, symbol: str) -> None:
    await desk.fault("latency", endpoint="order/create", symbol=symbol, delay_ms=900)
    signals = [wish(symbol, order_type="limit", limit_price=f"99.{number}") for number in range(1, 8)]
    for signal in signals:
        await desk.send(signal)

    alert = await desk.alert("QUEUE_TOO_DEEP")

    assert symbol in alert["sentence"]
    for signal in signals:
        await desk.end_of(signal["signal_id"], within_s=40)
