"""Agreeing with the venue: before a symbol trades again, and in the background (requirements Y01, Y02)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"reconcile_interval_s": 1.5}


async def test_y01_what_happened_while_the_worker_was_away_is_known_before_its_symbol_trades(
    desk: Desk, symbol: str
) -> None:
    resting = await desk.resting(symbol)
    sell = wish(symbol, "sell", order_type="market")
    async with desk.worker_away():
        await desk.fault("drop_stream", symbol=symbol)  # nobody will tell of the fill unasked
        await desk.quote(symbol, asks=(("99.9", "1000"),), bids=(("99.8", "1000"),))
        await desk.quote(symbol)
        await desk.heal()
        await desk.send(sell)

    row = await desk.end_of(sell["signal_id"])

    bought = await desk.order_in(resting["order_id"], "filled")
    assert (row["result"], row["orders"][0]["quantity"]) == ("executed", "10")
    assert row["planned_ns"] >= bought["times"]["finished_ns"]
    assert (await desk.events(bought["order_id"], "filled"))[-1]["origin"] == "reconcile"


async def test_y01_a_symbol_whose_venue_cannot_be_asked_stays_shut_and_the_others_trade(desk: Desk) -> None:
    shut, free = desk.symbols(2)
    resting = await desk.resting(shut)
    waiting = wish(shut, order_type="market")
    async with desk.worker_away(ready=False):
        for endpoint in ("order/realtime", "order/history"):
            await desk.fault("error_5xx_before", endpoint=endpoint, symbol=shut)
        await desk.send(waiting)
    await desk.bought(free)

    health = (await desk.health())["checks"]["symbols_checked"]
    planned = await desk.ask(f"/signals/{waiting['signal_id']}", missing=None)
    await desk.heal()
    await desk.worker_is_ready()

    assert health["reason"].startswith("SYMBOLS_SHUT: 1 ")
    assert planned is None, "the signal must not be planned on orders that nobody has asked for"
    assert (await desk.end_of(waiting["signal_id"]))["result"] == "executed"
    assert (await desk.order(resting["order_id"]))["state"] == "cancelled"


async def test_y02_an_order_that_is_quiet_for_too_long_is_asked_for(desk: Desk, symbol: str) -> None:
    await desk.fault("drop_stream", symbol=symbol)

    row = await desk.trade(wish(symbol, order_type="market"))

    order = await desk.order_in(row["order_ids"][0], "filled")
    assert (await desk.events(order["order_id"], "filled"))[-1]["origin"] == "reconcile"
    assert Decimal((await desk.position(symbol))["size"]) == 10


async def test_y02_fills_that_the_stream_swallowed_are_asked_for(desk: Desk, symbol: str) -> None:
    await desk.fault("drop_stream", topic="execution", symbol=symbol)

    order = await desk.bought(symbol)

    fills = (await desk.ask(f"/orders/{order['order_id']}"))["fills"]
    assert [fill["quantity"] for fill in fills] == ["10"]
    await desk.position_is(symbol, "10")


async def test_y02_an_open_order_is_compared_now_and_then_although_nothing_seems_wrong(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)
    await desk.fault("drop_stream", symbol=symbol)
    await desk.quote(symbol, asks=(("99.9", "1000"),), bids=(("99.8", "1000"),))

    filled = await desk.order_in(order["order_id"], "filled")

    assert filled["executed_quantity"] == "10"
    await desk.position_is(symbol, "10")
