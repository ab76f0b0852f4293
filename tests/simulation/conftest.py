"""Which seeds run: `ORDERMANAGER_SIMULATION_SEEDS=start:count`, by default a slice that takes half a minute."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from simulation.seeds import chosen, chosen_of_a_season, chunks


def pytest_report_header() -> str:
    """The seeds of this session, so that they can be run again."""
    seeds = chosen()
    return f"simulation seeds: {seeds.start}:{len(seeds)} (ORDERMANAGER_SIMULATION_SEEDS=start:count chooses others)"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per slice of the seeds."""
    if "season_seeds" in metafunc.fixturenames:
        slices = chunks(chosen_of_a_season())
        ids = [f"{part.start}-{part.stop - 1}" for part in slices]
        metafunc.parametrize("season_seeds", slices, ids=ids)
    if "seeds" in metafunc.fixturenames:
        slices = chunks(chosen())
        metafunc.parametrize("seeds", slices, ids=[f"{part.start}-{part.stop - 1}" for part in slices])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Warnings of the handlers are part of thousands of runs; the trace tells what a person needs."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
