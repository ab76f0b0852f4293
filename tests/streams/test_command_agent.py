"""Commands about orders that exist."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Hashable
from decimal import Decimal
from typing import TypeVar

import pytest
from quiet_venue import NOW
from trading_desk import TOPICS, Desk, FreeTurn, OpenInbox, report

from domain.commands import EVERY_SYMBOL, Action, Command, decode_command, encode_command, timer_command_id
from domain.orders import LocalState, OrderState, SignalContext, VenueState
from domain.updates import CancelRequested, Origin
from streams.command_agent import lane_of
from streams.lanes import Lanes
from streams.record import Record
from tables.receipt import Receipt

T = TypeVar("T")


async def test_r05_a_cancel_of_everything_reaches_each_symbol_however_long_its_id() -> None:
    desk = Desk()
    desk.intend()
    command = Command(command_id="k" * 128, action=Action.CANCEL, symbol=EVERY_SYMBOL)

    await desk.command_agent.handle(
        FreeTurn(Record(TOPICS.order_commands, 0, 0, b"*", encode_command(command), (), NOW))
    )

    (passed_on,) = desk.log.records[TOPICS.order_commands]
    assert decode_command(passed_on.value).symbol == "BTCUSDT"


class TakenBack(FreeTurn):
    """Before its first wait is over, the order's own signal has taken its intent back."""

    def __init__(self, record: Record, desk: Desk, order_id: str) -> None:
        super().__init__(record)
        self._desk, self._order_id = desk, order_id

    async def wait(self, what: Awaitable[T]) -> T:
        done = await super().wait(what)
        order = self._desk.orders.get(0, self._order_id)
        if order is not None:
            self._desk.orders.discard_intent(0, order, Receipt())
        return done


@pytest.mark.parametrize(
    ("order_id", "ok", "code"), [("om1", False, "ORDER_NOT_FOUND"), ("", True, "")], ids=["named", "of its symbol"]
)
async def test_c03_an_order_whose_intent_is_taken_back_meanwhile_is_not_found(
    order_id: str, ok: bool, code: str
) -> None:
    desk = Desk()
    desk.intend("om1")
    command = Command(command_id="k1", action=Action.CANCEL, symbol="BTCUSDT", order_id=order_id)
    record = Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", encode_command(command), (), NOW)

    await desk.command_agent.handle(TakenBack(record, desk, "om1"))

    row = desk.signals.command(0, "k1")
    assert row is not None
    assert (row.done, row.ok, row.code, row.details) == (True, ok, code, {})


@pytest.mark.parametrize(
    ("command_id", "asked"), [(timer_command_id("om1", Action.SYNC, 1), []), ("k1", ["om1"])], ids=["timer", "operator"]
)
async def test_y02_a_timer_asks_for_no_order_whose_end_has_come_while_its_command_waited(
    command_id: str, asked: list[str]
) -> None:
    desk = Desk()
    order = desk.intend("om1", local=LocalState.ACCEPTED, state=OrderState.ACKNOWLEDGED)
    await desk.told(report(order, VenueState.CANCELLED))
    command = Command(command_id=command_id, action=Action.SYNC, symbol="BTCUSDT", order_id="om1")
    record = Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", encode_command(command), (), NOW)

    await desk.command_agent.handle(FreeTurn(record))

    assert desk.venue.asked == asked


async def test_x07_a_cancel_does_not_wait_behind_a_question_that_the_venue_leaves_unanswered() -> None:
    desk = Desk()
    desk.intend("om1", local=LocalState.UNCERTAIN, state=OrderState.UNCERTAIN)
    desk.intend("om2", local=LocalState.ACCEPTED, state=OrderState.ACKNOWLEDGED)
    silence, asked, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def unanswered(*_args: object, **_kwargs: object) -> None:
        asked.set()
        await silence.wait()

    async def gone(_order_id: str) -> None:
        cancelled.set()

    desk.venue.order = unanswered  # type: ignore[assignment] -- it never comes to an answer
    desk.venue.on_cancel = gone
    lanes = Lanes(desk.command_agent.handle, OpenInbox(), key=lane_of)

    def command(offset: int, action: Action, order_id: str) -> Record:
        value = encode_command(Command(command_id=f"k{offset}", action=action, symbol="BTCUSDT", order_id=order_id))
        return Record(TOPICS.order_commands, 0, offset, b"BTCUSDT", value, (), NOW)

    async with asyncio.timeout(5):
        await lanes.submit(command(0, Action.SYNC, "om1"))
        await asked.wait()
        await lanes.submit(command(1, Action.CANCEL, "om2"))
        await cancelled.wait()

    assert desk.venue.cancelled[0] == ("om2",)
    lanes.stop_taking()
    await lanes.drained()


