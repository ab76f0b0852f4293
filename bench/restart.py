"""A worker with 1,000 resting orders is killed: how long until each symbol trades again.

Measured from the start of the next worker (the group's session has run out by then, as a supervisor's pause and the
session time-out are settings) to the first byte of the order of each symbol's new signal, at the venue.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from bench.harness.broker import broker
from bench.harness.command import main, progress
from bench.harness.measuring import memory_mib, percentile
from bench.harness.report import AT_MOST, Report, Table, Target
from bench.trading.load import Load, resting
from bench.trading.stage import stage

SESSION_S = 6.0
QUICK_SESSION_S = 3.0


async def measure(quick: bool) -> Report:
    """Several restarts, each with a set of its own."""
    orders, runs, session_s = (60, 1, QUICK_SESSION_S) if quick else (1_000, 3, SESSION_S)
    report = Report(
        "restart",
        "Restart with open orders until trading",
        quick,
        parameters={"open orders": orders, "symbols": orders, "runs": runs, "session time-out s": session_s},
    )
    async with broker() as bootstrap:
        for _ in range(runs):
            run = await _restart(bootstrap, orders, session_s)
            progress(f"ready after {run['ready_s']:.1f} s, all symbols trade after {run['last_s']:.1f} s")
            report.runs.append(run)
    columns = ["ready_s", "first_s", "p50_s", "last_s", "asked", "highest_mib"]
    medians = [statistics.median(run[column] for run in report.runs) for column in columns]
    table = Table("", ["ready s", "first symbol s", "median symbol s", "last symbol s", "questions", "memory MiB"])
    table.rows.append(medians)
    report.tables.append(table)
    report.targets.append(
        Target("until every symbol trades", max(r["last_s"] for r in report.runs), 15.0, AT_MOST, "s")
    )
    return report


async def _restart(bootstrap: str, orders: int, session_s: float) -> dict[str, Any]:
    # New orders leave those of their own side alone: what is measured is the restart, not cancelling.
    changes = {"session_timeout_s": session_s, "cancel_opposite_orders_only": True}
    async with stage(bootstrap, orders, **changes) as on, Load(bootstrap) as load:
        await on.wish(tell="rest")
        await on.add_worker()
        await load.all_at_once(on.topics.signals, on.names, orders, resting)
        await on.sent(orders)
        await _all_resting(on, orders)
        await on.stop_worker(kill=True)
        await asyncio.sleep(session_s + 1.0)
        asked_before = sum((await on.asked()).values())
        sent = await load.all_at_once(on.topics.signals, on.names, orders, resting)
        began_ns = time.time_ns()
        child = await on.add_worker()
        ready_s = (time.time_ns() - began_ns) / 1e9
        found = await on.sent(len(sent), since=orders)
        after_s = sorted((at_ns - began_ns) / 1e9 for _, _, at_ns in found)
        asked = sum((await on.asked()).values()) - asked_before - len(sent)
        return {
            "orders": orders,
            "ready_s": ready_s,
            "first_s": after_s[0],
            "p50_s": percentile(after_s, 0.5),
            "last_s": after_s[-1],
            "asked": asked,
            "highest_mib": memory_mib(child.pid)[1],
        }


async def _all_resting(on: Any, orders: int) -> None:
    """Wait until the worker has read what the venue says of every order."""
    for _ in range(600):
        counted, cursor = 0, ""
        while True:
            page = await on.ask(f"/orders?status=pending&limit=500{cursor}")
            counted += sum(order["state"] == "acknowledged" for order in page["items"])
            if not page.get("cursor"):
                break
            cursor = f"&cursor={page['cursor']}"
        if counted >= orders:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{counted} of {orders} orders rest")


if __name__ == "__main__":
    main(measure)
