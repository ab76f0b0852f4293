"""Requirement P04: when an unrealised loss is warned of."""

from __future__ import annotations

from decimal import Decimal

import pytest
from domain_cases import BTC, dec, fill

from domain.losses import loss_to_warn_of
from domain.orders import Side
from domain.positions import PositionState, after_fill

TENTH = Decimal("0.1")
LONG = after_fill(PositionState(), fill(quantity="2", price="100"))
SHORT = after_fill(PositionState(), fill(side=Side.SELL, quantity="2", price="100"))


@pytest.mark.parametrize(
    ("state", "mark", "losing"),
    [
        (LONG, "90.01", False),
        (LONG, "90", False),
        (LONG, "89.99", True),
        (LONG, "500", False),
        (SHORT, "110", False),
        (SHORT, "110.01", True),
        (SHORT, "1", False),
    ],
)
def test_p04_a_loss_over_the_part_of_the_cost_is_warned_of(state: PositionState, mark: str, losing: bool) -> None:
    assert loss_to_warn_of(state, state.unrealised(dec(mark), BTC), TENTH, warned=False) is losing


@pytest.mark.parametrize(("mark", "goes_on"), [("90.5", True), ("90.99", True), ("91", False), ("100", False)])
def test_p04_a_warning_ends_under_nine_tenths_so_that_a_price_at_the_threshold_warns_once(
    mark: str, goes_on: bool
) -> None:
    assert loss_to_warn_of(LONG, LONG.unrealised(dec(mark), BTC), TENTH, warned=True) is goes_on


@pytest.mark.parametrize("warned", [True, False])
def test_p04_a_flat_position_loses_nothing(warned: bool) -> None:
    assert not loss_to_warn_of(PositionState(), Decimal(0), Decimal(0), warned=warned)


def test_p04_a_threshold_of_nothing_warns_of_every_loss() -> None:
    assert loss_to_warn_of(LONG, LONG.unrealised(dec("99.99"), BTC), Decimal(0), warned=False)
    assert not loss_to_warn_of(LONG, LONG.unrealised(dec("100"), BTC), Decimal(0), warned=False)
