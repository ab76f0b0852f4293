"""The seeds of a session, and what becomes of a run that found something."""

from __future__ import annotations

import os
from pathlib import Path

from simulation.world import Run

DEFAULT = "0:200"
_OF_A_SEASON = 25
_CHUNK = 50


def chosen() -> range:
    """From `ORDERMANAGER_SIMULATION_SEEDS`, "start:count"."""
    start, _, count = os.environ.get("ORDERMANAGER_SIMULATION_SEEDS", DEFAULT).partition(":")
    return range(int(start), int(start) + int(count or 1))


def chosen_of_a_season() -> range:
    """The same seeds; by default fewer, as there are several seasons."""
    return chosen() if "ORDERMANAGER_SIMULATION_SEEDS" in os.environ else range(_OF_A_SEASON)


def chunks(seeds: range) -> list[range]:
    """Slices that are short enough to say where a failure is, and long enough not to drown a report."""
    return [range(start, min(start + _CHUNK, seeds.stop)) for start in range(seeds.start, seeds.stop, _CHUNK)]


def told(run: Run) -> str:
    """The report of a run; the whole trace goes to the file that `ORDERMANAGER_SIMULATION_TRACE` names."""
    if path := os.environ.get("ORDERMANAGER_SIMULATION_TRACE"):
        Path(path).write_text(run.told(len(run.trace)), encoding="utf-8")
    return run.told()
