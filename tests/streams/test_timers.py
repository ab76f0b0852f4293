"""Time's wishes: each once, and forgotten with their reason."""

from __future__ import annotations

import asyncio
from typing import Any

from trading_desk import SECOND, TOPICS, Desk, report

from domain.commands import decode_command
from domain.orders import LocalState, OrderState
from streams.timers import Timers, TimerSettings
from tables.receipt import Receipt
from tables.signals import CommandRow


def timers_of(desk: Desk) -> Timers:
    log: Any = desk.log
    settings = TimerSettings(doubt_s=5.0)
    return Timers(log=log, topics=TOPICS, orders=desk.orders, signals=desk.signals, clock=desk.clock, settings=settings)


def done(desk: Desk) -> None:
    """The newest command is carried out, and changed nothing."""
    command = decode_command(desk.log.records[TOPICS.order_commands][-1].value)
    row = CommandRow(
        command_id=command.command_id,
        symbol=command.symbol,
        action=command.action,
        source="order-commands-0-0",
        done=True,
    )
    desk.signals.put_command(0, row, Receipt())


async def test_y02_an_order_in_doubt_is_asked_for_once_a_period_however_often_one_looks() -> None:
    desk = Desk()
    desk.intend(age_s=60, local=LocalState.UNCERTAIN, state=OrderState.UNCERTAIN)
    timers = timers_of(desk)

    assert await timers.look() == 1
    assert await timers.look() == 0, "the first is still waiting"
    done(desk)
    assert await timers.look() == 0, "the period is the same"
    desk.clock.ns += 5 * SECOND
    assert await timers.look() == 1


async def test_y02_an_order_that_is_certain_again_leaves_nothing_behind() -> None:
    desk = Desk()
    order = desk.intend(age_s=60, local=LocalState.UNCERTAIN, state=OrderState.UNCERTAIN)
    timers = timers_of(desk)
    await timers.look()

    await desk.told(report(order, received_ns=desk.clock.now_ns()))
    await timers.look()

    assert timers._asked == {}  # private: memory is what it is about


async def test_y02_a_partition_that_goes_while_one_looks_is_left_alone() -> None:
    desk = Desk()
    desk.intend(age_s=60, local=LocalState.UNCERTAIN, state=OrderState.UNCERTAIN)
    timers = timers_of(desk)

    looking = asyncio.create_task(timers.look())
    await asyncio.sleep(0)
    rows: Any = desk.orders.rows
    rows.held.clear()

    assert await looking == 0
