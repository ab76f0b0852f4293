"""The WebSockets: logging in, subscribing, staying alive, and following the public market."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import websockets
from paper_client import Fields, Listener, PaperClient, order_rows, rows_of

from exchanges.paper import PaperExchange
from exchanges.paper.sessions import idle_limit_s


def words(text: str) -> set[str]:
    return set(text.split())


ORDER_KEYS = words(
    """
    orderId orderLinkId parentOrderLinkId blockTradeId symbol price qty side isLeverage positionIdx
    orderStatus createType cancelType rejectReason avgPrice leavesQty leavesValue cumExecQty
    cumExecValue cumExecFee cumFeeDetail closedPnl timeInForce orderType stopOrderType orderIv
    marketUnit slippageTolerance slippageToleranceType triggerPrice takeProfit stopLoss tpslMode
    ocoTriggerBy tpLimitPrice slLimitPrice tpTriggerBy slTriggerBy triggerDirection triggerBy
    lastPriceOnCreated reduceOnly closeOnTrigger placeType smpType smpGroup smpOrderId createdTime
    updatedTime extraFees rpiTakerAccess rpiMatchedQty
    """
)
EXECUTION_KEYS = words(
    """
    symbol orderId orderLinkId side orderPrice orderQty leavesQty createType orderType stopOrderType
    execFee execId execPrice execQty execType execValue execTime feeCurrency isMaker feeRate tradeIv
    markIv markPrice indexPrice underlyingPrice blockTradeId closedSize seq extraFees
    """
)


@pytest.fixture
async def stranger(exchange: PaperExchange) -> AsyncIterator[Listener]:
    """A private connection that has said nothing yet."""
    async with websockets.connect(f"{exchange.stream_url}/v5/private") as socket:
        yield Listener(socket)


@pytest.fixture
async def public(exchange: PaperExchange) -> AsyncIterator[Listener]:
    async with websockets.connect(f"{exchange.stream_url}/v5/public/linear") as socket:
        yield Listener(socket)


@pytest.mark.parametrize("as_text", [False, True])
async def test_the_expiry_of_a_login_may_be_a_number_or_a_text(stranger: Listener, as_text: bool) -> None:
    reply = await stranger.login(as_text=as_text)
    assert reply == {"success": True, "ret_msg": "", "op": "auth", "conn_id": reply["conn_id"]}


async def test_a_login_with_a_wrong_secret_fails_with_its_code(stranger: Listener) -> None:
    reply = await stranger.login(secret="wrong")
    assert (reply["success"], reply["op"], reply["retCode"]) == (False, "auth", 10004)


async def test_a_login_with_an_unknown_key_fails_with_its_code(stranger: Listener) -> None:
    assert (await stranger.login(key="nobody"))["retCode"] == 10003


async def test_nobody_subscribes_without_a_login(stranger: Listener) -> None:
    assert (await stranger.say(op="subscribe", args=["order"]))["success"] is False


@pytest.mark.parametrize(
    ("topics", "words"),
    [
        (["order"] * 11, "args size >10"),
        (["orders"], "Invalid topic :orders"),
        ([], "Params Error"),
        (["order", "execution.linear"], "All-in-one and categorised topics must not be mixed"),
    ],
)
async def test_a_wrong_subscription_is_refused_as_a_whole(stranger: Listener, topics: list[str], words: str) -> None:
    await stranger.login()
    reply = await stranger.say(op="subscribe", args=topics, req_id="r")
    assert (reply["success"], reply["ret_msg"], reply["req_id"]) == (False, words, "r")


@pytest.mark.parametrize("request_id", ["100001", 7])
async def test_the_request_id_comes_back_unchanged(stranger: Listener, request_id: object) -> None:
    await stranger.login()
    reply = await stranger.say(op="subscribe", args=["wallet"], req_id=request_id)
    assert reply["req_id"] == request_id


async def test_a_private_ping_is_answered_with_a_pong(stranger: Listener) -> None:
    reply = await stranger.say(op="ping", req_id="p")
    assert (reply["op"], reply["req_id"], len(reply["args"])) == ("pong", "p", 1)
    assert "req_id" not in await stranger.say(op="ping")


async def test_a_public_ping_is_answered_in_the_public_way(public: Listener) -> None:
    reply = await public.say(op="ping")
    assert (reply["success"], reply["ret_msg"], reply["op"]) == (True, "pong", "ping")


async def test_a_protocol_ping_is_answered(stranger: Listener) -> None:
    async with asyncio.timeout(5):
        await (await stranger.socket.ping())


@pytest.mark.parametrize("text", ["not json", "[1]", '{"op":"dance"}'])
async def test_nonsense_is_answered_and_survived(stranger: Listener, text: str) -> None:
    await stranger.socket.send(text)
    assert (await stranger.next())["success"] is False
    assert (await stranger.login())["success"] is True


async def test_categorised_topics_carry_their_name(client: PaperClient, stranger: Listener) -> None:
    await stranger.login()
    await stranger.say(op="subscribe", args=["order.linear", "wallet"])
    await client.placed("Buy", "0.1", "64000")
    messages = await stranger.until(lambda got: len(got) == 2)
    assert {message["topic"] for message in messages} == {"order.linear", "wallet"}


async def test_unsubscribed_topics_fall_silent(client: PaperClient, stream: Listener) -> None:
    await stream.say(op="unsubscribe", args=["order", "execution", "position"])
    await client.placed("Buy", "0.1", "64000")
    messages = await stream.until(lambda got: rows_of(got, "wallet"))
    assert {message["topic"] for message in messages} == {"wallet"}


async def test_an_account_hears_nothing_of_another(client: PaperClient, other: PaperClient, stream: Listener) -> None:
    await other.placed("Buy", "0.1", "64000")
    mine = await client.placed("Buy", "0.1", "64001")
    await stream.statuses("New")
    assert [row["orderId"] for row in order_rows(stream.messages)] == [mine["orderId"]]


async def test_two_connections_hear_the_same(client: PaperClient, stream: Listener, stranger: Listener) -> None:
    await stranger.login()
    await stranger.say(op="subscribe", args=["order", "execution", "position", "wallet"])
    await client.placed("Buy", "0.1")
    first = await stream.until(lambda got: rows_of(got, "wallet"))
    second = await stranger.until(lambda got: rows_of(got, "wallet"))
    assert first == second


async def test_rows_have_the_keys_of_the_venue(client: PaperClient, stream: Listener) -> None:
    await client.placed("Buy", "0.1")
    messages = await stream.until(lambda got: rows_of(got, "wallet"))
    (order,), (fill,) = order_rows(messages), rows_of(messages, "execution")
    assert ORDER_KEYS | {"category", "feeCurrency"} == set(order)
    assert EXECUTION_KEYS | {"category", "execPnl", "isLeverage", "marketUnit"} == set(fill)
    (shown,) = await client.rows("order/history", symbol="BTCUSDT")
    assert set(shown) == ORDER_KEYS
    (listed,) = await client.rows("execution/list", symbol="BTCUSDT")
    assert set(listed) == EXECUTION_KEYS
    for row in (order, fill, shown, listed):
        assert not [name for name, value in row.items() if isinstance(value, float)]


async def test_tickers_begin_with_a_snapshot_and_go_on_with_what_changes(client: PaperClient, public: Listener) -> None:
    await public.say(op="subscribe", args=["tickers.BTCUSDT"])
    (snapshot,) = await public.until(lambda got: len(got) == 1)
    assert snapshot["type"] == "snapshot"
    assert (snapshot["data"]["bid1Price"], snapshot["data"]["ask1Size"]) == ("64990", "1")
    assert "openInterestValue" in snapshot["data"]
    await client.pin(bids=[["64990", "1"]], asks=[["65010", "0.4"]])
    _, delta = await public.until(lambda got: len(got) == 2)
    assert (delta["type"], delta["data"]) == ("delta", {"symbol": "BTCUSDT", "ask1Size": "0.4"})


async def test_a_book_followed_by_deltas_is_the_book_that_is_shown(client: PaperClient, public: Listener) -> None:
    await public.say(op="subscribe", args=["orderbook.50.ETHUSDT"])
    for side, price in (("Buy", "3199.5"), ("Sell", "3200.5"), ("Buy", "3200.5")):
        await client.placed(side, "1", price, symbol="ETHUSDT")
    await client.control("market", symbol="ETHUSDT", steps=25)
    shown = (await client.get("market/orderbook", symbol="ETHUSDT", limit=50))["result"]
    wanted = {side: dict(map(tuple, shown[side])) for side in ("b", "a")}
    await public.until(lambda got: followed(got) == wanted)


def followed(messages: list[Fields]) -> dict[str, dict[str, str]]:
    book: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    for message in messages:
        for side, levels in book.items():
            if message["type"] == "snapshot":
                levels.clear()
            for price, qty in message["data"][side]:
                levels[price] = qty
                if qty == "0":
                    del levels[price]
    return book


async def test_public_trades_are_told_with_the_takers_side(client: PaperClient, public: Listener) -> None:
    await public.say(op="subscribe", args=["publicTrade.BTCUSDT"])
    await client.placed("Sell", "1.5")
    (message,) = await public.until(lambda got: len(got) == 1)
    trades = [(trade["S"], trade["p"], trade["v"]) for trade in message["data"]]
    assert trades == [("Sell", "64990", "1"), ("Sell", "64980", "0.5")]
    (latest, _) = await client.rows("market/recent-trade", symbol="BTCUSDT")
    assert latest["price"] == "64980"


@pytest.mark.parametrize("topic", ["tickers.NOPE", "orderbook.7.BTCUSDT", "kline.7.BTCUSDT", 5])
async def test_an_unknown_public_topic_is_refused(public: Listener, topic: object) -> None:
    assert (await public.say(op="subscribe", args=[topic]))["success"] is False


async def test_stopping_with_clients_connected_is_quick(client: PaperClient, exchange: PaperExchange) -> None:
    """A client that never reads, one that waits for a reply that never comes: neither holds up the end."""
    deaf = await websockets.connect(f"{exchange.stream_url}/v5/private", max_queue=1, close_timeout=0.1)
    listener = Listener(deaf)
    await listener.login()
    await listener.say(op="subscribe", args=["order", "wallet", "position"])
    await asyncio.gather(*(client.order("Buy", "0.01", "64000") for _ in range(100)))
    await client.control("faults", kind="timeout_after_accept")
    waiting = asyncio.create_task(client.order("Buy", "0.01", "64000"))
    stats: Fields = {}
    async with asyncio.timeout(5):
        while stats.get("arrived", 0) < 101:
            stats = (await client.ask("stats"))["endpoints"]["order/create"]
    async with asyncio.timeout(2):
        await exchange.stop()
    await deaf.close()
    with pytest.raises(aiohttp.ClientError):
        await waiting


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30s", 30), ("90", 90), ("1m", 60), ("2m", 120), ("10m", 600), ("20m", 600), ("5s", 30), ("", 600), ("2h", 600)],
)
def test_a_client_says_for_how_long_it_may_be_silent(written: str, seconds: int) -> None:
    assert idle_limit_s(written) == seconds
