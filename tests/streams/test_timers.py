"""Time's wishes: each once, and forgotten with their reason."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from quiet_venue import SECOND
from trading_desk import TOPICS, Desk, report

from domain.commands import Action, Command, decode_command
from domain.orders import Evidence, LocalState, OrderState, Pending, Times, VenueState
from streams.timers import StaleAction, Timers, TimerSettings


def timers_of(desk: Desk, **changed: Any) -> Timers:
    log: Any = desk.log
    settings = TimerSettings(doubt_s=5.0, **changed)
    return Timers(log=log, topics=TOPICS, orders=desk.orders, clock=desk.clock, settings=settings)


def newest(desk: Desk) -> Command:
    """The last command that was produced."""
    return decode_command(desk.log.records[TOPICS.order_commands][-1].value)


async def test_y02_an_order_in_doubt_is_asked_for_once_a_period_however_often_one_looks() -> None:
    desk = Desk()
    desk.intend(age_s=60, local=LocalState.UNCERTAIN, state=OrderState.UNCERTAIN)
    timers = timers_of(desk)

    assert await timers.look() == 1
    assert await timers.look() == 0, "the first is still waiting"
    timers.finished(newest(desk).command_id)
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

    assert timers._wished == {}  # private: memory is what it is about


async def test_y02_a_partition_that_goes_while_one_looks_is_left_alone() -> None:
    desk = Desk()
    desk.intend(age_s=60, local=LocalState.UNCERTAIN, state=OrderState.UNCERTAIN)
    timers = timers_of(desk)

    looking = asyncio.create_task(timers.look())
    await asyncio.sleep(0)
    rows: Any = desk.orders.rows
    rows.held.clear()

    assert await looking == 0


async def test_y02_a_wish_that_nobody_tells_the_end_of_is_wished_for_again_after_a_while() -> None:
    desk = Desk()
    desk.intend(age_s=60, local=LocalState.UNCERTAIN, state=OrderState.UNCERTAIN)
    timers = timers_of(desk)
    await timers.look()

    desk.clock.ns += 301 * SECOND

    assert await timers.look() == 1


@pytest.mark.parametrize("action", list(StaleAction))
async def test_c02_an_order_that_has_rested_for_too_long_is_cancelled_or_replaced(action: StaleAction) -> None:
    desk = Desk()
    rests(desk, age_s=3_601)

    assert await timers_of(desk, stale_action=action).look() == 1

    assert newest(desk).action is Action(action)
    assert newest(desk).reason == "has rested for 3600 s"


@pytest.mark.parametrize(
    ("age_s", "terms"), [(3_599, {}), (9_999, {"external": True}), (9_999, {"state": OrderState.UNTRIGGERED})]
)
async def test_c02_orders_that_may_rest_are_left_alone(age_s: int, terms: dict[str, Any]) -> None:
    desk = Desk()
    rests(desk, age_s=age_s, **terms)

    assert await timers_of(desk).look() == 0


async def test_c02_no_order_is_stale_where_the_time_is_zero() -> None:
    desk = Desk()
    rests(desk, age_s=99_999)

    assert await timers_of(desk, stale_s=0.0).look() == 0


@pytest.mark.parametrize(
    ("pending", "action"),
    [(Pending.CANCEL, Action.CANCEL), (Pending.REPLACE, Action.REPLACE), (Pending.AMEND, Action.SYNC)],
)
async def test_y02_a_quiet_wish_is_repeated_and_a_quiet_amendment_is_asked_for(
    pending: Pending, action: Action
) -> None:
    desk = Desk()
    state = OrderState.PENDING_CANCEL if pending is Pending.CANCEL else OrderState.PENDING_REPLACE
    rests(desk, age_s=60, state=state, pending=pending, pending_by="c1")

    assert await timers_of(desk).look() == 1

    assert newest(desk).action is action


def rests(desk: Desk, *, age_s: int, **terms: Any) -> None:
    """An order that the venue showed as open, so long ago."""
    at_ns = desk.clock.now_ns() - age_s * SECOND
    fields: dict[str, Any] = {
        "local": LocalState.ACCEPTED,
        "state": OrderState.ACKNOWLEDGED,
        "evidence": Evidence(state=VenueState.LIVE, terms_at_ns=at_ns),
        "times": Times(created_ns=at_ns, acknowledged_ns=at_ns, updated_ns=at_ns),
    }
    desk.intend(**(fields | terms))
