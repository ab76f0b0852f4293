"""Orders that have rested for too long (requirement C02)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"cancel_stale_order_timeout_s": 3.0, "stale_action": "replace"}


async def test_c02_an_order_that_rests_for_too_long_is_cancelled_and_the_rest_wanted_again_at_todays_price(
    desk: Desk, symbol: str
) -> None:
    stale = await desk.resting(symbol)
    await desk.quote(symbol, asks=(("101.1", "1000"),), bids=(("100.9", "1000"),))

    cancelled = await desk.order_in(stale["order_id"], "cancelled")

    row = await desk.end_of(f"replace-{stale['order_id']}")
    fresh = await desk.order(row["order_ids"][0])
    assert cancelled["reason"] == "CancelByUser" or "rested" in cancelled["reason"]
    assert (row["result"], fresh["order_type"], fresh["price"]) == ("executed", "limit", "100.9")
    assert Decimal(fresh["quantity"]) * Decimal("100.9") <= 999
    kinds = [event["type"] for event in await desk.events(stale["order_id"], "cancelled")]
    assert "pending_replace" in kinds
