"""Every kind of order against a book that stands still: bids 64990 x 1, 64980 x 2; asks 65010 x 1, 65020 x 2."""

from __future__ import annotations

from decimal import Decimal

import pytest
from paper_client import Listener, PaperClient, order_rows, rows_of

TOO_MANY = "The number of contracts exceeds maximum limit allowed: too large,"


async def test_a_market_order_takes_the_best_prices_first(client: PaperClient) -> None:
    row = await client.placed("Buy", "1.5", orderLinkId="m-1")
    assert row["orderStatus"] == "Filled"
    assert row["timeInForce"] == "IOC"
    assert Decimal(row["cumExecValue"]) == Decimal(1) * 65010 + Decimal("0.5") * 65020
    assert row["avgPrice"] == "65013.333333333333333333"
    assert row["price"] == "68260.5"  # 5 % beyond the best ask
    assert (row["leavesQty"], row["rejectReason"], row["cancelType"]) == ("0", "EC_NoError", "UNKNOWN")


async def test_a_market_order_larger_than_the_book_ends_cancelled_with_what_it_got(
    client: PaperClient,
) -> None:
    row = await client.placed("Sell", "4")
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_CancelForNoFullFill")
    assert (row["cumExecQty"], row["leavesQty"]) == ("3", "0")


async def test_a_market_order_without_anybody_opposite_is_cancelled_unfilled(client: PaperClient) -> None:
    await client.pin(bids=[["64990", "1"]])
    row = await client.placed("Buy", "1")
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_NoImmediateQtyToFill")


async def test_a_limit_order_that_does_not_cross_rests(client: PaperClient) -> None:
    row = await client.placed("Buy", "0.5", "64000")
    assert (row["orderStatus"], row["leavesQty"], row["leavesValue"]) == ("New", "0.5", "32000")
    assert (row["avgPrice"], row["cumExecQty"], row["cumFeeDetail"]) == ("0", "0", {})


async def test_a_limit_order_that_crosses_fills_at_the_makers_price_and_rests_with_the_rest(
    client: PaperClient,
) -> None:
    row = await client.placed("Buy", "1.5", "65010")
    assert (row["orderStatus"], row["cumExecQty"], row["leavesQty"]) == ("PartiallyFilled", "1", "0.5")
    assert row["avgPrice"] == "65010"


async def test_immediate_or_cancel_takes_what_is_there(client: PaperClient) -> None:
    row = await client.placed("Buy", "1.5", "65010", timeInForce="IOC")
    assert (row["orderStatus"], row["rejectReason"], row["cumExecQty"]) == (
        "Cancelled",
        "EC_CancelForNoFullFill",
        "1",
    )


async def test_immediate_or_cancel_with_nothing_there_is_cancelled(client: PaperClient) -> None:
    row = await client.placed("Buy", "1", "65000", timeInForce="IOC")
    assert (row["orderStatus"], row["rejectReason"], row["cumExecQty"]) == (
        "Cancelled",
        "EC_NoImmediateQtyToFill",
        "0",
    )


async def test_fill_or_kill_fills_over_several_levels(client: PaperClient) -> None:
    row = await client.placed("Buy", "3", "65020", timeInForce="FOK")
    assert (row["orderStatus"], row["cumExecQty"]) == ("Filled", "3")


async def test_fill_or_kill_that_cannot_fill_whole_takes_nothing(client: PaperClient) -> None:
    row = await client.placed("Buy", "3.001", "65020", timeInForce="FOK")
    assert (row["orderStatus"], row["rejectReason"], row["cumExecQty"]) == (
        "Cancelled",
        "EC_NoEnoughQtyToFill",
        "0",
    )
    assert (await client.position())["size"] == "0"


async def test_post_only_that_would_take_is_acknowledged_and_then_cancelled(client: PaperClient) -> None:
    row = await client.placed("Buy", "1", "65010", timeInForce="PostOnly")
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
    assert (row["cumExecQty"], row["cancelType"]) == ("0", "UNKNOWN")


async def test_post_only_inside_the_spread_rests(client: PaperClient) -> None:
    row = await client.placed("Buy", "1", "65009.9", timeInForce="PostOnly")
    assert row["orderStatus"] == "New"


async def test_two_accounts_trade_with_each_other_by_price_and_then_by_time(
    client: PaperClient, other: PaperClient
) -> None:
    worse = await client.placed("Sell", "0.2", "65002")
    first = await client.placed("Sell", "0.2", "65001")
    second = await client.placed("Sell", "0.2", "65001")
    taker = await other.placed("Buy", "0.3", "65005", timeInForce="IOC")
    assert taker["cumExecValue"] == "19500.3"
    assert (await client.shown(first["orderId"]))["orderStatus"] == "Filled"
    assert (await client.shown(second["orderId"]))["cumExecQty"] == "0.1"
    assert (await client.shown(worse["orderId"]))["orderStatus"] == "New"
    fills = await client.rows("execution/list", symbol="BTCUSDT")
    assert {fill["isMaker"] for fill in fills} == {True}
    assert {fill["feeRate"] for fill in fills} == {"0.0002"}
    (taken, also_taken) = await other.rows("execution/list", symbol="BTCUSDT")
    assert (taken["isMaker"], also_taken["feeRate"]) == (False, "0.00055")


