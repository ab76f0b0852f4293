"""Take-profit and stop-loss that go with an order, and the orders that the venue makes of them (requirement P07)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, Row, wish
from scenario_venue import DEADLINE_S

from app.replay.folded import Until
from app.replay.report import replay
from app.verify.report import VerifyOptions, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"enable_order_splitting": True, "max_single_order_size": Decimal(2_000)}

UP, DOWN = "110", "90"


async def protected(desk: Desk, symbol: str, **fields: object) -> Row:
    """Buy ten at the market, to be sold at 110 or at 90; returns the filled order."""
    signal = wish(symbol, order_type="market", take_profit=UP, stop_loss=DOWN, **fields)
    row = await desk.trade(signal)
    assert row["result"] == "executed", row
    return await desk.order_in(row["order_ids"][0], "filled")


async def children(desk: Desk, order_id: str, *states: str) -> dict[str, Row]:
    """An order's children by role, once there are two and all are in these states."""

    async def there() -> dict[str, Row] | None:
        found = (await desk.ask(f"/orders/{order_id}"))["children"]
        wanted = len(found) == 2 and {child["state"] for child in found} <= set(states)
        return {child["role"]: child for child in found} if wanted else None

    return await desk.until(there, DEADLINE_S, f"two children of {order_id} that are {states}")


async def price_goes_to(desk: Desk, symbol: str, price: str) -> None:
    """The market trades at this price, and quotes a tenth around it."""
    bid, ask = (str(Decimal(price) + step) for step in (Decimal("-0.1"), Decimal("0.1")))
    market = {"symbol": symbol, "bids": [[bid, "100000"]], "asks": [[ask, "100000"]], "last": price}
    await desk.set.paper_post("/paper/market", market)


async def test_p07_take_profit_and_stop_loss_go_with_the_order_and_are_its_children(desk: Desk, symbol: str) -> None:
    parent = await protected(desk, symbol)

    mine = await children(desk, parent["order_id"], "untriggered")
    [at_venue, *made] = await desk.at_venue(symbol)

    assert (at_venue["takeProfit"], at_venue["stopLoss"], at_venue["tpslMode"]) == (UP, DOWN, "Full")
    assert parent["protection"] == {"take_profit": UP, "stop_loss": DOWN, "trigger_by": "last"}
    assert {role: child["trigger_price"] for role, child in mine.items()} == {"take_profit": UP, "stop_loss": DOWN}
    assert {child["venue_order_id"] for child in mine.values()} == {row["orderId"] for row in made}
    for child in mine.values():
        assert (child["external"], child["parent_order_id"]) == (False, parent["order_id"])
        assert (child["side"], child["quantity"], child["reduce_only"]) == ("sell", "10", True)


async def test_p07_the_stop_that_triggers_fills_once_and_ends_its_counterpart(desk: Desk, symbol: str) -> None:
    parent = await protected(desk, symbol)
    waiting = await children(desk, parent["order_id"], "untriggered")

    await price_goes_to(desk, symbol, "89")

    ended = await children(desk, parent["order_id"], "filled", "cancelled")
    stop, profit = ended["stop_loss"], ended["take_profit"]
    assert (stop["state"], stop["executed_quantity"]) == ("filled", "10")
    assert (profit["state"], profit["venue"]["raw_status"]) == ("cancelled", "Deactivated")
    assert profit["reason"] == "STOP_LOSS_TRIGGERED"
    told = await desk.events(waiting["stop_loss"]["order_id"], "filled")
    assert [event["type"] for event in told[:2]] == ["acknowledged", "triggered"]
    assert told[0]["protects"] == {
        "role": "stop_loss",
        "parent_order_id": parent["order_id"],
        "trigger_price": DOWN,
        "partial": False,
    }
    await desk.position_is(symbol, "0")
    fills = [record.body for record in await desk.records("position_events", 2, instrument__symbol=symbol)]
    assert [(fill["fill_side"], fill["quantity"]) for fill in fills] == [("buy", "10"), ("sell", "10")]


async def test_p07_the_parent_explains_itself_with_its_children(desk: Desk, symbol: str) -> None:
    parent = await protected(desk, symbol)
    await children(desk, parent["order_id"], "untriggered")
    await price_goes_to(desk, symbol, "111")
    ended = await children(desk, parent["order_id"], "filled", "cancelled")

    story = (await desk.ask(f"/orders/{parent['order_id']}"))["story"]
    own = (await desk.ask(f"/orders/{ended['take_profit']['order_id']}"))["story"]

    told = [step["sentence"] for step in story if step.get("order_id") == ended["take_profit"]["order_id"]]
    assert any("untriggered → triggered" in sentence for sentence in told)
    assert told[-1].endswith("→ filled")
    gate = next(step for step in story if step["step"] == "gate attached_orders")
    assert gate["figures"] == {"take_profit": UP, "stop_loss": DOWN}
    assert parent["order_id"] in own[0]["sentence"]


async def test_p07_children_follow_the_size_of_the_position_and_end_with_it(desk: Desk, symbol: str) -> None:
    parent = await protected(desk, symbol)
    await children(desk, parent["order_id"], "untriggered")

    await desk.trade(wish(symbol, "sell", order_type="market", amount="400"))
    await desk.position_is(symbol, "6")

    async def followed() -> bool | None:
        found = await children(desk, parent["order_id"], "untriggered")
        return {child["quantity"] for child in found.values()} == {"6"} or None

    await desk.until(followed, DEADLINE_S, "children of six")
    await desk.trade(wish(symbol, "sell", order_type="market"))
    ended = await children(desk, parent["order_id"], "cancelled")
    assert {child["reason"] for child in ended.values()} == {"PROTECTION_CLEARED"}
    amended = await desk.record("order_events", order_id=ended["stop_loss"]["order_id"], type="amended")
    assert amended.body["details"]["quantity_after"] == "6"


