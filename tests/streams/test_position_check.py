"""Positions against the venue: what is asked, what is told, and when the venue's word is taken (P03, P05)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from quiet_venue import NOW, SECOND
from trading_desk import ACCOUNT, BTC, TOPICS, Desk, fill_of, report

from domain.instruments import SPOT, Instrument
from domain.orders import LocalState, OrderState, PositionSide, Side
from domain.positions import Position, PositionState, after_fill
from domain.updates import FillKind, FillReport, Origin
from exchanges.venue import Balance, VenuePosition
from streams.position_check import owned

NET = PositionSide.NET


def shown(size: str, entry: str = "100", *, at_ns: int = NOW) -> VenuePosition:
    """The venue's row."""
    figure = Decimal(entry)
    return VenuePosition(
        instrument=BTC,
        side=NET,
        size=Decimal(size),
        average_entry=figure,
        mark=figure,
        unrealised=Decimal(0),
        updated_ns=at_ns,
    )


async def bought(desk: Desk, order_id: str = "om1") -> FillReport:
    """One piece, by an order of ours; a while ago."""
    order = desk.intend(order_id, age_s=60)
    fill = msgspec.structs.replace(
        fill_of(order, f"e-{order_id}"),
        executed_ns=desk.clock.now_ns() - 50 * SECOND,
        received_ns=desk.clock.now_ns() - 50 * SECOND,
    )
    await desk.told(fill)
    return fill


def held(desk: Desk) -> Position:
    """Our row."""
    return desk.positions.get(0, BTC, ACCOUNT, NET)


def alerts(desk: Desk) -> list[dict[str, Any]]:
    """What a person was told."""
    return [msgspec.json.decode(record.value or b"") for record in desk.log.records[TOPICS.alerts]]


async def check(desk: Desk) -> list[Any]:
    """One validation, as a command asks for it."""
    return (await desk.recovery.compare(0, ["BTCUSDT"])).positions[BTC]


async def test_p03_a_position_that_agrees_costs_no_question_of_its_own() -> None:
    desk = Desk()
    await bought(desk)
    desk.venue.held = [shown("1")]

    (item,) = await check(desk)

    assert (item.agrees, desk.venue.position_reads, desk.venue.executions_since_ns) == (True, 1, [])


def funding(desk: Desk, name: str, *, age_s: int = 40, symbol: str = "BTCUSDT") -> FillReport:
    """A quarter that was paid on a position so long ago."""
    return FillReport(
        instrument=msgspec.structs.replace(BTC, symbol=symbol),
        account=ACCOUNT,
        origin=Origin.RECONCILE,
        received_ns=desk.clock.now_ns(),
        venue_order_id=f"payment-{name}",
        execution_id=name,
        side=Side.BUY,
        price=Decimal(100),
        quantity=Decimal(1),
        fee=Decimal("0.25"),
        fee_currency="USDT",
        executed_ns=desk.clock.now_ns() - age_s * SECOND,
        fill_kind=FillKind.FUNDING,
    )


async def test_p06_a_payment_that_nobody_told_of_is_found_by_a_validation_and_counts_once() -> None:
    desk = Desk()
    await bought(desk)
    known = funding(desk, "f1")
    await desk.told(known)
    desk.venue.held, desk.venue.executed = [shown("1")], [known, funding(desk, "f2")]

    await check(desk)
    await check(desk)

    assert held(desk).state.funding == Decimal("-0.5")
    assert [entry.fill.execution_id for entry in desk.positions.ledger(0, BTC, ACCOUNT, NET)] == ["e-om1", "f1", "f2"]


async def test_d11_a_payment_that_is_read_in_another_position_mode_than_before_is_not_brought_again() -> None:
    desk = Desk()
    await desk.told(funding(desk, "f1"))
    desk.venue.executed = [msgspec.structs.replace(funding(desk, "f1"), position_side=PositionSide.LONG)]
    published = len(desk.log.records[TOPICS.order_updates])

    await desk.position_check.bring_payments(0, await desk.lists.payments(desk.clock.now_ns(), 60.0))

    assert {each.side: each.state.funding for each in desk.positions.all(0)} == {NET: Decimal("-0.25")}
    assert len(desk.log.records[TOPICS.order_updates]) == published


