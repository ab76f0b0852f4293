"""A venue that does next to nothing, so that what is measured is the manager: `python -m bench.trading.venue '<json>'`.

It speaks as much of Bybit v5 as creating, asking and reconciling take, notes when the first byte of every create
arrived, and stands in for the gateway too: it publishes the updates that the account's stream would bring, and shows
prices, rules and balances once a second. About 0.1 ms of processor a create: the paper exchange needs ten times as
much, and would be what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import orjson
import uvloop
from aiokafka import AIOKafkaProducer

from app.settings import Settings
from app.topics import topics_of
from bench.trading.load import symbol_name
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.orders import OrderType, Side, Sums, TimeInForce, VenueState
from domain.updates import FillReport, OrderReport, Origin, Update, encode_update
from exchanges.venue import Balance
from streams.boards import BoardWriter, Heartbeat, encode

PRICE = Decimal(100)
TICK = Decimal("0.01")
LARGE = Decimal(10) ** 9
PAGE = 50
SHOW_INTERVAL_S = 1.0
_HEADERS = [("content-type", b"application/json"), ("schema", b"order-update/1"), ("producer", b"gateway bench")]


class Wishes(msgspec.Struct):
    """What a benchmark wants of the venue. `tell`: nothing, rest (the order is open) or fill (it is done at once)."""

    latency_s: float = 0.0
    slow: dict[str, float] = {}
    tell: str = "fill"


@dataclass(slots=True)
class Account:
    """Every create in the order of arrival, and the orders that are open."""

    wishes: Wishes
    creates: list[tuple[str, str, int]] = field(default_factory=list)
    open_orders: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class Telling:
    """The gateway's part: updates in the order of arrival, and what the market is."""

    def __init__(self, settings: Settings, symbols: int) -> None:
        self._settings = settings
        self._topics = topics_of(settings)
        self._symbols = symbols
        self._producer: Any = None  # aiokafka is untyped
        self._sequence = 0

    async def start(self) -> None:
        """Connect and show the market once."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap, acks="all", enable_idempotence=True
        )
        await self._producer.start()
        self._board = BoardWriter(self._topics, self._publish)
        now_ns = time.time_ns()
        await self._board.instruments("linear", [_rules(self._at(n), now_ns) for n in range(self._symbols)])
        await self._show()

    async def show_for_ever(self) -> None:
        """Prices and balance, as often as a gateway shows them."""
        while True:
            await asyncio.sleep(SHOW_INTERVAL_S)
            await self._show()

    async def _show(self) -> None:
        now_ns = time.time_ns()
        quote = Quote(bid=PRICE - TICK, ask=PRICE + TICK, last=PRICE, mark=PRICE, at_ns=now_ns)
        await self._board.quotes("linear", {symbol_name(n): quote for n in range(self._symbols)})
        await self._board.balance(
            Balance(account=self._settings.account, currency="USDT", total=LARGE, available=LARGE, at_ns=now_ns)
        )
        beat = Heartbeat(role="gateway", name=self._settings.account, ready=True, at_ns=now_ns)
        await self._publish(self._topics.heartbeats, b"gateway/bench", encode(beat))

    async def told(self, row: dict[str, str], *, filled: bool) -> None:
        """What the stream says of a new order: its row, and its execution if it is filled."""
        now_ns = time.time_ns()
        self._sequence += 1
        quantity = Decimal(row["qty"])
        side = Side.BUY if row["side"] == "Buy" else Side.SELL
        ids: dict[str, Any] = {
            "instrument": Instrument("paper", "linear", row["symbol"]),
            "account": self._settings.account,
            "origin": Origin.STREAM,
            "received_ns": now_ns,
            "client_order_id": row["orderLinkId"],
            "venue_order_id": row["orderId"],
            "side": side,
        }
        fee = quantity * PRICE * Decimal("0.00055")
        if filled:
            await self._send(
                FillReport(
                    **ids, execution_id=f"e{self._sequence}", price=PRICE, quantity=quantity, fee=fee,
                    fee_currency="USDT", executed_ns=now_ns, venue_sequence=self._sequence, maker=False,
                )
            )  # fmt: skip
        await self._send(
            OrderReport(
                **ids,
                state=VenueState.FILLED if filled else VenueState.LIVE,
                raw_status="Filled" if filled else "New",
                order_type=OrderType.MARKET if row["orderType"] == "Market" else OrderType.LIMIT,
                quantity=quantity,
                price=Decimal(row["price"]) if row.get("price") else None,
                cumulative=Sums(quantity, quantity * PRICE, {"USDT": fee}) if filled else Sums(),
                updated_ns=now_ns,
                created_ns=now_ns,
                time_in_force=TimeInForce.IOC if row["orderType"] == "Market" else TimeInForce.GTC,
            )
        )

    async def _send(self, update: Update) -> None:
        key = update.instrument.symbol.encode()
        await self._producer.send(self._topics.order_updates, encode_update(update), key, headers=_HEADERS)

    async def _publish(self, topic: str, key: bytes, value: bytes) -> object:
        return await self._producer.send(topic, value, key, partition=0)

    def _at(self, number: int) -> Instrument:
        return Instrument("paper", "linear", symbol_name(number))


class Connection(asyncio.Protocol):
    """One connection: a request at a time, as HTTP clients send them."""

    def __init__(self, account: Account, telling: Telling | None) -> None:
        self._account = account
        self._telling = telling
        self._buffer = b""
        self._first_ns = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._first_ns = time.time_ns()
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = _content_length(head)
        if len(body) < length:
            return
        self._buffer = b""
        method, target, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
        url = urlsplit(target.decode())
        self._account.asked[url.path] += 1
        if url.path == "/v5/order/create":
            self._create(orjson.loads(body))
        else:
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            self._reply(self._answer(method, url.path, query, body))

    def _create(self, row: dict[str, str]) -> None:
        account, wishes = self._account, self._account.wishes
        symbol, link_id = row["symbol"], row["orderLinkId"]
        account.creates.append((symbol, link_id, self._first_ns))
        row["orderId"] = f"v{len(account.creates):09d}"
        reply = _result({"orderId": row["orderId"], "orderLinkId": link_id})
        latency_s = wishes.slow.get(symbol, wishes.latency_s)
        if latency_s:
            asyncio.get_running_loop().call_later(latency_s, self._accepted, row, reply)
        else:
            self._accepted(row, reply)

    def _accepted(self, row: dict[str, str], reply: bytes) -> None:
        self._reply(reply)
        tell = self._account.wishes.tell
        if tell == "rest":
            self._account.open_orders[row["orderId"]] = row
        if self._telling is not None and tell != "nothing":
            task = asyncio.get_running_loop().create_task(self._telling.told(row, filled=tell == "fill"))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _answer(self, method: bytes, path: str, query: dict[str, str], body: bytes) -> bytes:
        account = self._account
        if path == "/bench/wishes" and method == b"POST":
            account.wishes = msgspec.json.decode(body, type=Wishes)
            return b"{}"
        if path == "/bench/creates":
            return orjson.dumps(account.creates[int(query.get("since", "0")) :])
        if path == "/bench/asked":
            return orjson.dumps(dict(account.asked))
        if path == "/v5/order/realtime" and query.get("openOnly", "0") == "0":
            return _page(self._matching(query), int(query.get("limit", PAGE)), int(query.get("cursor") or 0))
        if path == "/v5/market/time":
            return _result({"timeNano": str(time.time_ns())})
        return _result({"list": []})  # no history, no executions, nothing closed

    def _matching(self, query: dict[str, str]) -> list[dict[str, str]]:
        orders = self._account.open_orders
        if order_id := query.get("orderId"):
            return [_row(orders[order_id])] if order_id in orders else []
        wanted = {name: query[name] for name in ("symbol", "orderLinkId") if name in query}
        return [_row(row) for row in orders.values() if all(row[name] == value for name, value in wanted.items())]

    def _reply(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _result(result: dict[str, Any]) -> bytes:
    return orjson.dumps({"retCode": 0, "retMsg": "OK", "result": result, "time": time.time_ns() // 1_000_000})


def _page(rows: list[dict[str, str]], limit: int, start: int) -> bytes:
    end = start + limit
    return _result({"list": rows[start:end], "nextPageCursor": str(end) if end < len(rows) else ""})


def _row(order: dict[str, str]) -> dict[str, str]:
    """An open order as the venue lists it."""
    now_ms = str(time.time_ns() // 1_000_000)
    return {
        "orderId": order["orderId"],
        "orderLinkId": order["orderLinkId"],
        "symbol": order["symbol"],
        "side": order["side"],
        "orderType": order["orderType"],
        "orderStatus": "New",
        "qty": order["qty"],
        "price": order.get("price", ""),
        "timeInForce": order["timeInForce"],
        "cumExecQty": "0",
        "cumExecValue": "0",
        "cumExecFee": "0",
        "createdTime": now_ms,
        "updatedTime": now_ms,
    }


def _rules(instrument: Instrument, now_ns: int) -> InstrumentRules:
    return InstrumentRules(
        instrument=instrument, trading=True, base_currency=instrument.symbol.removesuffix("USDT"),
        quote_currency="USDT", settle_currency="USDT", tick=TICK, lot=Decimal("0.001"),
        min_quantity=Decimal("0.001"), max_quantity=LARGE, max_market_quantity=LARGE, min_notional=Decimal(5),
        min_price=TICK, max_price=LARGE, fetched_at_ns=now_ns,
    )  # fmt: skip


async def _serve(config: dict[str, Any]) -> None:
    settings = Settings(**config["settings"])
    telling = Telling(settings, config["symbols"])
    await telling.start()
    account = Account(Wishes())
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Connection(account, telling), "127.0.0.1", config["port"])
    print("serving", flush=True)
    await telling.show_for_ever()


if __name__ == "__main__":
    uvloop.run(_serve(json.loads(sys.argv[1])))
