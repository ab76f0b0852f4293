"""Several orders in one call: parts of a split order, and orders of a symbol that are cancelled (X03, C01, C03)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, Row, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "enable_order_splitting": True,
    "max_single_order_size": Decimal(300),
}  # ten pieces: in lots of one, 3, 3, 2 and 2

PARTS = 4


async def calls(desk: Desk) -> dict[str, int]:
    """How many calls of each kind have arrived."""
    endpoints = ("create", "create-batch", "cancel", "cancel-batch")
    return {name: await desk.arrived(f"order/{name}") for name in endpoints}


def more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


async def resting_parts(desk: Desk, symbol: str, **fields: object) -> list[Row]:
    """Four parts of one signal, as the venue itself shows them."""
    row = await desk.trade(wish(symbol, order_type="limit", **fields))
    assert (row["result"], len(row["order_ids"])) == ("executed", PARTS), row
    return [
        await desk.order_where(order_id, lambda order: order["venue"]["raw_status"] == "New")
        for order_id in row["order_ids"]
    ]


async def test_x03_parts_that_are_due_at_once_reach_the_venue_in_one_call(desk: Desk, symbol: str) -> None:
    before = await calls(desk)

    orders = await resting_parts(desk, symbol)

    assert more(before, await calls(desk)) == {"create-batch": 1}
    assert sorted(order["batched"]["create"] for order in orders) == [f"{number} of 4" for number in range(1, 5)]
    assert {row["orderLinkId"] for row in await desk.at_venue(symbol)} == {order["order_id"] for order in orders}
    story = (await desk.ask(f"/orders/{orders[0]['order_id']}"))["story"]
    [submitted] = [step for step in story if step["step"] == "submitted"]
    assert submitted["sentence"].endswith("of 4 in one call")


@pytest.mark.parametrize(("kind", "creates"), [("timeout_after_accept", 0), ("timeout_before_accept", PARTS)])
async def test_x06_a_batch_without_a_reply_leaves_one_order_for_each_part(
    desk: Desk, symbol: str, kind: str, creates: int
) -> None:
    before = await calls(desk)
    await desk.fault(kind, endpoint="order/create-batch", count=1)

    orders = await resting_parts(desk, symbol)

    at_venue = [row["orderLinkId"] for row in await desk.at_venue(symbol)]
    assert sorted(at_venue) == sorted(order["order_id"] for order in orders)
    assert more(before, await calls(desk)) == {"create-batch": 1} | ({"create": creates} if creates else {})


async def test_x04_what_the_venue_says_of_a_whole_batch_it_says_of_each_part(desk: Desk, symbol: str) -> None:
    await desk.fault("error_code_before", endpoint="order/create-batch", count=1, code=110007)

    row = await desk.trade(wish(symbol, order_type="limit"))

    assert row["result"] == "rejected"
    assert [order["state"] for order in row["orders"]] == ["rejected"] * PARTS
    assert await desk.at_venue(symbol) == []


async def test_c03_the_orders_of_a_symbol_are_cancelled_in_one_call_and_nobody_elses(desk: Desk, symbol: str) -> None:
    orders = await resting_parts(desk, symbol)
    external = await desk.by_hand(symbol, "buy", "3", "99")
    await desk.order_in(external.venue_order_id, "acknowledged")
    before = await calls(desk)

    result = await desk.command(action="cancel", symbol=symbol, reason="lunch")

    assert (result["ok"], result["details"]) == (
        True,
        dict.fromkeys((each["order_id"] for each in orders), "cancelled"),
    )
    assert more(before, await calls(desk)) == {"cancel-batch": 1}
    assert (await desk.order(external.venue_order_id))["state"] == "acknowledged"
    ended = await desk.order(orders[0]["order_id"])
    assert ended["batched"]["cancel"].endswith("of 4")
    assert (await desk.events(ended["order_id"], "pending_cancel"))[-1]["reason"] == "lunch"


async def test_c01_a_signal_cancels_what_rests_in_one_call_before_its_own_orders(desk: Desk, symbol: str) -> None:
    first = await resting_parts(desk, symbol)
    before = await calls(desk)

    second = await resting_parts(desk, symbol, limit_price="99.8")

    assert more(before, await calls(desk)) == {"cancel-batch": 1, "create-batch": 1}
    ended = [await desk.order(order["order_id"]) for order in first]
    assert [order["state"] for order in ended] == ["cancelled"] * PARTS
    gone_ns = max(order["times"]["finished_ns"] for order in ended)
    assert min(order["times"]["created_ns"] for order in second) > gone_ns


async def test_x03_a_batch_of_cancels_that_fails_stops_the_replacement(desk: Desk, symbol: str) -> None:
    first = await resting_parts(desk, symbol)
    for endpoint in ("order/cancel-batch", "order/cancel"):
        await desk.fault("error_code_before", endpoint=endpoint, code=10016)

    row = await desk.trade(wish(symbol, order_type="limit", limit_price="99.8"))
    await desk.heal()

    assert (row["result"], row["code"]) == ("failed", "CANCEL_NOT_CONFIRMED")
    assert sorted(order["orderLinkId"] for order in await desk.at_venue(symbol)) == sorted(
        order["order_id"] for order in first
    )


async def test_c03_a_batch_of_cancels_without_a_reply_ends_as_the_venue_says(desk: Desk, symbol: str) -> None:
    orders = await resting_parts(desk, symbol)
    await desk.fault("timeout_after_accept", endpoint="order/cancel-batch", count=1)

    result = await desk.command(action="cancel", symbol=symbol)

    assert result["details"] == dict.fromkeys((order["order_id"] for order in orders), "cancelled")
