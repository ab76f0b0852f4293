"""Which resting orders a signal cancels, by settings; shrinking and one more order (requirements C01, D10, R03)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, wish

from domain.limits import RiskAction
from domain.plans import ScaleInMode

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "scale_in_mode": ScaleInMode.NEW,
    "cancel_partially_filled": True,
    "allow_short": True,
    "risk_action": RiskAction.SHRINK,
    "max_order_size": Decimal(2_000),
}


async def test_d10_one_more_order_stands_beside_the_resting_one_of_its_direction(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol)

    second = await desk.resting(symbol, limit_price="99.8")

    assert (await desk.order(resting["order_id"]))["state"] == "acknowledged"
    assert [order["orderStatus"] for order in await desk.at_venue(symbol)] == ["New", "New"]
    assert second["order_id"] != resting["order_id"]


async def test_c01_a_signal_cancels_resting_orders_of_the_opposite_direction_first(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol)

    row = await desk.trade(wish(symbol, "sell", order_type="limit"))

    assert (await desk.order(resting["order_id"]))["state"] == "cancelled"
    assert row["orders"][0]["state"] == "acknowledged"


async def test_c01_a_partially_filled_order_is_cancelled_too_where_that_is_wanted(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol)
    await desk.quote(symbol, asks=(("99.9", "4"), ("100.1", "1000")), bids=(("99.8", "1000"),))
    await desk.order_in(resting["order_id"], "partially_filled")

    row = await desk.trade(wish(symbol, "sell", order_type="limit", amount="400"))

    gone = await desk.order_in(resting["order_id"], "cancelled")
    assert Decimal(gone["executed_quantity"]) == 4
    # What was bought before the cancel is what the sale closes first.
    assert row["plans"][-1]["facts"]["position_size"] == "4"


async def test_r03_an_order_over_a_limit_shrinks_to_fit_where_that_is_wanted(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="market", amount="5000"))

    [order] = row["orders"]
    assert Decimal(order["quantity"]) == 20
    verdict = next(each for each in row["plans"][-1]["verdicts"] if each["gate"] == "order_size")
    assert (verdict["outcome"], verdict["code"], verdict["figures"]["quantity"]) == ("adjust", "MAX_ORDER_SIZE", "20")


async def test_d10_a_sale_beyond_what_is_held_goes_short_where_that_is_allowed(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol, "500")

    row = await desk.trade(wish(symbol, "sell", order_type="market", amount="1500"))

    await desk.order_in(row["order_ids"][0], "filled")
    await desk.position_is(symbol, "-10")
