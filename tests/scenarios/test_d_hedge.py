"""Two positions per symbol, and changing from one mode to the other (requirement D11)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, wish

from app.children import Keeper
from domain.plans import PositionMode

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"position_mode": PositionMode.HEDGE, "allow_short": True}


async def test_d11_in_hedge_mode_a_symbol_has_a_long_and_a_short_position(desk: Desk, symbol: str) -> None:
    bought = await desk.trade(wish(symbol, order_type="market", position_side="long"))
    sold = await desk.trade(wish(symbol, "sell", order_type="market", amount="500", position_side="short"))

    for row in (bought, sold):
        await desk.order_in(row["order_ids"][0], "filled")
    assert [order["positionIdx"] for order in await desk.at_venue(symbol)] == [1, 2]
    sizes = {side: Decimal((await desk.position(symbol, side))["size"]) for side in ("long", "short")}
    assert sizes == {"long": 10, "short": -5}


async def test_d11_an_order_without_a_side_belongs_to_the_long_one(desk: Desk, symbol: str) -> None:
    await desk.trade(wish(symbol, order_type="market"))
    row = await desk.trade(wish(symbol, "sell", order_type="market", amount="400"))

    closed = await desk.order_in(row["order_ids"][0], "filled")
    assert (closed["position_side"], closed["reduce_only"]) == ("long", True)
    assert Decimal((await desk.position(symbol, "long"))["size"]) == 6


async def test_d11_the_net_position_is_refused_in_hedge_mode(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, position_side="net"))

    assert (row["result"], row["code"]) == ("rejected", "HEDGE_MODE")


async def test_d11_changing_the_mode_with_a_position_open_is_refused_with_the_reason(desk: Desk, symbol: str) -> None:
    await desk.trade(wish(symbol, order_type="market", position_side="long"))
    [worker] = desk.set.workers
    await worker.stop()
    start_with(worker, "one_way")

    worker.start()

    async def refused() -> bool | None:
        return "POSITION_MODE_REFUSED" in worker.child.log_file.read_text() or None

    await desk.until(refused, 30, "the refusal")
    await worker.stop()
    start_with(worker, "hedge")
    worker.start()
    await desk.worker_is_ready()


def start_with(worker: Keeper, mode: str) -> None:
    """The worker's next start has this mode."""
    child = worker.child
    child._environment = {**child._environment, "ORDERMANAGER_POSITION_MODE": mode}
