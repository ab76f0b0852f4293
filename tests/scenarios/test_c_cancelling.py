"""Cancelling: by a new signal, by command, and in the race with a fill (requirements C01, C03, C04)."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal

import pytest
from command_line import ordermanager
from scenario_set import Desk, wish

from domain.commands import Action, Command

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_c01_a_new_signal_cancels_the_resting_order_of_its_symbol_first(desk: Desk, symbol: str) -> None:
    first = await desk.resting(symbol)

    second = await desk.trade(wish(symbol, order_type="limit", limit_price="99.8"))

    first = await desk.order(first["order_id"])
    assert first["state"] == "cancelled"
    assert second["signal_id"] in (await desk.events(first["order_id"], "pending_cancel"))[-1]["reason"]
    [replacement] = second["orders"]
    assert replacement["state"] == "acknowledged"
    assert replacement["times"]["created_ns"] > first["times"]["finished_ns"]


async def test_c01_a_market_signal_cancels_resting_limits(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol)

    row = await desk.trade(wish(symbol, order_type="market"))

    assert (await desk.order(resting["order_id"]))["state"] == "cancelled"
    await desk.order_in(row["order_ids"][0], "filled")


async def test_c01_a_partially_filled_order_stays(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol)
    await desk.quote(symbol, asks=(("99.9", "4"), ("100.1", "1000")), bids=(("99.8", "1000"),))
    await desk.order_in(resting["order_id"], "partially_filled")

    row = await desk.trade(wish(symbol, order_type="limit", limit_price="99.7"))

    assert not row["plans"][0]["cancels"]
    assert (await desk.order(resting["order_id"]))["state"] == "partially_filled"
    assert row["orders"][0]["state"] == "acknowledged"


async def test_c03_a_command_cancels_one_order_and_its_reason_is_on_record(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)

    result = await desk.command(action="cancel", order_id=order["order_id"], reason="lunch")

    assert (result["ok"], result["details"]) == (True, {order["order_id"]: "cancelled"})
    events = await desk.events(order["order_id"], "cancelled")
    assert [event["type"] for event in events][-2:] == ["pending_cancel", "cancelled"]
    assert events[-2]["reason"] == "lunch"
    assert (await desk.at_venue(symbol))[0]["orderStatus"] == "Cancelled"


async def test_c03_the_command_line_waits_for_the_venues_evidence(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)
    await desk.fault("latency", endpoint="order/cancel", symbol=symbol, delay_ms=300)

    code, [result] = await ordermanager(desk.settings, "cancel", "--order", order["order_id"], "--json")
    again = await ordermanager(desk.settings, "cancel", "--symbol", symbol.lower())

    assert (code, result["ok"], result["details"]) == (0, True, {order["order_id"]: "cancelled"})
    assert again == (0, f"{symbol}: 0 orders, 0 ended\n")


async def test_c03_the_command_line_cancels_everything_in_all_partitions(desk: Desk) -> None:
    orders = [await desk.resting(symbol) for symbol in desk.symbols(3)]

    code, [every, *results] = await ordermanager(desk.settings, "cancel", "--all", "--json")

    assert (code, every["ok"]) == (0, True)
    cancelled = {order["instrument"]["symbol"]: {order["order_id"]: "cancelled"} for order in orders}
    assert cancelled.items() <= {result["symbol"]: result["details"] for result in results}.items()


async def test_c03_an_order_is_found_by_the_venues_id_too(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)

    result = await desk.command(action="cancel", order_id=order["venue_order_id"])

    assert result["details"] == {order["order_id"]: "cancelled"}


async def test_c03_a_command_cancels_every_order_of_its_symbol_and_no_other(desk: Desk) -> None:
    symbol, other = desk.symbols(2)
    first = await desk.resting(symbol)
    await desk.quote(symbol, asks=(("99.9", "4"), ("100.1", "1000")), bids=(("99.8", "1000"),))
    await desk.order_in(first["order_id"], "partially_filled")
    second = await desk.resting(symbol, limit_price="99.7")
    bystander = await desk.resting(other)

    result = await desk.command(action="cancel", symbol=symbol)

    assert result["details"] == {first["order_id"]: "cancelled", second["order_id"]: "cancelled"}
    assert (await desk.order(bystander["order_id"]))["state"] == "acknowledged"


async def test_c03_a_command_cancels_everything_of_ours_and_nothing_of_others(desk: Desk) -> None:
    symbols = desk.symbols(3)
    orders = [await desk.resting(symbol) for symbol in symbols]
    external = await desk.by_hand(symbols[0], "buy", "3", "99")
    await desk.order_in(external.venue_order_id, "acknowledged")

    result = await desk.command(action="cancel", symbol="*", reason="closing time")

    assert result["ok"], result
    for order in orders:
        ended = await desk.order_in(order["order_id"], "cancelled")
        assert "closing time" in {step["reason"] for step in await desk.events(ended["order_id"], "pending_cancel")}
    assert (await desk.order(external.venue_order_id))["state"] == "acknowledged"


async def test_c03_a_command_by_topic_does_the_same_and_only_once(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)
    command = Command(
        command_id=f"c-{uuid.uuid4().hex}", action=Action.CANCEL, symbol=symbol, order_id=order["order_id"]
    )

    await desk.tell_command(command)
    await desk.order_in(order["order_id"], "cancelled")
    result = await desk.result_of(command.command_id)
    await desk.tell_command(command)
    afterwards = await desk.resting(symbol)

    assert result["ok"]
    assert await desk.result_of(command.command_id) == result
    await desk.command(action="cancel", order_id=afterwards["order_id"])
    assert await desk.result_of(command.command_id) == result


async def test_c03_an_unknown_order_is_not_found(desk: Desk) -> None:
    reply = await desk.post("/commands", action="cancel", order_id="om" + "a" * 26)

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "ORDER_NOT_FOUND"


async def test_c03_a_finished_order_is_clearly_refused(desk: Desk, symbol: str) -> None:
    order = await desk.bought(symbol)
    before = await desk.arrived("order/cancel")

    result = await desk.command(action="cancel", order_id=order["order_id"])

    assert (result["ok"], result["code"]) == (False, "ORDER_FINISHED")
    assert "filled" in result["sentence"]
    assert await desk.arrived("order/cancel") == before


async def test_c03_a_bad_command_goes_to_the_dead_letters_and_the_next_one_is_done(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)
    await desk.tell_command(b'{"command_id": "x", "action": "explode"}', symbol=symbol)

    result = await desk.command(action="cancel", order_id=order["order_id"])

    assert result["ok"]
    assert (await desk.record("order_commands_dead")).value == b'{"command_id": "x", "action": "explode"}'


async def test_c04_a_fill_that_comes_before_the_cancel_wins(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)
    await desk.fault("latency", endpoint="order/cancel", symbol=symbol, delay_ms=700, count=1)
    cancelling = asyncio.create_task(desk.command(action="cancel", order_id=order["order_id"]))
    await desk.order_in(order["order_id"], "pending_cancel")

    await desk.quote(symbol, asks=(("99.9", "1000"),), bids=(("99.8", "1000"),))

    filled = await desk.order_in(order["order_id"], "filled")
    assert Decimal(filled["executed_quantity"]) == 10
    assert (await cancelling)["details"] == {order["order_id"]: "filled"}
    assert [event["type"] for event in await desk.events(order["order_id"], "filled")][-2:] == [
        "pending_cancel",
        "filled",
    ]


async def test_c04_a_cancel_that_comes_before_the_word_of_a_fill_keeps_the_fill(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)
    await desk.fault("delay_stream", topic="execution", symbol=symbol, delay_ms=900)
    await desk.quote(symbol, asks=(("99.9", "4"), ("100.1", "1000")), bids=(("99.8", "1000"),))

    await desk.command(action="cancel", order_id=order["order_id"])

    ended = await desk.order_in(order["order_id"], "cancelled")
    assert Decimal(ended["executed_quantity"]) == 4
    assert Decimal(ended["leaves_quantity"]) == 0

    async def counted() -> bool | None:
        return Decimal((await desk.position(symbol))["size"]) == 4 or None

    await desk.until(counted, 10, "the late fill in the position")


async def test_c04_a_cancel_before_the_order_is_sent_keeps_it_from_being_sent(desk: Desk, symbol: str) -> None:
    await desk.fault("rate_limited", endpoint="order/create", symbol=symbol, retry_after_ms=800, count=1)
    signal = wish(symbol, order_type="limit")
    await desk.send(signal)
    created = (await desk.record("order_events", type="created", signal__signal_id=signal["signal_id"])).body

    await desk.command(action="cancel", order_id=created["order_id"])

    row = await desk.end_of(signal["signal_id"])
    assert row["orders"][0]["state"] == "expired"
    assert "CANCELLED_BEFORE_SENT" in row["orders"][0]["reason"]
    assert not await desk.at_venue(symbol)
