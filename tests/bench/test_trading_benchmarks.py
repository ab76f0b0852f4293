"""The benchmarks of the trading way still work: each runs in its quick form and says what a report has to say."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from bench.harness.broker import ENVIRONMENT
from bench.harness.children import PROJECT
from bench.harness.report import SHAPE, last_object

LIMIT_S = 180
RUNS = {"signal_to_venue": 2, "lanes": 3, "restart": 1, "two_workers": 3}
"""How many measured runs the quick form has."""


@pytest.mark.timeout(LIMIT_S + 20)
@pytest.mark.parametrize("name", RUNS)
async def test_a_benchmark_runs_and_reports(kafka: str, name: str) -> None:
    environment = {**os.environ, ENVIRONMENT: kafka, "PYTHONPATH": str(PROJECT)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"bench.{name}", "--quick", "--json"),
        cwd=PROJECT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT_S):
        output, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()[-2_000:]
    report = last_object(output.decode())
    assert set(SHAPE) <= set(report)
    assert (report["benchmark"], report["quick"], len(report["runs"])) == (name, True, RUNS[name])
    assert all(target["measured"] is not None and target["measured"] > 0 for target in report["targets"])
