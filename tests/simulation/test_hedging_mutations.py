"""The simulation against handlers that mistake the sides of hedged positions: each must be found, as
`test_mutations.py` says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain.instruments import Instrument
from domain.orders import Order, PositionSide
from domain.plans import Facts
from domain.updates import FillReport, decode_update
from exchanges.venue import NewOrder
from simulation.seasons import hedging
from simulation.test_season_mutations import found_in
from simulation.worker import Worker
from simulation.world import Mutate
from streams.record import Record
from tables.receipt import Receipt


def orders_that_close_may_open(worker: Worker) -> None:
    """What closes a side is not sent as reduce-only."""
    create = worker.venue.create

    async def free(order: NewOrder) -> str:
        fields = {name: getattr(order, name) for name in NewOrder.__dataclass_fields__}
        return await create(NewOrder(**{**fields, "reduce_only": False}))

    worker.venue.create = free  # type: ignore[method-assign]


def both_sides_are_closable(worker: Worker) -> None:
    """An order is planned as if all that is held of the symbol stood on its own side."""
    read = worker.facts.read

    def both(*arguments: Any, **named: Any) -> Facts:
        facts = read(*arguments, **named)
        held = abs(facts.position_size) + abs(facts.other_side_size)
        return msgspec.structs.replace(facts, position_size=held)

    worker.facts.read = both  # type: ignore[method-assign]


def other_orders_that_close_are_forgotten(worker: Worker) -> None:
    """Each order may close all that is held, whatever others are about to close."""
    read = worker.facts.read

    def alone(*arguments: Any, **named: Any) -> Facts:
        facts = read(*arguments, **named)
        opening = tuple(order for order in facts.open_orders if not order.reduce_only)
        return msgspec.structs.replace(facts, open_orders=opening)

    worker.facts.read = alone  # type: ignore[method-assign]


def executions_without_a_side_stay_there(worker: Worker) -> None:
    """An execution that does not say its side is put into a position of the whole symbol."""
    apply = worker.order_agent._apply_position

    def as_told(record: Record, fill: FillReport, order: Order | None, rows: Receipt) -> Any:
        told = decode_update(record.value)
        side = told.position_side if isinstance(told, FillReport) else PositionSide.NET
        return apply(record, msgspec.structs.replace(fill, position_side=side), order, rows)

    worker.order_agent._apply_position = as_told  # type: ignore[method-assign]


def stops_set_on_the_other_side(worker: Worker) -> None:
    """A stop-loss is asked for the side that it does not belong to."""
    set_stop = worker.venue.set_stop_loss

    async def crossed(instrument: Instrument, side: PositionSide, *price_and_trigger: Any) -> None:
        other = PositionSide.SHORT if side is PositionSide.LONG else PositionSide.LONG
        await set_stop(instrument, other, *price_and_trigger)

    worker.venue.set_stop_loss = crossed  # type: ignore[method-assign]


def orders_of_the_other_side_take_signals_up(worker: Worker) -> None:
    """A resting order takes up signals of its direction, whatever side they are for."""
    read = worker.facts.read

    def one_side(*arguments: Any, **named: Any) -> Facts:
        facts, side = read(*arguments, **named), arguments[3]
        orders = tuple(msgspec.structs.replace(order, position_side=side) for order in facts.open_orders)
        return msgspec.structs.replace(facts, open_orders=orders)

    worker.facts.read = one_side  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "mutate",
    [
        orders_that_close_may_open,
        both_sides_are_closable,
        other_orders_that_close_are_forgotten,
        executions_without_a_side_stay_there,
        stops_set_on_the_other_side,
        orders_of_the_other_side_take_signals_up,
    ],
    ids=lambda mutate: mutate.__name__,
)
def test_a_mistake_between_two_sides_is_found(mutate: Mutate) -> None:
    assert found_in(hedging, mutate)
