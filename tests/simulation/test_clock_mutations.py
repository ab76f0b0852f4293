"""The simulation against balances and clocks that are taken for what they are not: each must be found, as
`test_mutations.py` says."""

from __future__ import annotations

from dataclasses import replace

from simulation.seasons import drifting, hurried
from simulation.test_season_mutations import found_in
from simulation.weather import Weather
from simulation.worker import Worker


def as_told(_worker: Worker) -> None:
    """No mistake of the process."""


def stamped_on_arrival(seed: int) -> Weather:
    """Balances of the stream bear the time at which they came, however long they were on their way."""
    told = replace(drifting(seed), told_balances=True, stamped_on_arrival=True, clocks_apart_s=0.0)
    return hurried(told, delayed=0.5)


def far_apart(seed: int) -> Weather:
    """Two processes, each with the gateway behind or ahead of it, and balances that are asked for only."""
    return hurried(replace(drifting(seed), workers=2, told_balances=False, clocks_apart_s=2.0), delayed=0.0)


def clocks_taken_for_one(worker: Worker) -> None:
    """A balance counts as later than an order's outcome by two clocks as if they were one."""
    worker.facts._clock_error_ns = 0


def test_balances_taken_for_as_new_as_their_arrival_are_found() -> None:
    assert found_in(stamped_on_arrival, as_told)


def test_clocks_taken_for_one_are_found() -> None:
    assert found_in(far_apart, clocks_taken_for_one)
