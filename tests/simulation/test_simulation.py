"""Seeds of the simulation: whatever goes wrong on the way, the end is right."""

from __future__ import annotations

import pytest

from simulation.seeds import told
from simulation.test_mutations import rough
from simulation.weather import fine_day
from simulation.world import Run, simulate


def check(run: Run) -> None:
    """Fail with the report of the run."""
    if run.violations:
        pytest.fail(told(run), pytrace=False)


def test_whatever_happens_orders_positions_and_events_agree_with_the_venue_in_the_end(seeds: range) -> None:
    for seed in seeds:
        check(simulate(seed))


@pytest.mark.parametrize("seed", range(5))
def test_on_a_fine_day_everything_is_traded_and_told(seed: int) -> None:
    run = simulate(seed, fine_day())

    check(run)
    assert run.figures["orders"] > 0
    assert run.figures["fills"] > 0


def test_the_same_seed_is_the_same_run() -> None:
    assert [simulate(seed).trace for seed in (7, 8)] == [simulate(seed).trace for seed in (7, 8)]


def test_a_partition_that_goes_between_two_steps_of_a_comparison_ends_it_quietly() -> None:
    check(simulate(1152, rough(1152)))  # a symbol's comparison read its rows before it was cancelled
