"""From live to a dry run and back, with something open and without (requirement X10)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from command_line import ordermanager
from scenario_set import Desk, Row, wish

from app.transport.fail_stop import REFUSED_EXIT_CODE

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def start(desk: Desk, **settings: str) -> None:
    """Start the worker again with these settings."""
    [worker] = desk.set.workers
    await worker.stop()
    child = worker.child
    child._environment |= {f"ORDERMANAGER_{name.upper()}": value for name, value in settings.items()}
    worker.start()


@asynccontextmanager
async def dry_run(desk: Desk) -> AsyncIterator[None]:
    """The worker in a dry run; live again afterwards."""
    await start(desk, dry_run="true", live_with_open="false")
    await desk.worker_is_ready()
    yield
    await start(desk, dry_run="false")
    await desk.worker_is_ready()


async def refusal(desk: Desk) -> str:
    """The last line of a worker that refuses to start."""
    [worker] = desk.set.workers

    async def ended() -> bool | None:
        return worker.child.exit_code == REFUSED_EXIT_CODE or None

    await desk.until(ended, 30, "the worker's refusal")
    return worker.child.last_lines(1)


async def test_x10_a_rehearsed_id_is_free_for_real_and_one_that_was_sent_is_not_rehearsed(
    desk: Desk, symbol: str
) -> None:
    rehearsed, sent = wish(symbol, order_type="limit"), wish(symbol, order_type="limit", limit_price="99")
    await desk.trade(sent)
    assert (await desk.command(action="cancel", symbol=symbol))["ok"]
    async with dry_run(desk):
        first = await desk.trade(rehearsed)
        again = await desk.send(sent)
        assert (await desk.record("order_events", source=again)).body["type"] == "duplicate"
    assert first["result"] == "dry_run"

    row = await desk.trade(rehearsed)

    assert (row["result"], row["attempt"]) == ("executed", 2)
    assert row["earlier_order_ids"] == first["order_ids"]
    order = await desk.order_in(row["order_ids"][0], "acknowledged")
    assert (order["dry_run"], len(await desk.at_venue(symbol))) == (False, 2)
    assert (await desk.command(action="cancel", symbol=symbol))["ok"]


async def test_x10_what_is_open_at_the_venue_lives_on_in_a_dry_run(desk: Desk, symbol: str) -> None:
    filled = await desk.resting(symbol)
    calls = await calls_that_change(desk)
    async with dry_run(desk):
        alert = await desk.alert("DRY_RUN_WITH_OPEN")
        assert filled["order_id"] in alert["sentence"]

        opposite = await desk.trade(wish(symbol, order_type="limit", limit_price="99.5"))

        assert opposite["result"] == "dry_run"
        assert [cancel["order_id"] for cancel in opposite["plans"][0]["cancels"]] == [filled["order_id"]]
        assert (await desk.order(filled["order_id"]))["state"] == "acknowledged"
        await desk.quote(symbol, bids=(("99.6", "100"),), asks=(("99.7", "100"),))
        await desk.order_in(filled["order_id"], "filled")
        await desk.position_is(symbol, "10")
        assert await calls_that_change(desk) == calls
        refused = await start_live(desk)
        assert refused.startswith("FATAL LIVE_AFTER_DRY_RUN: 1 open: position")
        assert f"position {symbol} net of 10" in refused

        await start(desk, live_with_open="true")
        await desk.worker_is_ready()
        await desk.alert("LIVE_WITH_OPEN")
        await desk.quote(symbol)
        row = await desk.trade(wish(symbol, "sell", order_type="market"))
        await desk.order_in(row["order_ids"][0], "filled")


async def test_x10_a_dry_run_and_a_real_one_are_compared_signal_by_signal(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    alike, moved = desk.symbols(2)
    same = wish(alike, order_type="limit")
    other = wish(moved, order_type="limit", limit_price="99")
    async with dry_run(desk):
        await desk.trade(same)
        await desk.trade(other)
    file = tmp_path_factory.mktemp("runs") / "dry.json"
    assert (await ordermanager(desk.settings, "compare", "--save", str(file)))[0] == 0
    await desk.trade(same)
    await desk.trade(other | {"limit_price": "98", "time_in_force": "GTC"})

    code, found = await ordermanager(desk.settings, "compare", "--json")
    again, against_file = await ordermanager(desk.settings, "compare", str(file), "this", "--json")

    differing = {
        "signal_id": other["signal_id"],
        "symbol": moved,
        "differences": [{"field": "orders[0].price", "dry": "99", "live": "98"}],
    }
    assert (code, again) == (1, 1)
    assert (found["equal"], found["different"]) == (False, [differing])
    assert against_file["different"] == [differing]
    assert (await ordermanager(desk.settings, "compare", "--tolerance", "0.02"))[0] == 0
    for each in (alike, moved):
        assert (await desk.command(action="cancel", symbol=each))["ok"]


async def test_x10_an_operator_cancels_for_real_and_nobody_else_does(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)
    async with dry_run(desk):
        refused = await start_live(desk)
        assert f"order {order['order_id']}: {symbol} buy 10, acknowledged" in refused
        await start(desk, dry_run="true")
        await desk.worker_is_ready()
        replaced = await desk.command(action="replace", order_id=order["order_id"])
        assert (replaced["ok"], replaced["code"]) == (False, "DRY_RUN")

        result = await desk.command(action="cancel", order_id=order["order_id"])

        assert result["ok"], result
        assert [each["orderStatus"] for each in await desk.at_venue(symbol)] == ["Cancelled"]


async def test_x06_another_account_waits_until_nothing_of_the_former_one_is_open(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)

    await start(desk, account="second")
    refused = await refusal(desk)

    assert refused.startswith("FATAL ACCOUNT_CHANGED: this worker has account paper/second, and the last one had")
    assert f"order {order['order_id']}: {symbol} buy 10, acknowledged" in refused
    await start(desk, account="main")
    await desk.worker_is_ready()
    assert (await desk.command(action="cancel", symbol=symbol))["ok"]


async def start_live(desk: Desk) -> str:
    """Try to start live; returns the refusal."""
    await start(desk, dry_run="false")
    return await refusal(desk)


async def calls_that_change(desk: Desk) -> Row:
    """How many calls that change something the exchange has seen."""
    endpoints = ("order/create", "order/amend", "order/cancel", "order/cancel-all", "position/switch-mode")
    return {endpoint: await desk.arrived(endpoint) for endpoint in endpoints}
