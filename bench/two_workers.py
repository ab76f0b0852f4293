"""A backlog of signals: one worker, two workers, and one worker without what makes it safe, in turns.

Orders per second are counted at the venue, between the first and the last tenth. Broker, venue and workers share the
machine: on two cores a second worker can only use what the first and the broker leave.
"""

from __future__ import annotations

import statistics
from typing import Any

from bench.harness.broker import broker
from bench.harness.command import main, progress
from bench.harness.measuring import cpu_s, memory_mib, ratio
from bench.harness.report import AT_LEAST, Report, Table, Target
from bench.trading.load import Load
from bench.trading.stage import stage

SYMBOLS = 200
WARM = 200

PLAYERS: dict[str, tuple[int, dict[str, Any]]] = {
    "one worker": (1, {}),
    "two workers": (2, {}),
    "one worker, safety off": (1, {"unsafe": True}),
}
"""Name → (how many workers, options of each)."""


async def measure(quick: bool) -> Report:
    """One, two, unsafe, one, two, unsafe, …"""
    turns, signals = (1, 200) if quick else (3, 3_000)
    report = Report(
        "two_workers",
        "Signals at saturation: two workers, and the cost of safety",
        quick,
        parameters={"signals a turn": signals, "symbols": SYMBOLS, "turns": turns},
    )
    async with broker() as bootstrap:
        for turn in range(turns):
            for name, (workers, options) in PLAYERS.items():
                run = {"who": name, "turn": turn, **await _turn(bootstrap, workers, options, signals)}
                progress(f"{name}: {run['per_s']:.0f} orders/s, {run['cpu_ms']:.1f} ms CPU an order")
                report.runs.append(run)
    _conclude(report)
    return report


async def _turn(bootstrap: str, workers: int, options: dict[str, Any], count: int) -> dict[str, Any]:
    async with stage(bootstrap, SYMBOLS) as on, Load(bootstrap) as load:
        names = [f"worker-{number}" for number in range(1, workers + 1)]
        children = [await on.add_worker(name, **options) for name in names]
        for name in names:  # the second one's coming has moved partitions
            await on.until_ready(name)
        await load.paced(on.topics.signals, on.names, 50.0, WARM)
        await on.sent(WARM)
        used_s = sum(cpu_s(child.pid) for child in children)
        await load.all_at_once(on.topics.signals, on.names, count)
        moments = sorted(at_ns for _, _, at_ns in await on.sent(count, since=WARM))
        used_s = sum(cpu_s(child.pid) for child in children) - used_s
        cut = len(moments) // 10
        inner = moments[cut:-cut]
        return {
            "workers": workers,
            "per_s": (len(inner) - 1) / ((inner[-1] - inner[0]) / 1e9),
            "cpu_ms": used_s / count * 1000,
            "highest_mib": max(memory_mib(child.pid)[1] for child in children),
        }


def _conclude(report: Report) -> None:
    by_name = {name: [run for run in report.runs if run["who"] == name] for name in PLAYERS}
    table = Table("", ["", "orders/s", "CPU ms an order", "memory MiB a worker"])
    for name, runs in by_name.items():
        row = [statistics.median(run[column] for run in runs) for column in ("per_s", "cpu_ms", "highest_mib")]
        table.rows.append([name, *row])
    report.tables.append(table)
    per_s = {name: [run["per_s"] for run in runs] for name, runs in by_name.items()}
    two = ratio(per_s["two workers"], per_s["one worker"])
    safe = ratio(per_s["one worker"], per_s["one worker, safety off"])
    report.targets.append(Target("two workers against one", two, 1.0, AT_LEAST, "times"))
    report.notes.append(f"Safe against safety off: {safe:.2f} of the orders a second.")


if __name__ == "__main__":
    main(measure)
