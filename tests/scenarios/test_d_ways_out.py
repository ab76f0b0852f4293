"""How an order goes out: guarded, in parts, on a resting order, or one more (requirements D07 to D10, D12)."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from scenario_set import Desk, Row, wish

from domain.plans import ScaleInMode
from exchanges.paper.instruments import INSTRUMENTS

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "scale_in_mode": ScaleInMode.AMEND,
    "enable_order_splitting": True,
    "max_single_order_size": Decimal(2_000),
    "split_interval_s": 1.0,
    "min_profit": Decimal("0.01"),
}


def quantities(orders: list[Row]) -> list[Decimal]:
    return [Decimal(order["quantity"]) for order in sorted(orders, key=lambda order: order["signal"]["part"])]


def assert_near_equal(symbol: str, parts: list[Decimal]) -> None:
    """Three parts of 50 pieces, a lot apart at most."""
    assert (len(parts), sum(parts)) == (3, 50)
    assert max(parts) - min(parts) <= INSTRUMENTS[symbol].lot


# -- the guard -----------------------------------------------------------------------------------------------------


async def test_d07_a_market_order_trades_no_worse_than_its_guard(desk: Desk, symbol: str) -> None:
    await desk.quote(symbol, asks=(("100.1", "4"), ("101", "3"), ("101.1", "100000")))

    row = await desk.trade(wish(symbol, order_type="market"))

    order = await desk.order_in(row["order_ids"][0], "cancelled")
    assert (order["order_type"], order["price"]) == ("market", "101")
    assert Decimal(order["executed_quantity"]) == 7
    [at_venue] = await desk.at_venue(symbol)
    assert (at_venue["timeInForce"], at_venue["price"]) == ("IOC", "101")


# -- parts ---------------------------------------------------------------------------------------------------------


async def test_d08_a_large_order_goes_out_in_near_equal_parts_one_after_another(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", amount="5000"))

    assert row["result"] == "executed"
    assert_near_equal(symbol, quantities(row["orders"]))
    due_ms = [int(intent["due_ns"]) // 1_000_000 for intent in row["plans"][-1]["intents"]]
    sent_ms = sorted(int(order["createdTime"]) for order in await desk.at_venue(symbol))
    assert [later - earlier for earlier, later in pairwise(due_ms[1:])] == [1_000]
    assert [sent >= due for sent, due in zip(sent_ms, due_ms, strict=True)] == [True, True, True]
    assert sum(Decimal(order["signal"]["amount"]) for order in row["orders"]) <= 5000


async def test_d08_parts_survive_a_restart_and_none_is_sent_twice(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="limit", amount="5000")
    await desk.send(signal)
    await desk.record("order_events", type="acknowledged", signal__signal_id=signal["signal_id"])

    async with desk.worker_away():
        pass
    row = await desk.end_of(signal["signal_id"])

    assert_near_equal(symbol, quantities(row["orders"]))
    assert_near_equal(symbol, [Decimal(order["qty"]) for order in await desk.at_venue(symbol)])


async def test_d08_an_opposite_signal_ends_the_parts_that_wait(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="market", amount="5000")
    await desk.send(signal)
    first = (await desk.record("order_events", type="filled", signal__signal_id=signal["signal_id"])).body

    sale = await desk.trade(wish(symbol, "sell", order_type="market", amount="1000", market_data_snapshot=DEARER))

    assert sale["result"] == "rejected", "it would not bring the profit that is asked for, and ends nothing"
    stopped = await desk.command(action="cancel", symbol=symbol, reason="enough")
    assert stopped["ok"]
    row = await desk.end_of(signal["signal_id"])
    assert (row["code"], row["reason"]) == ("PARTS_NOT_SENT", "enough")
    assert first["order_id"] in row["order_ids"]
    assert len(await desk.at_venue(symbol)) < 3


DEARER = {"price": "100", "spread": "0.2"}

# -- relations and scaling in ----------------------------------------------------------------------------------------


async def test_d09_one_signal_has_many_orders_with_sequence_and_amount(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", amount="3000"))

    assert sorted(order["signal"]["part"] for order in row["orders"]) == [0, 1]
    found = (await desk.ask("/orders", signal_id=row["signal_id"]))["items"]
    assert {order["order_id"] for order in found} == set(row["order_ids"])


async def test_d10_a_resting_order_takes_up_a_signal_of_its_direction(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol, limit_price="99.8")

    row = await desk.trade(wish(symbol, order_type="limit", limit_price="99.9", amount="500"))

    assert row["result"] == "executed"
    assert row["order_ids"] == [resting["order_id"]]
    order = await desk.order_where(resting["order_id"], lambda order: order["state"] == "acknowledged")
    assert (order["quantity"], order["price"]) == ("15", "99.9")
    [at_venue] = await desk.at_venue(symbol)
    assert (Decimal(at_venue["qty"]), Decimal(at_venue["price"])) == (15, Decimal("99.9"))
    kinds = [event["type"] for event in await desk.events(order["order_id"], "amended")]
    assert kinds[-2:] == ["pending_replace", "amended"] or "amended" in kinds


async def test_d09_an_order_tells_every_signal_that_it_took_up(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol, limit_price="99.8")
    second = await desk.trade(wish(symbol, order_type="limit", limit_price="99.8", amount="500"))

    detail = await desk.ask(f"/orders/{resting['order_id']}")

    assert [each["signal_id"] for each in detail["signals"]] == [
        resting["signal"]["signal_id"],
        second["signal_id"],
    ]
    assert [each["amount"] for each in detail["signals"]] == ["1000", "500"]


async def test_d10_a_resting_order_that_fills_meanwhile_leaves_the_signal_to_an_order_of_its_own(
    desk: Desk, symbol: str
) -> None:
    resting = await desk.resting(symbol)
    await desk.fault("latency", endpoint="order/amend", symbol=symbol, delay_ms=600, count=1)
    signal = wish(symbol, order_type="limit", limit_price="99.7", amount="500")
    await desk.send(signal)
    await desk.order_in(resting["order_id"], "pending_replace")

    await desk.quote(symbol, asks=(("99.9", "1000"),), bids=(("99.8", "1000"),))

    row = await desk.end_of(signal["signal_id"])
    assert row["result"] == "executed"
    assert Decimal((await desk.order_in(resting["order_id"], "filled"))["executed_quantity"]) == 10
    if row["order_ids"] != [resting["order_id"]]:
        [own] = row["orders"]
        assert Decimal(own["quantity"]) == 5


# -- closing -------------------------------------------------------------------------------------------------------


async def test_d12_a_sale_that_brings_too_little_is_held_back(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)

    early = await desk.trade(wish(symbol, "sell", order_type="limit", limit_price="101.1"))
    later = await desk.trade(wish(symbol, "sell", order_type="limit", limit_price="101.3"))

    assert (early["result"], early["code"]) == ("rejected", "BELOW_MIN_PROFIT")
    assert later["result"] == "executed"


async def test_d10_a_sale_closes_at_most_what_is_held(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol, "700")

    row = await desk.trade(wish(symbol, "sell", order_type="limit", limit_price="103", amount="1000"))

    assert row["orders"][0]["quantity"] == "7"
    assert row["orders"][0]["reduce_only"] is True
