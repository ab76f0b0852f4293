"""What contract tests saw, side by side: stock Faust and ours with the same load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from contract_harness import SEED

SIDES = ("stock Faust", "ours")


@dataclass(frozen=True, slots=True)
class Report:
    """Notes what a contract test saw, for the table at the end."""

    _record: Callable[[str, object], None]

    def ours(self, row: str, figures: str) -> None:
        """What ours did. The test asserts on it."""
        self._record("contract", (row, SIDES[1], figures))

    def stock(self, row: str, figures: str, *, failed: bool) -> None:
        """What stock Faust did, as evidence. Where it happened to do well this time, the test is skipped, saying so:
        it says nothing about us."""
        self._record("contract", (row, SIDES[0], figures))
        if not failed:
            pytest.skip(f"stock Faust did well this time (seed {SEED}): {figures}")
