"""Signal → first byte at the venue: the whole worker against an aiokafka consumer that posts with httpx.

100 signals a second over 100 symbols, in turns of some seconds on the same broker and venue; both processes are up all
the time, so each turn has the other's idle cost. Measured at the venue: from the moment before a signal is handed to
its producer until the first byte of its order arrives.
"""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

from bench.harness.broker import broker, create_topics
from bench.harness.children import Child, start
from bench.harness.command import main, progress
from bench.harness.measuring import cpu_s, memory_mib, percentile, ratio
from bench.harness.report import AT_MOST, Report, Table, Target
from bench.trading.load import Load
from bench.trading.stage import Stage, delays_ms, stage

SYMBOLS = 100
PER_S = 100.0


async def measure(quick: bool) -> Report:
    """In turns: raw, ours, raw, ours, …"""
    turns, seconds, warm = (1, 3, 100) if quick else (4, 20, 1_000)
    report = Report(
        "signal_to_venue",
        "Signal → first byte at the venue",
        quick,
        parameters={"signals per second": PER_S, "symbols": SYMBOLS, "seconds a turn": seconds, "turns": turns},
    )
    async with broker() as bootstrap, stage(bootstrap, SYMBOLS) as on, Load(bootstrap) as load:
        raw_topic = on.topics.prefix + "raw"
        raw = await _raw_loop(on, bootstrap, raw_topic)
        ours = await on.add_worker()
        players = {"raw loop": (raw, raw_topic), "ours": (ours, on.topics.signals)}
        for child, topic in players.values():
            await _turn(on, load, child, topic, warm)
        for turn in range(turns):
            for name, (child, topic) in players.items():
                run = {"who": name, "turn": turn, **await _turn(on, load, child, topic, int(seconds * PER_S))}
                progress(f"{name}: p50 {run['p50_ms']:.2f} ms, p99 {run['p99_ms']:.2f} ms, {run['cpu_ms']:.2f} ms CPU")
                report.runs.append(run)
    _conclude(report)
    return report


async def _raw_loop(on: Stage, bootstrap: str, topic: str) -> Child:
    await create_topics(bootstrap, [topic], on.settings.partitions)
    config = {"settings": on.plain("raw"), "topic": topic}
    child = start("bench.trading.raw_loop", config, on.directory / "raw")
    on.others.append(child)
    while "consuming" not in child.output.read_text():
        child.check()
        await asyncio.sleep(0.05)
    return child


async def _turn(on: Stage, load: Load, child: Child, topic: str, count: int) -> dict[str, Any]:
    since = len(await on.creates())
    used_s = cpu_s(child.pid)
    sent = await load.paced(topic, on.names, PER_S, count)
    creates = await on.sent(count, since=since)
    delays = delays_ms(load.made, sent, creates)
    resident, highest = memory_mib(child.pid)
    return {
        "signals": count,
        "p50_ms": percentile(delays, 0.5),
        "p90_ms": percentile(delays, 0.9),
        "p99_ms": percentile(delays, 0.99),
        "max_ms": max(delays),
        "cpu_ms": (cpu_s(child.pid) - used_s) / count * 1000,
        "memory_mib": resident,
        "highest_mib": highest,
    }


def _conclude(report: Report) -> None:
    by_name = {name: [run for run in report.runs if run["who"] == name] for name in ("raw loop", "ours")}
    columns = ["p50_ms", "p90_ms", "p99_ms", "max_ms", "cpu_ms", "memory_mib"]
    table = Table("", ["", "p50 ms", "p90 ms", "p99 ms", "max ms", "CPU ms a signal", "memory MiB"])
    for name, runs in by_name.items():
        table.rows.append([name, *(statistics.median(run[column] for run in runs) for column in columns)])
    report.tables.append(table)
    ours, raw = by_name["ours"], by_name["raw loop"]
    times = ratio([run["p50_ms"] for run in ours], [run["p50_ms"] for run in raw])
    p99 = statistics.median(run["p99_ms"] for run in ours)
    p50 = statistics.median(run["p50_ms"] for run in ours)
    report.targets += [
        Target("p50 against the raw loop", times, 2.5, AT_MOST, "times"),
        Target("p99", p99, 25.0, AT_MOST, "ms"),
        Target("p50", p50, 5.0, AT_MOST, "ms"),
    ]
    report.notes.append(
        "The venue is one that only notes the moment and answers (bench/trading/venue.py); it publishes the fill and "
        "the order's row as a gateway would, so the worker's figures contain three updates and four events a signal."
    )


if __name__ == "__main__":
    main(measure)
