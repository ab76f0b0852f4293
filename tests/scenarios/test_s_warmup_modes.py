"""Warm-up signals that are executed, and market orders that the book's known depth must cover (S08, D07)."""

from __future__ import annotations

import pytest
from scenario_set import MID, SPREAD, Desk, wish

from domain.plans import MarketGuard, WarmupMode

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"warmup_mode": WarmupMode.EXECUTE, "market_guard": MarketGuard.DEPTH}


async def test_s08_in_mode_execute_a_warm_up_signal_is_sent_like_any_other(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", is_warmup=True))

    assert (row["result"], row["is_warmup"]) == ("executed", True)
    [order] = await desk.at_venue(symbol)
    assert order["orderStatus"] == "New"
    events = await desk.events(row["order_ids"][0], "acknowledged")
    assert all(event["signal"]["is_warmup"] for event in events)
    assert (await desk.command(action="cancel", symbol=symbol))["ok"]


async def test_d07_with_the_depth_known_a_market_order_goes_out_as_the_venues_own(desk: Desk, symbol: str) -> None:
    snapshot = {"price": MID, "spread": SPREAD, "depth": "5000"}

    row = await desk.trade(wish(symbol, order_type="market", market_data_snapshot=snapshot))

    assert row["result"] == "executed", row
    await desk.order_in(row["order_ids"][0], "filled")
    [order] = await desk.at_venue(symbol)
    assert order["orderType"] == "Market"


@pytest.mark.parametrize("depth", ["5", None])
async def test_d07_a_book_too_thin_for_the_order_or_of_unknown_depth_is_not_touched(
    desk: Desk, symbol: str, depth: str | None
) -> None:
    snapshot = {"price": MID, "spread": SPREAD} | ({} if depth is None else {"depth": depth})

    row = await desk.trade(wish(symbol, order_type="market", market_data_snapshot=snapshot))

    assert row["result"] == "rejected", row
    assert row["plans"][-1]["verdicts"][-1]["gate"] == "slippage_guard"
    assert not await desk.at_venue(symbol)
