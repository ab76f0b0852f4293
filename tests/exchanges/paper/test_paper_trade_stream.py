"""Orders over the trade WebSocket, and batches over both ways."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

import pytest
import websockets
from paper_client import Fields, Listener, PaperClient

from exchanges.paper import PaperExchange

LIMIT = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "qty": "1",
    "price": "64000",
}


@pytest.fixture
async def trading(exchange: PaperExchange) -> AsyncIterator[Listener]:
    async with websockets.connect(f"{exchange.stream_url}/v5/trade") as socket:
        listener = Listener(socket)
        reply = await listener.login()
        assert (reply["retCode"], reply["op"]) == (0, "auth")
        yield listener


async def call(trading: Listener, op: str, request_id: str, at_ms: int | None = None, **fields: object) -> Fields:
    stamp = str(int(time.time() * 1000) if at_ms is None else at_ms)
    return await trading.say(
        reqId=request_id, op=op, header={"X-BAPI-TIMESTAMP": stamp}, args=[{"category": "linear"} | fields]
    )


async def test_an_order_is_placed_amended_and_cancelled(client: PaperClient, trading: Listener) -> None:
    placed = await call(trading, "order.create", "1", orderLinkId="t", **LIMIT)
    assert (placed["reqId"], placed["retCode"], placed["data"]["orderLinkId"]) == ("1", 0, "t")
    assert int(placed["header"]["X-Bapi-Limit"]) == 10_000
    await call(trading, "order.amend", "2", symbol="BTCUSDT", orderLinkId="t", price="64001")
    assert (await client.shown(placed["data"]["orderId"]))["price"] == "64001"
    await call(trading, "order.cancel", "3", symbol="BTCUSDT", orderLinkId="t")
    late = await call(trading, "order.cancel", "4", symbol="BTCUSDT", orderLinkId="t")
    assert (late["retCode"], late["retMsg"]) == (110001, "order not exists or too late to cancel")
    assert (await client.ask("stats"))["endpoints"]["order/create"]["arrived"] == 1


async def test_a_refused_order_has_the_code_and_no_data(client: PaperClient, trading: Listener) -> None:
    reply = await call(trading, "order.create", "1", **(LIMIT | {"price": "64000.05"}))
    assert (reply["retCode"], reply["retMsg"], reply["data"]) == (110003, "price is invalid", {})


@pytest.mark.parametrize(
    ("op", "request_ids", "age_ms", "code"),
    [
        ("order.dance", ["1"], 0, 10404),
        ("order.create", ["1", "1"], 0, 20006),
        ("order.create", ["1"], 6000, 10002),
        ("order.create", ["x" * 36], 0, 0),
        ("order.create", ["x" * 37], 0, 10001),
    ],
)
async def test_what_is_wrong_with_a_command_is_said(
    client: PaperClient, trading: Listener, op: str, request_ids: list[str], age_ms: int, code: int
) -> None:
    stamp = int(time.time() * 1000) - age_ms
    replies = [await call(trading, op, request_id, stamp, **LIMIT) for request_id in request_ids]
    assert replies[-1]["retCode"] == code


@pytest.mark.parametrize("category", ["option", "futures", "", None, ["linear"]])
@pytest.mark.parametrize("op", ["order.create", "order.cancel", "order.create-batch"])
async def test_an_unknown_category_is_refused(
    client: PaperClient, trading: Listener, op: str, category: object
) -> None:
    reply = await call(trading, op, "1", **(LIMIT | {"category": category}))
    assert (reply["retCode"], reply["retMsg"]) == (10404, "category is not correct/supported")


async def test_the_reqid_is_in_the_reply_only_if_it_was_in_the_request(client: PaperClient, trading: Listener) -> None:
    header = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))}
    reply = await trading.say(op="order.create", header=header, args=[{"category": "linear"} | LIMIT])
    assert reply["retCode"] == 0
    assert "reqId" not in reply
    assert (await call(trading, "order.create", "", **LIMIT))["reqId"] == ""


async def test_nobody_trades_without_a_login(exchange: PaperExchange) -> None:
    async with websockets.connect(f"{exchange.stream_url}/v5/trade") as socket:
        assert (await call(Listener(socket), "order.create", "1", **LIMIT))["retCode"] == 20003


async def test_a_second_login_is_refused(trading: Listener) -> None:
    assert (await trading.login())["retCode"] == 20001


async def test_a_ping_is_answered(trading: Listener) -> None:
    reply = await trading.say(op="ping")
    assert (reply["op"], reply["retCode"], len(reply["data"])) == ("pong", 0, 1)


@pytest.mark.parametrize(("kind", "placed"), [("timeout_after_accept", 1), ("timeout_before_accept", 0)])
async def test_a_reply_can_be_lost(client: PaperClient, trading: Listener, kind: str, placed: int) -> None:
    await client.control("faults", kind=kind, count=1)
    silent = {"reqId": "1", "op": "order.create", "args": [LIMIT]}
    header = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))}
    await trading.socket.send(json.dumps(silent | {"header": header}))
    assert (await call(trading, "order.create", "2", **LIMIT))["reqId"] == "2"
    assert len((await client.books(only="orders"))["orders"]) == placed + 1


async def test_a_connection_can_be_cut_after_the_deed(client: PaperClient, trading: Listener) -> None:
    await client.control("faults", kind="reset_mid_reply", count=1)
    with pytest.raises(websockets.ConnectionClosed):
        await call(trading, "order.create", "1", **LIMIT)
    assert len((await client.books(only="orders"))["orders"]) == 1


def a_batch() -> list[Fields]:
    return [LIMIT | {"orderLinkId": "good"}, LIMIT | {"qty": "0.0001"}, LIMIT | {"orderLinkId": "good"}]


async def test_each_item_of_a_batch_stands_or_falls_alone(client: PaperClient) -> None:
    reply = await client.post("order/create-batch", request=a_batch())
    assert reply["retCode"] == 0
    assert [verdict["code"] for verdict in reply["retExtInfo"]["list"]] == [0, 10001, 110072]
    good, small, _ = reply["result"]["list"]
    assert (good["orderLinkId"], small["orderId"], small["createAt"]) == ("good", "", "")
    cancelled = await client.post("order/cancel-batch", request=[{"symbol": "BTCUSDT", "orderId": good["orderId"]}])
    assert cancelled["retExtInfo"]["list"] == [{"code": 0, "msg": "OK"}]


async def test_a_batch_goes_over_the_trade_stream_too(client: PaperClient, trading: Listener) -> None:
    reply = await call(trading, "order.create-batch", "1", request=a_batch())
    assert [verdict["code"] for verdict in reply["retExtInfo"]["list"]] == [0, 10001, 110072]
    assert reply["data"]["list"][0]["orderLinkId"] == "good"


@pytest.mark.parametrize("request_", [[], "x", [LIMIT] * 21])
async def test_a_batch_that_is_none_is_refused(client: PaperClient, request_: object) -> None:
    assert (await client.post("order/create-batch", request=request_))["retCode"] == 10001
