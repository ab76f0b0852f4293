"""Lanes: as many calls at a venue that takes its time as there are places, and no symbol behind another.

1. 200 symbols with a backlog, the venue takes 200 ms: orders per second against bound ÷ latency, for several bounds.
2. 50 signals a second over 50 symbols, the venue takes 20 ms; then one symbol more, whose calls take 5 s: the others'
   delays with it against without it, in turns.
"""

from __future__ import annotations

import statistics
from typing import Any

from bench.harness.broker import broker
from bench.harness.command import main, progress
from bench.harness.measuring import percentile, ratio
from bench.harness.report import AT_LEAST, AT_MOST, Report, Table, Target
from bench.trading.load import Load
from bench.trading.stage import Stage, delays_ms, stage

SYMBOLS = 200
LATENCY_S = 0.2
OTHERS = 50
SLOW_S = 5.0


async def measure(quick: bool) -> Report:
    """First the bounds, then the slow symbol."""
    report = Report(
        "lanes",
        "Lanes: parallel symbols, and one that is slow",
        quick,
        parameters={"symbols": SYMBOLS, "venue latency ms": LATENCY_S * 1000, "slow symbol s": SLOW_S},
    )
    bounds = (8,) if quick else (8, 16, 32)
    async with broker() as bootstrap:
        for bound in bounds:
            report.runs.append(await _throughput(bootstrap, bound, seconds=3 if quick else 15))
        report.runs += await _beside_a_slow_one(bootstrap, turns=1 if quick else 3, seconds=3 if quick else 12)
    _conclude(report)
    return report


async def _throughput(bootstrap: str, bound: int, seconds: float) -> dict[str, Any]:
    """Orders a second from a backlog, counted at the venue between the first and the last tenth."""
    ideal_per_s = bound / LATENCY_S
    count = int(ideal_per_s * seconds)
    async with stage(bootstrap, SYMBOLS, max_running=bound) as on, Load(bootstrap) as load:
        await on.wish(latency_s=LATENCY_S)
        await on.add_worker()
        await load.paced(on.topics.signals, on.names, 50.0, 100)  # warm
        await on.sent(100)
        await load.all_at_once(on.topics.signals, on.names, count)
        moments = sorted(at_ns for _, _, at_ns in await on.sent(count, since=100, within_s=60 + 3 * seconds))
    cut = len(moments) // 10
    inner = moments[cut:-cut]
    per_s = (len(inner) - 1) / ((inner[-1] - inner[0]) / 1e9)
    progress(f"bound {bound}: {per_s:.0f} of {ideal_per_s:.0f} orders/s")
    return {"what": "throughput", "bound": bound, "ideal_per_s": ideal_per_s, "per_s": per_s}


async def _beside_a_slow_one(bootstrap: str, turns: int, seconds: float) -> list[dict[str, Any]]:
    runs = []
    async with stage(bootstrap, OTHERS + 1) as on, Load(bootstrap) as load:
        *others, slow = on.names
        await on.add_worker()
        for turn in range(-1, turns):  # the first one warms
            for with_slow in (False, True):
                run = await _turn(on, load, others, slow if with_slow else "", int(seconds * OTHERS))
                if turn >= 0:
                    runs.append({"what": "slow symbol", "turn": turn, "with_slow": with_slow, **run})
                    progress(f"{'with' if with_slow else 'without'} a slow symbol: p99 {run['p99_ms']:.1f} ms")
    return runs


async def _turn(on: Stage, load: Load, others: list[str], slow: str, count: int) -> dict[str, Any]:
    since = len(await on.creates())
    await on.wish(latency_s=0.02, slow={slow: SLOW_S} if slow else {})
    if slow:
        for _ in range(3):  # one at the venue, two behind it
            await load.send(on.topics.signals, slow)
    sent = await load.paced(on.topics.signals, others, float(OTHERS), count)
    found = await on.sent(count + (3 if slow else 0), since=since, within_s=60.0)
    delays = delays_ms(load.made, sent, [create for create in found if create[0] != slow])
    return {"p50_ms": percentile(delays, 0.5), "p99_ms": percentile(delays, 0.99), "max_ms": max(delays)}


def _conclude(report: Report) -> None:
    throughput = [run for run in report.runs if run["what"] == "throughput"]
    table = Table("Throughput from a backlog", ["bound", "orders/s", "bound ÷ latency", "share"])
    for run in throughput:
        share = run["per_s"] / run["ideal_per_s"]
        table.rows.append([run["bound"], run["per_s"], run["ideal_per_s"], share])
        report.targets.append(Target(f"share of bound ÷ latency, bound {run['bound']}", share, 0.9, AT_LEAST))
    report.tables.append(table)
    sides = {
        name: [run for run in report.runs if run["what"] == "slow symbol" and run["with_slow"] is with_slow]
        for name, with_slow in (("without", False), ("with", True))
    }
    slow = Table("Delays of the other symbols", ["a slow symbol", "p50 ms", "p99 ms", "max ms"])
    for name, runs in sides.items():
        row = [statistics.median(run[column] for run in runs) for column in ("p50_ms", "p99_ms", "max_ms")]
        slow.rows.append([name, *row])
    report.tables.append(slow)
    times = ratio([run["p99_ms"] for run in sides["with"]], [run["p99_ms"] for run in sides["without"]])
    report.targets.append(Target("p99 of the others, with against without", times, 1.5, AT_MOST, "times"))


if __name__ == "__main__":
    main(measure)
