"""ccxt's asynchronous client and its WebSockets (ccxt.pro)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import ccxt
import ccxt.pro
import pytest
from running_exchange import PATIENCE_S, RunningExchange

from exchanges.paper.options import ApiKey

SWAP, COIN, SPOT = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT"
Result = TypeVar("Result")


def connected(exchange: RunningExchange, key: ApiKey) -> Any:
    client = ccxt.pro.bybit({"apiKey": key.key, "secret": key.secret, "enableRateLimit": False})
    streams = exchange.stream_url
    client.urls["api"] = {name: exchange.url for name, url in client.urls["api"].items() if isinstance(url, str)}
    client.urls["api"]["ws"] = {
        "public": {name: f"{streams}/v5/public/{name}" for name in ("spot", "linear", "inverse", "option")},
        "private": {
            "spot": {"unified": f"{streams}/v5/private", "nonUnified": f"{streams}/v5/private"},
            "contract": f"{streams}/v5/private",
            "usdc": f"{streams}/v5/private",
            "trade": f"{streams}/v5/trade",
        },
    }
    client.options["defaultType"] = "swap"
    return client


@pytest.fixture
async def client(exchange: RunningExchange, key: ApiKey) -> AsyncIterator[Any]:
    ready = connected(exchange, key)
    await ready.load_markets()
    yield ready
    await ready.close()


async def soon(waiting: Awaitable[Result]) -> Result:
    async with asyncio.timeout(PATIENCE_S):
        return await waiting


async def told(watch: Awaitable[Result], act: Callable[[], Awaitable[Any]]) -> Result:
    """What `watch` sees of `act`, which is done again and again: there is no sign that a subscription stands."""
    watching = asyncio.ensure_future(watch)
    async with asyncio.timeout(PATIENCE_S):
        while not watching.done():
            await act()
            await asyncio.wait([watching], timeout=0.1)
    return watching.result()


async def test_an_order_goes_and_comes_back(client: Any) -> None:
    placed = await client.create_order(SWAP, "limit", "buy", 0.01, 40000)
    (found,) = await client.fetch_open_orders(SWAP)
    assert found["id"] == placed["id"]
    await client.cancel_order(placed["id"], SWAP)
    assert await client.fetch_open_orders(SWAP) == []


async def test_orders_go_over_the_trade_channel(client: Any) -> None:
    placed = await soon(client.create_order_ws(SWAP, "limit", "buy", 0.01, 40000))
    await soon(client.edit_order_ws(placed["id"], SWAP, "limit", "buy", 0.02, 40001))
    (found,) = await client.fetch_open_orders(SWAP)
    assert (found["id"], found["amount"]) == (placed["id"], 0.02)
    await soon(client.cancel_order_ws(placed["id"], SWAP))
    assert await client.fetch_open_orders(SWAP) == []


async def test_a_refusal_over_the_trade_channel_is_an_error(client: Any) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        await soon(client.create_order_ws(SWAP, "limit", "buy", 100, 60000))


async def test_orders_are_watched(client: Any) -> None:
    orders = await told(client.watch_orders(), lambda: client.create_order(SWAP, "limit", "buy", 0.01, 40000))
    assert {(order["symbol"], order["status"]) for order in orders} == {(SWAP, "open")}


async def test_spot_orders_are_watched_as_spot(client: Any) -> None:
    orders = await told(client.watch_orders(), lambda: client.create_order(SPOT, "limit", "buy", 0.01, 40000))
    assert orders[0]["symbol"] == SPOT


async def test_trades_are_watched(client: Any) -> None:
    trades = await told(client.watch_my_trades(), lambda: client.create_order(SWAP, "market", "buy", 0.01))
    assert (trades[0]["symbol"], trades[0]["side"], trades[0]["amount"]) == (SWAP, "buy", 0.01)


async def test_positions_are_watched(client: Any) -> None:
    client.options["watchPositions"]["fetchPositionsSnapshot"] = False
    positions = await told(client.watch_positions([SWAP]), lambda: client.create_order(SWAP, "market", "buy", 0.01))
    assert (positions[0]["side"], positions[0]["contracts"] > 0) == ("long", True)


async def test_the_balance_is_watched(client: Any) -> None:
    balance = await told(client.watch_balance(), lambda: client.create_order(SWAP, "market", "buy", 0.01))
    assert balance["USDT"]["total"] < 100_000


@pytest.mark.parametrize("symbol", [SWAP, COIN, SPOT])
async def test_the_market_is_watched(client: Any, symbol: str) -> None:
    ticker = await soon(client.watch_ticker(symbol))
    book = await soon(client.watch_order_book(symbol))
    candles = await soon(client.watch_ohlcv(symbol, "1m"))
    assert (ticker["symbol"], ticker["last"] > 0) == (symbol, True)
    assert book["bids"][0][0] < book["asks"][0][0]
    assert len(candles[0]) == 6


async def test_public_trades_are_watched_and_left(client: Any) -> None:
    symbol = "DOT/USDT:USDT"
    trades = await told(client.watch_trades(symbol), lambda: client.create_order(symbol, "market", "buy", 1))
    assert trades[0]["symbol"] == symbol
    await soon(client.un_watch_trades("DOT/USDT:USDT"))


async def test_a_wrong_key_cannot_watch(exchange: RunningExchange, client: Any) -> None:
    stranger = connected(exchange, ApiKey("nobody", "wrong"))
    stranger.set_markets(client.markets)
    stranger.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": True, "unifiedMarginStatus": 6}
    with pytest.raises(ccxt.AuthenticationError):
        await soon(stranger.watch_orders())
    await stranger.close()
