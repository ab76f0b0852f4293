"""A paper exchange on a free port, with a market that stands still, and clients for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import websockets
from paper_client import STILL, Listener, PaperClient

from exchanges.paper import PaperExchange, PaperOptions


@pytest.fixture
def options() -> PaperOptions:
    return STILL


@pytest.fixture
async def exchange(options: PaperOptions) -> AsyncIterator[PaperExchange]:
    async with PaperExchange(options) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(exchange: PaperExchange, http: aiohttp.ClientSession) -> PaperClient:
    """The first account, with BTCUSDT pinned to two levels on each side: 1 and 2 BTC around 65000."""
    first = PaperClient(exchange, http)
    await first.pin(bids=[["64990", "1"], ["64980", "2"]], asks=[["65010", "1"], ["65020", "2"]])
    return first


@pytest.fixture
def other(exchange: PaperExchange, http: aiohttp.ClientSession) -> PaperClient:
    """The second account."""
    return PaperClient(exchange, http, "other-key", "other-secret")


@pytest.fixture
async def stream(exchange: PaperExchange) -> AsyncIterator[Listener]:
    """A private stream of the first account, subscribed to everything."""
    async with websockets.connect(f"{exchange.stream_url}/v5/private", max_queue=None) as socket:
        listener = Listener(socket)
        assert (await listener.login())["success"] is True
        topics = ["order", "execution", "position", "wallet"]
        assert (await listener.say(op="subscribe", args=topics))["success"] is True
        yield listener
