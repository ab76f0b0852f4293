"""Requirement P04: where the stop-loss that follows a position belongs, and whose the standing one is."""

from __future__ import annotations

import pytest
from domain_cases import dec, order
from hypothesis import given
from hypothesis import strategies as st

from domain.orders import Evidence, Side, VenueState
from domain.protection import Role
from domain.stop_following import stop_price, stop_to_set

LONG, SHORT = dec(10), dec(-10)


def standing(
    at: str = "90", side: Side = Side.SELL, parent: str = "", role: Role = Role.STOP_LOSS, *, partial: bool = False
):
    """A stop-loss as the venue shows it."""
    shown = Evidence(state=VenueState.UNTRIGGERED, trigger_price=dec(at))
    return order(side=side, role=role, parent_order_id=parent, evidence=shown, partial=partial)


@pytest.mark.parametrize(
    ("size", "tick", "price"), [(LONG, "0.01", "90.09"), (LONG, "0.1", "90.1"), (SHORT, "0.1", "110.1")]
)
def test_it_stands_on_the_losing_side_on_the_tick_and_no_further_away(size, tick, price):
    assert stop_price(size, dec("100.1"), dec("0.1"), dec(tick)) == dec(price)


@given(
    st.sampled_from([LONG, SHORT]),
    st.decimals("1", "100000", places=4),
    st.decimals("0.001", "0.5", places=3),
    st.sampled_from(["0.0001", "0.05", "0.1"]),
)
def test_the_loss_at_the_stop_is_never_more_than_the_distance(size, entry, distance, tick):
    at = stop_price(size, entry, distance, dec(tick))

    assert at % dec(tick) == 0
    lost = (entry - at) * (1 if size > 0 else -1)
    assert entry * distance - dec(tick) < lost <= entry * distance


@pytest.mark.parametrize(
    ("size", "protecting", "price"),
    [
        (LONG, [], "91"),
        (dec(0), [], None),
        (LONG, [standing("91")], None),
        (LONG, [standing("90")], "91"),
        (LONG, [standing("97")], None),
        (LONG, [standing("90", parent="om1")], None),
        (LONG, [standing("110", side=Side.BUY)], "91"),
        (LONG, [standing("120", role=Role.TAKE_PROFIT)], "91"),
        (LONG, [standing("97", partial=True)], "91"),
        (LONG, [standing("97", partial=True), standing("91")], None),
    ],
    ids=["none", "flat", "stands", "moved", "by hand", "a signal's", "other side", "a take-profit", "part", "both"],
)
def test_only_a_stop_of_our_own_is_moved(size, protecting, price):
    wanted = stop_to_set(size, dec(91), protecting, lambda at: at == dec(90))

    assert wanted == (None if price is None else dec(price))
