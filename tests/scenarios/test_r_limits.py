"""Limits on one order, one symbol and the account; changed while running (requirements R01, R03, R05, R07)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio
from scenario_set import Desk, Row, wish

from domain.planning import GATES

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"max_order_size": Decimal(50_000), "cooldown_s": 0.0}


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _no_limits_afterwards(desk: Desk) -> AsyncIterator[None]:
    yield
    for scope in (await desk.ask("/limits"))["scopes"]:
        lifted = dict.fromkeys(scope["limits"])
        if any(value is not None for value in scope["limits"].values()):
            await limit(desk, scope["scope"], **lifted)
    await desk.post("/controls", scope="all", state="armed", reason="the test is over")


async def limit(desk: Desk, scope: str, **limits: object) -> Row:
    """Set limits while running."""
    reply = await desk.post("/limits", scope=scope, limits=limits, reason="a test sets it")
    assert reply.status_code == 200, reply.text
    found: Row = reply.json()
    return found


async def test_r01_the_gates_run_in_one_order_and_stand_with_their_figures(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit"))

    gates = [verdict["gate"] for verdict in row["plans"][-1]["verdicts"]]
    assert gates == [gate.__name__ for gate in GATES]
    verdict = row["plans"][-1]["verdicts"][gates.index("order_size")]
    assert (verdict["outcome"], verdict["figures"]["limit"]) == ("pass", "50000")


async def test_r03_an_order_over_the_limit_of_the_settings_never_leaves(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit", amount="50001"))

    assert (row["result"], row["code"]) == ("rejected", "MAX_ORDER_SIZE")
    assert not await desk.at_venue(symbol)


@pytest.mark.parametrize(
    ("name", "value", "amount", "code"),
    [
        ("max_order_size", "999", "1000", "MAX_ORDER_SIZE"),
        ("max_market_order_size", "999", "1000", "MAX_MARKET_ORDER_SIZE"),
        ("max_order_size_ratio", "0.0005", "1000", "MAX_ORDER_SIZE_RATIO"),
        ("max_position_size", "999", "1000", "MAX_POSITION_SIZE"),
        ("max_exposure", "1", "1000", "MAX_EXPOSURE"),
        ("max_open_orders", 0, "1000", "MAX_OPEN_ORDERS"),
        ("max_open_orders_per_symbol", 0, "1000", "MAX_OPEN_ORDERS_PER_SYMBOL"),
        ("max_orders_per_minute", 0, "1000", "MAX_ORDERS_PER_MINUTE"),
        ("max_notional_per_minute", "999", "1000", "MAX_NOTIONAL_PER_MINUTE"),
        ("max_daily_volume", "1", "1000", "MAX_DAILY_VOLUME"),
        ("max_weekly_volume", "1", "1000", "MAX_WEEKLY_VOLUME"),
    ],
)
async def test_r03_a_limit_that_is_set_while_running_holds_at_once_and_until_it_is_lifted(
    desk: Desk, name: str, value: object, amount: str, code: str
) -> None:
    symbol = desk.named("ETHUSDT")
    await limit(desk, symbol, **{name: value})
    refused = await desk.trade(wish(symbol, order_type="market", amount=amount))
    await limit(desk, symbol, **{name: None})

    allowed = await desk.trade(wish(symbol, order_type="market", amount="10"))

    assert (refused["result"], refused["code"]) == ("rejected", code)
    assert refused["plans"][-1]["facts"]["limits"][name] is not None
    assert allowed["result"] == "executed"


async def test_r03_a_symbols_own_limit_replaces_the_general_one(desk: Desk) -> None:
    one, other = desk.symbols(2)
    await limit(desk, "all", max_order_size="500")
    await limit(desk, one, max_order_size="2000")

    rows = [await desk.trade(wish(each, order_type="limit")) for each in (one, other)]

    assert [row["result"] for row in rows] == ["executed", "rejected"]


async def test_r03_changes_of_limits_are_on_record(desk: Desk, symbol: str) -> None:
    await limit(desk, symbol, max_order_size="10")
    await limit(desk, symbol, max_order_size="20")

    shown = await desk.ask("/limits", symbol=symbol)

    assert shown["limits"]["max_order_size"] == "20"
    [scope] = [each for each in shown["scopes"] if each["scope"] == symbol]
    assert [change["limits"] for change in scope["changes"]] == [{"max_order_size": "10"}, {"max_order_size": "20"}]
    assert {(change["reason"], change["set_by"]) for change in scope["changes"]} == {("a test sets it", "web:operator")}
    wrong = await desk.post("/limits", scope=symbol, limits={"max_ordr": "1"}, reason="a slip")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "BAD_LIMITS")


async def test_r03_exposure_counts_positions_and_open_orders_of_other_symbols(desk: Desk) -> None:
    held, resting, new = desk.symbols(3)
    await desk.bought(held)
    await desk.resting(resting)
    carried = await exposure_is(desk, {held: "1000", resting: "1000"})
    await limit(desk, new, max_exposure=str(carried + 500))

    too_much = await desk.trade(wish(new, order_type="limit", amount="510"))
    fits = await desk.trade(wish(new, order_type="limit", amount="490"))

    assert (too_much["code"], fits["result"]) == ("MAX_EXPOSURE", "executed")


async def exposure_is(desk: Desk, wanted: dict[str, str]) -> Decimal:
    """The account's exposure, once these symbols show theirs."""

    async def shown() -> Decimal | None:
        found = await desk.ask("/exposure")
        rows = {row["symbol"]: Decimal(row["exposure"]) for row in found["symbols"]}
        known = all(rows.get(symbol) == Decimal(value) for symbol, value in wanted.items())
        return Decimal(found["account"]["exposure"]) if known else None

    return await desk.until(shown, 10, f"an exposure with {wanted}")