def test_what_ends_orders_of_a_symbol_is_in_one_lane_whatever_it_is() -> None:
    def lane(value: bytes) -> Hashable:
        return lane_of(Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", value, (), NOW))

    def of(action: Action) -> Hashable:
        return lane(encode_command(Command(command_id="k1", action=action, symbol="BTCUSDT")))

    assert of(Action.CANCEL) == of(Action.REPLACE)
    assert len({of(Action.CANCEL), of(Action.SYNC), of(Action.PROTECT), lane(b"?")}) == 4


def record_of(offset: int, action: Action, order_id: str, command_id: str = "k1") -> Record:
    value = encode_command(Command(command_id=command_id, action=action, symbol="BTCUSDT", order_id=order_id))
    return Record(TOPICS.order_commands, 0, offset, b"BTCUSDT", value, (), NOW)


def refusals(desk: Desk) -> list[str]:
    """Why records lie in the dead letters."""
    letters = desk.log.records[TOPICS.dead(TOPICS.order_commands)]
    return [dict(letter.headers)["__streams.errors.message"].decode() for letter in letters]


async def test_q06_an_id_that_is_at_work_is_refused_to_another_action() -> None:
    desk = Desk()
    desk.intend("om1", local=LocalState.ACCEPTED, state=OrderState.ACKNOWLEDGED)
    silence, asked = asyncio.Event(), asyncio.Event()

    async def answered_late(*_args: object, **_kwargs: object) -> None:
        asked.set()
        await silence.wait()

    desk.venue.order = answered_late  # type: ignore[assignment] -- it shows no order

    async with asyncio.timeout(5), asyncio.TaskGroup() as lanes:
        lanes.create_task(desk.command_agent.handle(FreeTurn(record_of(0, Action.SYNC, "om1"))))
        await asked.wait()
        await desk.command_agent.handle(FreeTurn(record_of(1, Action.CANCEL, "om1")))
        silence.set()

    assert desk.venue.cancelled == []
    assert refusals(desk) == ["k1 is the id of another command: sync of om1 (order-commands-0-0), not cancel of om1"]


@pytest.mark.parametrize(
    ("action", "order_id", "why"),
    [
        (Action.SYNC, "om1", "cancel of om1 (order-commands-0-0), not sync of om1"),
        (Action.CANCEL, "om2", "cancel of om1 (order-commands-0-0), not cancel of om2"),
    ],
    ids=["action", "order"],
)
async def test_q06_an_id_that_was_used_is_refused_to_another_wish(action: Action, order_id: str, why: str) -> None:
    desk = Desk()
    desk.intend("om1", local=LocalState.REJECTED, state=OrderState.REJECTED)
    desk.intend("om2", local=LocalState.ACCEPTED, state=OrderState.ACKNOWLEDGED)
    await desk.command_agent.handle(FreeTurn(record_of(0, Action.CANCEL, "om1")))

    await desk.command_agent.handle(FreeTurn(record_of(1, action, order_id)))

    row = desk.signals.command(0, "k1")
    assert row is not None
    assert (row.action, row.source, refusals(desk)) == (
        "cancel",
        "order-commands-0-0",
        [f"k1 is the id of another command: {why}"],
    )


async def test_q06_the_same_wish_again_is_neither_done_nor_refused() -> None:
    desk = Desk()
    desk.intend("om1", local=LocalState.REJECTED, state=OrderState.REJECTED)
    await desk.command_agent.handle(FreeTurn(record_of(0, Action.CANCEL, "om1")))

    await desk.command_agent.handle(FreeTurn(record_of(1, Action.CANCEL, "om1")))

    row = desk.signals.command(0, "k1")
    assert row is not None
    assert (row.source, refusals(desk)) == ("order-commands-0-0", [])


SIGNAL = SignalContext(
    signal_id="s1", attempt=1, part=0, source="signals-0-0", signal_type="buy", amount=Decimal(100), at_ns=NOW
)


async def test_c02_a_timer_wants_nothing_again_of_what_somebody_wants_gone() -> None:
    desk = Desk()
    order = desk.intend("om1", local=LocalState.ACCEPTED, state=OrderState.ACKNOWLEDGED, signal=SIGNAL)
    await desk.told(report(order))
    await desk.told(
        CancelRequested(
            instrument=order.instrument,
            account=order.account,
            origin=Origin.COMMAND,
            received_ns=NOW,
            client_order_id="om1",
            command_id="signals-0-7-cancel",
            reason="a new signal",
        )
    )
    stale = timer_command_id("om1", Action.REPLACE, 1)  # wished for before that was known

    async def gone(_order_id: str) -> None:
        await desk.told(report(order, VenueState.CANCELLED, updated_ns=NOW + 1))

    desk.venue.on_cancel = gone
    await desk.command_agent.handle(FreeTurn(record_of(0, Action.REPLACE, "om1", stale)))

    ended = desk.orders.get(0, "om1")
    assert ended is not None
    assert (ended.state, desk.log.records[TOPICS.signals]) == (OrderState.CANCELLED, [])
