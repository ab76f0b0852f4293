"""Positions as the clock looks at them: snapshots and their history, warnings of losses (requirements P02, P04)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from command_line import ordermanager
from scenario_set import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

INTERVAL_S = 0.5
SETTINGS = {
    "allow_short": True,
    "position_snapshot_interval_s": INTERVAL_S,
    "unrealized_loss_warning_threshold": Decimal("0.05"),
}
INTERVAL_NS = int(INTERVAL_S * 1_000_000_000)


async def snapshots(desk: Desk, symbol: str, count: int, **filters: Any) -> list[dict[str, Any]]:
    """The newest snapshots, once there are so many."""

    async def enough() -> list[dict[str, Any]] | None:
        page = await desk.ask(f"/positions/{symbol}/history", of="snapshots", limit=count, **filters)
        return page["items"] if len(page["items"]) == count else None

    return await desk.until(enough, 15, f"{count} snapshots of {symbol}")


async def test_p02_an_open_position_is_published_at_every_moment_with_its_worth(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    await desk.quote(symbol, bids=(("101.9", "1000"),), asks=(("102.1", "1000"),))

    async def worth() -> list[dict[str, Any]] | None:
        newest = await snapshots(desk, symbol, 3)
        return newest if all(picture["mark"] == "102" for picture in newest) else None

    last, middle, first = await desk.until(worth, 15, "three snapshots at the new price")

    held = await desk.position(symbol)
    assert [last["moment_ns"] - middle["moment_ns"], middle["moment_ns"] - first["moment_ns"]] == [INTERVAL_NS] * 2
    assert last["moment_ns"] % INTERVAL_NS == 0
    for picture in (last, middle, first):
        assert (picture["state"]["size"], picture["unrealised"]) == (held["size"], held["unrealised"])
        assert picture["event_id"].endswith(f"-{symbol}-main-net-{picture['moment_ns']}")
        assert picture["taken_ns"] - picture["moment_ns"] >= 0


async def test_p02_history_can_be_asked_by_time_in_pages_and_from_the_command_line(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    found = await snapshots(desk, symbol, 5)
    newest, oldest = found[0], found[-1]
    path = f"/positions/{symbol}/history"
    times = {"of": "snapshots", "from": str(oldest["moment_ns"]), "to": str(newest["moment_ns"])}

    between = await desk.ask(path, **times)
    upwards = await desk.ask(path, **times, order="asc")
    first = await desk.ask(path, **times, limit=3)
    rest = await desk.ask(path, **times, limit=3, cursor=first["cursor"])
    wanted = ("positions", "--symbol", symbol, "--snapshots", "--since", str(oldest["moment_ns"]), "--json")
    code, printed = await ordermanager(desk.settings, *wanted)

    assert code == 0
    assert between["items"] == found[1:]
    assert upwards["items"] == found[:0:-1]
    assert first["items"] + rest["items"] == found[1:]
    assert rest["cursor"] is None
    assert found == [picture for picture in printed if picture["moment_ns"] <= newest["moment_ns"]]


async def test_p02_each_moment_is_published_once_though_the_worker_starts_again(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    await snapshots(desk, symbol, 1)

    for _ in range(2):
        async with desk.worker_away():
            pass
        told = len(desk.told("position_snapshots", instrument__symbol=symbol))
        await desk.records("position_snapshots", told + 2, instrument__symbol=symbol)

    ids = Counter(record.body["event_id"] for record in desk.told("position_snapshots"))
    assert max(ids.values()) == 1


async def test_p04_a_loss_over_the_threshold_is_told_once_and_ends_by_itself(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    await desk.quote(symbol, bids=(("93.9", "1000"),), asks=(("94.1", "1000"),))

    [warning] = await desk.records("position_events", 1, instrument__symbol=symbol, type="loss_warning")
    await desk.alert("UNREALIZED_LOSS", symbol=symbol)
    await snapshots(desk, symbol, 2)
    await desk.quote(symbol)
    [over] = await desk.records("position_events", 1, instrument__symbol=symbol, type="loss_warning_over")

    async def resolved() -> dict[str, Any] | None:
        found = await desk.ask("/alerts", code="UNREALIZED_LOSS", symbol=symbol, state="resolved")
        return next(iter(found["items"]), None)

    alert = await desk.until(resolved, 15, "the end of the alert")
    held = await desk.position(symbol)
    assert (warning.body["price"], warning.body["threshold"], over.body["price"]) == ("94", "0.05", "100")
    assert Decimal(warning.body["unrealised"]) == Decimal(held["size"]) * (94 - Decimal(held["average_entry"]))
    assert (alert["count"], alert["changed_by"], alert["severity"]) == (1, "manager", "warning")
    assert len(desk.told("position_events", instrument__symbol=symbol, type="loss_warning")) == 1


async def test_p04_a_loss_that_was_told_is_not_told_again_after_a_restart(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    await desk.quote(symbol, bids=(("93.9", "1000"),), asks=(("94.1", "1000"),))
    await desk.alert("UNREALIZED_LOSS", symbol=symbol)

    async with desk.worker_away():
        pass
    before = len(desk.told("position_snapshots", instrument__symbol=symbol))
    await desk.records("position_snapshots", before + 3, instrument__symbol=symbol)

    assert len(desk.told("position_events", instrument__symbol=symbol, type="loss_warning")) == 1
    assert len(desk.told("alerts", symbol=symbol, code="UNREALIZED_LOSS")) == 1