async def test_p06_payments_of_other_symbols_and_those_just_made_are_left_for_their_own_time() -> None:
    desk = Desk()
    await bought(desk)
    desk.venue.held = [shown("1")]
    desk.venue.executed = [funding(desk, "new", age_s=1), funding(desk, "other", symbol="ETHUSDT")]

    await check(desk)

    assert held(desk).state.funding == 0
    assert not list(desk.positions.ledger(0, msgspec.structs.replace(BTC, symbol="ETHUSDT"), ACCOUNT, NET))


async def test_p06_who_validates_at_the_same_time_shares_one_reading_of_payments() -> None:
    desk = Desk()

    await desk.lists.payments(desk.clock.now_ns(), 60.0)
    await desk.lists.payments(desk.clock.now_ns(), 60.0)
    await desk.lists.payments(desk.clock.now_ns() + 1, 60.0)

    assert desk.venue.payment_reads == 2


async def test_p03_what_has_just_changed_is_not_judged() -> None:
    desk = Desk()
    order = desk.intend()
    await desk.told(msgspec.structs.replace(fill_of(order), received_ns=desk.clock.now_ns()))

    (item,) = await check(desk)

    assert (item.agrees, item.words) == (True, "it has just changed: not judged")


async def test_p03_executions_that_were_missed_are_asked_for_first_and_explain_the_difference() -> None:
    desk = Desk()
    first = await bought(desk)
    missed = msgspec.structs.replace(
        first, execution_id="e2", client_order_id="by-hand", venue_order_id="v-hand", executed_ns=first.executed_ns + 1
    )
    desk.venue.held, desk.venue.executed = [shown("2")], [first, missed]

    (item,) = await check(desk)

    assert (item.agrees, item.words) == (True, "after its executions were asked for")
    assert held(desk).state.size == 2
    assert held(desk).taken_over_ns == 0


async def test_p03_a_difference_that_two_reads_agree_on_is_corrected_and_told_with_all_three_figures() -> None:
    desk = Desk()
    await bought(desk)
    desk.venue.held = [shown("3", "110", at_ns=desk.clock.now_ns())]

    (item,) = await check(desk)

    state = held(desk).state
    assert item.corrected
    assert (state.size, state.average_entry, state.realised) == (3, 110, 0)
    assert [alert["code"] for alert in alerts(desk)] == ["POSITION_MISMATCH", "POSITION_CORRECTED"]
    assert alerts(desk)[0]["sentence"].endswith("stored 1, from its fills 1, the venue's 3")
    assert (await check(desk))[0].agrees


async def test_p05_a_position_from_before_our_time_is_taken_over_and_marked() -> None:
    desk = Desk()
    opened_ns = desk.clock.now_ns() - 900 * SECOND
    desk.venue.held = [shown("-2", "95", at_ns=opened_ns)]

    await check(desk)

    assert (held(desk).state.size, held(desk).state.average_entry) == (-2, 95)
    assert held(desk).taken_over_ns == opened_ns
    assert [alert["code"] for alert in alerts(desk)] == ["POSITION_MISMATCH", "POSITION_OPENED_FROM_VENUE"]


async def test_p03_nothing_is_corrected_while_an_order_of_the_symbol_is_open() -> None:
    desk = Desk()
    await bought(desk)
    resting = desk.intend("om2", age_s=60, local=LocalState.ACCEPTED, state=OrderState.ACKNOWLEDGED)
    desk.venue.listed = [report(resting)]
    desk.venue.held = [shown("3")]

    (item,) = await check(desk)

    assert (item.agrees, item.corrected, held(desk).state.size) == (False, False, 1)
    assert [alert["code"] for alert in alerts(desk)] == ["POSITION_MISMATCH"]
    order = desk.orders.get(0, "om2")
    assert order is not None
    assert not order.state.terminal, "a mismatch is no reason to drop what works"


