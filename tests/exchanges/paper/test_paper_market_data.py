"""Figures of the market: versions of the book, directions of trades, open interest, and answers to option clients."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import websockets
from paper_client import Fields, Listener, PaperClient, rows_of

from exchanges.paper import PaperExchange


@pytest.fixture
async def public(exchange: PaperExchange) -> AsyncIterator[Listener]:
    async with websockets.connect(f"{exchange.stream_url}/v5/public/linear") as socket:
        yield Listener(socket)


async def book(client: PaperClient) -> Fields:
    return (await client.get("market/orderbook", symbol="BTCUSDT"))["result"]


async def ticker(client: PaperClient, symbol: str = "BTCUSDT", category: str = "linear") -> Fields:
    (row,) = await client.rows("market/tickers", symbol=symbol, category=category)
    return row


async def test_the_version_of_a_book_grows_with_every_change_and_only_then(client: PaperClient) -> None:
    """The market stands still, so no step of it tells one book from the next."""
    before = await book(client)
    assert (await book(client))["seq"] == before["seq"]
    seen = [before]
    for deed in (("Buy", "0.1", "64000"), ("Buy", "0.1", "65010"), ("Sell", "0.1")):
        await client.placed(*deed)
        seen.append(await book(client))
    await client.post("order/cancel-all", symbol="BTCUSDT")
    seen.append(await book(client))
    versions = [int(row["seq"]) for row in seen]
    assert versions == sorted(set(versions))
    assert [row["u"] for row in seen] == versions


async def test_all_depths_and_trades_of_a_market_carry_one_version(client: PaperClient, public: Listener) -> None:
    topics = ["orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"]
    await public.say(op="subscribe", args=topics)
    await client.placed("Buy", "0.4")
    version = (await book(client))["seq"]

    def seqs(name: str) -> list[object]:
        return [message["data"]["seq"] for message in public.messages if message["topic"] == name]

    def trades() -> list[Fields]:
        return rows_of(public.messages, topics[2])

    await public.until(lambda _: version in seqs(topics[0]) and version in seqs(topics[1]) and trades())
    assert [trade["seq"] for trade in trades()] == [version]
    (recent,) = await client.rows("market/recent-trade", symbol="BTCUSDT")
    assert recent["seq"] == str(version)


async def test_trades_and_tickers_tell_where_the_price_went(client: PaperClient, public: Listener) -> None:
    await public.say(op="subscribe", args=["publicTrade.BTCUSDT"])
    told = []
    for side in ("Sell", "Sell", "Buy", "Buy"):
        await client.placed(side, "0.1")
        told.append((await ticker(client))["tickDirection"])
    wanted = ["MinusTick", "ZeroMinusTick", "PlusTick", "ZeroPlusTick"]
    assert told == wanted
    await public.until(lambda got: len(rows_of(got, "publicTrade.BTCUSDT")) == 4)
    assert [row["L"] for row in rows_of(public.messages, "publicTrade.BTCUSDT")] == wanted


async def test_a_ticker_shows_the_open_interest(client: PaperClient) -> None:
    """65000 is the mark price; openInterest counts both sides."""
    await client.placed("Buy", "0.5")
    row = await ticker(client)
    assert (row["openInterest"], row["singleOpenInterest"]) == ("1", "0.5")
    assert (row["openInterestValue"], row["singleOpenInterestValue"]) == ("65000", "32500")
    (asked,) = await client.rows("market/open-interest", symbol="BTCUSDT", intervalTime="5min")
    assert (asked["openInterest"], asked["singleOpenInterest"]) == ("1", "0.5")
    assert (await ticker(client, "ETHUSDT"))["openInterest"] == "0"


async def test_option_clients_are_answered_topic_by_topic(exchange: PaperExchange) -> None:
    """No option is listed here, so there is no book of one."""
    absent, silent = "orderbook.25.BTC-26DEC25-90000-C", "adlAlert.USDT"
    async with websockets.connect(f"{exchange.stream_url}/v5/public/option") as socket:
        listener = Listener(socket)
        reply = await listener.say(op="subscribe", args=[silent])
        assert (reply.pop("conn_id") != "", reply) == (
            True,
            {"success": True, "data": {"failTopics": [], "successTopics": [silent]}, "type": "COMMAND_RESP"},
        )
        reply = await listener.say(op="subscribe", args=[absent, silent], req_id="7")
        assert (reply["success"], reply["type"], reply["req_id"]) == (False, "COMMAND_RESP", "7")
        assert reply["data"] == {"failTopics": [absent], "successTopics": [silent]}
        assert (await listener.say(op="ping"))["op"] == "pong"
