"""Orders that wait for a price, and the take-profits and stop-losses that follow a position."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import aiohttp
import pytest
from paper_client import STILL, Fields, Listener, PaperClient, order_rows, rows_of

from exchanges.paper import PaperExchange

RISES, FALLS = 1, 2


async def conditional(
    client: PaperClient, side: str, qty: str, trigger: str, direction: int, **fields: object
) -> Fields:
    wish = {"triggerPrice": trigger, "triggerDirection": direction, "triggerBy": "MarkPrice"}
    return await client.placed(side, qty, **(wish | fields))


async def move_to(client: PaperClient, bid: str, ask: str) -> None:
    """A market whose mark price is the middle of these, and whose last trade was at the bid."""
    await client.control("market", symbol="BTCUSDT", bids=[[bid, "50"]], asks=[[ask, "50"]], last=bid)


async def test_a_conditional_order_waits_and_then_is_an_order_like_any_other(
    client: PaperClient, stream: Listener
) -> None:
    row = await conditional(client, "Buy", "0.5", "66000", RISES, orderLinkId="stop")
    assert (row["orderStatus"], row["stopOrderType"], row["triggerPrice"]) == ("Untriggered", "Stop", "66000")
    assert (row["createType"], row["triggerDirection"], row["triggerBy"]) == (
        "CreateByStopOrder",
        1,
        "MarkPrice",
    )
    await move_to(client, "65990", "66010")
    assert await stream.statuses("Untriggered", "Triggered", "Filled") == [
        "Untriggered",
        "Triggered",
        "Filled",
    ]
    assert len({row["orderId"] for row in order_rows(stream.messages)}) == 1
    assert (await client.position())["avgPrice"] == "66010"


async def test_fills_of_orders_set_off_at_once_are_told_in_their_order(client: PaperClient, stream: Listener) -> None:
    await conditional(client, "Buy", "0.2", "65500", RISES, triggerBy="LastPrice")
    await conditional(client, "Sell", "0.1", "65500", RISES, triggerBy="LastPrice")
    await client.placed("Buy", "1", takeProfit="65500", stopLoss="64000")
    await move_to(client, "65600", "65610")
    await stream.until(lambda messages: len({row["orderId"] for row in rows_of(messages, "execution")}) == 4)
    told = [row["seq"] for row in rows_of(stream.messages, "execution")]
    assert told == sorted(told)


async def test_a_conditional_limit_order_rests_once_triggered(client: PaperClient) -> None:
    row = await conditional(client, "Sell", "0.5", "64000", FALLS, price="64500", orderType="Limit")
    await move_to(client, "63990", "64010")
    row = await client.shown(row["orderId"])
    assert (row["orderStatus"], row["price"], row["leavesQty"]) == ("New", "64500", "0.5")


async def test_last_price_triggers_when_a_trade_prints_it(client: PaperClient, other: PaperClient) -> None:
    row = await conditional(client, "Buy", "0.1", "65015", RISES, triggerBy="LastPrice")
    await other.placed("Buy", "0.5")
    assert (await client.shown(row["orderId"]))["orderStatus"] == "Untriggered"
    await other.placed("Buy", "0.6")
    assert (await client.shown(row["orderId"]))["orderStatus"] == "Filled"


@pytest.mark.parametrize(
    ("trigger", "direction", "code"),
    [("64000", RISES, 110092), ("66000", FALLS, 110093), ("66000", 0, 10001), ("66000.05", RISES, 110003)],
)
async def test_a_trigger_must_lie_ahead(client: PaperClient, trigger: str, direction: int, code: int) -> None:
    reply = await client.order("Buy", "0.1", triggerPrice=trigger, triggerDirection=direction)
    assert reply["retCode"] == code


async def test_a_cancelled_conditional_order_is_deactivated(client: PaperClient) -> None:
    row = await conditional(client, "Buy", "0.1", "66000", RISES)
    await client.post("order/cancel", symbol="BTCUSDT", orderId=row["orderId"])
    row = await client.shown(row["orderId"])
    assert (row["orderStatus"], row["cancelType"]) == ("Deactivated", "CancelByUser")


async def test_a_conditional_order_holds_no_margin_and_is_cancelled_if_it_cannot_be_paid(
    client: PaperClient,
) -> None:
    row = await conditional(client, "Buy", "50", "66000", RISES)
    (balance,) = await client.rows("account/wallet-balance", accountType="UNIFIED")
    assert balance["totalAvailableBalance"] == "100000"
    await move_to(client, "65990", "66010")
    assert (await client.shown(row["orderId"]))["orderStatus"] == "Cancelled"


async def test_ten_conditional_orders_per_symbol_are_enough(client: PaperClient) -> None:
    for _ in range(10):
        await conditional(client, "Buy", "0.1", "66000", RISES)
    reply = await client.order("Buy", "0.1", triggerPrice="66000", triggerDirection=RISES)
    assert reply["retCode"] == 110009


async def test_the_order_filter_tells_active_from_waiting_orders(client: PaperClient) -> None:
    waiting = await conditional(client, "Buy", "0.1", "66000", RISES)
    active = await client.placed("Buy", "0.1", "64000")
    for wanted, row in (("StopOrder", waiting), ("Order", active)):
        (found,) = await client.rows("order/realtime", symbol="BTCUSDT", orderFilter=wanted)
        assert found["orderId"] == row["orderId"]
    reply = await client.post("order/cancel-all", symbol="BTCUSDT", orderFilter="StopOrder")
    assert [row["orderId"] for row in reply["result"]["list"]] == [waiting["orderId"]]


async def test_a_trigger_can_be_amended(client: PaperClient) -> None:
    row = await conditional(client, "Buy", "0.1", "66000", RISES)
    await client.post("order/amend", symbol="BTCUSDT", orderId=row["orderId"], triggerPrice="65500", qty="0.2")
    await move_to(client, "65490", "65510")
    row = await client.shown(row["orderId"])
    assert (row["orderStatus"], row["cumExecQty"]) == ("Filled", "0.2")


async def test_waiting_orders_wait_on_after_a_restart(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    options = dataclasses.replace(STILL, database=tmp_path / "paper.db")
    async with PaperExchange(options) as exchange:
        client = PaperClient(exchange, http)
        await move_to(client, "64990", "65010")
        row = await conditional(client, "Buy", "0.1", "66000", RISES)
        await client.placed("Buy", "0.3", stopLoss="60000")
    async with PaperExchange(options) as exchange:
        client = PaperClient(exchange, http)
        assert (await client.position())["stopLoss"] == "60000"
        await move_to(client, "65990", "66010")
        assert (await client.shown(row["orderId"]))["orderStatus"] == "Filled"
        await move_to(client, "58000", "58010")
        assert (await client.position())["size"] == "0"


# -- take-profit and stop-loss ------------------------------------------------------------------------------------


async def children(client: PaperClient) -> dict[str, Fields]:
    rows = await client.rows("order/realtime", symbol="BTCUSDT", orderFilter="tpslOrder")
    return {str(row["stopOrderType"]): row for row in rows}


async def test_a_filled_order_sets_up_its_take_profit_and_stop_loss(client: PaperClient, stream: Listener) -> None:
    parent = await client.placed("Buy", "0.5", orderLinkId="parent", takeProfit="70000", stopLoss="60000")
    assert (parent["takeProfit"], parent["stopLoss"], parent["tpslMode"]) == ("70000", "60000", "Full")
    found = await children(client)
    profit, loss = found["TakeProfit"], found["StopLoss"]
    assert (profit["side"], profit["qty"], profit["triggerPrice"], profit["triggerDirection"]) == (
        "Sell",
        "0.5",
        "70000",
        1,
    )
    assert (loss["triggerPrice"], loss["triggerDirection"], loss["createType"]) == (
        "60000",
        2,
        "CreateByStopLoss",
    )
    assert (loss["reduceOnly"], loss["closeOnTrigger"], loss["parentOrderLinkId"]) == (True, True, "parent")
    position = await client.position()
    assert (position["takeProfit"], position["stopLoss"]) == ("70000", "60000")
    statuses = await stream.statuses("Filled", "Untriggered", "Untriggered")
    assert sorted(statuses) == ["Filled", "Untriggered", "Untriggered"]


async def test_a_resting_order_sets_them_up_only_when_it_fills(client: PaperClient) -> None:
    await client.placed("Buy", "0.5", "64000", stopLoss="60000")
    assert await children(client) == {}
    await move_to(client, "63980", "63990")
    assert (await children(client))["StopLoss"]["qty"] == "0.5"


async def test_they_grow_and_shrink_with_the_position_and_go_with_it(client: PaperClient) -> None:
    await client.placed("Buy", "0.5", stopLoss="60000")
    await client.placed("Buy", "0.3")
    assert (await children(client))["StopLoss"]["qty"] == "0.8"
    await client.placed("Sell", "0.6")
    loss = (await children(client))["StopLoss"]
    assert loss["qty"] == "0.2"
    await client.placed("Sell", "0.2")
    assert await children(client) == {}
    gone = await client.shown(str(loss["orderId"]))
    assert (gone["orderStatus"], gone["cancelType"]) == ("Deactivated", "CancelByTpSlTsClear")


@pytest.mark.parametrize(("bid", "ask", "gone"), [("59990", "60000", "TakeProfit"), ("70010", "70020", "StopLoss")])
async def test_when_one_closes_the_position_the_other_goes(client: PaperClient, bid: str, ask: str, gone: str) -> None:
    await client.placed("Buy", "0.5", takeProfit="70000", stopLoss="60000")
    other = (await children(client))[gone]
    await move_to(client, bid, ask)
    assert (await client.position())["size"] == "0"
    assert (await client.shown(str(other["orderId"])))["orderStatus"] == "Deactivated"


async def test_a_short_position_is_protected_the_other_way_round(client: PaperClient) -> None:
    await client.placed("Sell", "0.5", takeProfit="60000", stopLoss="70000")
    found = await children(client)
    assert (found["TakeProfit"]["triggerDirection"], found["StopLoss"]["triggerDirection"]) == (FALLS, RISES)
    await move_to(client, "70000", "70020")
    assert (await client.position())["size"] == "0"


async def test_a_stop_loss_closes_even_what_resting_reduce_only_orders_hold(client: PaperClient) -> None:
    await client.placed("Buy", "0.5", stopLoss="60000")
    resting = await client.placed("Sell", "0.5", "80000", reduceOnly=True)
    await move_to(client, "59990", "60000")
    assert (await client.position())["size"] == "0"
    assert (await client.shown(resting["orderId"]))["cancelType"] == "CancelByReduceOnly"


async def test_the_trigger_of_a_stop_loss_can_be_moved_but_not_its_quantity(client: PaperClient) -> None:
    await client.placed("Buy", "0.5", stopLoss="60000")
    order_id = (await children(client))["StopLoss"]["orderId"]
    reply = await client.post("order/amend", symbol="BTCUSDT", orderId=order_id, qty="0.1")
    assert reply["retCode"] == 10001
    await client.post("order/amend", symbol="BTCUSDT", orderId=order_id, triggerPrice="61000")
    assert (await client.position())["stopLoss"] == "61000"


async def test_a_reversal_takes_the_old_protection_away(client: PaperClient) -> None:
    await client.placed("Buy", "0.5", stopLoss="60000")
    await client.placed("Sell", "0.8")
    assert await children(client) == {}


@pytest.mark.parametrize(
    "wish",
    [
        {"takeProfit": "63000"},
        {"stopLoss": "65000"},
        {"takeProfit": "70000", "reduceOnly": True},
        {"takeProfit": "70000", "tpLimitPrice": "70001"},
        {"stopLoss": "60000", "slOrderType": "Limit"},
    ],
)
async def test_a_protection_that_makes_no_sense_or_is_not_supported_is_refused(
    client: PaperClient, wish: dict[str, object]
) -> None:
    assert (await client.order("Buy", "0.1", "64000", **wish))["retCode"] == 10001


@pytest.mark.parametrize("mode", ["Full", "Partial"])
@pytest.mark.parametrize(
    ("side", "wish"),
    [
        ("Buy", {"takeProfit": "64000"}),
        ("Buy", {"stopLoss": "66000"}),
        ("Sell", {"takeProfit": "66000"}),
        ("Sell", {"stopLoss": "64000"}),
        ("Buy", {"takeProfit": "65000", "tpTriggerBy": "MarkPrice"}),
    ],
)
async def test_a_market_order_whose_protection_would_trigger_at_once_is_refused(
    client: PaperClient, side: str, wish: dict[str, object], mode: str
) -> None:
    await move_to(client, "64990", "65010")
    reply = await client.order(side, "0.1", tpslMode=mode, **wish)
    assert reply["retCode"] == 10001, reply
    assert f"set for {side} position" in reply["retMsg"]
    assert await client.rows("order/history", symbol="BTCUSDT") == []


async def test_the_protection_of_a_market_order_lies_on_the_sides_of_the_price_that_triggers_it(
    client: PaperClient,
) -> None:
    """The last price is 64990, the mark price 65000."""
    await move_to(client, "64990", "65010")
    assert (await client.order("Buy", "0.1", stopLoss="64995"))["retCode"] == 10001
    assert (await client.order("Buy", "0.1", stopLoss="64995", slTriggerBy="MarkPrice"))["retCode"] == 0


async def test_the_protection_of_a_conditional_market_order_lies_on_the_sides_of_its_trigger(
    client: PaperClient,
) -> None:
    wish: dict[str, object] = {"triggerPrice": "68000", "triggerDirection": RISES}
    assert (await client.order("Buy", "0.1", takeProfit="67000", **wish))["retCode"] == 10001
    assert (await client.order("Buy", "0.1", takeProfit="69000", stopLoss="67000", **wish))["retCode"] == 0


@pytest.mark.parametrize("wish", [{"takeProfit": "63999"}, {"stopLoss": "64001"}])
async def test_an_amended_protection_on_the_wrong_side_is_refused(client: PaperClient, wish: dict[str, object]) -> None:
    row = await client.placed("Buy", "0.1", "64000", takeProfit="70000", stopLoss="60000")
    reply = await client.post("order/amend", symbol="BTCUSDT", orderId=row["orderId"], **wish)
    assert reply["retCode"] == 10001
    shown = await client.shown(str(row["orderId"]))
    assert (shown["takeProfit"], shown["stopLoss"]) == ("70000", "60000")


async def test_an_amended_protection_is_held_against_the_new_price_and_against_the_trigger(
    client: PaperClient,
) -> None:
    row = await client.placed("Buy", "0.1", "64000")
    wish = {"symbol": "BTCUSDT", "orderId": row["orderId"]}
    assert (await client.post("order/amend", price="63000", takeProfit="63500", **wish))["retCode"] == 0
    waits = await conditional(client, "Buy", "0.1", "68000", RISES)
    wish = {"symbol": "BTCUSDT", "orderId": waits["orderId"]}
    assert (await client.post("order/amend", takeProfit="67000", **wish))["retCode"] == 10001
    assert (await client.post("order/amend", takeProfit="69000", **wish))["retCode"] == 0


@pytest.mark.parametrize(
    ("side", "wish", "words"),
    [
        (
            "Buy",
            {"takeProfit": "64000"},
            "TakeProfit:640000000 set for Buy position should be higher than base_price:649900000??LastPrice",
        ),
        (
            "Sell",
            {"takeProfit": "66000", "tpTriggerBy": "IndexPrice"},
            "TakeProfit:660000000 set for Sell position should be lower than base_price:650000000??IndexPrice",
        ),
        (
            "Buy",
            {"stopLoss": "66000", "tpslMode": "Partial"},
            "PartialStopLoss:660000000 set for Buy position should lower than base_price:649900000??LastPrice",
        ),
        (
            "Sell",
            {"stopLoss": "64000", "slTriggerBy": "MarkPrice"},
            "StopLoss:640000000 set for Sell position should greater base_price:650000000??MarkPrice",
        ),
    ],
)
async def test_a_protection_on_the_wrong_side_is_refused_in_the_venues_words(
    client: PaperClient, side: str, wish: dict[str, object], words: str
) -> None:
    await move_to(client, "64990", "65010")
    assert (await client.order(side, "0.1", **wish))["retMsg"] == words


async def test_a_trigger_that_is_reached_is_refused_in_the_venues_words(client: PaperClient) -> None:
    await move_to(client, "64990", "65010")
    reached = await client.order("Sell", "0.1", triggerPrice="65000.5", triggerDirection=FALLS)
    assert (reached["retCode"], reached["retMsg"]) == (
        110093,
        "expect Falling, but trigger_price[650005000] >= current[649900000]??LastPrice",
    )
    wish = {"triggerPrice": "65000", "triggerDirection": RISES, "triggerBy": "MarkPrice"}
    reached = await client.order("Buy", "0.1", **wish)
    assert (reached["retCode"], reached["retMsg"]) == (
        110092,
        "expect Rising, but trigger_price[650000000] <= current[650000000]??MarkPrice",
    )
