"""Limits of the account hold over all workers (requirement R04)."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from scenario_set import Desk, Row, wish
from scenario_workers import both_work, resting_at_venue

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKERS = 2
SETTINGS = {"max_exposure": Decimal(3_000), "max_open_orders": 100}


async def test_r04_two_workers_that_race_for_the_last_of_a_limit_never_exceed_it(desk: Desk) -> None:
    owners = await both_work(desk)
    symbols = desk.symbols(12)
    of_each = [[symbol for symbol in symbols if desk.partition(symbol) in partitions] for partitions in owners.values()]
    assert all(of_each), "each worker has symbols of its own"

    rows = await race(desk, symbols)

    taken = [row for row in rows if row["result"] == "executed"]
    refused = [row for row in rows if row["result"] == "rejected"]
    assert len(taken) == 3, [(row["symbol"], row["result"], row["code"]) for row in rows]
    assert {row["code"] for row in refused} == {"MAX_EXPOSURE"}
    assert len(refused) == 9
    assert await resting_at_venue(desk, symbols) == 3

    # What is given back can be had again, by whoever comes first.
    gone = taken[0]["symbol"]
    assert (await desk.command(action="cancel", symbol=gone))["ok"]
    await exposure_is(desk, "2000")
    again = await race(desk, [row["symbol"] for row in refused][:6])
    assert sum(row["result"] == "executed" for row in again) == 1
    assert await resting_at_venue(desk, symbols) == 3


async def race(desk: Desk, symbols: list[str]) -> list[Row]:
    """A signal over 1000 for every symbol, all at once; returns their ends."""
    signals = [
        wish(symbol, order_type="limit", market_data_snapshot={"price": "100", "spread": "0"}) for symbol in symbols
    ]
    await asyncio.gather(*(desk.send(signal | {"limit_price": "99.9"}) for signal in signals))
    return list(await asyncio.gather(*(desk.end_of(signal["signal_id"], within_s=30) for signal in signals)))


async def exposure_is(desk: Desk, wanted: str) -> None:
    async def shown() -> bool | None:
        return Decimal((await desk.ask("/exposure"))["account"]["exposure"]) == Decimal(wanted) or None

    await desk.until(shown, 10, f"an exposure of {wanted}")
