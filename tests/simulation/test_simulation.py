"""Seeds of the simulation: whatever goes wrong on the way, the end is right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulation.seasons import (
    amending,
    coins,
    drifting,
    hedging,
    protecting,
    rehearsing,
    sharing,
    sharing_sides,
    staggered,
)
from simulation.seeds import told
from simulation.test_mutations import rough
from simulation.weather import Weather, fine_day
from simulation.world import Run, simulate


def check(run: Run, season: str = "") -> None:
    """Fail with the report of the run."""
    if run.violations:
        pytest.fail(f"{season} {told(run)}", pytrace=False)


def test_whatever_happens_orders_positions_and_events_agree_with_the_venue_in_the_end(seeds: range) -> None:
    for seed in seeds:
        check(simulate(seed))


@pytest.mark.parametrize(
    "season",
    [protecting, amending, rehearsing, hedging, coins, sharing, sharing_sides, staggered, drifting],
    ids=lambda season: season.__name__,
)
def test_whatever_happens_in_any_season_the_end_is_right(season_seeds: range, season: Callable[[int], Weather]) -> None:
    for seed in season_seeds:
        check(simulate(seed, season(seed)), season.__name__)


@pytest.mark.parametrize(
    ("season", "seed", "what"),
    [
        (
            protecting,
            50,
            "single fills of an amended order added up to what it was before: its end was not the venue's",
        ),
        (coins, 920_234, "an intent that was taken back after a crash counted as an open order for ever"),
        (coins, 9, "a stop-loss was asked for what is held on spot, where the venue has no positions"),
        (coins, 13, "a purchase on spot was not held against the balance where more had been sold than bought"),
        (
            staggered,
            910_224,
            "an order whose amendment an earlier turn had asked for stayed pending: the next was not told",
        ),
        (protecting, 920_691, "a second wish for an order that another one is pending for left no trace of itself"),
        (protecting, 920_253, "what reduces, let through while the venue did not answer, was late when it did"),
        (staggered, 64, "what was held for a signal whose waiting parts were ended stayed held after a crash"),
        (hedging, 457, "an order was amended although its cancel was under way"),
        (sharing, 1, "a wish whose signal was rejected when it came again was kept for ever"),
        (sharing, 2, "an order's end came before its single fills: it counted neither as open nor as held"),
        (sharing, 51, "an order whose grant was lost with a crash was not counted for the rate"),
        (sharing, 2002, "a new owner wrote over what the former one had written last, and it had not read yet"),
        (sharing, 161, "an order in doubt took nothing from the balance while its partition went to another"),
        (sharing_sides, 30_282, "a crash kept a fill in its order and not in the position: others counted neither"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", str(value)),
)
def test_what_was_found_once_stays_mended(season: Callable[[int], Weather], seed: int, what: str) -> None:
    check(simulate(seed, season(seed)), season.__name__)


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