async def test_p07_a_later_signal_cancels_resting_orders_and_leaves_the_children(desk: Desk, symbol: str) -> None:
    parent = await protected(desk, symbol)
    await children(desk, parent["order_id"], "untriggered")
    resting = await desk.resting(symbol, "sell", amount="400", limit_price="105")

    row = await desk.trade(wish(symbol, "sell", order_type="limit", amount="500", limit_price="106"))

    plan = (await desk.ask(f"/signals/{row['signal_id']}"))["items"][0]["plans"][0]
    assert [cancel["order_id"] for cancel in plan["cancels"]] == [resting["order_id"]]
    assert [order["order_id"] for order in plan["facts"]["open_orders"]] == [resting["order_id"]]
    assert (await desk.order(resting["order_id"]))["state"] == "cancelled"
    await children(desk, parent["order_id"], "untriggered")


async def test_p07_cancelling_a_symbol_leaves_what_protects_it_unless_it_is_named(desk: Desk, symbol: str) -> None:
    parent = await protected(desk, symbol)
    mine = await children(desk, parent["order_id"], "untriggered")

    every = await desk.command(action="cancel", symbol=symbol)
    stayed = await children(desk, parent["order_id"], "untriggered")
    named = await desk.command(action="cancel", order_id=mine["take_profit"]["order_id"])

    assert (every["ok"], every["details"]) == (True, {})
    assert set(stayed) == {"take_profit", "stop_loss"}
    assert named["ok"]
    assert (await desk.order(mine["take_profit"]["order_id"]))["state"] == "cancelled"
    assert (await desk.order(mine["stop_loss"]["order_id"]))["state"] == "untriggered"


async def test_p07_an_order_that_is_cancelled_unfilled_never_had_children(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol, take_profit=UP, stop_loss=DOWN)

    await desk.command(action="cancel", symbol=symbol)

    assert (await desk.order(order["order_id"]))["state"] == "cancelled"
    assert (await desk.ask(f"/orders/{order['order_id']}"))["children"] == []
    assert len(await desk.at_venue(symbol)) == 1


async def test_p07_each_part_of_a_split_order_carries_them(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", amount="5000", take_profit=UP, stop_loss=DOWN))

    assert len(row["orders"]) == 3
    assert [(order["takeProfit"], order["stopLoss"]) for order in await desk.at_venue(symbol)] == [(UP, DOWN)] * 3


@pytest.mark.parametrize(
    ("side", "fields", "code", "figure"),
    [
        ("buy", {"take_profit": "99"}, "TAKE_PROFIT_WRONG_SIDE", "take_profit 99"),
        ("buy", {"stop_loss": "100.5"}, "STOP_LOSS_WRONG_SIDE", "stop_loss 100.5"),
        ("buy", {"stop_loss": "90.00000001"}, "ATTACHED_OFF_TICK", "stop_loss 90.00000001"),
        ("sell", {"stop_loss": "120"}, "ATTACHED_TO_CLOSING_ORDER", "stop_loss"),
    ],
)
async def test_p07_what_no_order_can_bring_along_is_refused_before_the_call(
    desk: Desk, symbol: str, side: str, fields: Row, code: str, figure: str
) -> None:
    await desk.bought(symbol)

    row = await desk.trade(wish(symbol, side, order_type="market", **fields))

    assert (row["result"], row["code"]) == ("rejected", code)
    assert row["reason"].startswith(figure)
    assert len(await desk.at_venue(symbol)) == 1


async def test_p07_children_whose_messages_were_lost_are_found_by_comparing(desk: Desk, symbol: str) -> None:
    lost = await desk.fault("drop_stream", topic="order", symbol=symbol)
    row = await desk.trade(wish(symbol, order_type="limit", post_only=False, limit_price="100.1", stop_loss=DOWN))
    await desk.position_is(symbol, "10")
    assert await desk.fired(lost)

    await desk.heal()
    await desk.sync_everything()

    [child] = (await desk.ask(f"/orders/{row['order_ids'][0]}"))["children"]
    assert (child["role"], child["state"], child["external"]) == ("stop_loss", "untriggered", False)


async def test_p07_a_stop_that_triggers_while_the_worker_is_away_is_found(desk: Desk, symbol: str) -> None:
    parent = await protected(desk, symbol)
    await children(desk, parent["order_id"], "untriggered")

    async with desk.worker_away():
        await price_goes_to(desk, symbol, "89")

    ended = await children(desk, parent["order_id"], "filled", "cancelled")
    assert ended["stop_loss"]["state"] == "filled"
    await desk.position_is(symbol, "0")


async def test_p07_all_ledgers_agree_with_children_in_every_state(desk: Desk) -> None:
    await desk.heal()

    verified = await verify(desk.settings, VerifyOptions(settle_s=30.0))
    replayed = await replay(desk.settings, directory=None, until=Until(), settle_s=30.0)

    assert verified["equal"] is True, verified
    assert replayed["equal"] is True, replayed
