"""Amending: what is asked of the venue, what is not, and what becomes of an order that ends meanwhile."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from listed_orders import at_venue, order_of
from quiet_venue import NOW, SECOND
from trading_desk import TOPICS, Desk, FreeTurn, report

from domain.commands import Action, Command, encode_command
from domain.errors import NotFoundOrTooLate
from domain.orders import Order, OrderState, Pending, SignalContext, Sums, VenueState
from domain.plans import Amend, PlanSettings, ScaleInMode, TradingState
from domain.updates import CancelRequested, OrderReport, Origin
from streams.amending import Taken, taken_by
from streams.record import Record
from tables.signals import SignalResult, SignalRow

FIRST = SignalContext(
    signal_id="s1", attempt=1, part=0, source="signals-0-1", signal_type="buy", amount=Decimal(100), at_ns=NOW
)
WISH = Amend(order_id="om1", quantity=Decimal(2), price=Decimal(100), added=Decimal(1), amount=Decimal(100))
SECOND_SIGNAL = {"signal_id": "s2", "signal_type": "buy", "symbol": "BTCUSDT", "amount": "100", "order_type": "limit"}


class Amending(Desk):
    """Amends resting orders; `om1` is one."""

    def __init__(self, **terms: Any) -> None:
        super().__init__(PlanSettings(scale_in_mode=ScaleInMode.AMEND))
        self.first = at_venue(self, signal=FIRST, **terms)

    async def amend(self) -> tuple[Order, Taken]:
        turn = FreeTurn(Record(TOPICS.signals, 0, 0, b"BTCUSDT", b"", (), NOW))
        until_ns = self.clock.now_ns() + 60 * SECOND
        return await self.amender.amend(turn, WISH, command_id="c1", reason="takes up a signal", until_ns=until_ns)

    async def wanted_gone(self, *, replace: bool = False, command_id: str = "op1") -> None:
        order = self.first
        await self.told(
            CancelRequested(
                instrument=order.instrument,
                account=order.account,
                origin=Origin.COMMAND,
                received_ns=self.clock.now_ns(),
                client_order_id=order.order_id,
                command_id=command_id,
                reason="lunch",
                replace=replace,
            )
        )

    async def ends(self, *_terms: object) -> None:
        await self.told(report(self.first, VenueState.CANCELLED, updated_ns=self.clock.now_ns() + SECOND))

    async def takes(self, quantity: Decimal | None, price: Decimal | None) -> None:
        row = report(self.first, quantity=quantity, price=price, updated_ns=self.clock.now_ns() + SECOND)
        await self.told(row)

    @property
    def signalled(self) -> list[bytes | None]:
        """What came to the signals' topic by itself."""
        return [record.value for record in self.log.records[TOPICS.signals]]


async def test_d10_terms_that_come_while_a_token_is_waited_for_are_not_asked_for_again() -> None:
    desk = Amending()
    desk.venue.on_admit = lambda: desk.takes(Decimal(2), Decimal(100))

    _, taken = await desk.amend()

    after = order_of(desk)
    assert (taken, desk.venue.amended) == (Taken.YES, [])
    assert (after.current_quantity, after.pending) == (2, Pending.NOTHING)


@pytest.mark.parametrize(
    ("quantity", "price", "state", "expected"),
    [
        ("2", "100", VenueState.LIVE, Taken.YES),
        ("2", "105", VenueState.FILLED, Taken.YES),  # somebody has changed its price since
        ("1", "100", VenueState.FILLED, Taken.ENDED),
        ("1", "105", VenueState.CANCELLED, Taken.ENDED),
        ("1", "100", VenueState.LIVE, Taken.UNKNOWN),
        ("1.5", "100", VenueState.FILLED, Taken.UNKNOWN),  # by whom, and on top of ours or not?
    ],
)
async def test_d10_the_quantity_tells_whether_an_amendment_was_taken(
    quantity: str, price: str, state: VenueState, expected: Taken
) -> None:
    desk = Desk()
    order = at_venue(desk)
    executed = Decimal(quantity) if state is VenueState.FILLED else Decimal(0)
    row = report(
        order,
        state,
        quantity=Decimal(quantity),
        price=Decimal(price),
        cumulative=Sums(executed, executed * Decimal(price)),
        updated_ns=NOW,
    )
    await desk.told(row)
    wish = Amend(order_id="om1", quantity=Decimal(2), price=Decimal(100), added=Decimal(1), amount=Decimal(100))

    assert taken_by(order_of(desk), wish) is expected


