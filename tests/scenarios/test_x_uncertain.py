"""Uncertain outcomes: asked for until known, never two orders for one intent (requirements X06, X09)."""

from __future__ import annotations

import pytest
from scenario_set import Desk, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"order_execution_timeout_s": 3.0}


@pytest.mark.parametrize(
    ("kind", "creates"),
    [
        ("timeout_after_accept", 1),
        ("error_5xx_after", 1),
        ("reset_mid_reply", 1),
        ("cut_json", 1),
        ("timeout_before_accept", 2),
        ("error_5xx_before", 2),
        ("reset_before", 2),
    ],
)
async def test_x06_an_unknown_outcome_is_asked_for_and_ends_in_one_order(
    desk: Desk, symbol: str, kind: str, creates: int
) -> None:
    before = await desk.arrived("order/create")
    await desk.fault(kind, endpoint="order/create", symbol=symbol, count=1)

    row = await desk.trade(wish(symbol, order_type="market"))

    [order_id] = row["order_ids"]
    order = await desk.order_in(order_id, "filled")
    assert row["result"] == "executed"
    assert await desk.arrived("order/create") - before == creates
    assert [at_venue["orderLinkId"] for at_venue in await desk.at_venue(symbol)] == [order_id]
    told = [event["type"] for event in await desk.events(order_id, "filled")]
    assert told[:4] == ["created", "submitted", "uncertain", "resolved"] or kind in _STREAM_IS_FIRST
    assert order["executed_quantity"] == "10"


_STREAM_IS_FIRST = {"timeout_after_accept", "error_5xx_after", "reset_mid_reply", "cut_json"}
"""The venue has the order and its stream may tell so before we know that the reply is lost."""


async def test_x06_without_the_stream_the_order_is_found_by_asking(desk: Desk, symbol: str) -> None:
    await desk.fault("drop_stream", symbol=symbol)
    await desk.fault("timeout_after_accept", endpoint="order/create", symbol=symbol, count=1)

    row = await desk.trade(wish(symbol, order_type="market"))

    order = await desk.order_in(row["order_ids"][0], "filled")
    told = await desk.events(order["order_id"], "filled")
    assert [event["type"] for event in told[:4]] == ["created", "submitted", "uncertain", "resolved"]
    assert told[3]["origin"] == "reconcile"
    assert len(await desk.at_venue(symbol)) == 1


async def test_x06_a_request_that_arrives_after_it_was_given_up_makes_no_second_order(desk: Desk, symbol: str) -> None:
    before = await desk.served("order/create")
    await desk.fault("latency", endpoint="order/create", symbol=symbol, delay_ms=3000, count=1)

    row = await desk.trade(wish(symbol, order_type="market"))
    await desk.order_in(row["order_ids"][0], "filled")

    async def both_served() -> bool | None:
        return await desk.served("order/create") == before + 2 or None

    await desk.until(both_served, 10, "the end of the late request")
    assert len(await desk.at_venue(symbol)) == 1


async def test_x06_absence_counts_only_from_when_the_request_can_no_longer_arrive(desk: Desk, symbol: str) -> None:
    await desk.fault("error_5xx_before", endpoint="order/create", symbol=symbol, count=1)

    row = await desk.trade(wish(symbol, order_type="market"))

    settings, times = desk.settings, (await desk.order_in(row["order_ids"][0], "filled"))["times"]
    silent_s = settings.receive_window_ms / 1000 + settings.clock_error_s + settings.history_lag_s
    assert times["acknowledged_ns"] - times["sent_ns"] >= silent_s * 1_000_000_000


async def test_x06_while_the_venue_hides_the_order_nothing_is_sent_again(desk: Desk, symbol: str) -> None:
    before = await desk.arrived("order/create")
    await desk.fault("drop_stream", symbol=symbol)
    await desk.fault("timeout_after_accept", endpoint="order/create", symbol=symbol, count=1)
    for endpoint in ("order/realtime", "order/history"):
        await desk.fault("error_5xx_before", endpoint=endpoint, symbol=symbol, count=3)

    row = await desk.trade(wish(symbol, order_type="market"))

    await desk.order_in(row["order_ids"][0], "filled")
    assert await desk.arrived("order/create") - before == 1


async def test_x06_a_signal_that_is_no_longer_fresh_is_not_sent_again(desk: Desk, symbol: str) -> None:
    await desk.fault("timeout_before_accept", endpoint="order/create", symbol=symbol, count=1)
    signal = wish(symbol, order_type="market")
    signal["expires_at"] = signal["timestamp"] + 900_000_000

    row = await desk.trade(signal)

    [order] = row["orders"]
    assert (order["state"], row["result"]) == ("expired", "failed")
    assert "SIGNAL_EXPIRED" in order["reason"]
    assert not await desk.at_venue(symbol)


async def test_x09_at_the_time_bound_an_order_is_uncertain_not_forgotten_and_its_symbol_takes_nothing_new(
    desk: Desk, symbol: str
) -> None:
    await desk.fault("drop_stream", symbol=symbol)
    await desk.fault("timeout_after_accept", endpoint="order/create", symbol=symbol, count=1)
    for endpoint in ("order/realtime", "order/history"):
        await desk.fault("error_5xx_before", endpoint=endpoint, symbol=symbol)

    row = await desk.trade(wish(symbol, order_type="limit"))
    uncertain = await desk.order(row["order_ids"][0])
    waiting = wish(symbol, order_type="market")
    await desk.send(waiting)
    calls = await desk.arrived("order/create")
    [other] = desk.symbols(1)
    await desk.bought(other)

    assert (row["result"], uncertain["state"]) == ("uncertain", "uncertain")
    assert await desk.arrived("order/create") == calls + 1, "only the other symbol's"
    await desk.heal()
    bought = await desk.end_of(waiting["signal_id"])
    assert bought["result"] == "executed", bought["reason"]
    assert (await desk.order(uncertain["order_id"]))["state"] == "cancelled", "it was found, and made way"


async def test_y01_a_symbol_that_the_venue_refuses_to_speak_of_is_shut_and_its_worker_ready(desk: Desk) -> None:
    gone, free = desk.symbols(2)
    waiting = wish(gone, order_type="market")
    await desk.fault("timeout_before_accept", endpoint="order/create", symbol=gone, count=1)
    for endpoint in ("order/realtime", "order/history"):
        await desk.fault("error_code_before", endpoint=endpoint, symbol=gone, code=10001)
    row = await desk.trade(wish(gone, order_type="market"))
    async with desk.worker_away():  # it is ready again at the end
        await desk.send(waiting)
    await desk.bought(free)

    planned = await desk.ask(f"/signals/{waiting['signal_id']}", missing=None)
    await desk.heal()

    assert (row["result"], planned) == ("uncertain", None)
    assert (await desk.end_of(waiting["signal_id"]))["result"] == "executed"
