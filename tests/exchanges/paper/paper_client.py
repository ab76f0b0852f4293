"""A client for the tests: signs by hand with hashlib's HMAC, so that it shares no code with the exchange."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import urlencode

import aiohttp
import websockets

from exchanges.paper import ApiKey, PaperExchange, PaperOptions

KEY, SECRET = "paper-key", "paper-secret"
KEYS = (ApiKey("paper-key", "paper-secret", 100_001), ApiKey("other-key", "other-secret", 100_002))
STILL = PaperOptions(port=0, keys=KEYS, market_interval_s=0, ack_delay_s=0.001, public_interval_s=0.01, id_salt="t")
"""A market that stands still, for two accounts."""
DEADLINE_S = 5.0
Fields = dict[str, object]


def signed_headers(payload: bytes, key: str = KEY, secret: str = SECRET, at_ms: int | None = None) -> dict[str, str]:
    stamp = str(int(time.time() * 1000) if at_ms is None else at_ms)
    text = f"{stamp}{key}5000".encode() + payload
    return {
        "X-BAPI-API-KEY": key,
        "X-BAPI-TIMESTAMP": stamp,
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": hmac.new(secret.encode(), text, "sha256").hexdigest(),
    }


class PaperClient:
    """Calls of one account, and the control interface."""

    def __init__(self, exchange: PaperExchange, http: aiohttp.ClientSession, key: str = KEY, secret: str = SECRET):
        self.exchange = exchange
        self.http = http
        self.key = key
        self.secret = secret

    async def post(self, endpoint: str, **fields: object) -> Fields:
        body = json.dumps({"category": "linear"} | fields).encode()
        headers = signed_headers(body, self.key, self.secret)
        async with self.http.post(f"{self.exchange.url}/v5/{endpoint}", data=body, headers=headers) as reply:
            return json.loads(await reply.read())

    async def get(self, endpoint: str, **fields: object) -> Fields:
        query = urlencode({"category": "linear"} | fields)
        url = aiohttp.client.URL(f"{self.exchange.url}/v5/{endpoint}?{query}", encoded=True)
        async with self.http.get(url, headers=signed_headers(query.encode(), self.key, self.secret)) as reply:
            return json.loads(await reply.read())

    async def rows(self, endpoint: str, **fields: object) -> list[Fields]:
        reply = await self.get(endpoint, **fields)
        assert reply["retCode"] == 0, reply
        return reply["result"]["list"]

    async def control(self, call: str, **wish: object) -> Fields:
        async with self.http.post(f"{self.exchange.url}/paper/{call}", json=wish) as reply:
            answer = await reply.json()
            assert reply.status == 200, answer
            return answer

    async def ask(self, call: str) -> Fields:
        async with self.http.get(f"{self.exchange.url}/paper/{call}") as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    # -- orders, in short --

    async def pin(self, symbol: str = "BTCUSDT", bids: object = (), asks: object = ()) -> None:
        await self.control("market", symbol=symbol, bids=list(bids), asks=list(asks))

    async def order(self, side: str, qty: str, price: str | None = None, **fields: object) -> Fields:
        kind = {"orderType": "Market"} if price is None else {"orderType": "Limit", "price": price}
        return await self.create({"symbol": "BTCUSDT", "side": side, "qty": qty} | kind | fields)

    async def create(self, fields: Fields) -> Fields:
        return await self.post("order/create", **fields)

    async def placed(self, side: str, qty: str, price: str | None = None, **fields: object) -> Fields:
        """The row of an order that was accepted."""
        reply = await self.order(side, qty, price, **fields)
        assert reply["retCode"] == 0, reply
        return await self.shown(reply["result"]["orderId"])

    async def shown(self, order_id: str) -> Fields:
        (row,) = await self.rows("order/realtime", orderId=order_id)
        return row

    async def position(self, symbol: str = "BTCUSDT", index: int = 0) -> Fields:
        (row,) = [r for r in await self.rows("position/list", symbol=symbol) if r["positionIdx"] == index]
        return row

    async def books(self, **wish: object) -> Fields:
        return (await self.ask(f"books?{urlencode(wish)}"))["accounts"][0]

    async def balance(self) -> Decimal:
        return Decimal((await self.books(only="wallet"))["wallet"]["balance"])


class Listener:
    """A private or public stream, read by the `websockets` library. Messages are kept as they come."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.messages: list[Fields] = []

    async def say(self, **command: object) -> Fields:
        """Send a command and give the next message that is not of a topic."""
        await self.socket.send(json.dumps(command))
        while True:
            message = await self.next()
            if "topic" not in message:
                return message
            self.messages.append(message)

    async def next(self) -> Fields:
        async with asyncio.timeout(DEADLINE_S):
            return json.loads(await self.socket.recv())

    async def until(self, holds: Callable[[list[Fields]], object]) -> list[Fields]:
        """Read on until the messages so far satisfy `holds`."""
        while not holds(self.messages):
            message = await self.next()
            if "topic" in message:
                self.messages.append(message)
        return self.messages

    async def statuses(self, *wanted: str) -> list[str]:
        """Read on until as many order rows have come, and give their statuses."""
        await self.until(lambda messages: len(order_rows(messages)) >= len(wanted))
        return [str(row["orderStatus"]) for row in order_rows(self.messages)]

    async def login(self, key: str = KEY, secret: str = SECRET, *, as_text: bool = False) -> Fields:
        expires = int(time.time() * 1000) + 10_000
        sign = hmac.new(secret.encode(), f"GET/realtime{expires}".encode(), "sha256").hexdigest()
        return await self.say(op="auth", args=[key, str(expires) if as_text else expires, sign])


def rows_of(messages: list[Fields], topic: str) -> list[Fields]:
    return [row for message in messages if message["topic"] == topic for row in message["data"]]


def order_rows(messages: list[Fields]) -> list[Fields]:
    return rows_of(messages, "order")
