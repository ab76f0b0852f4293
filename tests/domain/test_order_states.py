"""Requirements O01, O02: which states there are, where they lead, and what users see of them."""

from __future__ import annotations

import itertools

import pytest
from domain_cases import BTC, dec, order

from domain.errors import InvalidStateTransition
from domain.orders import (
    STATUSES,
    TRANSITIONS,
    Evidence,
    LocalState,
    OrderState,
    Side,
    Sums,
    VenueState,
    check_transition,
)


def test_o01_every_step_is_either_in_the_table_or_raises():
    for before, after in itertools.product(OrderState, OrderState):
        if before is after or after in TRANSITIONS[before]:
            check_transition("om1", before, after)
        else:
            with pytest.raises(InvalidStateTransition, match=f"om1: {before} does not lead to {after}"):
                check_transition("om1", before, after)


def test_o01_no_state_leads_back_to_the_time_before_the_venue_but_through_doubt():
    before_venue = {OrderState.CREATED, OrderState.VALIDATED, OrderState.PLANNED}

    for state in set(OrderState) - before_venue:
        assert not TRANSITIONS[state] & before_venue


def test_o02_every_state_has_a_status_that_users_know():
    assert {state.status for state in OrderState} <= set(STATUSES)


def test_o01_advance_at_the_venue_is_a_total_order_in_which_ends_come_last():
    ranks = [state.rank for state in VenueState]

    assert ranks == sorted(set(ranks))
    assert [state.terminal for state in sorted(VenueState, key=lambda state: state.rank)] == [False] * 4 + [True] * 4


@pytest.mark.parametrize("local", list(LocalState))
def test_an_order_is_in_doubt_only_while_nobody_has_said_what_became_of_it(local):
    state = OrderState(local.value) if local.value in set(OrderState) else OrderState.ACKNOWLEDGED

    assert order(local=local, state=state).in_doubt == (local.value in {"planned", "submitting", "uncertain"})


def test_o05_the_more_advanced_of_report_and_fills_is_what_was_executed():
    reported = Evidence(state=VenueState.LIVE, cumulative=Sums(dec("0.5"), dec(50)))

    row = order(evidence=reported, fills=Sums(dec("0.25"), dec(25)), state=OrderState.PARTIALLY_FILLED)

    assert row.cumulative == reported.cumulative
    assert row.cumulative.average_price(row.instrument) == dec(100)
    assert row.leaves == dec("0.5")
    assert row.missing_fills


def test_o05_nothing_executed_has_no_average():
    assert Sums().average_price(BTC) is None


def test_a_side_has_a_sign_and_an_opposite():
    assert [(side.sign, side.opposite) for side in Side] == [(1, Side.SELL), (-1, Side.BUY)]
