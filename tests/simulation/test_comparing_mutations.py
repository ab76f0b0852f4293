"""The simulation against comparisons that conclude too much: each must be found, as `test_mutations.py` says."""

from __future__ import annotations

import pytest

from domain.orders import Order
from simulation.test_mutations import found_by
from simulation.worker import Worker
from simulation.world import Mutate
from streams.comparing import Item, Verdict


def a_lists_silence_is_absence(worker: Worker) -> None:
    """An order in doubt that neither the lists nor one question show is concluded never to have arrived."""
    comparer = worker.recovery._comparer

    async def conclude(_partition: int, order: Order) -> Item:
        await worker.reconciler.conclude_absent(order, "not on the lists")
        return Item(order.order_id, Verdict.CHANGED)

    comparer._missing = conclude  # type: ignore[method-assign]


def positions_taken_at_the_first_look(worker: Worker) -> None:
    """The venue's word on a position replaces ours although its executions may only be late."""
    check = worker.recovery._position_check

    async def bring_nothing(*_arguments: object) -> None:
        """Executions are not asked for."""

    check._bring_executions = bring_nothing  # type: ignore[method-assign]
    check._is_quiet = lambda *_arguments: True  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "mutate",
    [a_lists_silence_is_absence, positions_taken_at_the_first_look],
    ids=lambda mutate: mutate.__name__,
)
def test_a_comparison_that_concludes_too_much_is_found(mutate: Mutate) -> None:
    assert found_by(mutate)