async def test_p03_nothing_is_corrected_when_the_venues_reads_disagree() -> None:
    desk = Desk()
    await bought(desk)
    sizes = iter(["3", "3", "3", "2"])

    def turn() -> None:
        desk.venue.held = [shown(next(sizes))]

    desk.venue.on_positions = turn

    (item,) = await check(desk)

    assert (item.corrected, held(desk).state.size) == (False, 1)


async def test_p03_a_fill_between_the_two_questions_of_a_look_is_no_mismatch() -> None:
    desk = Desk()
    fill = await bought(desk)
    reads = 0

    def turn() -> None:
        nonlocal reads
        reads += 1
        desk.venue.held = [shown("2")]
        if reads == 2:  # executions were asked for a moment before
            desk.venue.executed = [
                msgspec.structs.replace(fill, execution_id="e2", client_order_id="", venue_order_id="v2")
            ]

    desk.venue.on_positions = turn
    desk.venue.executed = [fill]

    (item,) = await check(desk)

    assert item.agrees
    assert held(desk).state.size == 2
    assert alerts(desk) == []


async def test_p03_the_same_mismatch_is_told_once() -> None:
    desk = Desk()
    await bought(desk)
    resting = desk.intend("om2", age_s=60, local=LocalState.ACCEPTED, state=OrderState.ACKNOWLEDGED)
    desk.venue.listed, desk.venue.held = [report(resting)], [shown("3")]

    for _ in range(3):
        await check(desk)
        desk.clock.ns += 60 * SECOND

    assert len(alerts(desk)) == 1


async def test_o04_a_fill_from_before_the_venues_word_that_turns_up_later_changes_no_size() -> None:
    desk = Desk()
    first = await bought(desk)
    desk.venue.held = [shown("3", "110", at_ns=desk.clock.now_ns())]
    await check(desk)

    await desk.told(
        msgspec.structs.replace(
            first, execution_id="late", client_order_id="", venue_order_id="v-x", executed_ns=first.executed_ns + 5
        )
    )

    assert held(desk).state.size == 3


@pytest.mark.parametrize("before", ["-2", "0", "2"])
@pytest.mark.parametrize("after", ["-3", "0", "3"])
def test_p05_money_is_conserved_when_the_venues_word_is_taken(before: str, after: str) -> None:
    state = PositionState()
    if (size := Decimal(before)) != 0:
        state = after_fill(state, word(size, "100", FillKind.TRADE))

    state = after_fill(state, word(Decimal(after), "110", FillKind.TAKEN_OVER))

    carried = state.cost if state.size > 0 else -state.cost
    assert state.size == Decimal(after)
    assert state.realised == state.sold_value - state.bought_value + carried == 0
    assert state.size == state.bought - state.sold


def word(size: Decimal, price: str, kind: FillKind) -> FillReport:
    """A fill, or the venue's word, of a signed size."""
    return FillReport(
        instrument=BTC,
        account=ACCOUNT,
        origin=Origin.RECONCILE,
        received_ns=1,
        venue_order_id="x",
        execution_id=f"x-{kind}",
        side=Side.BUY if size >= 0 else Side.SELL,
        price=Decimal(price),
        quantity=abs(size),
        fee=Decimal(0),
        fee_currency="",
        executed_ns=1,
        fill_kind=kind,
    )


@pytest.mark.parametrize(
    ("total", "size"), [("5", "2"), ("1.5", "1.5"), ("0", "0"), ("-3", "0")], ids=["more", "less", "none", "borrowed"]
)
def test_p03_the_wallet_owes_no_spot_position_more_than_it_owns_and_none_below_nothing(total: str, size: str) -> None:
    pair = Instrument("paper", SPOT, "BTCUSDT")
    held = Position(instrument=pair, account=ACCOUNT, side=NET, state=PositionState(size=Decimal(2)))
    coin = Balance(account=ACCOUNT, currency="BTC", total=Decimal(total), available=Decimal(0), at_ns=1)

    assert owned(held, {"BTC": coin}).size == Decimal(size)
