"""`python -m bench [--only NAME]… [--quick]`: run the benchmarks one after the other, keep their figures.

A whole run writes bench/results/NAME.json and, from all results there are, BENCHMARKS.md. A quick one, which only
shows that they work, writes to .run/bench/results and prints its tables.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.harness.broker import ENVIRONMENT, own_broker
from bench.harness.children import PROJECT
from bench.harness.command import progress
from bench.harness.report import last_object, markdown, shown

BENCHMARKS = ("update_to_event", "recovery", "query_pages", "signal_to_venue", "lanes", "restart", "two_workers")
"""In the order of BENCHMARKS.md."""

RESULTS = PROJECT / "bench" / "results"
QUICK_RESULTS = PROJECT / ".run" / "bench" / "results"
DOCUMENT = PROJECT / "BENCHMARKS.md"


def available() -> list[str]:
    """The benchmarks whose scripts are there."""
    return [name for name in BENCHMARKS if (PROJECT / "bench" / f"{name}.py").exists()]


def run_one(name: str, *, quick: bool, bootstrap: str) -> dict[str, Any] | None:
    """The report of one benchmark, None if it failed; its own messages go to stderr."""
    progress(f"--- {name}")
    command = [sys.executable, "-m", f"bench.{name}", "--json", *(["--quick"] if quick else [])]
    environment = {**os.environ, ENVIRONMENT: bootstrap, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        progress(f"{name} failed with exit code {done.returncode}")
        return None
    return last_object(done.stdout)


async def run_all(names: list[str], *, quick: bool) -> int:
    """Run them on one broker; returns how many failed."""
    results = QUICK_RESULTS if quick else RESULTS
    results.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with own_broker(Path(directory) / "kafka") as broker:
            for name in names:
                report = await asyncio.to_thread(run_one, name, quick=quick, bootstrap=broker.bootstrap)
                if report is None:
                    failed += 1
                    continue
                (results / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
                print(markdown(report), flush=True)
    if not quick:
        DOCUMENT.write_text(document(), "utf-8")
        progress(f"written: {DOCUMENT.name}")
    return failed


def document() -> str:
    """BENCHMARKS.md from the results there are."""
    reports = [
        json.loads(path.read_text("utf-8")) for name in BENCHMARKS if (path := RESULTS / f"{name}.json").exists()
    ]
    lines = [
        "# Benchmarks",
        "",
        "Ours against baselines, in turns on the same machine: ratios travel, figures don't. Made by `make bench`;",
        "what is behind the figures, and where the time goes: [docs/performance.md](docs/performance.md).",
        "",
        f"Written {datetime.now(UTC).date().isoformat()}.",
        "",
    ]
    machines: list[dict[str, Any]] = []
    for report in reports:
        if report["machine"] not in machines:
            machines.append(report["machine"])
            lines += [_machine_line(report["machine"]), ""]
    return "\n".join([*lines, *(markdown(report) for report in reports)])


def _machine_line(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {found}" for name, found in machine["versions"].items())
    return (
        f"Machine: {machine['cores']} cores ({machine['processor']}), {shown(machine['memory_gib'])} GiB memory, "
        f"{machine['system']}, Python {machine['python']}; broker, load and workers share them. {versions}."
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true")
    wanted = parser.parse_args()
    names = [name for each in wanted.only for name in each.split(",") if name] or available()
    unknown = sorted(set(names) - set(available()))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(available())}")
    return 1 if asyncio.run(run_all(names, quick=wanted.quick)) else 0


if __name__ == "__main__":
    sys.exit(main())
