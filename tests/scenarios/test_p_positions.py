"""Positions, and what else follows from going short, from no balance check, and from C01's other settings
(requirements P01, R02, C01)."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from scenario_set import Desk, Row, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "allow_short": True,
    "enable_balance_check": False,
    "cancel_opposite_orders_only": True,
    "cancel_partially_filled": True,
}
FEE = Decimal("0.00055")


async def trade_at(desk: Desk, symbol: str, side: str, quantity: int, price: str) -> None:
    """Trade so many pieces at exactly this price."""
    level = ((price, "1000"),)
    away = str(Decimal(price) + (Decimal(1) if side == "sell" else Decimal(-1)))
    if side == "buy":
        await desk.quote(symbol, bids=((away, "1000"),), asks=level)
    else:
        await desk.quote(symbol, bids=level, asks=((away, "1000"),))
    signal = wish(
        symbol,
        side,
        order_type="limit",
        post_only=False,
        time_in_force="IOC",
        limit_price=price,
        amount=str(quantity * 100),
    )
    row = await desk.trade(signal)
    assert row["result"] == "executed", row
    await desk.order_in(row["order_ids"][0], "filled")


async def test_p01_size_entry_profit_and_fees_are_exact_through_a_reversal(desk: Desk, symbol: str) -> None:
    await trade_at(desk, symbol, "buy", 10, "100.1")
    await trade_at(desk, symbol, "buy", 10, "100.3")
    held = await desk.position(symbol)
    await trade_at(desk, symbol, "sell", 30, "99.7")
    turned = await desk.position(symbol)
    await trade_at(desk, symbol, "buy", 10, "99.2")
    flat = await desk.position(symbol)

    def figures(position: dict[str, str]) -> tuple[Decimal, ...]:
        return tuple(Decimal(position[name]) for name in ("size", "average_entry", "realised"))

    assert figures(held) == (20, Decimal("100.2"), 0)
    assert figures(turned) == (-10, Decimal("99.7"), Decimal(-10))
    assert figures(flat) == (0, 0, Decimal(-5))
    assert Decimal(flat["fees"]["USDT"]) == FEE * (
        10 * Decimal("100.1") + 10 * Decimal("100.3") + 30 * Decimal("99.7") + 10 * Decimal("99.2")
    )


async def test_p01_every_fill_is_told_with_the_position_after_it(desk: Desk, symbol: str) -> None:
    await trade_at(desk, symbol, "sell", 4, "100.5")
    await trade_at(desk, symbol, "buy", 6, "100")

    told = [record.body for record in await desk.records("position_events", 2, instrument__symbol=symbol)]

    assert [(event["fill_side"], event["quantity"], event["price"]) for event in told] == [
        ("sell", "4", "100.5"),
        ("buy", "6", "100"),
    ]
    assert [Decimal(event["after_fill"]["size"]) for event in told] == [-4, 2]
    assert Decimal(told[1]["after_fill"]["realised"]) == 2
    assert len({event["event_id"] for event in told}) == 2


async def test_p01_unrealised_profit_follows_the_mark(desk: Desk, symbol: str) -> None:
    await trade_at(desk, symbol, "sell", 10, "100.5")
    await desk.quote(symbol, bids=(("97.9", "1000"),), asks=(("98.1", "1000"),))

    async def marked() -> bool | None:
        position = await desk.position(symbol)
        return (position["mark"] is not None and Decimal(position["mark"]) == 98) or None

    await desk.until(marked, 10, "the mark price")
    assert Decimal((await desk.position(symbol))["unrealised"]) == 25


async def test_p01_a_random_session_over_a_troubled_stream_ends_with_the_exchanges_own_figures(
    desk: Desk, symbol: str
) -> None:
    chance = random.Random(11)  # noqa: S311 -- chooses prices and sides, guards nothing
    for kind, share in (("duplicate_stream", 0.2), ("reorder_stream", 0.2), ("drop_stream", 0.05)):
        await desk.fault(kind, topic="execution", probability=share, seed=11, times=1, delay_ms=100)
    for number in range(60):
        middle = Decimal(chance.randint(9_000, 11_000)) / 100
        bids = tuple((str(middle - Decimal(step) / 10), str(chance.randint(1, 4))) for step in range(1, 9))
        asks = tuple((str(middle + Decimal(step) / 10), str(chance.randint(1, 4))) for step in range(1, 9))
        await desk.quote(symbol, bids=bids, asks=asks)
        await desk.by_hand(symbol, chance.choice(("buy", "sell")), str(chance.randint(1, 12)))
        if number == 49:
            await desk.heal()  # payments that the stream swallows are found by the next look over REST only
        if number >= 50:
            await desk.set.paper_post("/paper/funding", {"symbol": symbol, "rate": f"0.000{chance.randint(1, 9)}"})

    books = await desk.set.paper_get(f"/paper/books?symbol={symbol}")
    [theirs] = books["accounts"][0]["positions"]
    executions = books["accounts"][0]["executions"]

    async def all_there() -> Row | None:
        position = await desk.position(symbol)
        return position if position.get("fills") == len(executions) else None

    ours = await desk.until(all_there, 30, f"all {len(executions)} executions")
    for our_name, their_name in (("size", "size"), ("average_entry", "avg_price"), ("realised", "realised_pnl")):
        assert Decimal(ours[our_name]) == Decimal(theirs[their_name])
    assert Decimal(ours["fees"]["USDT"]) - Decimal(ours["funding"]) == Decimal(theirs["fees"])
    assert len(executions) > 120


async def test_r02_without_the_check_the_venue_refuses_and_that_is_a_clean_rejection(desk: Desk) -> None:
    symbol = desk.named("XRPUSDT")

    row = await desk.trade(wish(symbol, order_type="market", amount="90000000"))

    [order] = row["orders"]
    assert (row["result"], order["state"]) == ("rejected", "rejected")
    assert order["reason"].startswith("INSUFFICIENT_BALANCE")
    await desk.events(order["order_id"], "rejected")
    assert not desk.told("alerts", symbol=symbol)


async def test_c01_with_opposite_only_an_order_of_the_same_side_stays(desk: Desk, symbol: str) -> None:
    buy = await desk.resting(symbol, amount="500")

    same = await desk.resting(symbol, limit_price="99.8")
    stayed = await desk.order(buy["order_id"])
    await desk.resting(symbol, "sell")

    assert stayed["state"] == "acknowledged"
    assert (await desk.order(buy["order_id"]))["state"] == "cancelled"
    assert (await desk.order(same["order_id"]))["state"] == "cancelled"


async def test_c01_partially_filled_orders_go_too_when_they_shall(desk: Desk, symbol: str) -> None:
    buy = await desk.resting(symbol)
    await desk.quote(symbol, asks=(("99.9", "4"), ("100.1", "1000")), bids=(("99.8", "1000"),))
    await desk.order_in(buy["order_id"], "partially_filled")

    await desk.resting(symbol, "sell")

    ended = await desk.order_in(buy["order_id"], "cancelled")
    assert ended["executed_quantity"] == "4"
