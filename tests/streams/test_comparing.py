"""Comparing with the venue's lists: what is asked, what is published, and what is never concluded."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from listed_orders import alerts, at_venue, order_of, published, words
from quiet_venue import DAY_S, SECOND
from trading_desk import BTC, TOPICS, Desk, FreeTurn, fill_of, report

from domain.commands import EVERY_SYMBOL, Action, Command, encode_command
from domain.errors import NotAccepted, Uncertain
from domain.orders import LocalState, OrderState, Sums, VenueState
from domain.updates import Absence, decode_update
from streams.reconciling import Finding
from streams.record import Record
from tables.receipt import Receipt


async def test_y03_an_order_that_agrees_costs_no_question_of_its_own_and_no_update() -> None:
    desk = Desk()
    order = at_venue(desk)
    desk.venue.listed = [report(order, updated_ns=order.evidence.terms_at_ns)]

    found = await desk.recovery.compare(0)

    assert words(found) == {"om1": "agrees"}
    assert desk.venue.asked == []
    assert published(desk) == 0


async def test_y04_what_the_list_says_more_goes_through_the_join() -> None:
    desk = Desk()
    order = at_venue(desk)
    sums = Sums(Decimal(1), Decimal(100), {"USDT": Decimal("0.05")})
    desk.venue.listed = [report(order, VenueState.FILLED, cumulative=sums)]
    desk.venue.known = {"om1": desk.venue.listed[0]}
    desk.venue.executed = [fill_of(order)]

    found = await desk.recovery.compare(0)

    after = order_of(desk)
    assert words(found)["om1"].startswith("changed: state acknowledged, the venue's filled")
    assert (after.state, after.fills.quantity) == (OrderState.FILLED, 1)
    assert desk.positions.get(0, BTC, "main", order.position_side).state.size == 1


async def test_y04_a_list_that_lags_changes_nothing() -> None:
    desk = Desk()
    order = at_venue(desk)
    await desk.told(report(order, VenueState.CANCELLED))
    desk.venue.listed = [report(order, VenueState.LIVE, updated_ns=order.evidence.terms_at_ns)]
    before = published(desk)

    await desk.recovery.compare(0)

    assert order_of(desk).state is OrderState.CANCELLED
    assert published(desk) == before


async def test_y01_an_order_that_the_lists_do_not_show_is_asked_for_by_itself() -> None:
    desk = Desk()
    order = at_venue(desk)
    desk.venue.known = {"om1": report(order, VenueState.CANCELLED)}

    found = await desk.recovery.compare(0)

    assert desk.venue.asked == ["om1"]
    assert words(found) == {"om1": "changed: it is cancelled now"}


async def test_an_order_that_the_venue_had_and_shows_nowhere_is_kept_with_an_alert() -> None:
    desk = Desk()
    at_venue(desk)

    for _ in range(3):
        found = await desk.recovery.compare(0)
        desk.clock.ns += 3_600 * SECOND

    assert words(found) == {"om1": "missing: the venue shows it nowhere; it is kept"}
    assert order_of(desk).state is OrderState.ACKNOWLEDGED
    assert alerts(desk) == ["ORDER_NOT_SHOWN"], "told once, not at every look"


async def test_an_order_that_was_accepted_a_moment_ago_may_be_missing_without_an_alert() -> None:
    desk = Desk()
    at_venue(desk, shown=False, age_s=0.5)

    found = await desk.recovery.compare(0)

    assert words(found) == {"om1": "missing: the venue has it, and does not show it yet"}
    assert alerts(desk) == []


async def test_o01_an_order_out_of_the_venues_memory_is_closed_unknown_after_two_passes() -> None:
    desk = Desk()
    at_venue(desk, age_s=86_400 + 60)

    first = await desk.recovery.compare(0)
    desk.clock.ns += 5 * SECOND
    second = await desk.recovery.compare(0)

    assert words(first)["om1"].startswith("missing")
    assert words(second)["om1"].startswith("changed: closed_unknown")
    assert order_of(desk).state is OrderState.CLOSED_UNKNOWN
    assert "ORDER_CLOSED_UNKNOWN" in alerts(desk)


async def test_o01_an_accepted_order_that_was_never_seen_is_closed_unknown_and_reopens_on_evidence() -> None:
    desk = Desk()
    order = at_venue(desk, shown=False, age_s=120)
    await desk.recovery.compare(0)
    desk.clock.ns += 5 * SECOND
    await desk.recovery.compare(0)
    closed = order_of(desk).state

    await desk.told(report(order, received_ns=desk.clock.now_ns(), updated_ns=desk.clock.now_ns()))

    assert closed is OrderState.CLOSED_UNKNOWN
    assert order_of(desk).state is OrderState.ACKNOWLEDGED
    assert "ORDER_CORRECTED" in alerts(desk)


async def test_o01_an_accepted_order_is_not_given_up_while_it_may_still_come_to_light() -> None:
    desk = Desk()
    at_venue(desk, shown=False, age_s=30)

    for _ in range(3):
        await desk.recovery.compare(0)
        desk.clock.ns += 5 * SECOND

    assert order_of(desk).state is OrderState.ACKNOWLEDGED


async def look_and_miss(desk: Desk) -> OrderState:
    """One question after the order, which the venue does not show at that moment; the order's state then."""
    assert await desk.reconciler.ask(order_of(desk)) is Finding.ABSENT
    await desk.reconciler.give_up_unseen(0, order_of(desk))
    return order_of(desk).state


