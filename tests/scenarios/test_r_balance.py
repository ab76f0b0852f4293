"""The last of the balance goes to one worker's order, not to two (requirement R02)."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import httpx
import pytest
from scenario_set import Desk, Row, wish
from scenario_workers import both_work, resting_at_venue

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKERS = 2
SETTINGS = {"paper_deposit": 10_000, "leverage": 10}
FIT = 3
"""Orders over 30,000 whose margin 10,000 pay for, each with its fee. Both sides count with the same leverage."""


async def test_r02_two_workers_that_race_for_the_last_of_the_balance_never_send_orders_over_it(desk: Desk) -> None:
    owners = await both_work(desk)
    symbols = desk.symbols(12)
    of_each = [[symbol for symbol in symbols if desk.partition(symbol) in partitions] for partitions in owners.values()]
    assert all(of_each), "each worker has symbols of its own"
    await desk.fault("latency", endpoint="order/create", delay_ms=700)

    rows = await race(desk, symbols)

    taken = [row for row in rows if row["result"] == "executed"]
    assert len(taken) == FIT, [(row["symbol"], row["result"], row["code"]) for row in rows]
    assert {row["code"] for row in rows if row["result"] != "executed"} == {"INSUFFICIENT_BALANCE"}
    assert await desk.arrived("order/create") == FIT, "what nobody could pay for never left"
    assert await resting_at_venue(desk, symbols) == FIT

    await desk.heal()
    assert (await desk.command(action="cancel", symbol=taken[0]["symbol"]))["ok"]
    others = [row["symbol"] for row in rows if row["result"] != "executed"]
    await balance_is_free(desk, others, Decimal(3_500))
    again = await race(desk, others[:6])

    assert sum(row["result"] == "executed" for row in again) == 1
    assert await resting_at_venue(desk, symbols) == FIT


async def race(desk: Desk, symbols: list[str]) -> list[Row]:
    """A limit order over 30,000 for every symbol, all at once; returns their ends."""
    signals = [wish(symbol, order_type="limit", amount="30000", limit_price="99.9") for symbol in symbols]
    await asyncio.gather(*(desk.send(signal) for signal in signals))
    return list(await asyncio.gather(*(desk.end_of(signal["signal_id"], within_s=30) for signal in signals)))


async def balance_is_free(desk: Desk, symbols: list[str], wanted: Decimal) -> None:
    """Wait until a plan for every symbol has so much to use, whichever worker makes it: the venue shows what was given
    back, and nobody reserves it any more."""

    async def free() -> bool | None:
        return min([await free_for(desk, symbol) for symbol in symbols]) >= wanted or None

    await desk.until(free, 15, f"{wanted} that is free")


async def free_for(desk: Desk, symbol: str) -> Decimal:
    """What a plan may use. A worker that has not the symbol redirects to the one that has."""
    reply = await desk.post("/plan", **wish(symbol, order_type="limit", limit_price="99.9"))
    if reply.status_code == httpx.codes.TEMPORARY_REDIRECT:
        reply = await desk.post_to(reply.headers["location"], json.loads(reply.request.content))
    verdicts = reply.json()["verdicts"]
    return Decimal(next(each["figures"]["free"] for each in verdicts if each["gate"] == "balance"))
