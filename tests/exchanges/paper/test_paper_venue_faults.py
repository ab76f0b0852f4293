"""What a venue does besides losing replies: maintenance, lists that lag, limits, orders that nobody's client placed."""

from __future__ import annotations

import dataclasses

import aiohttp
import pytest
import websockets
from Crypto.PublicKey import RSA
from paper_client import KEY, Listener, PaperClient, order_rows, rows_of
from pybit._http_manager import generate_signature

from exchanges.paper import ApiKey, PaperExchange, PaperOptions
from exchanges.paper.options import RateLimits
from exchanges.paper.signing import KeyRing


async def test_maintenance_refuses_everything_until_it_ends(client: PaperClient, stream: Listener) -> None:
    rule = await client.control("faults", kind="maintenance")
    with pytest.raises(websockets.ConnectionClosed):
        await stream.until(lambda _: False)
    assert (await client.order("Buy", "1"))["retCode"] == 10016
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(f"{client.exchange.url.replace('http', 'ws')}/v5/private")
    (event,) = (await client.get("system/status"))["result"]["list"]
    assert event["state"] == "ongoing"
    async with client.http.delete(f"{client.exchange.url}/paper/faults?id={rule['id']}"):
        pass
    assert (await client.order("Buy", "1"))["retCode"] == 0


async def test_the_stream_of_the_status_tells_of_maintenance(client: PaperClient) -> None:
    async with websockets.connect(f"{client.exchange.url.replace('http', 'ws')}/v5/public/misc/status") as socket:
        reader = Listener(socket)
        assert (await reader.say(op="subscribe", args=["system.status"]))["success"]
        rule = await client.control("faults", kind="maintenance")
        await reader.until(len)
        async with client.http.delete(f"{client.exchange.url}/paper/faults?id={rule['id']}"):
            pass
        await reader.until(lambda messages: len(messages) == 2)
    assert [row["state"] for message in reader.messages for row in message["data"]] == ["ongoing", "completed"]


async def test_rows_can_lag_behind(client: PaperClient) -> None:
    await client.placed("Buy", "1", "64000")
    await client.control("faults", kind="hide_rows", endpoint="order/realtime", delay_ms=60_000, count=1)
    assert await client.rows("order/realtime", symbol="BTCUSDT") == []
    assert len(await client.rows("order/realtime", symbol="BTCUSDT")) == 1


async def test_a_balance_can_be_unknown(client: PaperClient, stream: Listener) -> None:
    await client.control("faults", kind="balance_unknown")
    assert await client.rows("account/wallet-balance", accountType="UNIFIED") == []
    await client.placed("Buy", "1")
    await stream.until(lambda messages: rows_of(messages, "position"))
    assert rows_of(stream.messages, "wallet") == []


async def test_a_late_cancel_brings_a_second_filled_row(client: PaperClient, stream: Listener) -> None:
    await client.control("faults", kind="second_filled", topic="order")
    await client.placed("Buy", "1")
    assert await stream.statuses("Filled", "Filled") == ["Filled", "Filled"]
    assert [row["rejectReason"] for row in order_rows(stream.messages)] == ["EC_NoError", "EC_OrigClOrdIDDoesNotExist"]


async def test_an_order_by_hand_comes_from_nowhere(client: PaperClient, stream: Listener) -> None:
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "1"}
    await client.control("orders", uid=100_001, order=order)
    assert await stream.statuses("Filled") == ["Filled"]
    assert order_rows(stream.messages)[0]["orderLinkId"] == ""


async def test_public_messages_can_be_lost(client: PaperClient) -> None:
    async with websockets.connect(f"{client.exchange.stream_url}/v5/public/linear") as socket:
        public = Listener(socket)
        await public.say(op="subscribe", args=["publicTrade.BTCUSDT"])
        await client.control("faults", kind="drop_stream", topic="publicTrade", count=1)
        await client.placed("Buy", "0.1")
        rule = (await client.ask("faults"))["faults"][0]
        while not rule["fired"]:
            rule = (await client.ask("faults"))["faults"][0]
        await client.placed("Buy", "0.2")
        await public.until(lambda messages: rows_of(messages, "publicTrade.BTCUSDT"))
        assert [row["v"] for row in rows_of(public.messages, "publicTrade.BTCUSDT")] == ["0.2"]


async def test_orders_go_when_the_streams_are_gone(client: PaperClient, exchange: PaperExchange) -> None:
    assert (await client.post("order/disconnected-cancel-all", timeWindow=10))["retCode"] == 0
    exchange.books.venue.accounts[100_001].settings.disconnect_cancel_s = 1
    row = await client.placed("Buy", "1", "64000")
    async with websockets.connect(f"{exchange.stream_url}/v5/private") as socket:
        listener = Listener(socket)
        await listener.login()
        await listener.say(op="subscribe", args=["dcp.future"])
    async with websockets.connect(f"{exchange.stream_url}/v5/private") as socket:
        watching = Listener(socket)
        await watching.login()
        await watching.say(op="subscribe", args=["order"])
        assert await watching.statuses("Cancelled") == ["Cancelled"]
    assert (await client.shown(str(row["orderId"])))["orderStatus"] == "Cancelled"


class TestLimits:
    @pytest.fixture
    def options(self, options: PaperOptions) -> PaperOptions:
        return dataclasses.replace(options, rate_limits=RateLimits(orders_per_s=3, requests_per_5s_of_address=8))

    async def test_a_batch_fails_from_the_order_on_that_is_too_many(self, client: PaperClient) -> None:
        order = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "1", "price": "64000"}
        reply = await client.post("order/create-batch", request=[order] * 5)
        assert [verdict["code"] for verdict in reply["retExtInfo"]["list"]] == [0, 0, 0, 10006, 10006]

    async def test_an_address_that_asks_too_often_is_shut_out(
        self, client: PaperClient, http: aiohttp.ClientSession
    ) -> None:
        statuses = []
        for _ in range(10):
            async with http.get(f"{client.exchange.url}/v5/market/time") as reply:
                statuses.append(reply.status)
        assert statuses == [200] * 8 + [403] * 2


@pytest.mark.parametrize("bits", [2048, 4096])
def test_rsa_keys_sign_too(bits: int) -> None:
    private = RSA.generate(bits)
    ring = KeyRing((ApiKey(KEY, private.public_key().export_key().decode()),))
    origin = f"1000{KEY}5000a=b"
    headers = {
        "X-BAPI-API-KEY": KEY,
        "X-BAPI-TIMESTAMP": "1000",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": generate_signature(True, private.export_key().decode(), origin),
    }
    assert ring.authenticate(headers, b"a=b", 1000).key == KEY
    with pytest.raises(Exception, match="10004"):
        ring.authenticate(headers, b"a=c", 1000)