async def test_a_user_comes_before_the_market_maker_at_the_same_price(client: PaperClient, other: PaperClient) -> None:
    resting = await client.placed("Sell", "0.4", "65010")
    await other.placed("Buy", "0.4", "65010")
    assert (await client.shown(resting["orderId"]))["orderStatus"] == "Filled"


async def test_an_account_may_trade_with_itself(client: PaperClient) -> None:
    await client.placed("Sell", "0.1", "65001")
    await client.placed("Buy", "0.1", "65001", timeInForce="IOC")
    assert (await client.position())["size"] == "0"
    assert len(await client.rows("execution/list", symbol="BTCUSDT")) == 2


async def test_a_resting_order_fills_in_parts_as_the_market_moves_through_it(client: PaperClient) -> None:
    row = await client.placed("Buy", "2", "64995")
    await client.pin(bids=[["64900", "1"]], asks=[["64990", "0.5"], ["64994", "0.7"], ["64999", "5"]])
    row = await client.shown(row["orderId"])
    assert (row["orderStatus"], row["cumExecQty"], row["avgPrice"]) == ("PartiallyFilled", "1.2", "64995")


async def test_cancelling_an_order_twice_says_that_it_is_too_late(client: PaperClient) -> None:
    row = await client.placed("Buy", "1", "64000", orderLinkId="c-1")
    reply = await client.post("order/cancel", symbol="BTCUSDT", orderLinkId="c-1")
    assert reply["result"] == {"orderId": row["orderId"], "orderLinkId": "c-1"}
    row = await client.shown(row["orderId"])
    assert (row["orderStatus"], row["cancelType"], row["rejectReason"]) == (
        "Cancelled",
        "CancelByUser",
        "EC_PerCancelRequest",
    )
    again = await client.post("order/cancel", symbol="BTCUSDT", orderLinkId="c-1")
    assert (again["retCode"], again["retMsg"]) == (110001, "order not exists or too late to cancel")


async def test_cancel_all_cancels_the_symbol_or_everything(client: PaperClient) -> None:
    await client.placed("Buy", "1", "64000")
    await client.placed("Buy", "1", "64001")
    await client.placed("Buy", "1", "3000", symbol="ETHUSDT")
    reply = await client.post("order/cancel-all", symbol="BTCUSDT")
    assert (len(reply["result"]["list"]), reply["result"]["success"]) == (2, "1")
    reply = await client.post("order/cancel-all", settleCoin="USDT")
    assert len(reply["result"]["list"]) == 1
    assert (await client.post("order/cancel-all"))["retCode"] == 10001


async def test_amending_keeps_the_id_and_changes_price_and_quantity(client: PaperClient) -> None:
    row = await client.placed("Buy", "1", "64000", orderLinkId="a-1")
    reply = await client.post("order/amend", symbol="BTCUSDT", orderLinkId="a-1", qty="2", price="64100")
    assert reply["result"] == {"orderId": row["orderId"], "orderLinkId": "a-1"}
    row = await client.shown(row["orderId"])
    assert (row["qty"], row["price"], row["orderStatus"]) == ("2", "64100", "New")


async def test_amending_into_the_market_takes_liquidity(client: PaperClient) -> None:
    row = await client.placed("Buy", "0.5", "64000")
    await client.post("order/amend", symbol="BTCUSDT", orderId=row["orderId"], price="65010")
    row = await client.shown(row["orderId"])
    assert (row["orderStatus"], row["avgPrice"]) == ("Filled", "65010")


async def test_amending_to_less_keeps_the_place_in_the_queue_and_to_more_loses_it(
    client: PaperClient, other: PaperClient
) -> None:
    first = await client.placed("Sell", "0.2", "65001")
    second = await client.placed("Sell", "0.2", "65001")
    await client.post("order/amend", symbol="BTCUSDT", orderId=first["orderId"], qty="0.1")
    await other.placed("Buy", "0.05", "65001")
    assert (await client.shown(first["orderId"]))["cumExecQty"] == "0.05"
    await client.post("order/amend", symbol="BTCUSDT", orderId=first["orderId"], qty="0.3")
    await other.placed("Buy", "0.05", "65001")
    assert (await client.shown(second["orderId"]))["cumExecQty"] == "0.05"


