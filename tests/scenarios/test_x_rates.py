"""The account's rate limits, kept by everybody together (requirement X07): the venue enforces them here."""

from __future__ import annotations

import asyncio

import pytest
from scenario_set import Desk, Row, wish
from scenario_workers import both_work, everybody_has_heard

pytestmark = pytest.mark.asyncio(loop_scope="module")

PER_S = 4
WORKERS = 2
SETTINGS = {
    "paper_rate_limits": True,
    "venue_orders_per_s": float(PER_S),
    "venue_queries_per_s": 50.0,
    "signal_max_age_s": 120.0,
}


async def test_x07_workers_and_gateway_together_keep_the_limits_and_a_cancel_waits_for_no_create(desk: Desk) -> None:
    owners = await both_work(desk)
    await everybody_has_heard(desk)
    resting_symbol, *symbols = desk.symbols(24)
    assert all({desk.partition(symbol) for symbol in symbols} & partitions for partitions in owners.values())
    resting = await desk.resting(resting_symbol)

    sent = [wish(symbol, order_type="limit", limit_price="90") for symbol in symbols]
    await asyncio.gather(*(desk.send(signal) for signal in sent))
    assert (await desk.command(action="cancel", order_id=resting["order_id"]))["ok"]
    creates_then = await creates(desk)
    rows = await asyncio.gather(*(desk.end_of(signal["signal_id"], within_s=30) for signal in sent))

    assert {row["result"] for row in rows} == {"executed"}
    assert creates_then <= len(symbols) // 2, "the cancel went ahead of creates that waited"
    assert await most_in_a_second(desk, symbols) <= PER_S
    assert await over_the_limit(desk) == {}


async def creates(desk: Desk) -> int:
    """How many creates the exchange has had."""
    return int((await stats(desk))["order/create"]["arrived"])


async def over_the_limit(desk: Desk) -> dict[str, int]:
    """Calls that the exchange refused, by endpoint. Nothing but its limits refuses anything here, except that the
    position mode is the wanted one already."""
    refused = {name: counts.get("refused", 0) for name, counts in (await stats(desk)).items()}
    return {name: count for name, count in refused.items() if count and name != "position/switch-mode"}


async def stats(desk: Desk) -> dict[str, Row]:
    counted: dict[str, Row] = (await desk.set.paper_get("/paper/stats"))["endpoints"]
    return counted


async def most_in_a_second(desk: Desk, symbols: list[str]) -> int:
    """Orders that the exchange took within any second."""
    taken_ms = [int(order["createdTime"]) for symbol in symbols for order in await desk.at_venue(symbol)]
    return max(sum(begin <= each < begin + 1_000 for each in taken_ms) for begin in taken_ms)
