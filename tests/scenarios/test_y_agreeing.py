"""Agreeing with the venue: before a symbol trades again, in the background, on demand (requirements Y01 to Y04)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, wish

from domain.updates import Call

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
            await desk.fault("error_5xx_before", endpoint=endpoint)
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


async def test_y01_a_symbol_whose_venue_does_not_answer_may_still_reduce(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    opening = wish(symbol, order_type="market", amount="100")
    closing = wish(symbol, "sell", order_type="market", reduce_only=True)
    async with desk.worker_away(ready=False):
        await desk.fault("error_5xx_before", endpoint="order/realtime")
        await desk.send(closing)

    row = await desk.end_of(closing["signal_id"])
    await desk.send(opening)
    await desk.everything_is_read(symbol)
    planned = await desk.ask(f"/signals/{opening['signal_id']}", missing=None)
    await desk.heal()

    assert (row["result"], row["orders"][0]["reduce_only"]) == ("executed", True)
    assert planned is None
    assert (await desk.end_of(opening["signal_id"]))["result"] == "executed"


async def test_y01_after_a_gap_in_the_stream_a_symbol_trades_on_what_was_missed(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol)
    sell = wish(symbol, "sell", order_type="market")
    await desk.fault("disconnect", refuse_ms=1500)

    async def noticed() -> bool | None:
        reason = (await desk.health())["checks"]["symbols_checked"]["reason"]
        return str(reason).startswith("STREAM_GAP") or None

    await desk.until(noticed, 5, "the gap to be noticed")
    await desk.quote(symbol, asks=(("99.9", "1000"),), bids=(("99.8", "1000"),))
    await desk.quote(symbol)
    await desk.send(sell)

    row = await desk.end_of(sell["signal_id"])

    bought = await desk.order_in(resting["order_id"], "filled")
    assert (row["result"], row["orders"][0]["quantity"]) == ("executed", "10")
    assert row["planned_ns"] >= bought["times"]["finished_ns"]


async def test_o07_an_order_placed_by_hand_whose_messages_were_lost_is_found_in_the_background(
    desk: Desk, symbol: str
) -> None:
    await desk.fault("drop_stream", symbol=symbol)

    placed = await desk.by_hand(symbol, "buy", "3", "99.5")

    found = await desk.order_in(placed.venue_order_id, "acknowledged")
    assert found["external"]


async def test_y03_a_sync_of_everything_tells_what_was_checked_and_changed(desk: Desk) -> None:
    one, other = desk.symbols(2)
    agreeing = await desk.resting(one)
    changed = await desk.resting(other)
    await desk.fault("drop_stream", symbol=other)
    await desk.stranger.admit(Call.CANCEL)
    await desk.stranger.cancel(desk.reference(changed))

    result = await desk.sync_everything()

    assert result["ok"]
    assert result["details"][agreeing["order_id"]] == "agrees"
    assert (await desk.order_in(changed["order_id"], "cancelled"))["state"] == "cancelled"


async def test_p03_a_position_whose_executions_were_swallowed_is_made_good_by_asking_for_them(
    desk: Desk, symbol: str
) -> None:
    await desk.bought(symbol)
    await desk.fault("drop_stream", symbol=symbol)
    await desk.by_hand(symbol, "sell", "4")

    await desk.position_is(symbol, "6")
