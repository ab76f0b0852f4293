"""A dry run: everything is decided, nothing is sent (requirement X10)."""

from __future__ import annotations

import pytest
from scenario_set import Desk, wish

from app.replay.folded import Until
from app.replay.report import replay
from app.verify.report import VerifyOptions, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"dry_run": True}


async def test_x10_a_dry_run_decides_an_order_and_sends_nothing(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit"))

    assert row["result"] == "dry_run"
    [order_id] = row["order_ids"]
    order = await desk.order(order_id)
    assert (order["state"], order["status"], order["dry_run"]) == ("dry_run", "dry_run", True)
    assert (order["quantity"], order["price"], order["attempts"]) == ("10", "99.9", 0)
    events = await desk.events(order_id, "dry_run")
    assert [event["type"] for event in events] == ["created", "dry_run"]
    assert events[0]["signal"]["dry_run"] is True
    assert not await desk.at_venue(symbol)
    assert await desk.arrived("order/create") == 0


async def test_x10_every_line_of_the_worker_says_so(desk: Desk, symbol: str) -> None:
    row = await desk.trade(wish(symbol, order_type="limit"))

    lines = desk.worker_log()
    assert all(line["event"].startswith("[DRY-RUN] ") for line in lines)
    assert [line["event"] for line in lines if line.get("order_id") == row["order_ids"][0]] == [
        "[DRY-RUN] create dry_run: dry run: the order is not sent"
    ]


async def test_x10_a_dry_market_order_moves_no_position_and_keeps_no_money(desk: Desk, symbol: str) -> None:
    for _ in range(3):
        row = await desk.trade(wish(symbol, order_type="market", amount="900000"))
        assert row["result"] == "dry_run", row

    assert (await desk.position(symbol))["size"] == "0"
    sold = await desk.trade(wish(symbol, "sell", order_type="market"))
    assert (sold["result"], sold["code"]) == ("rejected", "NOTHING_TO_SELL")


async def test_x10_within_a_dry_run_an_id_counts_once(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="limit")
    await desk.trade(signal)

    again = await desk.send(signal)

    event = (await desk.record("order_events", source=again)).body
    assert (event["type"], event["code"]) == ("duplicate", "DUPLICATE_SIGNAL")


async def test_x10_what_would_have_been_sent_is_counted(desk: Desk, symbol: str) -> None:
    await desk.trade(wish(symbol, order_type="limit"))
    await desk.trade(wish(symbol, order_type="limit", amount="500"))
    await desk.trade(wish(symbol, order_type="market"))

    told = await desk.ask("/dry-run", symbol=symbol)

    assert told["dry_run"] is True
    assert [(row["side"], row["order_type"], row["orders"], row["quantity"]) for row in told["items"]] == [
        ("buy", "limit", 2, "15"),
        ("buy", "market", 1, "10"),
    ]
    assert [row["notional"] for row in told["items"]] == ["1498.5", "1010"]
    assert (told["orders"], told["notional"]) == (3, "2508.5")


async def test_x10_the_ledgers_agree_and_the_tables_can_be_made_again_after_a_dry_run(desk: Desk, symbol: str) -> None:
    await desk.trade(wish(symbol, order_type="limit"))

    verified = await verify(desk.settings, VerifyOptions(settle_s=10.0))
    made = await replay(desk.settings, directory=None, until=Until(), settle_s=10.0)

    assert verified["equal"] is True, verified
    assert made["equal"] is True, made["first_difference"]