# -- an order that ends meanwhile ----------------------------------------------------------------------------------


async def test_d10_an_order_that_ends_while_it_is_amended_is_wanted_again_by_its_signal_only() -> None:
    desk = Amending()
    desk.venue.on_amend = desk.ends

    order, taken = await desk.amend()

    assert (order.state, taken) == (OrderState.CANCELLED, Taken.ENDED)
    assert desk.signalled == []


@pytest.mark.parametrize("replace", [False, True], ids=["cancel", "replace"])
async def test_d10_an_order_that_is_to_end_is_not_amended_and_its_end_is_waited_for(replace: bool) -> None:
    desk = Amending()
    await desk.wanted_gone(replace=replace)

    async def the_token_comes() -> None:
        assert order_of(desk).pending is (Pending.REPLACE if replace else Pending.CANCEL)
        asyncio.get_running_loop().call_later(0.05, lambda: asyncio.ensure_future(desk.ends()))

    desk.venue.on_admit = the_token_comes

    _, taken = await desk.amend()

    assert (taken, desk.venue.amended) == (Taken.ENDED, [])
    assert len(desk.signalled) == replace, "the rest is wanted again by whoever wants it replaced"


async def test_d10_an_order_that_somebody_wants_gone_while_a_token_is_waited_for_is_not_amended() -> None:
    desk = Amending()

    async def lunch() -> None:
        await desk.wanted_gone()
        asyncio.get_running_loop().call_later(0.05, lambda: asyncio.ensure_future(desk.ends()))

    desk.venue.on_admit = lunch

    _, taken = await desk.amend()

    assert (taken, desk.venue.amended, desk.signalled) == (Taken.ENDED, [], [])


async def test_d10_a_signal_does_not_amend_what_an_operator_cancels_and_nothing_is_wanted_again() -> None:
    desk = Amending()
    arrived, traded = asyncio.Event(), asyncio.Event()

    async def slowly(_order_id: str) -> None:
        arrived.set()
        await traded.wait()
        await desk.ends()

    async def too_late(*_terms: object) -> None:
        raise NotFoundOrTooLate("NOT_FOUND_OR_TOO_LATE", "gone")

    desk.venue.on_cancel, desk.venue.on_amend = slowly, too_late
    command = Command(command_id="op1", action=Action.CANCEL, symbol="BTCUSDT", order_id="om1", requested_by="me")
    wish = Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", encode_command(command), (), NOW)
    cancelling = asyncio.create_task(desk.command_agent.handle(FreeTurn(wish)))
    await arrived.wait()

    await desk.signal_agent.handle(FreeTurn(second_signal(desk)))
    traded.set()
    await cancelling

    assert (desk.venue.amended, len(desk.venue.created), desk.signalled) == ([], 1, [])
    assert order_of(desk).state is OrderState.CANCELLED


# -- what may have changed since the plan --------------------------------------------------------------------------


class ProcessEnds(Exception):  # noqa: N818 -- it is no error
    """Between the wish and the call."""


def second_signal(desk: Desk) -> Record:
    return Record(TOPICS.signals, 0, 0, b"BTCUSDT", json.dumps(SECOND_SIGNAL).encode(), (), desk.clock.now_ns())


def halted(desk: Desk) -> None:
    desk.market.state = TradingState.HALTED


def reducing(desk: Desk) -> None:
    desk.market.state = TradingState.REDUCE_ONLY


def a_day_later(desk: Desk) -> None:
    desk.clock.ns += 86_400 * SECOND


