"""A partition is taken away while it is compared with the venue: no failure, and nothing else is hidden by it."""

from __future__ import annotations

import asyncio

import pytest
from trading_desk import Desk

from tables.rows import NotOurs


@pytest.fixture
def desk() -> Desk:
    """With an order that has to be asked for before its symbol opens."""
    desk = Desk()
    desk.intend("om1", age_s=60)
    return desk


async def recovered(desk: Desk) -> None:
    """The partition becomes ours, and its comparison comes to an end."""
    desk.recovery.assigned(0)
    async with asyncio.timeout(5):
        await asyncio.wait([desk.recovery._tasks[0]])
        await asyncio.sleep(0)  # the task's end is told a turn later


def withdraw(desk: Desk) -> None:
    """No row can be read any more, as the engine has it when partitions change hands."""
    for table in (desk.orders, desk.signals, desk.positions):
        table.rows.held.clear()  # type: ignore[attr-defined]  # rows in memory


async def test_a_partition_that_goes_while_the_lists_are_read_ends_its_comparison_quietly(desk: Desk) -> None:
    desk.venue.on_positions = lambda: withdraw(desk)

    await recovered(desk)

    assert desk.failures == []
    assert not desk.gates.is_open(0, "BTCUSDT")


async def test_a_read_beyond_the_revocation_is_no_failure_even_before_the_task_is_cancelled(desk: Desk) -> None:
    async def goes_meanwhile(*_arguments: object) -> None:
        desk.recovery.revoked(0)
        raise NotOurs(0)

    desk.comparer.orders_of = goes_meanwhile  # type: ignore[method-assign, assignment]
    desk.recovery.assigned(0)
    task = desk.recovery._tasks[0]
    async with asyncio.timeout(5):
        await asyncio.wait([task])
        await asyncio.sleep(0)

    assert desk.failures == []


async def test_a_partition_that_is_still_ours_and_can_not_be_read_is_a_failure(desk: Desk) -> None:
    async def broken(*_arguments: object) -> None:
        raise NotOurs(0)

    desk.comparer.orders_of = broken  # type: ignore[method-assign, assignment]

    await recovered(desk)

    assert len(desk.failures) == 1
