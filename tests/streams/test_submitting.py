"""One order's way to the venue: what is sent, what is not sent again, and what may be concluded."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from quiet_venue import DAY_S, NOW, SECOND
from trading_desk import TOPICS, Desk, FreeTurn, fill_of, report

from domain.errors import Duplicate, NotAccepted, Uncertain
from domain.orders import OrderState, Side, Sums, TimeInForce, VenueState


async def test_x06_an_absent_order_older_than_the_venues_history_is_neither_sent_nor_said_to_be_unsent() -> None:
    desk = Desk()
    desk.intend(age_s=2 * DAY_S)

    order = await desk.submit(maybe_sent=True, for_s=3 * DAY_S)

    assert order.state is OrderState.CLOSED_UNKNOWN
    assert desk.venue.created == []


async def test_x06_an_absent_order_within_the_venues_history_is_sent_again() -> None:
    desk = Desk()
    desk.intend(age_s=10)

    order = await desk.submit(maybe_sent=True)

    assert order.state is OrderState.ACKNOWLEDGED
    assert len(desk.venue.created) == 1


async def test_x06_an_order_that_the_stream_tells_of_while_a_token_is_waited_for_is_not_sent() -> None:
    desk = Desk()
    intent = desk.intend()
    desk.venue.on_admit = lambda: desk.told(report(intent))

    order = await desk.submit()

    assert order.state is OrderState.ACKNOWLEDGED
    assert desk.venue.created == []


@pytest.mark.parametrize(("reduce_only", "state"), [(True, OrderState.FILLED), (False, OrderState.REJECTED)])
async def test_x02_a_duplicate_with_less_is_ours_where_the_venue_itself_may_have_cut_it(
    reduce_only: bool, state: OrderState
) -> None:
    desk = Desk()
    order = desk.intend(side=Side.SELL, reduce_only=reduce_only, time_in_force=TimeInForce.IOC)
    done = {"quantity": Decimal("0.6"), "cumulative": Sums(Decimal("0.6"), Decimal(60))}
    cut = report(order, VenueState.FILLED, time_in_force=TimeInForce.IOC, reduce_only=reduce_only, **done)
    desk.venue.answers = [Uncertain("TIME_OUT", "no reply"), Duplicate("DUPLICATE_CLIENT_ORDER_ID", "seen before")]

    async def shows_late() -> None:
        if desk.venue.created:  # and was asked for since, twice, in vain
            desk.venue.known["om1"] = cut

    desk.venue.on_admit = shows_late
    await desk.submit()
    await desk.told(cut)

    after = desk.orders.get(0, "om1")
    assert after is not None
    assert after.state is state
    assert len(desk.venue.created) == 2


async def test_x05_each_attempt_counts_once_whatever_became_of_it() -> None:
    desk = Desk()
    desk.intend()
    desk.venue.answers = [NotAccepted("NO_WAY", "no connection"), Uncertain("TIME_OUT", "no reply")]

    order = await desk.submit()

    assert len(desk.venue.created) == 3
    assert order.attempts == 3


async def test_the_place_of_a_call_is_free_once_the_venue_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    desk.intend()
    calls_and_outcomes: list[tuple[int, int]] = []
    monkeypatch.setattr(
        FreeTurn,
        "release",
        lambda _turn: calls_and_outcomes.append((len(desk.venue.created), len(desk.log.records[TOPICS.order_updates]))),
    )

    order = await desk.submit()

    assert order.state is OrderState.ACKNOWLEDGED
    assert calls_and_outcomes == [(1, 0)]


async def test_o05_executions_of_an_order_are_asked_for_from_its_intent_on() -> None:
    desk = Desk()
    intent = desk.intend(age_s=5)
    bought = Sums(Decimal(1), Decimal(100))
    desk.venue.known["om1"] = report(intent, VenueState.FILLED, cumulative=bought)

    await desk.reconciler.ask(intent)

    (since_ns,) = desk.venue.executions_since_ns
    assert NOW - 120 * SECOND < since_ns < NOW - 5 * SECOND


async def test_o05_executions_of_somebody_elses_order_are_asked_for_from_its_placement_on() -> None:
    desk = Desk()
    strangers = msgspec.structs.replace(desk.intend("by-hand"), external=True, venue_order_id="venue-by-hand")
    placed_ns = NOW - 3 * 86_400 * SECOND
    bought = Sums(Decimal(1), Decimal(100))
    desk.venue.known["by-hand"] = report(strangers, VenueState.FILLED, cumulative=bought, created_ns=placed_ns)

    await desk.reconciler.ask(strangers)
    desk.venue.known["by-hand"] = report(strangers, VenueState.FILLED, cumulative=bought)
    await desk.reconciler.ask(strangers)

    known, unknown = desk.venue.executions_since_ns
    assert placed_ns - 120 * SECOND < known <= placed_ns
    assert unknown == 0


async def test_x06_an_order_that_only_the_executions_show_is_not_absent() -> None:
    desk = Desk()
    intent = desk.intend(age_s=10)
    desk.venue.executed = [fill_of(intent)]

    order = await desk.submit(maybe_sent=True)

    assert order.state is OrderState.FILLED
    assert desk.venue.created == []


async def test_x06_executions_of_another_order_are_not_taken_for_this_ones() -> None:
    desk = Desk()
    desk.intend(age_s=10)
    desk.venue.executed = [fill_of(desk.intend("somebody-elses", age_s=10))]

    order = await desk.submit(maybe_sent=True)

    assert order.state is OrderState.ACKNOWLEDGED
    assert not order.fills.quantity
