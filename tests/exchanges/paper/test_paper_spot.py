"""Spot pairs: two coins change hands, fees come out of the one received, and the codes are those of the spot list."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from paper_client import STILL, Fields, Listener, PaperClient, order_rows, rows_of

from exchanges.paper import PaperExchange, PaperOptions


class SpotClient(PaperClient):
    """The same calls in the spot category."""

    async def post(self, endpoint: str, **fields: object) -> Fields:
        return await super().post(endpoint, **({"category": "spot"} | fields))

    async def get(self, endpoint: str, **fields: object) -> Fields:
        return await super().get(endpoint, **({"category": "spot"} | fields))

    async def move_to(self, bid: str, ask: str) -> None:
        await self.control("market", symbol="BTCUSDT", category="spot", bids=[[bid, "5"]], asks=[[ask, "5"]], last=bid)

    async def coins(self) -> dict[str, tuple[Decimal, Decimal]]:
        """(balance, locked) of each coin, as the wallet shows them."""
        (account,) = await self.rows("account/wallet-balance", accountType="UNIFIED")
        return {row["coin"]: (Decimal(row["walletBalance"]), Decimal(row["locked"])) for row in account["coin"]}


@pytest.fixture
def options() -> PaperOptions:
    return dataclasses.replace(STILL, coins=(("BTC", Decimal(2)),))


@pytest.fixture
async def spot(exchange: PaperExchange, http: aiohttp.ClientSession) -> SpotClient:
    client = SpotClient(exchange, http)
    wish = {"symbol": "BTCUSDT", "category": "spot"}
    await client.control("market", **wish, bids=[["64990", "1"], ["64980", "2"]], asks=[["65010", "1"], ["65020", "2"]])
    return client


async def test_buying_pays_the_quote_and_takes_the_fee_from_what_is_bought(spot: SpotClient) -> None:
    row = await spot.placed("Buy", "0.5", "65010", timeInForce="IOC")
    assert (row["orderStatus"], row["cumExecQty"], row["cumExecFee"]) == ("Filled", "0.5", "0.0005")
    assert row["cumFeeDetail"] == {"BTC": "0.0005"}
    assert await spot.coins() == {"USDT": (100_000 - Decimal(32505), 0), "BTC": (Decimal("2.4995"), 0)}


async def test_selling_takes_the_fee_from_the_quote(spot: SpotClient) -> None:
    row = await spot.placed("Sell", "0.5")
    assert (row["orderStatus"], row["cumExecValue"], row["cumFeeDetail"]) == ("Filled", "32495", {"USDT": "32.495"})
    coins = await spot.coins()
    assert (coins["USDT"][0], coins["BTC"][0]) == (Decimal("132462.505"), Decimal("1.5"))


async def test_a_market_order_to_buy_counts_its_quantity_in_the_quote_coin(spot: SpotClient, stream: Listener) -> None:
    """1000 ÷ 65010 is 0.015382 and a rest that buys nothing: the order ends as on the venue, filled and cancelled."""
    row = await spot.placed("Buy", "1000")
    assert (row["orderStatus"], row["rejectReason"]) == ("PartiallyFilledCanceled", "EC_CancelForNoFullFill")
    assert (row["qty"], row["cumExecQty"], row["cumExecValue"]) == ("1000", "0.015382", "999.98382")
    assert (row["leavesQty"], row["leavesValue"], row["price"], row["marketUnit"]) == ("0", "0.01618", "0", "quoteCoin")
    messages = await stream.until(lambda got: rows_of(got, "wallet"))
    (fill,) = rows_of(messages, "execution")
    assert (fill["category"], fill["feeCurrency"], fill["execQty"], fill["orderQty"]) == (
        "spot",
        "BTC",
        "0.015382",
        "0",
    )
    assert fill["createType"] == row["createType"] == ""
    (told,) = order_rows(messages)
    assert (told["category"], told["feeCurrency"]) == ("spot", "BTC")
    assert rows_of(messages, "position") == []


async def test_a_market_order_by_value_that_comes_out_even_is_filled(spot: SpotClient) -> None:
    row = await spot.placed("Buy", "6501")
    assert (row["orderStatus"], row["cumExecQty"], row["leavesValue"]) == ("Filled", "0.1", "0")


async def test_the_unit_of_a_market_order_can_be_chosen(spot: SpotClient) -> None:
    bought = await spot.placed("Buy", "0.1", marketUnit="baseCoin")
    assert (bought["orderStatus"], bought["cumExecQty"]) == ("Filled", "0.1")
    sold = await spot.placed("Sell", "649.9", marketUnit="quoteCoin")
    assert (sold["orderStatus"], sold["cumExecQty"], sold["cumExecValue"]) == ("Filled", "0.01", "649.9")


async def test_resting_orders_lock_what_they_would_give(spot: SpotClient) -> None:
    bid = await spot.placed("Buy", "0.5", "60000")
    ask = await spot.placed("Sell", "1.5", "70000")
    assert await spot.coins() == {"USDT": (100_000, 30_000), "BTC": (2, Decimal("1.5"))}
    for row in (bid, ask):
        await spot.post("order/cancel", symbol="BTCUSDT", orderId=row["orderId"])
    assert await spot.coins() == {"USDT": (100_000, 0), "BTC": (2, 0)}


async def test_what_is_locked_cannot_be_given_twice(spot: SpotClient) -> None:
    await spot.placed("Sell", "1.5", "70000")
    reply = await spot.order("Sell", "0.6", "70000")
    assert (reply["retCode"], reply["retMsg"]) == (170131, "Insufficient balance.")
    assert (await spot.order("Sell", "0.6"))["retCode"] == 170131
    assert (await spot.order("Buy", "100001"))["retCode"] == 170131
    assert (await spot.order("Buy", "1.6", "64000"))["retCode"] == 170131


async def test_a_part_that_fills_frees_its_part(spot: SpotClient) -> None:
    await spot.placed("Buy", "1.5", "65010")
    assert (await spot.coins())["USDT"] == (100_000 - Decimal(65010), Decimal(32505))


async def test_a_cancelled_order_that_filled_in_part_has_a_status_of_its_own(spot: SpotClient) -> None:
    row = await spot.placed("Buy", "1.5", "65010", orderLinkId="part")
    await spot.post("order/cancel", symbol="BTCUSDT", orderLinkId="part")
    row = await spot.shown(str(row["orderId"]))
    assert (row["orderStatus"], row["cancelType"]) == ("PartiallyFilledCanceled", "CancelByUser")


@pytest.mark.parametrize(
    ("qty", "price", "more", "code"),
    [
        ("0.5", "65000.05", {}, 170134),
        ("0.5", "0.01", {}, 170133),
        ("0.5", "9999999999", {}, 170132),
        ("0.0000001", "65000", {}, 170140),
        ("0.000001", "9999999", {}, 170132),
        ("0.0001005", "65000", {}, 170137),
        ("0.00001", "600000", {}, 170136),
        ("84", "65000", {}, 170135),
        ("0.0001", "100", {}, 170140),
        ("1", None, {}, 170140),
        ("10.00000001", None, {}, 170148),
        ("0.1", "65000", {"side": "Long"}, 170117),
        ("0.1", "65000", {"orderType": "Stop"}, 170116),
        ("0.1", "65000", {"timeInForce": "GTD"}, 170115),
        ("0.1", "65000", {"timeInForce": "RPI"}, 170355),
        ("0.1", "", {"orderType": "Limit"}, 170105),
        ("", "65000", {}, 170105),
        ("0.1", "65000", {"symbol": "BTCEUR"}, 170121),
        ("0.1", "65000", {"orderFilter": "Other"}, 170201),
        ("0.1", "65000", {"orderFilter": "StopOrder"}, 170202),
        ("0.1", "65000", {"isLeverage": 1}, 170036),
    ],
)
async def test_what_is_wrong_has_a_spot_code(
    spot: SpotClient, qty: str, price: str | None, more: dict[str, object], code: int
) -> None:
    kind = {"orderType": "Market"} if price is None else {"orderType": "Limit", "price": price}
    wish = {"symbol": "BTCUSDT", "side": "Buy", "qty": qty} | kind | more
    assert (await spot.create(wish))["retCode"] == code


async def test_an_id_is_used_once_and_an_unknown_order_is_not_found(spot: SpotClient) -> None:
    await spot.placed("Buy", "0.1", "60000", orderLinkId="one")
    assert (await spot.order("Buy", "0.1", "60000", orderLinkId="one"))["retCode"] == 170141
    reply = await spot.post("order/cancel", symbol="BTCUSDT", orderLinkId="two")
    assert (reply["retCode"], reply["retMsg"]) == (170213, "Order does not exist.")
    assert (await spot.post("order/amend", symbol="BTCUSDT", orderLinkId="two", qty="1"))["retCode"] == 170213


async def test_amending_moves_the_lock(spot: SpotClient) -> None:
    row = await spot.placed("Buy", "0.5", "60000")
    await spot.post("order/amend", symbol="BTCUSDT", orderId=row["orderId"], qty="0.6", price="61000")
    assert (await spot.coins())["USDT"][1] == 36_600
    reply = await spot.post("order/amend", symbol="BTCUSDT", orderId=row["orderId"], qty="2")
    assert reply["retCode"] == 170131
    assert (await spot.coins())["USDT"][1] == 36_600


async def test_one_name_in_two_categories_is_two_markets(spot: SpotClient) -> None:
    """BTCUSDT is a pair and a contract: books, orders and cancels of the one leave the other alone."""
    linear = PaperClient(spot.exchange, spot.http)
    contract = await linear.placed("Buy", "0.1", "60000")
    pair = await spot.placed("Buy", "0.1", "60000")
    assert [row["orderId"] for row in await spot.rows("order/realtime", symbol="BTCUSDT")] == [pair["orderId"]]
    assert [row["orderId"] for row in await linear.rows("order/realtime", symbol="BTCUSDT")] == [contract["orderId"]]
    reply = await spot.post("order/cancel-all", symbol="BTCUSDT")
    assert [row["orderId"] for row in reply["result"]["list"]] == [pair["orderId"]]
    assert (await linear.shown(str(contract["orderId"])))["orderStatus"] == "New"
    assert (await spot.rows("order/history", symbol="BTCUSDT"))[0]["orderId"] == pair["orderId"]
    assert await linear.rows("order/history", symbol="BTCUSDT") == []


async def test_users_trade_with_each_other_and_the_maker_pays_from_what_it_receives(
    spot: SpotClient, exchange: PaperExchange, http: aiohttp.ClientSession
) -> None:
    other = SpotClient(exchange, http, "other-key", "other-secret")
    await spot.placed("Buy", "1", "65000")
    await other.placed("Sell", "1", "65000")
    assert await spot.coins() == {"USDT": (35_000, 0), "BTC": (Decimal("2.999"), 0)}
    assert await other.coins() == {"USDT": (100_000 + 65_000 - 65, 0), "BTC": (1, 0)}


async def test_post_only_and_fill_or_kill(spot: SpotClient) -> None:
    row = await spot.placed("Buy", "0.1", "65010", timeInForce="PostOnly")
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
    row = await spot.placed("Buy", "1.2", "65010", timeInForce="FOK")
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_NoEnoughQtyToFill")


# -- orders that wait ---------------------------------------------------------------------------------------------


async def test_a_tpsl_order_locks_its_coin_and_a_conditional_one_does_not(spot: SpotClient) -> None:
    wish = {"triggerPrice": "60000", "price": "59990"}
    tpsl = await spot.placed("Sell", "1", orderType="Limit", orderFilter="tpslOrder", **wish)
    stop = await spot.placed("Sell", "1.5", orderType="Limit", orderFilter="StopOrder", **wish)
    assert (tpsl["orderStatus"], tpsl["stopOrderType"], stop["stopOrderType"]) == ("Untriggered", "tpslOrder", "Stop")
    assert (await spot.coins())["BTC"] == (2, 1)
    await spot.move_to("59995", "60005")
    assert (await spot.shown(str(tpsl["orderId"])))["orderStatus"] == "Filled"
    assert (await spot.shown(str(stop["orderId"])))["orderStatus"] == "Cancelled"


async def test_the_direction_of_a_spot_trigger_follows_from_the_price(spot: SpotClient) -> None:
    row = await spot.placed("Buy", "1000", triggerPrice="66000", orderFilter="StopOrder")
    assert (row["orderStatus"], row["triggerDirection"]) == ("Untriggered", 1)
    await spot.move_to("66000", "66010")
    row = await spot.shown(str(row["orderId"]))
    assert (row["orderStatus"], row["cumExecQty"]) == ("PartiallyFilledCanceled", "0.015149")


async def test_a_limit_order_sets_up_take_profit_and_stop_loss_for_what_it_bought(spot: SpotClient) -> None:
    await spot.placed("Buy", "0.5", "65010", takeProfit="70000", stopLoss="60000")
    waiting = await spot.rows("order/realtime", symbol="BTCUSDT", orderFilter="tpslOrder")
    assert {(row["side"], row["qty"], row["triggerPrice"]) for row in waiting} == {
        ("Sell", "0.4995", "70000"),
        ("Sell", "0.4995", "60000"),
    }
    assert (await spot.coins())["BTC"][1] == Decimal("0.4995")
    await spot.move_to("59990", "60000")
    assert (await spot.coins())["BTC"] == (2, 0)
    assert await spot.rows("order/realtime", symbol="BTCUSDT") == []


# -- the books ----------------------------------------------------------------------------------------------------


async def test_spot_survives_a_restart(tmp_path: Path, options: PaperOptions, http: aiohttp.ClientSession) -> None:
    options = dataclasses.replace(options, database=tmp_path / "paper.db")
    async with PaperExchange(options) as exchange:
        client = SpotClient(exchange, http)
        await client.move_to("64990", "65010")
        await client.placed("Buy", "650.1")
        await client.placed("Sell", "0.5", "70000", orderLinkId="rests")
        before = await client.coins()
    async with PaperExchange(options) as exchange:
        client = SpotClient(exchange, http)
        assert await client.coins() == before
        (row,) = await client.rows("order/realtime", symbol="BTCUSDT")
        assert row["orderLinkId"] == "rests"
        shown = await client.books()
        assert {coin["coin"]: coin["locked"] for coin in shown["coins"]} == {"USDT": "0", "BTC": "0.5"}
        assert {order["category"] for order in shown["orders"]} == {"spot"}


async def test_the_rules_of_a_pair_are_those_that_orders_are_checked_by(spot: SpotClient) -> None:
    (row,) = await spot.rows("market/instruments-info", symbol="BTCUSDT")
    assert row["lotSizeFilter"]["basePrecision"] == "0.000001"
    assert (row["lotSizeFilter"]["minOrderAmt"], row["priceFilter"]["tickSize"]) == ("5", "0.1")
    (ticker,) = await spot.rows("market/tickers", symbol="BTCUSDT")
    assert (ticker["bid1Price"], ticker["ask1Price"]) == ("64990", "65010")
    assert "markPrice" not in ticker
