"""A record that is refused when it comes again, after its turn has begun: the turn ends, and nothing is concluded of
its orders but on the venue's evidence (requirements S02, X06)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from quiet_venue import NOW, SECOND
from trading_desk import BTC, TOPICS, Desk, FreeTurn, report

from domain.commands import Action, Command, encode_command
from domain.orders import Order, OrderState, SignalContext
from domain.plans import PlanSettings
from exchanges.venue import NewOrder
from streams.parts import WaitingParts
from streams.record import Record
from streams.submitting import Submitter
from tables.receipt import Receipt
from tables.signals import SignalResult, SignalRow, SignalState

SPLIT = PlanSettings(enable_order_splitting=True, max_single_order_size=Decimal(250), split_interval_ns=20 * SECOND)


class Dies(Exception):  # noqa: N818 -- stands for the end of the process
    """The process ended here."""


def record(**changed: Any) -> Record:
    signal = {"signal_id": "s5", "signal_type": "buy", "symbol": "BTCUSDT", "amount": "500", "order_type": "limit"}
    return Record(TOPICS.signals, 0, 5, b"BTCUSDT", json.dumps(signal | changed).encode(), (), NOW)


LINEAR = record(category="linear")


async def cut_short(desk: Desk, wish: Record = LINEAR, *, before_sending: bool = False) -> None:
    """The process ends while it asks the venue for the order: plan and intent are durable, the outcome is not. Or just
    before anything of the plan is sent."""

    async def create(order: NewOrder) -> str:
        desk.venue.created.append(order)
        raise Dies

    async def submit(*_args: object, **_kwargs: object) -> None:
        raise Dies

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desk.venue, "create", create)
        if before_sending:
            patch.setattr(Submitter, "submit", submit)
        with pytest.raises(Dies):
            await desk.signal_agent.handle(FreeTurn(wish))


def row_of(desk: Desk) -> SignalRow:
    row = desk.signals.get(0, "BTCUSDT", "s5")
    assert row is not None
    return row


def order_of(desk: Desk) -> Order:
    order = desk.orders.get(0, row_of(desk).plan.intents[0].order_id)
    assert order is not None
    return order


def letters(desk: Desk) -> list[Record]:
    return desk.log.records[TOPICS.signals_dead]


async def sync(desk: Desk, order_id: str) -> str:
    """What a timer's question about the order comes to."""
    desk.clock.ns += 1  # no command is another one
    command = Command(
        command_id=f"sync-{desk.clock.ns}",
        action=Action.SYNC,
        symbol="BTCUSDT",
        order_id=order_id,
        reason="",
        requested_by="timer",
        at_ns=desk.clock.now_ns(),
    )
    asked = Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", encode_command(command), (), desk.clock.now_ns())
    await desk.command_agent.handle(FreeTurn(asked))
    row = desk.signals.command(0, command.command_id)
    assert row is not None
    return row.details[order_id]


@pytest.mark.parametrize("settings", [{"categories": ("spot",)}, {"venue": "bybit"}, {"max_bytes": 20}])
async def test_x06_an_order_that_may_have_been_sent_before_its_record_was_refused_ends_on_the_venues_evidence(
    settings: dict[str, Any],
) -> None:
    desk = Desk()
    await cut_short(desk)
    assert await sync(desk, order_of(desk).order_id) == "in_hand"  # its turn will come again

    desk.restart(**settings)
    await desk.signal_agent.handle(FreeTurn(LINEAR))

    assert (row_of(desk).state, row_of(desk).result) == (SignalState.DONE, SignalResult.UNCERTAIN)
    assert row_of(desk).code == "BAD_SIGNAL"
    assert order_of(desk).in_doubt
    assert len(letters(desk)) == 1
    desk.clock.ns += 60 * SECOND
    assert await sync(desk, order_of(desk).order_id) == "absent"
    assert order_of(desk).state is OrderState.EXPIRED
    assert len(desk.venue.created) == 1


async def test_x06_an_order_that_was_sent_before_its_record_was_refused_is_found_and_goes_on() -> None:
    desk = Desk()
    await cut_short(desk)
    desk.venue.known[order_of(desk).order_id] = report(order_of(desk))

    desk.restart(categories=("spot",))
    await desk.signal_agent.handle(FreeTurn(LINEAR))

    assert order_of(desk).in_doubt
    assert await sync(desk, order_of(desk).order_id) == "found"
    assert order_of(desk).state is OrderState.ACKNOWLEDGED
    assert len(desk.venue.created) == 1


async def test_s02_what_was_planned_and_not_sent_before_its_record_was_refused_never_is() -> None:
    desk = Desk()
    await cut_short(desk, before_sending=True)

    desk.restart(categories=("spot",))
    await desk.signal_agent.handle(FreeTurn(LINEAR))
    desk.restart(categories=("linear",))  # as it was
    await desk.signal_agent.handle(FreeTurn(LINEAR))

    assert row_of(desk).state is SignalState.DONE
    assert "'linear' is not traded here" in row_of(desk).reason
    assert desk.venue.created == []


async def test_s02_a_plan_without_intents_whose_record_is_refused_fails_and_tells_so() -> None:
    desk = Desk()
    await cut_short(desk, before_sending=True)
    desk.orders.discard_intent(0, order_of(desk), Receipt())

    desk.restart(categories=("spot",))
    await desk.signal_agent.handle(FreeTurn(LINEAR))

    assert (row_of(desk).result, row_of(desk).order_ids) == (SignalResult.FAILED, ())
    told = [json.loads(each.value or b"{}") for each in desk.log.records[TOPICS.order_events]]
    assert [event["type"] for event in told if "order_id" not in event] == ["failed"]


