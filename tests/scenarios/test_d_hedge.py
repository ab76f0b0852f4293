"""Two positions per symbol, and changing from one mode to the other (requirement D11)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, Row, wish
from scenario_venue import DEADLINE_S

from app.children import Keeper
from app.transport.fail_stop import REFUSED_EXIT_CODE
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


async def children(desk: Desk, order_id: str, *states: str) -> dict[str, Row]:
    """An order's children by role, once there are two and all are in these states."""

    async def there() -> dict[str, Row] | None:
        found = (await desk.ask(f"/orders/{order_id}"))["children"]
        wanted = len(found) == 2 and {child["state"] for child in found} <= set(states)
        return {child["role"]: child for child in found} if wanted else None

    return await desk.until(there, DEADLINE_S, f"two children of {order_id} that are {states}")


async def test_p07_each_side_has_children_of_its_own_and_the_stop_of_one_leaves_the_other(
    desk: Desk, symbol: str
) -> None:
    opened = {}
    for signal_type, side, profit, loss in (("buy", "long", "110", "90"), ("sell", "short", "80", "120")):
        signal = wish(symbol, signal_type, order_type="market", position_side=side, take_profit=profit, stop_loss=loss)
        [opened[side]] = (await desk.trade(signal))["order_ids"]
        await desk.order_in(opened[side], "filled")
    longs = await children(desk, opened["long"], "untriggered")
    shorts = await children(desk, opened["short"], "untriggered")
    for found, position_side, side in ((longs, "long", "sell"), (shorts, "short", "buy")):
        terms = {(child["position_side"], child["side"], child["quantity"]) for child in found.values()}
        assert terms == {(position_side, side, (await desk.order(opened[position_side]))["quantity"])}

    await desk.quote(symbol, bids=(("88.9", "100000"),), asks=(("89.1", "100000"),))
    market = {"symbol": symbol, "bids": [["88.9", "100000"]], "asks": [["89.1", "100000"]], "last": "89"}
    await desk.set.paper_post("/paper/market", market)

    ended = await children(desk, opened["long"], "filled", "cancelled")
    assert (ended["stop_loss"]["state"], ended["take_profit"]["reason"]) == ("filled", "STOP_LOSS_TRIGGERED")
    await children(desk, opened["short"], "untriggered")

    async def closed() -> bool | None:
        return Decimal((await desk.position(symbol, "long"))["size"]) == 0 or None

    await desk.until(closed, DEADLINE_S, "the end of the long position")
    assert Decimal((await desk.position(symbol, "short"))["size"]) < 0


async def test_p07_children_follow_their_own_side_and_end_with_it(desk: Desk, symbol: str) -> None:
    protected = wish(symbol, order_type="market", position_side="long", take_profit="110", stop_loss="90")
    [parent] = (await desk.trade(protected))["order_ids"]
    await desk.trade(wish(symbol, "sell", order_type="market", position_side="short"))
    await children(desk, parent, "untriggered")

    await desk.trade(wish(symbol, "sell", order_type="market", amount="400", position_side="long"))

    async def followed() -> bool | None:
        found = await children(desk, parent, "untriggered")
        return {child["quantity"] for child in found.values()} == {"6"} or None

    await desk.until(followed, DEADLINE_S, "children of six")
    await desk.trade(wish(symbol, "sell", order_type="market", position_side="long"))
    ended = await children(desk, parent, "cancelled")
    assert {child["reason"] for child in ended.values()} == {"PROTECTION_CLEARED"}
    assert Decimal((await desk.position(symbol, "short"))["size"]) == -10


async def test_p06_a_payment_belongs_to_the_side_it_was_made_on(desk: Desk, symbol: str) -> None:
    await desk.trade(wish(symbol, order_type="market", position_side="long"))
    await desk.trade(wish(symbol, "sell", order_type="market", amount="500", position_side="short"))

    await desk.set.paper_post("/paper/funding", {"symbol": symbol, "rate": "0.001"})

    async def paid() -> list[Decimal] | None:
        found = [Decimal((await desk.position(symbol, side)).get("funding", "0")) for side in ("long", "short")]
        return found if all(found) else None

    assert await desk.until(paid, DEADLINE_S, "funding of both sides") == [Decimal(-1), Decimal("0.5")]


async def test_d11_changing_the_mode_with_a_position_open_is_refused_with_the_reason(desk: Desk, symbol: str) -> None:
    await desk.trade(wish(symbol, order_type="market", position_side="long"))
    [worker] = desk.set.workers
    await worker.stop()
    start_with(worker, "one_way")

    worker.start()

    async def refused() -> bool | None:
        return "POSITION_MODE_REFUSED" in worker.child.log_file.read_text() or None

    await desk.until(refused, 30, "the refusal")
    assert await worker.stop() == REFUSED_EXIT_CODE
    start_with(worker, "hedge")
    worker.start()
    await desk.worker_is_ready()


def start_with(worker: Keeper, mode: str) -> None:
    """The worker's next start has this mode."""
    child = worker.child
    child._environment = {**child._environment, "ORDERMANAGER_POSITION_MODE": mode}
