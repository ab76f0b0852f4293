"""Executions that come before the row of the amendment they are of (requirement O04)."""

from __future__ import annotations

from itertools import permutations

import pytest
from domain_cases import NOW, cancel_request, dec, fill, order, outcome, report
from order_words import tell

from domain.events import EventKind
from domain.orders import OrderState, VenueState
from domain.updates import Call, FillReport, OrderReport, Result


def execution(execution_id: str, quantity: str, *, executed: str, of: str) -> FillReport:
    return fill(execution_id, quantity, order_quantity=dec(of), order_executed=dec(executed))


def amended(quantity: str, executed: str, state: VenueState = VenueState.LIVE, at_ns: int = NOW + 1) -> OrderReport:
    return report(state, executed, quantity=dec(quantity), updated_ns=at_ns)


@pytest.mark.parametrize("by_us", [True, False], ids=["by us", "by hand"])
def test_o04_a_fill_of_an_amendment_that_is_not_shown_yet_ends_nothing(by_us: bool) -> None:
    ours = [cancel_request(replace=True, amend=True), outcome(Result.ACCEPTED, Call.AMEND)] if by_us else []
    told = tell(order(), [report(), *ours, execution("e1", "1.5", executed="1.5", of="3")])

    assert (told.order.state, told.order.current_quantity, told.order.leaves) == (
        OrderState.PARTIALLY_FILLED,
        dec("3"),
        dec("1.5"),
    )
    assert [each.kind for each in told.transitions[-2:]] == [EventKind.AMENDED, EventKind.PARTIALLY_FILLED]
    assert told.alerts == ()


def test_o04_the_row_of_the_amendment_then_says_nothing_new() -> None:
    told = tell(order(), [report(), execution("e1", "1.5", executed="1.5", of="3"), amended("3", "1.5")])

    assert (told.order.state, told.order.current_quantity) == (OrderState.PARTIALLY_FILLED, dec("3"))
    assert told.alerts == ()


def test_o04_an_amendment_down_after_the_fill_counts() -> None:
    told = tell(order(), [report(), execution("e1", "0.5", executed="0.5", of="3"), amended("2", "0.5")])

    assert (told.order.current_quantity, told.order.leaves) == (dec("2"), dec("1.5"))


def test_o04_an_execution_that_tells_less_of_its_order_waits_for_the_row() -> None:
    first = tell(order(), [report(), amended("3", "0"), execution("e1", "0.5", executed="0.5", of="1")]).order

    assert (first.current_quantity, first.leaves) == (dec("3"), dec("2.5"))


def test_o01_fills_and_rows_of_an_amended_order_come_to_the_same_in_any_order() -> None:
    words = [
        execution("e1", "0.5", executed="0.5", of="1"),
        amended("3", "0.5"),
        execution("e2", "2.5", executed="3", of="3"),
        amended("3", "3", VenueState.FILLED, NOW + 2),
    ]

    ends = {
        (told.state, told.current_quantity)
        for told in (tell(order(), list(each)).order for each in permutations(words))
    }

    assert ends == {(OrderState.FILLED, dec("3"))}


def test_o06_more_than_the_whole_order_is_still_told() -> None:
    told = tell(order(), [report(), execution("e1", "1.5", executed="1.5", of="1")])

    assert [code for code, _ in told.alerts] == ["ORDER_OVERFILLED"]
