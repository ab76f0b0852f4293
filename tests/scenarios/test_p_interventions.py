"""What the exchange does to positions by itself: funding, liquidation, deleveraging, settlement (requirement P06)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from scenario_set import Desk, Row

from exchanges.paper.options import FIRST_UID

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"allow_short": True}


async def history(desk: Desk, symbol: str, kind: str) -> Row:
    """The position's newest execution, once it is of this kind."""

    async def newest() -> Row | None:
        items = (await desk.ask(f"/positions/{symbol}/history", limit=1))["items"]
        return items[0] if items and items[0]["kind"] == kind else None

    return await desk.until(newest, 15, f"an execution of {symbol} by {kind}")


async def close_by_exchange(desk: Desk, symbol: str, **wish: Any) -> None:
    await desk.set.paper_post("/paper/liquidation", {"symbol": symbol, "uid": FIRST_UID, **wish})


@pytest.mark.parametrize(("signal_type", "funding"), [("buy", Decimal("-0.99")), ("sell", Decimal(1))])
async def test_p06_funding_moves_money_not_size_and_is_no_alarm(desk: Desk, signal_type: str, funding: Decimal) -> None:
    [symbol] = desk.symbols(1)
    if signal_type == "buy":
        await desk.bought(symbol)
    else:
        await desk.by_hand(symbol, "sell", "10")
        await desk.position_is(symbol, "-10")
    before = await desk.position(symbol)

    await desk.set.paper_post("/paper/funding", {"symbol": symbol, "rate": "0.001"})

    row = await history(desk, symbol, "funding")
    after = await desk.position(symbol)
    size = Decimal(before["size"])
    assert Decimal(after["funding"]) == -size * 100 * Decimal("0.001")
    assert Decimal(after["funding"]) == (funding if size == -10 else -size / 10)
    for name in ("size", "average_entry", "realised", "fees"):
        assert after[name] == before[name]
    assert (row["order_id"], Decimal(row["after"]["funding"])) == ("", Decimal(after["funding"]))
    told = await desk.record("position_events", instrument__symbol=symbol, fill_kind="funding")
    assert (told.body["type"], told.body["execution_id"]) == ("changed", row["execution_id"])
    await desk.everything_is_read(symbol)
    assert not desk.told("alerts", symbol=symbol)


async def test_p06_funding_that_nobody_heard_of_is_made_good_and_counts_once(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    await desk.fault("disconnect", refuse_ms=500)
    await desk.set.paper_post("/paper/funding", {"symbol": symbol, "rate": "0.001"})

    await history(desk, symbol, "funding")
    await desk.stream_is_up()
    await desk.everything_is_read(symbol)

    held = await desk.position(symbol)
    assert Decimal(held["funding"]) == -Decimal(held["size"]) / 10


async def test_p06_funding_that_a_living_stream_swallows_is_found_by_the_next_validation(
    desk: Desk, symbol: str
) -> None:
    await desk.bought(symbol)
    await desk.position_is(symbol, "10")
    lost = await desk.fault("drop_stream", topic="execution", symbol=symbol)
    await desk.set.paper_post("/paper/funding", {"symbol": symbol, "rate": "0.001"})

    async def swallowed() -> bool | None:
        return bool(await desk.fired(lost)) or None

    await desk.until(swallowed, 10, "the swallowed message")
    assert Decimal((await desk.position(symbol))["funding"]) == 0

    async def validated() -> Decimal | None:
        await desk.command(action="sync", symbol=symbol)
        return Decimal((await desk.position(symbol))["funding"]) or None

    assert await desk.until(validated, 20, "the payment") == -1
    await desk.command(action="sync", symbol=symbol)
    assert Decimal((await desk.position(symbol))["funding"]) == -1
    assert not desk.told("alerts", symbol=symbol)


async def test_p06_a_liquidation_closes_takes_our_orders_along_and_raises_an_alert(desk: Desk, symbol: str) -> None:
    bought = await desk.bought(symbol)
    resting = await desk.resting(symbol, "sell", limit_price="120")
    await desk.quote(symbol, bids=(("79.9", "1000"),), asks=(("80.1", "1000"),))

    await close_by_exchange(desk, symbol)

    row = await history(desk, symbol, "liquidation")
    flat = await desk.position(symbol)
    alert = await desk.alert("POSITION_CLOSED_BY_VENUE", symbol=symbol)
    gone = await desk.order_in(resting["order_id"], "cancelled")
    quantity = Decimal(bought["executed_quantity"])
    assert (Decimal(row["quantity"]), row["price"], row["side"]) == (quantity, "80", "sell")
    assert Decimal(flat["realised"]) == quantity * (80 - Decimal(bought["average_price"]))
    assert (flat["size"], gone["reason"]) == ("0", "CANCEL_ALL_BEFORE_LIQ")
    assert "by liquidation at 80, 0 is left" in alert["sentence"]

    explained = await desk.ask(f"/orders/{row['order_id']}")
    steps = [step["step"] for step in explained["story"]]
    assert explained["order"]["external"]
    assert (steps[0], "liquidation" in steps) == ("adopted", True)
    told = await desk.record("position_events", instrument__symbol=symbol, fill_kind="liquidation")
    assert told.body["order_id"] == row["order_id"]


@pytest.mark.parametrize("why", ["adl", "settlement"])
async def test_p06_what_is_closed_in_part_is_told_with_what_is_left(desk: Desk, why: str) -> None:
    [symbol] = desk.symbols(1)
    await desk.by_hand(symbol, "sell", "10")
    await desk.position_is(symbol, "-10")

    await close_by_exchange(desk, symbol, why=why, qty="4")

    row = await history(desk, symbol, why)
    held = await desk.position(symbol)
    alert = await desk.alert("POSITION_CLOSED_BY_VENUE", symbol=symbol)
    assert (held["size"], row["side"], row["quantity"]) == ("-6", "buy", "4")
    assert Decimal(held["realised"]) == 4 * (Decimal(held["average_entry"]) - Decimal(row["price"]))
    assert f"closed 4 {symbol} by {why} at 100, -6 is left" in alert["sentence"]
