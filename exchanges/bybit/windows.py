"""Stretches of time in which Bybit lists history and executions.

Source: Bybit v5, "Get Trade History", "Get Order History": seven days at most between `startTime` and `endTime`, seven
days where neither is given, and where an order's id is given, "other input parameters will be ignored". What is not
asked for says nothing, so a question never leaves its times out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from domain.updates import FillReport
from exchanges.bybit.rows import MS

_DAY_MS = 86_400_000
WINDOW_MS = 7 * _DAY_MS
"""Longest stretch of time that history and executions may be asked for at once."""
OLDEST_MS = 730 * _DAY_MS
"""Executions and orders with fills are kept for two years."""
_MARGIN_MS = 60_000
"""A row so little outside of what was asked for proves nothing: whole seconds, or a clock that was set, explain it."""


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch, in milliseconds of the venue's clock, its ends included."""

    begin_ms: int
    end_ms: int

    @property
    def fields(self) -> dict[str, str]:
        """The parameters of the question."""
        return {"startTime": str(self.begin_ms), "endTime": str(self.end_ms)}

    def was_ignored(self, fills: Iterable[FillReport]) -> bool:
        """Whether the reply shows that the venue took no notice of the times: then every other stretch is answered
        with the same rows."""
        begin_ms, end_ms = self.begin_ms - _MARGIN_MS, self.end_ms + _MARGIN_MS
        return any(not begin_ms <= fill.executed_ns // MS <= end_ms for fill in fills)


def windows(since_ns: int, now_ms: int) -> list[Window]:
    """Stretches from `since_ns` to now, each beginning where the one before ends, oldest first."""
    end_ms = now_ms + 1000
    start_ms = max(since_ns // MS, end_ms - OLDEST_MS)
    return [
        Window(begin, min(begin + WINDOW_MS, end_ms)) for begin in range(start_ms, max(end_ms, start_ms + 1), WINDOW_MS)
    ]
