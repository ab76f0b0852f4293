"""Amending: what is asked of the venue, and what needs no asking."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from listed_orders import at_venue, order_of
from quiet_venue import NOW
from trading_desk import TOPICS, Desk, FreeTurn, report

from domain.orders import Pending, Sums, VenueState
from domain.plans import Amend
from streams.amending import Amender, Taken, taken_by
from streams.record import Record
from streams.updates import UpdatePublisher


async def test_d10_terms_that_come_while_a_token_is_waited_for_are_not_asked_for_again() -> None:
    desk = Desk()
    order = at_venue(desk)
    venue: Any = desk.venue  # it cannot amend: a call would fail
    log: Any = desk.log
    amender = Amender(
        trading=venue,
        publisher=UpdatePublisher(log, TOPICS),
        reconciler=desk.reconciler,
        orders=desk.orders,
        applied=desk.applied,
        clock=desk.clock,
    )

    async def an_earlier_amendment_is_told() -> None:
        await desk.told(report(order, quantity=Decimal(2), updated_ns=NOW))

    desk.venue.on_admit = an_earlier_amendment_is_told
    turn = FreeTurn(Record(TOPICS.signals, 0, 0, b"BTCUSDT", b"", (), NOW))
    wish = Amend(order_id="om1", quantity=Decimal(2), price=Decimal(100), added=Decimal(1), amount=Decimal(100))
    _, taken = await amender.amend(turn, wish, command_id="c1", reason="takes up a signal")

    after = order_of(desk)
    assert taken is Taken.YES
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
