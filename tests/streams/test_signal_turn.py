"""A signal's plan and its intents are durable together: what a crash in between leaves, and what is told of it."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

from quiet_venue import SECOND
from trading_desk import ACCOUNT, NOW, TOPICS, Desk, FreeTurn, report

from domain.ids import client_order_id
from domain.orders import Order, OrderState, Pending, SignalContext
from domain.plans import PlanSettings
from streams.record import Record
from tables.receipt import Receipt
from tables.signals import SignalResult

RECORD = Record(
    TOPICS.signals,
    0,
    5,
    b"BTCUSDT",
    json.dumps(
        {"signal_id": "s5", "signal_type": "buy", "symbol": "BTCUSDT", "amount": "500", "order_type": "limit"}
    ).encode(),
    (),
    NOW,
)
ORDER_ID = client_order_id("om", "paper", "linear", ACCOUNT, "BTCUSDT", "s5", 1, 0)


def left_intent(desk: Desk, **changes: Any) -> Order:
    """The intent that a former turn of the same record has left, with other terms than today's plan has."""
    context = SignalContext(
        signal_id="s5", attempt=1, part=1, source=str(RECORD.source), signal_type="buy", amount=Decimal(500), at_ns=NOW
    )
    return desk.intend(ORDER_ID, **{"signal": context, "quantity": Decimal(9), **changes})


def told_of(desk: Desk, order_id: str) -> list[int]:
    """The sequences of the order's events, in the order in which they were appended."""
    events = [json.loads(record.value or b"{}") for record in desk.log.records[TOPICS.order_events]]
    return [event["sequence"] for event in events if event["order_id"] == order_id]


async def test_an_intent_that_a_crash_left_without_its_plan_is_planned_anew_and_sent_once() -> None:
    desk = Desk()
    left_intent(desk)

    await desk.signal_agent.handle(FreeTurn(RECORD))

    order, row = desk.orders.get(0, ORDER_ID), desk.signals.get(0, "BTCUSDT", "s5")
    assert order is not None
    assert row is not None
    assert [sent.quantity for sent in desk.venue.created] == [order.quantity]
    assert order.quantity == row.plan.intents[0].quantity != Decimal(9)
    assert row.result is SignalResult.EXECUTED


async def test_an_intent_without_a_plan_of_which_somebody_has_heard_is_not_discarded() -> None:
    desk = Desk()
    left = left_intent(desk, sequence=2, pending=Pending.CANCEL)

    turn = asyncio.create_task(desk.signal_agent.handle(FreeTurn(RECORD)))
    for _ in range(100):
        await asyncio.sleep(0)

    assert desk.orders.get(0, ORDER_ID) == left
    assert not desk.venue.created
    assert not turn.done()  # it waits until the order is in doubt no more
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)


async def test_an_order_is_told_of_from_its_beginning_once_when_nothing_crashes() -> None:
    desk = Desk()

    await desk.signal_agent.handle(FreeTurn(RECORD))

    assert told_of(desk, ORDER_ID) == [1, 2, 3]


async def test_an_update_that_comes_between_a_crash_and_the_signals_turn_is_told_with_the_orders_beginning() -> None:
    desk = Desk()
    await desk.signal_agent.handle(FreeTurn(RECORD))
    order = desk.orders.get(0, ORDER_ID)
    assert order is not None
    after_crash = Desk()
    first = next(desk.orders.history(0, ORDER_ID))
    after_crash.orders.put(0, after_crash.intend(ORDER_ID, signal=order.signal), [first], Receipt())

    await after_crash.told(report(order))

    assert told_of(after_crash, ORDER_ID)[0] == 1
    state = after_crash.orders.get(0, ORDER_ID)
    assert state is not None
    assert state.state is OrderState.ACKNOWLEDGED


async def test_an_order_that_has_gone_on_is_not_remembered_as_told_of_when_a_later_part_is_sent() -> None:
    settings = PlanSettings(enable_order_splitting=True, max_single_order_size=Decimal(250), split_interval_ns=SECOND)
    desk = Desk(settings)
    parts = [client_order_id("om", "paper", "linear", ACCOUNT, "BTCUSDT", "s5", 1, part) for part in range(2)]

    await desk.signal_agent.handle(FreeTurn(RECORD))
    desk.clock.ns += SECOND
    await desk.signal_agent.handle(FreeTurn(RECORD))

    assert [sent.client_order_id for sent in desk.venue.created] == parts
    assert not any(desk.applied.announced.take(0, part) for part in parts)