async def test_d08_parts_that_wait_are_not_woken_again_once_their_record_is_refused() -> None:
    desk = Desk(SPLIT)
    wish = record(category="linear", order_type="limit")
    await desk.signal_agent.handle(FreeTurn(wish))
    assert row_of(desk).next_due_ns
    parts = WaitingParts(log=desk.log, topics=TOPICS, signals=desk.signals, clock=desk.clock)  # type: ignore[arg-type]
    desk.clock.ns += 30 * SECOND
    assert await parts.wake(0) == 1
    (woken,) = desk.log.records[TOPICS.signals]

    desk.restart(categories=("spot",))
    await desk.signal_agent.handle(FreeTurn(woken))

    desk.clock.ns += 30 * SECOND
    assert await parts.wake(0) == 0
    assert (row_of(desk).state, row_of(desk).result) == (SignalState.DONE, SignalResult.EXECUTED)
    assert len(desk.venue.created) == 1
    assert len(letters(desk)) == 1


async def test_s02_a_signal_that_has_ended_is_no_dead_letter_when_its_record_comes_again_and_is_refused() -> None:
    desk = Desk()
    await desk.signal_agent.handle(FreeTurn(LINEAR))
    before = row_of(desk)

    desk.restart(categories=("spot",))
    await desk.signal_agent.handle(FreeTurn(LINEAR))

    assert row_of(desk) == before
    assert letters(desk) == []


async def test_s02_another_kind_by_default_does_not_change_the_instrument_of_what_is_planned() -> None:
    desk = Desk()
    await cut_short(desk, record(), before_sending=True)
    desk.orders.discard_intent(0, order_of(desk), Receipt())

    desk.restart(categories=("spot", "linear"))
    await desk.signal_agent.handle(FreeTurn(record()))

    assert [sent.instrument for sent in desk.venue.created] == [BTC]


@pytest.mark.parametrize("settings", [{"categories": ("spot",)}, {"venue": "bybit"}, {"account": "other"}])
async def test_s02_a_plan_for_what_is_traded_here_no_more_is_not_executed_though_its_record_can_be_read(
    settings: dict[str, Any],
) -> None:
    desk = Desk()
    await cut_short(desk, record(), before_sending=True)

    desk.restart(**settings)
    await desk.signal_agent.handle(FreeTurn(record()))

    assert row_of(desk).state is SignalState.DONE
    assert len(letters(desk)) == 1
    assert desk.venue.created == []


async def test_r04_what_is_held_for_a_signal_is_given_back_when_its_record_is_refused() -> None:
    desk = Desk()
    await cut_short(desk)
    desk.restart(categories=("spot",))
    given_back: list[str] = []

    class Held:
        def holds(self, _instrument: object, _source: str) -> bool:
            return True

        async def settled(self, _instrument: object, source: str, left: object) -> None:
            assert left is None
            given_back.append(source)

    held: Any = Held()
    desk.signal_agent._decider._account = held  # private: the desk has no account

    await desk.signal_agent.handle(FreeTurn(LINEAR))

    assert given_back == [str(LINEAR.source)]


async def test_x06_an_intent_that_a_crash_left_without_its_plan_is_asked_for_once_its_record_is_refused() -> None:
    desk = Desk()
    context = SignalContext(
        signal_id="s5", attempt=1, part=0, source=str(LINEAR.source), signal_type="buy", amount=Decimal(500), at_ns=NOW
    )
    desk.intend("om1", signal=context)
    assert await sync(desk, "om1") == "in_hand"

    desk.restart(categories=("spot",))
    await desk.signal_agent.handle(FreeTurn(LINEAR))

    desk.clock.ns += 60 * SECOND
    assert await sync(desk, "om1") == "absent"


async def test_x06_an_order_whose_signals_record_was_cut_by_retention_is_settled_by_a_turn_that_is_brought_again() -> (
    None
):
    desk = Desk()
    await cut_short(desk)
    desk.clock.ns += 3600 * SECOND

    assert await sync(desk, order_of(desk).order_id) == "in_hand"
    assert desk.log.records[TOPICS.signals] == []  # the record is to come
    desk.signals_from = LINEAR.offset + 1
    assert await sync(desk, order_of(desk).order_id) == "in_hand"
    assert await sync(desk, order_of(desk).order_id) == "in_hand"
    (again,) = desk.log.records[TOPICS.signals]
    await desk.signal_agent.handle(FreeTurn(again))

    assert order_of(desk).state is OrderState.EXPIRED
    assert row_of(desk).state is SignalState.DONE
    assert len(desk.venue.created) == 1


async def test_x06_an_intent_without_a_plan_whose_record_was_cut_by_retention_is_asked_for() -> None:
    desk = Desk()
    context = SignalContext(
        signal_id="s5", attempt=1, part=0, source=str(LINEAR.source), signal_type="buy", amount=Decimal(500), at_ns=NOW
    )
    desk.intend("om1", signal=context)
    elsewhere = msgspec.structs.replace(context, source="signals-1-0")
    desk.intend("om2", signal=elsewhere)
    desk.signals_from = LINEAR.offset + 1
    desk.clock.ns += 60 * SECOND

    assert await sync(desk, "om1") == "absent"
    assert await sync(desk, "om2") == "in_hand"
