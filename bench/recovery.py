"""A worker without local state comes up: orders from the changelog into the store, with all their indexes.

Against it, in turns: reading the same records with aiokafka and doing nothing with them.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench.harness import command
from bench.harness.broker import broker
from bench.harness.children import running, start
from bench.harness.measuring import cpu_s, memory_mib, ratio
from bench.harness.report import AT_LEAST, AT_MOST, Report, Table, Target
from bench.stored_orders import PARTITIONS, changelog_of, ensure_orders, recovered, worker_config
from streams.topics import Topics

LIMIT_S = 180.0
MILLION = 1_000_000


async def measure(quick: bool) -> Report:
    """Both sizes, in turns with plain reading."""
    sizes = {20_000: 1} if quick else {100_000: 3, MILLION: 2}
    report = Report("recovery", "Recovery", quick)
    report.parameters = {"row": "1.4 kB", "index entries per row": "6 to 8", "partitions": PARTITIONS}
    table = Table("", ["orders", "plain reading s", "ours s", "orders/s", "of plain reading", "highest memory MiB"])
    report.tables.append(table)
    rates: dict[int, float] = {}
    async with broker() as bootstrap:
        for orders, rounds in sizes.items():
            topics = await ensure_orders(bootstrap, orders)
            raw, ours = [], []
            for _ in range(rounds):
                raw.append(await _read(bootstrap, topics))
                ours.append(await _recover(bootstrap, topics))
                command.progress(f"{orders:,}: plain {raw[-1]['seconds']:.1f} s, ours {ours[-1]['seconds']:.1f} s")
            report.runs += [{"orders": orders, **run} for run in (*raw, *ours)]
            took_s = statistics.median(run["seconds"] for run in ours)
            peak = max(run["peak_mib"] for run in ours)
            share = ratio([run["seconds"] for run in raw], [run["seconds"] for run in ours])
            rates[orders] = orders / took_s
            table.rows.append(
                [orders, statistics.median(run["seconds"] for run in raw), took_s, rates[orders], share, peak]
            )
            if orders == max(sizes):
                at_full = None if quick else took_s
                report.targets += [
                    Target("recovery of 1,000,000 orders", at_full, 60.0, AT_MOST, "s"),
                    Target("ours ÷ plain reading, records/s", share, 0.5, AT_LEAST),
                    Target("memory at 1,000,000 orders", None if quick else peak, 500.0, AT_MOST, "MiB"),
                ]
    if MILLION in rates:
        bend = rates[MILLION] / rates[100_000]
        report.notes.append(f"Orders per second at 1,000,000 are {bend:.2f} times those at 100,000.")
    return report


async def _read(bootstrap: str, topics: Topics) -> dict[str, Any]:
    config = {"bootstrap": bootstrap, "topic": changelog_of(topics), "partitions": PARTITIONS}
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        child = start("bench.workers.raw_reading", config, Path(directory))
        try:
            await asyncio.to_thread(child.process.wait, LIMIT_S)
        except subprocess.TimeoutExpired:
            child.end()
            raise
        return {"variant": "plain reading", **json.loads(child.output.read_text("utf-8").splitlines()[-1])}


async def _recover(bootstrap: str, topics: Topics) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        config = worker_config(bootstrap, topics, directory)
        with running("bench.workers.order_agent", config, directory) as child:
            found = await recovered(child, config, LIMIT_S)
            memory, peak = memory_mib(child.pid)
            return {"variant": "ours", **found, "cpu_s": cpu_s(child.pid), "memory_mib": memory, "peak_mib": peak}


if __name__ == "__main__":
    command.main(measure)