async def test_o01_one_empty_look_a_day_after_another_does_not_end_an_order() -> None:
    desk = Desk()
    at_venue(desk)
    await look_and_miss(desk)

    desk.clock.ns += (DAY_S + 100) * SECOND
    once = await look_and_miss(desk)
    desk.clock.ns += 5 * SECOND
    twice = await look_and_miss(desk)

    assert (once, twice) == (OrderState.ACKNOWLEDGED, OrderState.CLOSED_UNKNOWN)


async def test_o01_what_the_stream_says_between_two_empty_looks_parts_them() -> None:
    desk = Desk()
    order = at_venue(desk, shown=False, age_s=DAY_S + 120)
    await look_and_miss(desk)
    await desk.told(report(order, received_ns=desk.clock.now_ns(), updated_ns=order.times.created_ns))
    desk.clock.ns += 5 * SECOND

    assert await look_and_miss(desk) is OrderState.ACKNOWLEDGED


async def test_o01_a_list_that_shows_the_order_between_two_empty_looks_parts_them() -> None:
    desk = Desk()
    order = at_venue(desk, age_s=DAY_S + 60)
    await look_and_miss(desk)
    desk.venue.listed = [report(order, updated_ns=order.evidence.terms_at_ns)]
    desk.clock.ns += 5 * SECOND
    await desk.recovery.compare(0)
    desk.clock.ns += 5 * SECOND

    assert await look_and_miss(desk) is OrderState.ACKNOWLEDGED


async def test_o01_an_empty_look_is_forgotten_when_no_other_goes_with_it_any_more() -> None:
    desk = Desk()
    order = at_venue(desk)
    await look_and_miss(desk)
    await desk.told(report(order, VenueState.CANCELLED))
    at_venue(desk, "om2")

    desk.clock.ns += 3_600 * SECOND
    await desk.reconciler.give_up_unseen(0, order_of(desk, "om2"))

    assert set(desk.reconciler._unseen) == {"om2"}


