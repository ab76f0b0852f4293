"""Two orders under one id of ours: which is ours, and what becomes of the other (requirement X02)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from listed_orders import alerts, at_venue, order_of
from quiet_venue import SECOND
from trading_desk import BTC, Desk, fill_of, report

from domain.errors import Duplicate
from domain.ids import client_order_id
from domain.orders import Order, OrderState, VenueState
from domain.updates import OrderReport


async def test_a_second_order_under_one_id_is_adopted_with_an_alert_and_ours_is_left_as_it_was() -> None:
    desk = Desk()
    order = at_venue(desk)

    await desk.told(report(order, VenueState.CANCELLED, venue_order_id="v-second"))

    second = desk.orders.by_venue_id(0, BTC, "main", "v-second")
    assert second is not None
    assert (second.external, second.state) == (True, OrderState.CANCELLED)
    assert order_of(desk) == order
    assert alerts(desk) == ["SECOND_ORDER_UNDER_ONE_ID"]


async def test_x02_what_is_told_of_the_order_that_an_id_conflicts_with_does_not_reach_ours() -> None:
    desk = Desk()
    order = desk.intend()
    theirs = report(order, quantity=Decimal(7), venue_order_id="v-other")
    desk.venue.answers = [Duplicate("DUPLICATE_ID", "the id is known")]
    desk.venue.known = {"om1": theirs}
    rejected = await desk.submit()

    await desk.told(msgspec.structs.replace(fill_of(order), venue_order_id="v-other"))

    ours = order_of(desk)
    assert (rejected.state, rejected.stranger_id) == (OrderState.REJECTED, "v-other")
    assert (ours.state, ours.fills.quantity) == (OrderState.REJECTED, 0)
    assert desk.positions.get(0, BTC, "main", order.position_side).state.size == 1, (
        "the account has traded all the same"
    )


def strange(order: Order, desk: Desk, quantity: str = "7", **terms: Any) -> OrderReport:
    """The first word on an order that somebody else placed under the id of ours."""
    now_ns = desk.clock.now_ns()
    fields = {"venue_order_id": "v-other", "created_ns": now_ns, "updated_ns": now_ns + 15_000_000} | terms
    return report(order, quantity=Decimal(quantity), **fields)


async def test_x02_a_strangers_order_that_is_told_of_before_ours_is_sent_is_not_taken_for_ours() -> None:
    desk = Desk()
    order = desk.intend()
    theirs = strange(order, desk)
    desk.venue.answers = [Duplicate("DUPLICATE_ID", "the id is known")]
    desk.venue.known = {"om1": theirs}

    await desk.told(theirs)
    told_between = order_of(desk)
    rejected = await desk.submit()
    await desk.told(msgspec.structs.replace(theirs, updated_ns=theirs.updated_ns + SECOND, state=VenueState.CANCELLED))

    assert (told_between.state, told_between.venue_order_id) == (OrderState.PLANNED, "")
    assert (rejected.state, rejected.stranger_id) == (OrderState.REJECTED, "v-other")
    assert order_of(desk).state is OrderState.REJECTED
    adopted = desk.orders.by_venue_id(0, BTC, "main", "v-other")
    assert adopted is not None
    assert (adopted.external, adopted.state) == (True, OrderState.CANCELLED)
    assert "SECOND_ORDER_UNDER_ONE_ID" in alerts(desk)


async def test_x02_a_strangers_order_that_is_found_after_a_crash_is_a_conflict() -> None:
    desk = Desk()
    order = desk.intend()
    desk.venue.known = {"om1": strange(order, desk)}

    rejected = await desk.submit(maybe_sent=True)

    assert (rejected.state, rejected.stranger_id) == (OrderState.REJECTED, "v-other")
    assert desk.venue.created == []
    adopted = desk.orders.by_venue_id(0, BTC, "main", "v-other")
    assert adopted is not None
    assert adopted.external


@pytest.mark.parametrize(
    "terms",
    [{"updated_ns": 2_000_000_000_000_000_000}, {"quantity": "1"}, {"reduce_only": True}],
    ids=["amended-since", "same-quantity", "cut-by-the-venue"],
)
async def test_x02_what_may_have_become_of_our_order_is_ours(terms: dict[str, Any]) -> None:
    desk = Desk()
    order = desk.intend()

    await desk.told(strange(order, desk, **terms))

    assert order_of(desk).venue_order_id == "v-other"
    assert alerts(desk) == []


async def test_o07_an_order_under_an_unknown_id_of_ours_is_told_of_once_and_remembered_while_it_is_listed() -> None:
    desk = Desk()
    order = at_venue(desk)
    agreeing = report(order, updated_ns=order.evidence.terms_at_ns)
    lost = client_order_id("om", "paper", "linear", "main", "BTCUSDT", "lost", 1, 0)
    desk.venue.listed = [agreeing, report(order, client_order_id=lost, venue_order_id="v-lost")]

    for _ in range(3):
        await desk.recovery.compare(0)
        desk.clock.ns += 10 * SECOND
    told = alerts(desk)
    desk.venue.listed = [agreeing]
    await desk.recovery.compare(0)

    assert told == ["OWN_ORDER_UNKNOWN"]
    assert not desk.comparer._homeless
