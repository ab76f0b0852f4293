"""What is held back for a while: buying on an unknown balance, orders within a cooldown (requirements R06, R07)."""

from __future__ import annotations

import pytest
from scenario_set import Desk, Row, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"balance_max_age_s": 7.0, "strategy_cooldown_s": 60.0}


async def test_r06_without_a_fresh_balance_buying_stops_reducing_goes_on_and_it_recovers_by_itself(desk: Desk) -> None:
    held, other, later = desk.symbols(3)
    await desk.bought(held)
    await desk.fault("balance_unknown")

    async def stopped() -> Row | None:
        made: Row = (await desk.post("/plan", **wish(other, order_type="limit"))).json()
        return made if made["code"] == "BALANCE_UNKNOWN" else None

    await desk.until(stopped, 20, "a plan that knows no balance")
    bought = await desk.trade(wish(other, order_type="limit"))
    sold = await desk.trade(wish(held, "sell", order_type="market"))
    await desk.heal()

    async def recovered() -> bool | None:
        made = (await desk.post("/plan", **wish(later, order_type="limit"))).json()
        return made["decision"] == "execute" or None

    await desk.until(recovered, 20, "a plan that knows the balance again")
    assert (bought["result"], bought["code"]) == ("rejected", "BALANCE_UNKNOWN")
    assert sold["result"] == "executed"


async def test_r07_a_strategys_next_order_of_a_symbol_waits_and_others_do_not(desk: Desk, symbol: str) -> None:
    first = await desk.trade(wish(symbol, order_type="market", strategy_id="momentum"))

    too_soon = await desk.trade(wish(symbol, order_type="market", strategy_id="momentum"))
    another = await desk.trade(wish(symbol, order_type="market", strategy_id="mean-reversion"))
    out = await desk.trade(wish(symbol, "sell", order_type="market", strategy_id="momentum"))

    assert [row["result"] for row in (first, too_soon, another, out)] == [
        "executed",
        "rejected",
        "executed",
        "executed",
    ]
    assert too_soon["code"] == "COOLDOWN"
