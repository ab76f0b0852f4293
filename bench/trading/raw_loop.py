"""The baseline: an aiokafka consumer that posts an order for every signal, with nothing that makes it safe.

httpx on aiohttp's transport, the same signature and body as the worker's, one task a signal. No state, no plan, no
intent, no outcome: what the network, the client libraries and the loop cost anyway.
`python -m bench.trading.raw_loop '<json>'`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from typing import Any

import httpx
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer
from httpx_aiohttp import AiohttpTransport

from app.settings import Settings
from app.venue import bybit_options
from bench.trading.venue import PRICE
from domain.instruments import Instrument
from domain.money import floor_to
from domain.orders import OrderType, Side, TimeInForce
from exchanges.bybit.signing import Credentials
from exchanges.bybit.translate import create_body
from exchanges.clock import SystemClock
from exchanges.venue import NewOrder


async def _run(config: dict[str, Any]) -> None:
    settings = Settings(**config["settings"])
    options = bybit_options(settings)
    credentials = Credentials(options.key, options.secret)
    client = httpx.AsyncClient(base_url=options.rest_url, transport=AiohttpTransport(), timeout=10.0)
    clock = SystemClock()
    consumer = AIOKafkaConsumer(
        config["topic"],
        bootstrap_servers=settings.bootstrap,
        group_id=config["topic"],
        auto_offset_reset="earliest",
    )
    await consumer.start()
    print("consuming", flush=True)

    async def post(value: bytes) -> None:
        signal = orjson.loads(value)
        order = NewOrder(
            instrument=Instrument("paper", "linear", signal["symbol"]),
            client_order_id=signal["signal_id"],
            side=Side.BUY,
            order_type=OrderType.MARKET,
            quantity=floor_to(Decimal(signal["amount"]) / PRICE, Decimal("0.001")),
            price=None,
            time_in_force=TimeInForce.IOC,
        )
        content = orjson.dumps(create_body(order))
        stamp_ms, window_ms = clock.now_ns() // 1_000_000, options.receive_window_ms
        headers = credentials.rest_headers(content, timestamp_ms=stamp_ms, receive_window_ms=window_ms)
        headers["Content-Type"] = "application/json"
        reply = await client.post("/v5/order/create", content=content, headers=headers)
        if orjson.loads(reply.content)["retCode"] != 0:
            raise RuntimeError(reply.text)

    async with asyncio.TaskGroup() as group:
        async for record in consumer:
            group.create_task(post(record.value))


if __name__ == "__main__":
    uvloop.run(_run(json.loads(sys.argv[1])))
