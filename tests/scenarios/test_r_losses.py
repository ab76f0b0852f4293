"""Trading that halts by itself: a day's loss and a drawdown, by the settings and changed while running (R03).

The market is moved by the exchange; nothing else tells the manager that it lost.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio
from scenario_set import Desk, Row, wish

from exchanges.venue import Balance
from streams import boards

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEPOSIT = Decimal(10_000)
SETTINGS = {"max_daily_loss": Decimal(150), "paper_deposit": DEPOSIT}
WIDE = {"max_daily_loss": "1000000", "max_drawdown": "1"}
"""Limits that nothing here reaches. What is set while running stands in the place of the settings for good."""


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _armed_again(desk: Desk) -> AsyncIterator[None]:
    yield
    await limit(desk, **WIDE)
    await desk.post("/controls", scope="all", state="armed", reason="the test is over")


async def limit(desk: Desk, **limits: str) -> None:
    """Change the general limits while running."""
    reply = await desk.post("/limits", scope="all", limits=limits, reason="a test sets it")
    assert reply.status_code == 200, reply.text


async def moved_to(desk: Desk, symbol: str, middle: str) -> None:
    """The exchange's market is there, and so is the account's worth."""
    bid, ask = Decimal(middle) - Decimal("0.1"), Decimal(middle) + Decimal("0.1")
    await desk.quote(symbol, bids=((str(bid), "1000"),), asks=((str(ask), "1000"),))

    async def marked() -> bool | None:
        position = await desk.position(symbol)
        return Decimal(position["mark"]) == Decimal(middle) or None

    await desk.until(marked, 15, f"the mark {middle}")


async def halt(desk: Desk) -> Row:
    """The control that halts everything."""

    async def halted() -> Row | None:
        found = [each for each in (await desk.ask("/controls"))["items"] if each["scope"] == "all"]
        return found[0] if found and found[0]["state"] == "halted" else None

    return await desk.until(halted, 15, "the halt")


async def state(desk: Desk) -> str:
    found = [each["state"] for each in (await desk.ask("/controls"))["items"] if each["scope"] == "all"]
    return str(found[0]) if found else "armed"


async def looked_again(desk: Desk, symbol: str) -> None:
    """The worker has published the symbol's worth at the present mark, which is what losses are measured by."""
    position = await desk.position(symbol)
    worth = (
        Decimal(position["realised"]) + Decimal(position["unrealised"]) - sum(map(Decimal, position["fees"].values()))
    )

    async def shown() -> bool | None:
        rows = {row["symbol"]: Decimal(row["profit"]) for row in (await desk.ask("/exposure"))["symbols"]}
        return rows.get(symbol) == worth or None

    await desk.until(shown, 15, f"a profit of {worth} on record")


async def test_r03_a_days_loss_over_the_setting_halts_once_and_a_wider_limit_lets_trading_go_on(
    desk: Desk, symbol: str
) -> None:
    await desk.bought(symbol, "5000")
    await moved_to(desk, symbol, "97.3")
    await looked_again(desk, symbol)
    before = await state(desk)
    await moved_to(desk, symbol, "97")
    control = await halt(desk)

    # 50 pieces that cost 100.1, and 0.055 % of 5,005 as the fee: 142.75 lost at first, then 157.75.
    assert before == "armed"
    assert (control["set_by"], control["state"]) == ("risk", "halted")
    assert control["reason"].startswith("MAX_DAILY_LOSS: 157.75275")
    await desk.alert("MAX_DAILY_LOSS")
    opening = {"order_type": "limit", "limit_price": "96", "market_data_snapshot": {"price": "97"}}
    halted = await desk.trade(wish(symbol, **opening))

    await desk.post("/controls", scope="all", state="armed", reason="to get out")
    refused = await desk.trade(wish(symbol, **opening))
    closed = await desk.trade(
        wish(symbol, "sell", order_type="market", amount="970", market_data_snapshot={"price": "97"})
    )
    await limit(desk, max_daily_loss="100")
    async with desk.worker_away():
        pass
    still = await desk.trade(wish(symbol, **opening))
    await limit(desk, max_daily_loss="1000000")
    allowed = await desk.trade(wish(symbol, **opening))

    assert (halted["code"], refused["code"], closed["result"]) == ("TRADING_HALTED", "MAX_DAILY_LOSS", "executed")
    assert still["code"] == "MAX_DAILY_LOSS", "what was changed while running outlives a restart"
    assert (allowed["result"], await state(desk)) == ("executed", "armed")


async def test_r03_a_drawdown_from_the_highest_worth_halts_though_the_day_brought_a_profit(
    desk: Desk, symbol: str
) -> None:
    await limit(desk, **WIDE)
    await desk.bought(symbol, "4000")
    await moved_to(desk, symbol, "120")
    await looked_again(desk, symbol)

    async def peaked() -> Row | None:
        found = await desk.ask("/exposure")
        profit = sum(Decimal(row["profit"]) for row in found["symbols"])
        return found if Decimal(found["peak"]["peak"]) == profit else None

    peak = Decimal((await desk.until(peaked, 15, "the highest worth"))["peak"]["peak"])
    await limit(desk, max_drawdown="0.03")
    await moved_to(desk, symbol, "115")
    await looked_again(desk, symbol)
    before = await state(desk)
    await moved_to(desk, symbol, "105")
    control = await halt(desk)

    account = (await desk.ask("/exposure"))["account"]
    assert peak > 0
    assert before == "armed"
    assert Decimal("0.03") <= Decimal(account["drawdown"]) < Decimal("0.07")
    assert (control["set_by"], control["reason"].split(":")[0]) == ("risk", "MAX_DRAWDOWN")
    await desk.alert("MAX_DRAWDOWN")


async def test_r03_a_coin_that_left_while_no_gateway_was_there_counts_no_more(desk: Desk) -> None:
    await desk.set.gateway.stop()
    account, two = desk.settings.account, Decimal(2)
    gone = Balance(account=account, currency="ETH", total=two, available=two, at_ns=time.time_ns())
    await desk._publish(desk.topics.balances, boards.encode(gone), key=boards.balance_key(account, "ETH"), partition=0)

    desk.set.gateway.start()
    told = await desk.record("balances", currency="ETH", total="0")
    await desk.worker_is_ready()

    assert (told.body["account"], told.body["available"]) == (account, "0")
