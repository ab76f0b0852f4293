"""Every benchmark in its quick form: it runs to its end and says what it has to say. What it measures here, beside
other tests, means nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import document
from bench.harness.broker import ENVIRONMENT
from bench.harness.measuring import percentile, ratio
from bench.harness.report import AT_LEAST, AT_MOST, SHAPE, Report, Table, Target, last_object, markdown

PROJECT = Path(__file__).parents[2]
VARIANTS = {
    "update_to_event": {"ours", "raw lean loop"},
    "recovery": {"ours", "plain reading"},
    "query_pages": {"newest 50", "by strategy", "newest 500"},
}
"""What the runs of each must speak of, at least."""


def run(name: str, kafka: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--quick", "--json"],
        cwd=PROJECT,
        env={**os.environ, ENVIRONMENT: kafka, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return last_object(done.stdout)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_benchmark_runs_in_its_quick_form(name: str, kafka: str) -> None:
    report = run(name, kafka)

    assert set(report) == set(SHAPE)
    assert (report["benchmark"], report["quick"]) == (name, True)
    assert VARIANTS[name] <= {each.get("question", each.get("variant")) for each in report["runs"]}
    assert all(len(row) == len(table["columns"]) for table in report["tables"] for row in table["rows"])
    assert report["targets"]
    assert f"## {report['title']}" in markdown(report)


def test_a_report_says_which_targets_were_met_and_which_could_not_be_measured() -> None:
    report = Report("name", "Title", quick=False, tables=[Table("", ["a", "b"], [["x", 12.345]])])
    report.targets = [
        Target("more", 2.0, 1.5, AT_LEAST),
        Target("less", 60.5, 60.0, AT_MOST, "s"),
        Target("unknown", None, 1.0, AT_LEAST),
    ]

    whole = report.as_json()

    assert [target["met"] for target in whole["targets"]] == [True, False, None]
    text = markdown(whole)
    assert "| x | 12.3 |" in text
    assert "| less | 60.5 s | at most 60.0 s | **no** |" in text
    assert "| unknown | not measured | at least 1.00 | - |" in text


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(1, 101)]

    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([7.0], 0.99)) == (50.0, 99.0, 7.0)
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_ratio_compares_each_run_with_its_neighbour() -> None:
    # the machine was twice as slow in the second round
    assert ratio([20.0, 10.0, 30.0], [10.0, 5.0, 10.0]) == 2.0


def test_the_document_is_made_of_the_results_that_there_are() -> None:
    assert document().startswith("# Benchmarks")
