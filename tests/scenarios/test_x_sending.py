"""Sending to the venue: ids, calls, classes of errors, retries, time (requirements X02 to X05, X13)."""

from __future__ import annotations

import asyncio
import re
import time
from itertools import chain

import pytest
from scenario_set import Desk, Row, wish

from domain.ids import client_order_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

DISAGREEING: set[str] = set()


def id_of(desk: Desk, signal: Row, attempt: int = 1) -> str:
    """The id that the signal's order must get, whoever works it out."""
    settings = desk.settings
    return client_order_id(
        settings.instance,
        "paper",
        "linear",
        settings.account,
        signal["symbol"],
        signal["signal_id"],
        attempt,
        0,
    )


async def test_x02_the_client_order_id_follows_from_the_signal_and_is_legal_everywhere(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="market")

    row = await desk.trade(signal)

    assert row["order_ids"] == [id_of(desk, signal)]
    assert re.fullmatch(r"om[a-z0-9]{26}", row["order_ids"][0])
    assert [order["orderLinkId"] for order in await desk.at_venue(symbol)] == row["order_ids"]


async def test_x02_a_duplicate_that_agrees_is_ours(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="limit")
    at_venue = await desk.by_hand(symbol, "buy", "10", "99.9", client_order_id=id_of(desk, signal))

    row = await desk.trade(signal)

    order = await desk.order_where(row["order_ids"][0], lambda order: order["venue"]["raw_status"] == "New")
    assert (order["state"], order["venue_order_id"]) == ("acknowledged", at_venue.venue_order_id)
    assert len(await desk.at_venue(symbol)) == 1


async def test_x02_a_duplicate_that_is_another_order_is_a_conflict(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="limit")
    DISAGREEING.add(id_of(desk, signal))
    await desk.by_hand(symbol, "buy", "7", "99", client_order_id=id_of(desk, signal))
    await desk.alert("OWN_ORDER_UNKNOWN", symbol=symbol)  # the stream has told of it before ours is meant

    row = await desk.trade(signal)

    [order] = row["orders"]
    assert (row["result"], order["state"]) == ("rejected", "rejected")
    assert order["reason"].startswith("CLIENT_ORDER_ID_CONFLICT")
    assert "quantity 7, ours 10" in order["reason"]


async def test_x03_a_cancel_that_fails_stops_the_replacement(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol)
    await desk.fault("error_code_before", endpoint="order/cancel", symbol=symbol, code=10016)

    row = await desk.trade(wish(symbol, order_type="limit", limit_price="99.8"))

    assert (row["result"], row["code"]) == ("failed", "CANCEL_NOT_CONFIRMED")
    assert [order["orderLinkId"] for order in await desk.at_venue(symbol)] == [resting["order_id"]]
    assert (await desk.record("order_events", signal_id=row["signal_id"])).body["type"] == "failed"


@pytest.mark.parametrize(
    ("kind", "code", "result", "calls", "told"),
    [
        ("error_code_before", 110007, "rejected", 1, "rejected"),
        ("error_code_before", 10001, "rejected", 1, "rejected"),
        ("error_code_before", 10002, "executed", 2, "filled"),
        ("rate_limited", 10006, "executed", 2, "filled"),
        ("error_code_before", 10016, "executed", 2, "resolved"),
        ("error_code_after", 10016, "executed", 1, "filled"),
    ],
    ids=["no-funds", "bad-request", "clock", "too-many", "unknown-before", "unknown-after"],
)
async def test_x04_what_the_venue_answers_decides_what_is_done(
    desk: Desk, symbol: str, kind: str, code: int, result: str, calls: int, told: str
) -> None:
    before = await desk.arrived("order/create")
    rule = {} if kind == "rate_limited" else {"code": code}
    await desk.fault(kind, endpoint="order/create", symbol=symbol, count=1, retry_after_ms=50, **rule)

    row = await desk.trade(wish(symbol, order_type="market"))

    assert row["result"] == result, row["orders"]
    await desk.events(row["order_ids"][0], told)
    assert await desk.arrived("order/create") - before == calls
    assert len(await desk.at_venue(symbol)) == (1 if result == "executed" else 0)


async def test_x05_what_was_surely_not_accepted_is_tried_three_times_with_growing_pauses(
    desk: Desk, symbol: str
) -> None:
    before = await desk.arrived("order/create")
    await desk.fault("error_code_before", endpoint="order/create", symbol=symbol, code=10002, count=2)

    row = await desk.trade(wish(symbol, order_type="market"))

    assert row["result"] == "executed"
    order = await desk.order_in(row["order_ids"][0], "filled")
    assert order["attempts"] == 3
    assert await desk.arrived("order/create") - before == 3


async def test_x05_a_wait_that_the_venue_asks_for_wins(desk: Desk, symbol: str) -> None:
    await desk.fault("rate_limited", endpoint="order/create", symbol=symbol, count=1, retry_after_ms=800)

    row = await desk.trade(wish(symbol, order_type="market"))

    order = await desk.order_in(row["order_ids"][0], "filled")
    assert order["times"]["acknowledged_ns"] - order["times"]["created_ns"] >= 750_000_000


async def test_x05_an_order_that_was_surely_not_accepted_three_times_fails_and_may_be_tried_again(
    desk: Desk, symbol: str
) -> None:
    signal = wish(symbol, order_type="market")
    await desk.fault("rate_limited", endpoint="order/create", symbol=symbol, count=3, retry_after_ms=50)

    failed = await desk.trade(signal)

    [order] = failed["orders"]
    assert (failed["result"], order["state"], order["attempts"]) == ("failed", "failed", 3)
    assert [event["type"] for event in await desk.events(order["order_id"], "failed")] == [
        "created",
        "submitted",
        "failed",
    ]
    assert (await desk.alert("ORDER_FAILED", symbol=symbol))["severity"] == "critical"
    again = await desk.trade(signal)
    assert (again["result"], again["order_ids"]) == ("executed", [id_of(desk, signal, attempt=2)])
    await desk.order_in(again["order_ids"][0], "filled")


async def test_x05_a_signal_that_comes_while_the_venue_is_away_waits_for_it(desk: Desk, symbol: str) -> None:
    await desk.set.paper.stop()
    await desk.alert("STREAM_DOWN")
    signal = wish(symbol, order_type="market")
    await desk.send(signal)
    back_ns = time.time_ns()

    await desk.paper_is_back()
    row = await desk.end_of(signal["signal_id"])

    assert row["result"] == "executed"
    assert row["planned_ns"] > back_ns, "it was decided on a state that nobody could check"
    assert len(await desk.at_venue(symbol)) == 1


async def test_x13_signals_become_accepted_orders_within_two_seconds(desk: Desk) -> None:
    async def trade_on(symbol: str) -> list[Row]:
        return [await desk.trade(wish(symbol, order_type="market")) for _ in range(15)]

    traded = await asyncio.gather(*(trade_on(symbol) for symbol in desk.symbols(6)))
    rows = list(chain.from_iterable(traded))

    times = [order["times"] for row in rows for order in row["orders"]]
    taken_ns = sorted(time["acknowledged_ns"] - time["signal_ns"] for time in times)
    assert sum(row["result"] == "executed" for row in rows) >= 0.95 * len(rows)
    assert taken_ns[len(taken_ns) * 99 // 100] <= 2_000_000_000