def shut_until_it_expires(desk: Desk) -> None:
    desk.gates.assign(0, {"BTCUSDT"}, desk.clock.ns)
    desk.clock.ns += 59_990_000_000

    async def it_expires(*_condition: object) -> bool:
        desk.clock.ns += SECOND
        return False

    desk.applied.until = it_expires  # type: ignore[method-assign]


@pytest.mark.parametrize("since", [halted, reducing, a_day_later, shut_until_it_expires])
async def test_s09_r05_y01_nothing_is_added_to_an_order_that_an_order_of_its_own_would_not_be_sent_for(
    since: Any,
) -> None:
    desk = Amending()
    desk.venue.on_admit = lambda: _change(desk, since)

    await desk.signal_agent.handle(FreeTurn(second_signal(desk)))

    row = signal_row(desk)
    assert (desk.venue.amended, desk.venue.created) == ([], [])
    assert (row.result, row.code) == (SignalResult.FAILED, "AMEND_NOT_CONFIRMED")
    assert order_of(desk).pending is Pending.NOTHING


async def _change(desk: Desk, since: Any) -> None:
    since(desk)


@pytest.mark.parametrize("since", [halted, reducing, a_day_later])
@pytest.mark.parametrize("arrived", [False, True])
async def test_s09_r05_what_an_earlier_turn_may_have_asked_for_is_settled_and_not_repeated(
    since: Any, arrived: bool
) -> None:
    desk = Amending()
    record = second_signal(desk)

    async def ends() -> None:
        raise ProcessEnds

    async def shown(*_ref: object, **_origin: object) -> OrderReport:
        desk.clock.ns += 5 * SECOND
        quantity = signal_row(desk).plan.amends[0].quantity if arrived else desk.first.quantity
        return report(desk.first, quantity=quantity, updated_ns=desk.clock.now_ns())

    desk.venue.on_admit = ends
    with pytest.raises(ProcessEnds):
        await desk.signal_agent.handle(FreeTurn(record))
    desk.venue.on_admit = None
    desk.venue.order = shown  # type: ignore[method-assign]
    since(desk)

    await desk.signal_agent.handle(FreeTurn(record))

    assert desk.venue.amended == []
    assert signal_row(desk).result is (SignalResult.EXECUTED if arrived else SignalResult.FAILED)


@pytest.mark.parametrize("shut", ["before the turn", "while a token is waited for"])
async def test_y01_an_amendment_waits_while_its_symbol_is_shut(shut: str) -> None:
    desk = Amending()
    desk.venue.on_amend = desk.takes

    def opens() -> None:
        assert desk.venue.amended == []
        desk.gates.sighted()
        desk.applied.touch_all()

    async def gap() -> None:
        desk.venue.on_admit = None
        desk.gates.blind("STREAM_GAP: connection lost")
        asyncio.get_running_loop().call_later(0.02, opens)

    if shut == "before the turn":
        await gap()
    else:
        desk.venue.on_admit = gap

    await desk.signal_agent.handle(FreeTurn(second_signal(desk)))

    assert len(desk.venue.amended) == 1
    assert signal_row(desk).result is SignalResult.EXECUTED


async def test_y01_a_turn_that_comes_again_amends_when_what_a_former_owner_learnt_is_applied() -> None:
    desk = Amending()
    record, open_by_then = second_signal(desk), list[bool]()

    async def ends() -> None:
        raise ProcessEnds

    async def token() -> None:
        open_by_then.append(desk.gates.is_open(0, "BTCUSDT"))

    desk.venue.on_admit = ends
    with pytest.raises(ProcessEnds):
        await desk.signal_agent.handle(FreeTurn(record))
    desk.venue.on_admit, desk.venue.on_amend = token, desk.takes
    desk.recovery.assigned(0)
    desk.venue.listed = [report(desk.first)]

    await asyncio.wait_for(desk.signal_agent.handle(FreeTurn(record)), 5)

    desk.recovery.revoked(0)
    assert (open_by_then, len(desk.venue.amended)) == ([True], 1)
    assert signal_row(desk).result is SignalResult.EXECUTED


def signal_row(desk: Desk) -> SignalRow:
    row = desk.signals.get(0, "BTCUSDT", "s2")
    assert row is not None
    return row