async def test_o01_empty_looks_in_a_row_count_however_long_they_go_on() -> None:
    desk = Desk()
    at_venue(desk)
    for _ in range(DAY_S // 600):
        assert await look_and_miss(desk) is OrderState.ACKNOWLEDGED
        desk.clock.ns += 600 * SECOND

    assert await look_and_miss(desk) is OrderState.CLOSED_UNKNOWN


async def test_a_conclusion_that_news_has_overtaken_is_void() -> None:
    desk = Desk()
    order = at_venue(desk, shown=False, age_s=120)
    finding = Absence(
        instrument=BTC,
        account="main",
        origin=report(order).origin,
        received_ns=desk.clock.now_ns(),
        client_order_id="om1",
        conclusion=None,
        closed_unknown=True,
        passes=2,
        sentence="nowhere",
        known_until_ns=order.times.updated_ns,
    )
    await desk.told(report(order, received_ns=desk.clock.now_ns()))

    await desk.told(finding)

    assert order_of(desk).state is OrderState.ACKNOWLEDGED


async def test_an_error_of_the_venue_is_no_absence() -> None:
    desk = Desk()
    at_venue(desk, shown=False, age_s=86_400 * 2)

    async def fails(*_question: Any, **_scope: Any) -> None:
        raise Uncertain("TIMEOUT", "no reply in time")

    desk.venue.order = fails  # type: ignore[method-assign, assignment]
    for _ in range(3):
        found = await desk.recovery.compare(0)
        desk.clock.ns += 60 * SECOND

    assert words(found) == {"om1": "unanswered: TIMEOUT: no reply in time"}
    assert order_of(desk).state is OrderState.ACKNOWLEDGED


async def test_an_order_in_doubt_that_is_missing_stays_in_doubt() -> None:
    desk = Desk()
    desk.intend(age_s=600, local=LocalState.UNCERTAIN, state=OrderState.UNCERTAIN)

    found = await desk.recovery.compare(0)

    assert words(found)["om1"].startswith("missing: in doubt")
    assert order_of(desk).state is OrderState.UNCERTAIN


async def test_an_order_that_somebody_is_sending_right_now_is_not_called_missing() -> None:
    desk = Desk()
    desk.intend()
    desk.submitter.in_hand.add("om1")

    found = await desk.recovery.compare(0)

    assert words(found) == {"om1": "in_hand"}
    assert desk.venue.asked == []


async def test_o07_an_order_placed_by_hand_whose_message_was_lost_is_adopted() -> None:
    desk = Desk()
    other = msgspec.structs.replace(report(desk.intend()), client_order_id="by-hand", venue_order_id="v-hand")
    desk.orders.rows.put(0, b"o/om1", None, Receipt())
    desk.venue.listed = [other]

    found = await desk.recovery.compare(0)

    (item,) = found.orders
    adopted = order_of(desk, item.order_id)
    assert str(item) == "adopted: placed by somebody else, acknowledged"
    assert (adopted.external, adopted.venue_order_id) == (True, "v-hand")


async def test_y03_two_comparisons_at_once_read_the_lists_once() -> None:
    desk = Desk()
    order = at_venue(desk)
    desk.venue.listed = [report(order, updated_ns=order.evidence.terms_at_ns)]

    await asyncio.gather(*(desk.recovery.compare(0) for _ in range(5)))
    together = desk.venue.readings
    desk.clock.ns += 10 * SECOND
    await desk.recovery.compare(0)

    assert (together, desk.venue.readings) == (1, 2)


async def test_y03_a_reading_serves_only_those_who_asked_before_it_began() -> None:
    desk = Desk()
    order = at_venue(desk)
    desk.venue.listed = [report(order, updated_ns=order.evidence.terms_at_ns)]
    asked_ns = desk.clock.now_ns()
    desk.clock.ns += SECOND
    await desk.recovery.compare(0)

    await desk.recovery.compare(0, asked_ns=asked_ns)
    shared = desk.venue.readings
    await desk.recovery.compare(0, asked_ns=desk.clock.now_ns() + 1)
    desk.clock.ns += 1
    await desk.recovery.compare(0)

    assert (shared, desk.venue.readings) == (1, 2)


async def test_y03_a_sync_that_was_asked_for_after_a_reading_began_gets_another() -> None:
    desk = Desk()
    await desk.recovery.compare(0)
    desk.clock.ns += SECOND
    command = Command(command_id="c1", action=Action.SYNC, symbol="BTCUSDT")

    await desk.command_agent.handle(
        FreeTurn(Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", encode_command(command), (), desk.clock.now_ns()))
    )

    assert desk.venue.readings == 2


async def test_y03_who_waits_for_a_reading_that_fails_hears_so() -> None:
    desk = Desk()
    desk.venue.away = NotAccepted("NO_CONNECTION", "the connection never opened")

    ends = await asyncio.gather(*(desk.recovery.compare(0) for _ in range(3)), return_exceptions=True)

    assert [type(end) for end in ends] == [NotAccepted] * 3
    assert desk.venue.readings == 1


@pytest.mark.parametrize("symbol", ["BTCUSDT", EVERY_SYMBOL])
async def test_y03_the_result_of_a_sync_tells_of_each_order_and_position(symbol: str) -> None:
    desk = Desk()
    agreeing, gone = at_venue(desk, "om1"), at_venue(desk, "om2")
    desk.venue.listed = [
        report(agreeing, updated_ns=agreeing.evidence.terms_at_ns),
        report(gone, VenueState.CANCELLED, venue_order_id="venue-om2"),
    ]
    command = Command(command_id="c1", action=Action.SYNC, symbol=symbol)

    await desk.command_agent.handle(
        FreeTurn(Record(TOPICS.order_commands, 0, 0, symbol.encode(), encode_command(command), (), desk.clock.now_ns()))
    )

    row = desk.signals.command(0, "c1")
    assert row is not None
    assert row.ok
    assert row.details["om1"] == "agrees"
    assert row.details["om2"] == "changed: state acknowledged, the venue's cancelled"
    assert row.sentence.startswith("2 orders checked: 1 changed, 0 adopted, 0 missing, 0 in hand, 0 without an answer")


async def test_y02_a_timers_command_leaves_no_row() -> None:
    desk = Desk()
    done: list[str] = []
    desk.command_agent._on_timer_done = done.append  # private: what the timers are told
    at_venue(desk, shown=False)
    command = Command(command_id="timer:om1:sync:1", action=Action.SYNC, symbol="BTCUSDT", order_id="om1")

    await desk.command_agent.handle(
        FreeTurn(Record(TOPICS.order_commands, 0, 0, b"BTCUSDT", encode_command(command), (), desk.clock.now_ns()))
    )

    assert desk.venue.asked == ["om1"]
    assert done == ["timer:om1:sync:1"]
    assert desk.signals.command(0, "timer:om1:sync:1") is None


def test_every_absence_written_before_is_still_read() -> None:
    old = (
        b'{"kind":"absence","instrument":{"venue":"paper","category":"linear","symbol":"BTCUSDT"},"account":"main",'
        b'"origin":"reconcile","received_ns":1,"client_order_id":"om1","conclusion":"expired","closed_unknown":false,'
        b'"passes":2,"sentence":"x"}'
    )

    update = decode_update(old)

    assert isinstance(update, Absence)
    assert update.known_until_ns == 0
