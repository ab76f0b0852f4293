"""The simulation against balances and clocks that are taken for what they are not, and against processes that begin
with nothing in mind: each must be found, as `test_mutations.py` says."""

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


def begun_again_and_again(seed: int) -> Weather:
    """One process after the other, each dying soon, on balances that are asked for now and then only."""
    alone = replace(drifting(seed), workers=1, partitions=2, told_balances=False, clocks_apart_s=0.0)
    return replace(hurried(alone, delayed=0.8), crashes=30, effects_between_crashes=100, down_s=0.2)


def reservations_die_with_their_process(worker: Worker) -> None:
    """What the tables say of orders that a balance does not show yet is not looked at."""
    worker.taken_before.assigned = lambda _partition: None  # type: ignore[method-assign]


def clocks_taken_for_one(worker: Worker) -> None:
    """A balance counts as later than an order's outcome by two clocks as if they were one."""
    worker.facts._clock_error_ns = 0


def test_balances_taken_for_as_new_as_their_arrival_are_found() -> None:
    assert found_in(stamped_on_arrival, as_told)


def test_reservations_that_die_with_their_process_are_found() -> None:
    assert found_in(begun_again_and_again, reservations_die_with_their_process)


def test_clocks_taken_for_one_are_found() -> None:
    assert found_in(far_apart, clocks_taken_for_one)
