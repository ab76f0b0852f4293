"""pybit's WebSockets: the private and public streams, and orders over the trade channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pybit._websocket_trading
import pybit.unified_trading
import pytest
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading
from running_exchange import RunningExchange, eventually

from exchanges.paper.options import ApiKey

Row = dict[str, Any]
BID: Row = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}


@pytest.fixture
def addresses(exchange: RunningExchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """pybit takes no address: its templates are the place for one."""
    monkeypatch.setattr(pybit.unified_trading, "PRIVATE_WSS", f"{exchange.stream_url}/v5/private")
    monkeypatch.setattr(pybit.unified_trading, "PUBLIC_WSS", f"{exchange.stream_url}/v5/public/{{CHANNEL_TYPE}}")
    monkeypatch.setattr(pybit._websocket_trading, "TRADE_WSS", f"{exchange.stream_url}/v5/trade")


@pytest.fixture
def private(addresses: None, key: ApiKey) -> Iterator[WebSocket]:
    stream = WebSocket(testnet=False, channel_type="private", api_key=key.key, api_secret=key.secret)
    yield stream
    stream.exit()


@pytest.fixture
def public(addresses: None) -> Iterator[Callable[[str], WebSocket]]:
    opened = []

    def connect(category: str) -> WebSocket:
        opened.append(WebSocket(testnet=False, channel_type=category))
        return opened[-1]

    yield connect
    for stream in opened:
        stream.exit()


@pytest.fixture
def trading(addresses: None, key: ApiKey) -> Iterator[WebSocketTrading]:
    channel = WebSocketTrading(testnet=False, api_key=key.key, api_secret=key.secret)
    eventually(lambda: channel.auth, "the trade channel is authenticated")
    yield channel
    channel.exit()


def subscribed(stream: WebSocket, exchange: RunningExchange, count: int) -> None:
    """Wait until the exchange has taken all subscriptions."""
    eventually(lambda: stream.auth or stream.api_key is None, "the stream is authenticated")
    eventually(lambda: len(stream.callback_directory) == count, "the client has its callbacks")
    eventually(lambda: exchange.control("stats")["private"]["subscribed"] >= 1, "the exchange knows the topics")


def test_a_fill_is_told_on_every_private_topic(private: WebSocket, session: HTTP, exchange: RunningExchange) -> None:
    heard: list[Row] = []
    for subscribe in (private.order_stream, private.execution_stream, private.position_stream, private.wallet_stream):
        subscribe(heard.append)
    private.fast_execution_stream(heard.append, "linear")
    subscribed(private, exchange, 5)

    def told(topic: str) -> list[Row]:
        return [row for message in tuple(heard) if message["topic"] == topic for row in message["data"]]

    def filled() -> bool:
        session.place_order(**BID | {"orderType": "Market"})
        fills, fast = ({row["execId"] for row in told(f"execution{name}")} for name in ("", ".fast.linear"))
        return bool(fills & fast and told("position") and told("wallet"))

    eventually(filled, "all topics have told of a fill")
    assert told("order")[-1]["orderStatus"] == "Filled"
    assert told("position")[0]["side"] == "Buy"
    assert told("wallet")[0]["accountType"] == "UNIFIED"


def test_orders_go_over_the_trade_channel(trading: WebSocketTrading) -> None:
    acks: list[Row] = []
    trading.place_order(acks.append, **BID, price="40000", orderLinkId="over-ws")
    eventually(lambda: len(acks) == 1, "the order is acknowledged")
    wish = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "over-ws"}
    trading.amend_order(acks.append, **wish, price="40001")
    eventually(lambda: len(acks) == 2, "the amendment is acknowledged")
    trading.cancel_order(acks.append, **wish)
    eventually(lambda: len(acks) == 3, "the cancel is acknowledged")
    assert [ack["retCode"] for ack in acks] == [0, 0, 0]
    assert len({ack["data"]["orderId"] for ack in acks}) == 1
    assert acks[0]["header"]["X-Bapi-Limit"]


def test_a_batch_goes_over_the_trade_channel(trading: WebSocketTrading) -> None:
    acks: list[Row] = []
    item = {name: value for name, value in BID.items() if name != "category"} | {"price": "40000"}
    trading.place_batch_order(acks.append, category="linear", request=[item, item | {"qty": "0"}])
    eventually(lambda: acks, "the batch is acknowledged")
    assert [verdict["code"] for verdict in acks[0]["retExtInfo"]["list"]] == [0, 10001]


def test_a_refusal_comes_over_the_trade_channel(trading: WebSocketTrading) -> None:
    errors: list[Row] = []
    trading.cancel_order(
        lambda _: None, category="linear", symbol="BTCUSDT", orderId="nope", error_callback=errors.append
    )
    eventually(lambda: errors, "the refusal has come")
    assert errors[0]["retCode"] == 110001


@pytest.mark.parametrize(("category", "symbol"), [("linear", "BTCUSDT"), ("inverse", "BTCUSD"), ("spot", "BTCUSDT")])
def test_public_topics_start_with_a_snapshot(public: Callable[[str], WebSocket], category: str, symbol: str) -> None:
    heard: dict[str, Row] = {}
    stream = public(category)

    def hear(message: Row) -> None:
        heard[message["topic"]] = message

    stream.ticker_stream(symbol, hear)
    stream.orderbook_stream(50, symbol, hear)
    stream.kline_stream(5, symbol, hear)
    topics = {f"tickers.{symbol}", f"orderbook.50.{symbol}", f"kline.5.{symbol}"}
    eventually(lambda: topics <= set(heard), f"{topics} have told something")
    book = heard[f"orderbook.50.{symbol}"]["data"]
    assert float(book["b"][0][0]) < float(book["a"][0][0])
    assert heard[f"kline.5.{symbol}"]["data"][0]["interval"] == "5"
    assert ("usdIndexPrice" in heard[f"tickers.{symbol}"]["data"]) == (category == "spot")


def test_a_book_is_followed_through_its_changes(public: Callable[[str], WebSocket], exchange: RunningExchange) -> None:
    heard: list[Row] = []
    stream = public("linear")
    exchange.pin("BCHUSDT", "400.0", "401.0")
    stream.orderbook_stream(50, "BCHUSDT", heard.append)
    eventually(lambda: heard, "the snapshot has come")
    exchange.pin("BCHUSDT", "402.0", "403.0", qty="7")
    eventually(lambda: heard[-1]["data"]["b"] == [["402", "7"]], "the new level is the only one")


def test_trades_are_public(public: Callable[[str], WebSocket], session: HTTP) -> None:
    heard: list[Row] = []
    public("linear").trade_stream("LTCUSDT", heard.append)

    def traded() -> bool:
        session.place_order(category="linear", symbol="LTCUSDT", side="Buy", orderType="Market", qty="0.1")
        return bool(heard)

    eventually(traded, "a trade has been told")
    assert heard[0]["data"][0]["S"] == "Buy"


def test_the_best_bid_and_ask_are_always_told_whole(
    public: Callable[[str], WebSocket], exchange: RunningExchange
) -> None:
    heard: list[Row] = []
    stream = public("linear")
    exchange.pin("NEARUSDT", "5.000", "5.010")
    stream.orderbook_stream(1, "NEARUSDT", heard.append)
    eventually(lambda: heard, "the snapshot has come")
    exchange.pin("NEARUSDT", "5.100", "5.110", qty="7")
    eventually(lambda: heard[-1]["data"]["b"] == [["5.1", "7"]], "the new best bid has come")
    assert {message["type"] for message in heard} == {"snapshot"}
    last = heard[-1]
    assert last["data"]["a"] == [["5.11", "7"]]
    eventually(lambda: heard[-1] is not last, "what stands still is told again")
    assert heard[-1]["data"] == last["data"]


def test_liquidations_are_public(
    public: Callable[[str], WebSocket], session: HTTP, exchange: RunningExchange, key: ApiKey
) -> None:
    heard: list[Row] = []
    tickers: list[Row] = []
    stream = public("linear")
    stream.all_liquidation_stream("ATOMUSDT", heard.append)
    stream.ticker_stream("ATOMUSDT", tickers.append)
    eventually(lambda: tickers, "the exchange has taken the second subscription, so it has the first")
    session.place_order(category="linear", symbol="ATOMUSDT", side="Buy", orderType="Market", qty="10")
    exchange.control("liquidation", {"symbol": "ATOMUSDT", "uid": key.uid})
    eventually(lambda: heard, "the liquidation was told")
    (row,) = heard[0]["data"]
    assert (row["s"], row["S"], row["v"]) == ("ATOMUSDT", "Buy", "10")
