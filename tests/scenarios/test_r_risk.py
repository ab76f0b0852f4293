"""Risk gates: what the balance cannot carry never leaves (requirement R02)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, Row, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"paper_deposit": 10_000}


async def test_r02_an_order_over_the_balance_never_leaves_and_the_figures_say_why(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", amount="11000"))

    assert (row["result"], row["code"]) == ("rejected", "INSUFFICIENT_BALANCE")
    verdict = row["plans"][-1]["verdicts"][-1]
    assert verdict["gate"] == "balance"
    assert verdict["figures"]["available"] == "10000"
    assert float(verdict["figures"]["need"]) > float(verdict["figures"]["free"])
    assert await desk.arrived("order/create") == 0


async def test_r02_fee_and_worst_price_count(desk: Desk, symbol: str) -> None:
    by_limit = await desk.trade(wish(symbol, order_type="limit", amount="10000", limit_price="100"))
    at_market = await desk.trade(wish(symbol, order_type="market", amount="9950"))

    assert [row["code"] for row in (by_limit, at_market)] == ["INSUFFICIENT_BALANCE"] * 2
    assert await desk.arrived("order/create") == 0


async def test_r02_two_signals_at_once_do_not_count_on_the_same_money(desk: Desk) -> None:
    first, second = desk.symbols(2)
    await desk.fault("latency", endpoint="order/create", delay_ms=700)
    signals = [wish(symbol, order_type="limit", amount="6000") for symbol in (first, second)]
    for signal in signals:
        await desk.send(signal)

    results = [await desk.end_of(signal["signal_id"]) for signal in signals]

    assert sorted(row["result"] for row in results) == ["executed", "rejected"]
    refused = next(row for row in results if row["result"] == "rejected")
    assert refused["code"] == "INSUFFICIENT_BALANCE"
    taken = next(row for row in results if row["result"] == "executed")
    assert figure(refused, "reserved") >= figure(taken, "need") > 5900, "what the other one may cost is kept for it"
    await desk.heal()


def figure(row: Row, name: str) -> Decimal:
    """A figure that the balance gate looked at."""
    verdict = next(each for each in row["plans"][-1]["verdicts"] if each["gate"] == "balance")
    return Decimal(verdict["figures"][name])


async def test_r05_a_halt_can_take_the_open_orders_of_its_symbol_with_it(desk: Desk) -> None:
    halted, other = desk.symbols(2)
    gone, stays = await desk.resting(halted), await desk.resting(other)

    reply = await desk.post("/controls", scope=halted, state="halted", reason="looks odd", cancel_open=True)

    assert reply.status_code == 200, reply.text
    cancelled = await desk.order_in(gone["order_id"], "cancelled")
    assert cancelled["reason"] == "halted: looks odd"
    assert (await desk.order(stays["order_id"]))["state"] == "acknowledged"
    assert (await desk.trade(wish(halted)))["code"] == "TRADING_HALTED"
