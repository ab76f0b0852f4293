"""What a benchmark has to say: one JSON object, and the same as tables in Markdown.

{"benchmark", "title", "quick", "at", "took_s", "machine", "parameters", "tables": [{"title", "columns", "rows"}],
 "runs": [one object per measured run], "targets": [{"what", "measured", "bound", "sense", "unit", "met"}], "notes"}
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

AT_LEAST, AT_MOST = "at least", "at most"
SHAPE = ("benchmark", "title", "quick", "at", "took_s", "machine", "parameters", "tables", "runs", "targets", "notes")
"""The keys of a report, of which none is ever missing."""


@dataclass(slots=True)
class Table:
    """Figures for people: cells are text or numbers."""

    title: str
    columns: list[str]
    rows: list[list[Any]] = field(default_factory=list)


@dataclass(slots=True)
class Target:
    """What the figure should be; `sense` is `at least` or `at most`. `measured` None: could not be measured here."""

    what: str
    measured: float | None
    bound: float
    sense: str
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the measured figure keeps the bound."""
        if self.measured is None:
            return None
        return self.measured >= self.bound if self.sense == AT_LEAST else self.measured <= self.bound


@dataclass(slots=True)
class Report:
    """The whole of one benchmark. `runs` has every single run, so that others can judge the spread."""

    benchmark: str
    title: str
    quick: bool
    parameters: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    took_s: float = 0.0
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def as_json(self) -> dict[str, Any]:
        """The object that goes to stdout and to the results."""
        whole = asdict(self)
        for target, plain in zip(self.targets, whole["targets"], strict=True):
            plain["met"] = target.met
        return whole


def markdown(report: dict[str, Any]) -> str:
    """A report as its section of BENCHMARKS.md."""
    lines = [f"## {report['title']}", ""]
    if report["parameters"]:
        lines += [", ".join(f"{name}: {shown(value)}" for name, value in report["parameters"].items()) + ".", ""]
    for table in report["tables"]:
        if table["title"]:
            lines += [f"**{table['title']}**", ""]
        lines += _rows(table["columns"], table["rows"])
    if report["targets"]:
        lines += _rows(["target", "measured", "bound", "met"], [_target_row(target) for target in report["targets"]])
    for note in report["notes"]:
        lines += [f"- {note}"]
    lines += ["", f"Measured {report['at']}, took {report['took_s']:.0f} s.", ""]
    return "\n".join(lines)


def _target_row(target: dict[str, Any]) -> list[str]:
    measured, met = target["measured"], target["met"]
    return [
        target["what"],
        "not measured" if measured is None else f"{shown(measured)} {target['unit']}".strip(),
        f"{target['sense']} {shown(target['bound'])} {target['unit']}".strip(),
        "-" if met is None else "yes" if met else "**no**",
    ]


def _rows(columns: list[str], rows: list[list[Any]]) -> list[str]:
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*head, *("| " + " | ".join(shown(cell) for cell in row) + " |" for row in rows), ""]


def shown(value: Any) -> str:
    """A figure as people read it: three digits that mean something."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value is None else str(value)
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def last_object(output: str) -> dict[str, Any]:
    """The report in a benchmark's standard output: its last line. Raises `ValueError` if there is none."""
    lines = [line for line in output.splitlines() if line.strip()]
    if not lines:
        raise ValueError("no output")
    found: dict[str, Any] = json.loads(lines[-1])
    return found
