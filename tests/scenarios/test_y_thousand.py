"""A thousand open orders: trading again after a restart, and compared on demand while signals flow (Y01, Y03)."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

import pytest
from scenario_set import Desk, wish

from domain.errors import NotAccepted

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"venue_queries_per_s": 50.0}

ORDERS, SYMBOLS = 1_000, 20

log = logging.getLogger(__name__)


async def open_orders(desk: Desk) -> list[dict[str, Any]]:
    """Every order that the manager holds to be open."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await desk.ask("/orders", status="pending", limit=500, **cursor)
        found += page["items"]
        if page["cursor"] is None:
            return found
        cursor = {"cursor": page["cursor"]}


async def test_y03_a_thousand_open_orders(desk: Desk) -> None:
    symbols = desk.symbols(SYMBOLS)
    placing = asyncio.Semaphore(16)

    async def place(number: int) -> None:
        async with placing:
            while True:  # one that waited longer for the processor than its receive window was surely not accepted
                with suppress(NotAccepted):
                    await desk.by_hand(symbols[number % SYMBOLS], "buy", "10", f"{90 + number // SYMBOLS / 10:.1f}")
                    return

    await asyncio.gather(*(place(number) for number in range(ORDERS)))

    async def all_known() -> bool | None:
        return len(await open_orders(desk)) == ORDERS or None

    await desk.until(all_known, 60, "a thousand open orders")

    # again after a restart
    async with desk.worker_away(ready=False):
        started_s = time.monotonic()
    await desk.worker_is_ready()
    restarted_s = time.monotonic() - started_s

    # on demand, while signals flow
    one = desk.symbols(1)[0]
    signals = [wish(one, order_type="market", amount="100") for _ in range(20)]

    async def flow() -> None:
        for each in signals:
            await desk.send(each)
            assert (await desk.end_of(each["signal_id"]))["result"] == "executed"

    flowing = asyncio.create_task(flow())
    begun_s = time.monotonic()
    first, second = await asyncio.gather(desk.sync_everything(within_s=30), desk.sync_everything(within_s=30))
    compared_s = time.monotonic() - begun_s
    await flowing

    log.info("ready %.1f s after the start, compared in %.1f s", restarted_s, compared_s)
    assert restarted_s <= 15
    assert compared_s < 30
    for result in (first, second):
        agreeing = [said for name, said in result["details"].items() if not name.startswith("position")]
        assert result["ok"]
        assert agreeing.count("agrees") >= ORDERS
