"""Whatever is sent, a view answers with JSON of its own and never fails."""

from __future__ import annotations

import asyncio
import json
import random
from urllib.parse import quote

import aiohttp
import yarl
from table_cases import NOW, fill, filled, order, signal_row, store_fill_in_position, store_orders, store_signals
from web_cases import INTERNAL, TRADE, Worker

NAMES = (
    *("symbol", "status", "state", "side", "signal_id", "venue", "strategy_id", "created_from", "created_to", "sort"),
    *("order", "limit", "cursor", "after", "wait_s", "open", "result", "planned_from", "planned_to", "x"),
)
VALUES = (
    *("", "0", "-1", "1", "500", "1e400", "NaN", "null", "true", "BTCUSDT", "btcusdt", "pending", "canceled", "asc"),
    *(
        "buy",
        "../../etc",
        "\x00",
        "\ud7ff",
        "ü" * 50,
        "'; DROP TABLE",
        "%2f",
        "2025-11-21T00:00:00Z",
        str(NOW),
        "9" * 400,
    ),
    *("b3JkZXJ8", "A" * 1_024, "{}", "[]", "\r\nX: y", "om1", "v1", "s1"),
)
PATHS = (
    "/orders",
    "/orders/{}",
    "/orders/{}/history",
    "/positions",
    "/positions/{}",
    "/positions/{}/history",
    "/signals",
)
MORE_PATHS = ("/signals/{}", "/commands/{}", "/controls", "/health/ready", "/{}")
KINDS = ("orders", "signals", "positions", "ledger", "order", "history", "signal", "command", "passwords")
BODIES = (
    True,
    1,
    "x",
    [],
    {},
    {"action": "cancel"},
    {"action": None, "symbol": []},
    {"scope": "all", "state": 1},
)


async def test_odd_questions_never_make_a_view_fail(worker: Worker) -> None:
    store_orders(worker.orders, order(1), filled(2))
    store_signals(worker.signals, signal_row("s1"))
    store_fill_in_position(worker.positions, fill("e1"), 1)
    chance = random.Random(11)  # noqa: S311 -- the same questions in every run

    async with aiohttp.ClientSession(worker.url, headers=TRADE) as session:

        async def ask() -> tuple[str, int, bytes]:
            path = chance.choice(PATHS + MORE_PATHS).format(quote(chance.choice(VALUES), safe=""))
            pairs = [(chance.choice(NAMES), chance.choice(VALUES)) for _ in range(chance.choice([0, 1, 1, 2, 4]))]
            query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs if name != "wait_s")
            url = yarl.URL(f"{path}?{query}", encoded=True)
            async with session.get(url) as reply:
                return str(url), reply.status, await reply.read()

        for _ in range(25):
            for url, status, body in await asyncio.gather(*(ask() for _ in range(40))):
                assert status in {200, 400, 404, 405, 414, 503}, (url, status)
                assert (status == 200) is ("error" not in json.loads(body)), url


async def test_odd_bodies_never_make_a_view_fail(worker: Worker) -> None:
    chance = random.Random(12)  # noqa: S311 -- as above
    asks = (
        {
            "question": {"ask": kind, "any_id": "x", "symbol": "X", "limit": -1, "wanted": {}},
            "partitions": [0, -5, 10**9],
        }
        for kind in KINDS
    )
    for body in (*BODIES, *asks):
        for path, key in (("/commands", TRADE), ("/controls", TRADE), ("/internal/ask", INTERNAL)):
            reply = await worker.post(path, body, key)
            assert reply.status_code in {200, 400, 404}, (path, body, reply.status_code)
    for _ in range(100):
        noise = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
        headers = {**TRADE, "Content-Type": "application/json"}
        assert (await worker.client.post("/commands", headers=headers, content=noise)).status_code == 400
    assert worker.commands == []
