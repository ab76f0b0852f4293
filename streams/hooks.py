"""Where metrics plug in: told of what became durable or was decided; must not fail and must not wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from domain.events import Transition
from domain.orders import Order
from domain.updates import FillReport


def _nothing(*_arguments: object) -> None:
    """For those who do not listen."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Each is called once for what it tells, but a record that comes again tells it again."""

    on_step: Callable[[str], None] = _nothing
    """(name) of a step that is over, see `streams.signal_agent`: what it says is durable is durable. Of an update:
    `applied` when its rows are staged, `told` when its events are durable. Where a test may end the process."""
    on_signal_end: Callable[[str], None] = _nothing
    """(result) of a signal's turn."""
    on_transition: Callable[[Order, Transition], None] = _nothing
    """(order, its transition)."""
    on_fill: Callable[[FillReport], None] = _nothing
    """(execution) that changed a position."""
    on_far_timestamp: Callable[[str], None] = _nothing
    """(`early` or `ahead`) of a signal whose timestamp is far from its record's."""
    on_dead_letter: Callable[[str], None] = _nothing
    """(code) of a record that was put aside."""
    on_alert: Callable[[str], None] = _nothing
    """(code) of an alert."""
    on_compared: Callable[[str], None] = _nothing
    """(what differed; empty when it agreed) of something that was compared with the venue."""