async def test_r03_a_days_loss_halts_trading_by_itself_and_an_operator_may_arm_again(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    await desk.quote(symbol, asks=(("90.1", "1000"),), bids=(("89.9", "1000"),))
    await limit(desk, "all", max_daily_loss="50")

    async def halted() -> Row | None:
        controls = (await desk.ask("/controls"))["items"]
        found = [each for each in controls if each["scope"] == "all" and each["state"] == "halted"]
        return found[0] if found else None

    control = await desk.until(halted, 15, "the halt")

    assert (control["set_by"], control["reason"].split(":")[0]) == ("risk", "MAX_DAILY_LOSS")
    await desk.alert("MAX_DAILY_LOSS")
    await desk.post("/controls", scope="all", state="armed", reason="to get out")
    refused = await desk.trade(wish(symbol, order_type="limit", limit_price="89"))
    out = await desk.trade(wish(symbol, "sell", order_type="market", market_data_snapshot={"price": "90"}))
    assert (refused["code"], out["result"]) == ("MAX_DAILY_LOSS", "executed")


async def test_r05_a_symbol_that_is_reduce_only_opens_nothing_and_closes(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    await desk.post("/controls", scope=symbol, state="reduce_only", reason="looks odd")

    opened = await desk.trade(wish(symbol, order_type="limit"))
    closed = await desk.trade(wish(symbol, "sell", order_type="market"))

    assert (opened["result"], opened["code"]) == ("rejected", "TRADING_REDUCE_ONLY")
    assert closed["result"] == "executed"


async def test_r05_halted_stops_everything_within_a_second(desk: Desk, symbol: str) -> None:
    began_s = time.monotonic()
    await desk.post("/controls", scope="all", state="halted", reason="kill switch")

    row = await desk.trade(wish(symbol, order_type="limit"))

    assert (row["result"], row["code"]) == ("rejected", "TRADING_HALTED")
    assert time.monotonic() - began_s < 5
    assert not await desk.at_venue(symbol)
