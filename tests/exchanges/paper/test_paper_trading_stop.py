"""Take-profits, stop-losses and trailing stops: in parts, as limit orders, set and moved by `position/trading-stop`."""

from __future__ import annotations

import pytest
from paper_client import Fields, Listener, PaperClient, order_rows


async def move_to(client: PaperClient, bid: str, ask: str) -> None:
    """A market whose mark price is the middle of these, and whose last trade was at the bid."""
    await client.control("market", symbol="BTCUSDT", bids=[[bid, "50"]], asks=[[ask, "50"]], last=bid)


async def children(client: PaperClient) -> dict[str, Fields]:
    rows = await client.rows("order/realtime", symbol="BTCUSDT", orderFilter="tpslOrder")
    return {str(row["stopOrderType"]): row for row in rows}


async def set_stop(client: PaperClient, mode: str = "Full", **wish: object) -> Fields:
    return await client.post("position/trading-stop", symbol="BTCUSDT", tpslMode=mode, positionIdx=0, **wish)


# -- the whole position -------------------------------------------------------------------------------------------


async def test_a_position_gets_take_profit_and_stop_loss(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    assert (await set_stop(client, takeProfit="70000", stopLoss="60000"))["retCode"] == 0
    position = await client.position()
    assert (position["takeProfit"], position["stopLoss"]) == ("70000", "60000")
    found = await children(client)
    assert (found["TakeProfit"]["qty"], found["StopLoss"]["tpslMode"]) == ("0.5", "Full")


async def test_what_stands_is_moved_and_keeps_its_id(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    await set_stop(client, stopLoss="60000")
    before = (await children(client))["StopLoss"]
    await set_stop(client, stopLoss="61000", slTriggerBy="MarkPrice")
    after = (await children(client))["StopLoss"]
    assert after["orderId"] == before["orderId"]
    assert (after["triggerPrice"], after["triggerBy"]) == ("61000", "MarkPrice")


async def test_zero_takes_away_and_absence_leaves(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    await set_stop(client, takeProfit="70000", stopLoss="60000")
    loss = (await children(client))["StopLoss"]
    await set_stop(client, stopLoss="0")
    assert list(await children(client)) == ["TakeProfit"]
    gone = await client.shown(str(loss["orderId"]))
    assert (gone["orderStatus"], gone["cancelType"]) == ("Deactivated", "CancelByTpSlTsClear")


async def test_the_same_again_is_not_modified(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    await set_stop(client, stopLoss="60000")
    assert (await set_stop(client, stopLoss="60000"))["retCode"] == 34040
    assert (await set_stop(client))["retCode"] == 34040


async def test_nothing_is_set_without_a_position(client: PaperClient) -> None:
    reply = await set_stop(client, stopLoss="60000")
    assert (reply["retCode"], reply["retMsg"]) == (10001, "can not set tp/sl/ts for zero position")


@pytest.mark.parametrize(
    "wish",
    [
        {"takeProfit": "64000"},
        {"stopLoss": "66000"},
        {"takeProfit": "70000", "tpOrderType": "Limit"},
        {"activePrice": "1", "trailingStop": "5"},
    ],
)
async def test_a_wish_on_the_wrong_side_is_refused(client: PaperClient, wish: dict[str, str]) -> None:
    await client.placed("Buy", "0.5")
    assert (await set_stop(client, **wish))["retCode"] == 10001


async def test_the_one_that_triggers_takes_the_other_away(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    await set_stop(client, takeProfit="70000", stopLoss="60000")
    loss = (await children(client))["StopLoss"]
    await move_to(client, "70010", "70020")
    gone = await client.shown(str(loss["orderId"]))
    assert (gone["orderStatus"], gone["cancelType"]) == ("Deactivated", "CancelByOCOSlCanceledByTpTriggered")


# -- parts of it --------------------------------------------------------------------------------------------------


async def test_a_part_is_protected_by_a_pair(client: PaperClient, stream: Listener) -> None:
    await client.placed("Buy", "0.5")
    wish = {"takeProfit": "70000", "stopLoss": "60000", "tpSize": "0.2", "slSize": "0.2"}
    assert (await set_stop(client, "Partial", **wish))["retCode"] == 0
    found = await children(client)
    assert {kind: row["qty"] for kind, row in found.items()} == {"PartialTakeProfit": "0.2", "PartialStopLoss": "0.2"}
    assert found["PartialTakeProfit"]["createType"] == "CreateByPartialTakeProfit"
    await move_to(client, "59990", "60000")
    assert (await client.position())["size"] == "0.3"
    gone = await client.shown(str(found["PartialTakeProfit"]["orderId"]))
    assert (gone["orderStatus"], gone["cancelType"]) == ("Deactivated", "CancelByOCOTpCanceledBySlTriggered")
    messages = await stream.until(lambda got: any(row["orderStatus"] == "Deactivated" for row in order_rows(got)))
    mine = [row["orderStatus"] for row in order_rows(messages) if row["stopOrderType"] == "PartialStopLoss"]
    assert mine[:2] == ["Untriggered", "Triggered"]


async def test_a_partial_take_profit_may_be_a_limit_order(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    wish = {"takeProfit": "70000", "tpSize": "0.2", "tpOrderType": "Limit", "tpLimitPrice": "70100"}
    assert (await set_stop(client, "Partial", **wish))["retCode"] == 0
    profit = (await children(client))["PartialTakeProfit"]
    await move_to(client, "70010", "70020")
    row = await client.shown(str(profit["orderId"]))
    assert (row["orderStatus"], row["orderType"], row["price"]) == ("New", "Limit", "70100")


async def test_parts_cannot_be_larger_than_the_position_nor_more_than_twenty(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    assert (await set_stop(client, "Partial", stopLoss="60000", slSize="0.6"))["retCode"] == 110058
    for _ in range(20):
        assert (await set_stop(client, "Partial", stopLoss="60000", slSize="0.1"))["retCode"] == 0
    assert (await set_stop(client, "Partial", stopLoss="60000", slSize="0.1"))["retCode"] == 110061


async def test_parts_go_with_the_position(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    await set_stop(client, "Partial", takeProfit="70000", stopLoss="60000", tpSize="0.2", slSize="0.2")
    await client.placed("Sell", "0.5", reduceOnly=True)
    assert await children(client) == {}


async def test_cancelling_one_of_a_pair_cancels_both(client: PaperClient) -> None:
    await client.placed("Buy", "0.5")
    await set_stop(client, "Partial", takeProfit="70000", stopLoss="60000", tpSize="0.2", slSize="0.2")
    profit = (await children(client))["PartialTakeProfit"]
    await client.post("order/cancel", symbol="BTCUSDT", orderId=profit["orderId"])
    assert await children(client) == {}


async def test_an_order_in_partial_mode_protects_what_it_fills_as_it_fills(client: PaperClient) -> None:
    await client.pin(bids=[["64000", "5"]], asks=[["65000", "0.2"]])
    wish = {
        "tpslMode": "Partial",
        "takeProfit": "70000",
        "stopLoss": "60000",
        "tpOrderType": "Limit",
        "tpLimitPrice": "69990",
    }
    parent = await client.placed("Buy", "0.5", "65000", **wish)
    assert (parent["orderStatus"], parent["tpslMode"], parent["tpLimitPrice"]) == (
        "PartiallyFilled",
        "Partial",
        "69990",
    )
    found = await children(client)
    assert {row["qty"] for row in found.values()} == {"0.2"}
    await move_to(client, "64900", "64990")
    grown = await children(client)
    assert {row["qty"] for row in grown.values()} == {"0.5"}
    assert grown["PartialStopLoss"]["orderId"] == found["PartialStopLoss"]["orderId"]


async def test_take_profit_of_an_open_order_can_be_moved_and_removed(client: PaperClient) -> None:
    row = await client.placed("Buy", "0.5", "64000", takeProfit="70000", stopLoss="60000")
    await client.post("order/amend", symbol="BTCUSDT", orderId=row["orderId"], takeProfit="71000", stopLoss="0")
    row = await client.shown(str(row["orderId"]))
    assert row["takeProfit"] == "71000"
    await move_to(client, "63980", "63990")
    assert list(await children(client)) == ["TakeProfit"]


# -- trailing -----------------------------------------------------------------------------------------------------


async def test_a_trailing_stop_follows_the_price_up_and_triggers_on_the_way_down(client: PaperClient) -> None:
    await move_to(client, "64990", "65010")
    await client.placed("Buy", "0.5")
    assert (await set_stop(client, trailingStop="500"))["retCode"] == 0
    await move_to(client, "66000", "66010")
    trailing = (await children(client))["TrailingStop"]
    assert (trailing["triggerPrice"], trailing["createType"]) == ("65500", "CreateByTrailingStop")
    await move_to(client, "65600", "65610")
    assert (await client.position())["size"] == "0.5"
    await move_to(client, "65490", "65500")
    assert (await client.position())["size"] == "0"


async def test_a_trailing_stop_with_an_active_price_starts_there(client: PaperClient) -> None:
    await move_to(client, "64990", "65010")
    await client.placed("Buy", "0.5")
    await set_stop(client, trailingStop="500", activePrice="67000")
    assert (await client.position())["trailingStop"] == "500"
    assert (await children(client))["TrailingStop"]["triggerPrice"] == "67000", "until then, where it becomes active"
    await move_to(client, "66000", "66010")
    await move_to(client, "65000", "65010")
    assert (await client.position())["size"] == "0.5"
    await move_to(client, "67100", "67110")
    assert (await children(client))["TrailingStop"]["triggerPrice"] == "66600"
    await move_to(client, "66590", "66600")
    assert (await client.position())["size"] == "0"


async def test_a_trailing_stop_of_a_short_position_follows_down(client: PaperClient) -> None:
    await move_to(client, "64990", "65010")
    await client.placed("Sell", "0.5")
    await set_stop(client, trailingStop="500")
    await move_to(client, "64000", "64010")
    assert (await children(client))["TrailingStop"]["triggerPrice"] == "64500"
    await set_stop(client, trailingStop="0")
    assert await children(client) == {}


async def test_margin_is_cross_so_choices_of_isolated_positions_are_refused(client: PaperClient) -> None:
    assert (await client.post("position/set-auto-add-margin", symbol="BTCUSDT", autoAddMargin=1))["retCode"] == 110076
    reply = await client.post("position/set-tpsl-mode", symbol="BTCUSDT", tpSlMode="Partial")
    assert reply["result"] == {"tpSlMode": "Partial"}
