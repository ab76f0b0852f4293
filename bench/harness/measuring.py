"""Percentiles, ratios of runs taken in turns, and what a process uses."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` (0…1) of the values do not exceed. Raises `ValueError` for none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1_000_000) * len(ordered) // 1_000_000) - 1))]


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> float:
    """The median of the ratios of runs that were taken one after the other: a machine that slows down slows both."""
    return statistics.median(mine / theirs for mine, theirs in zip(ours, baseline, strict=False))


def spread(values: Sequence[float]) -> str:
    """The lowest and the highest figure, as text."""
    return f"{min(values):,.0f} to {max(values):,.0f}"


def cpu_s(pid: int) -> float:
    """Seconds of processor that the process and its threads have used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def memory_mib(pid: int) -> tuple[float, float]:
    """(resident now, highest resident so far) in MiB."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        name, _, figure = line.partition(":")
        if name in {"VmRSS", "VmHWM"}:
            found[name] = int(figure.split()[0]) / 1024
    return found["VmRSS"], found["VmHWM"]
