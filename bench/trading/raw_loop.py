"""The baseline: an aiokafka consumer that posts an order for every signal, with nothing that makes it safe.

Same transport, signature and body as the worker's, one task a signal. No state, no plan, no intent, no outcome: what
the network, the client libraries and the loop cost anyway. `python -m bench.trading.raw_loop '<json>'`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

from app.settings import Settings
from app.venue import bybit_options
from bench.trading.venue import PRICE
from domain.instruments import Instrument
from domain.money import floor_to
from domain.orders import OrderType, Side, TimeInForce
from exchanges.bybit.signing import Credentials
from exchanges.bybit.translate import create_body
from exchanges.clock import SystemClock
from exchanges.http import HttpCaller
from exchanges.venue import NewOrder


async def _run(config: dict[str, Any]) -> None:
    settings = Settings(**config["settings"])
    options = bybit_options(settings)
    credentials = Credentials(options.key, options.secret)
    caller = HttpCaller(options.rest_url, options.timeouts, max_connections=options.max_connections)
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
        request = caller.request("POST", "/v5/order/create", content=content)
        request.headers["Content-Type"] = "application/json"
        stamp_ms = clock.now_ns() // 1_000_000
        request.headers.update(
            credentials.rest_headers(content, timestamp_ms=stamp_ms, receive_window_ms=options.receive_window_ms)
        )
        reply = await caller.send(request)
        if orjson.loads(reply.body)["retCode"] != 0:
            raise RuntimeError(reply.body)

    async with asyncio.TaskGroup() as group:
        async for record in consumer:
            group.create_task(post(record.value))


if __name__ == "__main__":
    uvloop.run(_run(json.loads(sys.argv[1])))