@pytest.mark.parametrize(
    ("change", "code"),
    [({}, 10001), ({"qty": "1"}, 10001), ({"price": "64000.05"}, 110003), ({"qty": "1.0005"}, 10001)],
)
async def test_an_amendment_that_changes_nothing_or_breaks_a_rule_is_refused(
    client: PaperClient, change: dict[str, str], code: int
) -> None:
    row = await client.placed("Buy", "1", "64000")
    reply = await client.post("order/amend", symbol="BTCUSDT", orderId=row["orderId"], **change)
    assert reply["retCode"] == code
    assert (await client.shown(row["orderId"]))["updatedTime"] == row["updatedTime"]


async def test_amending_what_is_over_says_that_it_is_too_late(client: PaperClient) -> None:
    reply = await client.post("order/amend", symbol="BTCUSDT", orderLinkId="never", qty="1")
    assert (reply["retCode"], reply["retMsg"]) == (110001, "order not exists or too late to replace")


async def test_a_link_id_is_taken_for_ever(client: PaperClient, other: PaperClient) -> None:
    await client.placed("Buy", "1", "64000", orderLinkId="once")
    assert (await client.order("Buy", "1", "64000", orderLinkId="once"))["retCode"] == 110072
    await client.post("order/cancel", symbol="BTCUSDT", orderLinkId="once")
    assert (await client.order("Sell", "2", orderLinkId="once"))["retCode"] == 110072
    assert (await other.order("Buy", "1", "64000", orderLinkId="once"))["retCode"] == 0


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"category": "linea"}, 10001, "Illegal category"),
        ({"symbol": "NOPEUSDT"}, 10001, "Not supported symbols"),
        ({"side": "buy"}, 10001, "Side invalid"),
        ({"orderType": "Stop"}, 10001, "OrderType invalid"),
        ({"timeInForce": "GTD"}, 10001, "TimeInForce invalid"),
        ({"qty": 1}, 10001, "params error: qty must be a string"),
        ({"qty": "1e3"}, 10001, "Qty invalid"),
        ({"qty": "-1"}, 10001, "Qty invalid"),
        ({"qty": "NaN"}, 10001, "Qty invalid"),
        ({"qty": "0.0015"}, 10001, "Qty invalid"),
        ({"qty": "0"}, 10001, "The number of contracts exceeds minimum limit allowed"),
        ({"qty": "0.0001"}, 10001, "The number of contracts exceeds minimum limit allowed"),
        (
            {"qty": "1190.001"},
            10001,
            f"{TOO_MANY} order_qty:119000100000 > max_qty:119000000000",
        ),
        ({"price": "64000.05"}, 110003, "price is invalid"),
        ({"price": "2000000"}, 110003, "price is invalid"),
        ({"price": ""}, 110003, "price is invalid"),
        ({"price": "1", "qty": "4.999"}, 110094, "Order does not meet minimum order value 5USDT"),
        ({"orderLinkId": "x" * 37}, 10001, "OrderLinkId invalid: 1 to 36 characters of A-Z a-z 0-9 _ -"),
        ({"orderLinkId": "a b"}, 10001, "OrderLinkId invalid: 1 to 36 characters of A-Z a-z 0-9 _ -"),
        ({"positionIdx": 1}, 10001, "position idx not match position mode"),
        ({"positionIdx": 7}, 10001, "position idx not match position mode"),
        ({"reduceOnly": True}, 110017, "current position is zero, cannot fix reduce-only order qty"),
        (
            {"timeInForce": "RPI"},
            110119,
            "Order failed. RPI orders are restricted to approved market makers only",
        ),
        ({"qty": "1000"}, 110007, "ab not enough for new order"),
    ],
)
async def test_what_is_wrong_with_an_order_is_said_with_the_venues_code(
    client: PaperClient, fields: dict[str, object], code: int, words: str
) -> None:
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "1", "price": "64000"}
    reply = await client.create(good | fields)
    assert (reply["retCode"], reply["retMsg"]) == (code, words)
    assert (await client.books(only="orders"))["orders"] == []


async def test_an_order_tells_its_story_on_the_private_stream(client: PaperClient, stream: Listener) -> None:
    reply = await client.order("Buy", "1.5", "65010", orderLinkId="s-1")
    await client.post("order/cancel", symbol="BTCUSDT", orderLinkId="s-1")
    assert await stream.statuses("PartiallyFilled", "Cancelled") == ["PartiallyFilled", "Cancelled"]
    partial, cancelled = order_rows(stream.messages)
    assert partial["orderId"] == reply["result"]["orderId"]
    assert (partial["category"], partial["cumExecQty"], partial["leavesQty"]) == ("linear", "1", "0.5")
    assert (cancelled["cumExecQty"], cancelled["leavesQty"], cancelled["avgPrice"]) == ("1", "0", "65010")
    (fill,) = rows_of(stream.messages, "execution")
    assert (fill["execQty"], fill["execPrice"], fill["execFee"]) == ("1", "65010", "35.7555")
    by_topic = {message["topic"]: message["id"] for message in stream.messages[:2]}
    assert by_topic["order"] == by_topic["execution"]
    assert by_topic["order"].startswith("100001_BTCUSDT_")
