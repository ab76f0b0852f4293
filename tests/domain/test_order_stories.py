"""Single stories of orders: what is said of one, word by word, and what it comes to."""

from __future__ import annotations

import pytest
from domain_cases import NOW, cancel_request, dec, fill, order, outcome, report
from order_words import Told, tell

from domain.errors import InvalidStateTransition
from domain.events import EventKind
from domain.merging import Applied, apply_update
from domain.orders import TRANSITIONS, LocalState, OrderState, Pending, VenueState
from domain.updates import Absence, Call, Origin, Result


def kinds(told: Applied | Told) -> list[EventKind]:
    return [step.kind for step in told.transitions]


def test_o06_a_fill_before_our_own_reply_submits_acknowledges_and_fills():
    told = tell(order(), [fill("e1", "0.25")])

    assert kinds(told) == [EventKind.SUBMITTED, EventKind.ACKNOWLEDGED, EventKind.PARTIALLY_FILLED]
    assert told.order.state is OrderState.PARTIALLY_FILLED


def test_o06_a_time_out_after_the_venue_accepted_takes_nothing_back():
    told = tell(order(), [report(), outcome(Result.UNCERTAIN)])

    assert told.order.state is OrderState.ACKNOWLEDGED


def test_x06_an_uncertain_create_is_resolved_by_the_venues_row():
    told = tell(order(), [outcome(Result.UNCERTAIN), report()])

    assert kinds(told) == [EventKind.SUBMITTED, EventKind.UNCERTAIN, EventKind.RESOLVED, EventKind.ACKNOWLEDGED]


def test_c04_a_fill_that_arrives_after_the_cancel_was_sent_counts_and_the_order_ends_filled():
    told = tell(order(), [report(), cancel_request(), fill("e1", "1"), report(VenueState.FILLED, "1")])

    assert told.order.state is OrderState.FILLED
    assert told.order.pending is Pending.NOTHING
    assert kinds(told)[-1] is EventKind.FILLED


def test_c04_a_refused_cancel_leaves_the_order_as_it_was():
    told = tell(order(), [report(), cancel_request(), outcome(Result.REFUSED, Call.CANCEL)])

    assert told.order.state is OrderState.ACKNOWLEDGED
    assert kinds(told)[-2:] == [EventKind.PENDING_CANCEL, EventKind.RESOLVED]


def test_c04_whoever_gives_up_a_cancel_does_not_take_back_anothers_wish():
    given_up = outcome(Result.NOT_ACCEPTED, Call.CANCEL, command_id="somebody-else")

    told = tell(order(), [report(), cancel_request(), given_up])

    assert told.order.pending is Pending.CANCEL
    assert told.order.state is OrderState.PENDING_CANCEL


AMENDMENT = cancel_request("s2-amend", reason="takes up signal s2", replace=True, amend=True)


@pytest.mark.parametrize("replace", [False, True])
def test_d10_an_amendment_takes_nobodys_wish_for_the_orders_end_back(replace):
    theirs = cancel_request("op1", replace=replace)
    came_of_it = outcome(Result.ACCEPTED, Call.AMEND, command_id="s2-amend")

    for words in ([theirs, AMENDMENT], [AMENDMENT, theirs], [AMENDMENT, theirs, came_of_it]):
        told = tell(order(), [report(), *words])

        assert (told.order.pending, told.order.pending_by) == (Pending.REPLACE if replace else Pending.CANCEL, "op1")


def test_d10_what_came_of_another_amendment_ends_no_amendment():
    told = tell(order(), [report(), AMENDMENT, outcome(Result.REFUSED, Call.AMEND, command_id="s1-amend")])

    assert (told.order.pending, told.order.state) == (Pending.AMEND, OrderState.PENDING_REPLACE)


def test_c04_what_came_of_a_cancel_ends_no_amendment():
    told = tell(order(), [report(), AMENDMENT, outcome(Result.REFUSED, Call.CANCEL)])

    assert told.order.pending is Pending.AMEND


def test_d10_an_amendment_that_is_on_record_as_a_replacement_is_known_by_its_command():
    before = cancel_request("s2-amend", replace=True)  # as it was written once

    again = tell(order(), [report(), before, AMENDMENT])
    over = tell(order(), [report(), before, outcome(Result.ACCEPTED, Call.AMEND, command_id="s2-amend")])

    assert (again.order.pending, over.order.pending) == (Pending.AMEND, Pending.NOTHING)


def test_d10_the_end_of_an_order_tells_that_it_was_being_amended():
    gone = report(VenueState.CANCELLED)

    ends = [tell(order(), [report(), wish, gone]).transitions[-1] for wish in (AMENDMENT, cancel_request(replace=True))]

    assert [end.kind for end in ends] == [EventKind.CANCELLED] * 2
    assert [end.details for end in ends] == [{"pending": "amend"}, {}]


def test_c04_each_wish_is_a_step_and_the_same_one_again_is_none():
    wishes = [cancel_request("c1", reason="first"), cancel_request("c2", reason="second"), cancel_request("c2")]

    told = tell(order(), [report(), *wishes])

    assert kinds(told)[-2:] == [EventKind.PENDING_CANCEL, EventKind.PENDING_CANCEL]
    assert [step.reason for step in told.transitions[-2:]] == ["first", "second"]


def test_o01_an_accepted_cancel_is_no_evidence_that_the_order_is_gone():
    told = tell(order(), [report(), cancel_request(), outcome(Result.ACCEPTED, Call.CANCEL)])

    assert told.order.state is OrderState.PENDING_CANCEL


def test_o01_a_late_fill_corrects_a_cancelled_order_and_somebody_hears_of_it():
    told = tell(order(), [report(VenueState.CANCELLED), fill("e1", "0.25")])

    assert told.order.state is OrderState.CANCELLED
    assert told.order.cumulative.quantity == dec("0.25")
    assert kinds(told)[-1] is EventKind.CORRECTED
    assert [code for code, _ in told.alerts] == ["ORDER_CORRECTED"]


def absence(conclusion: Result | None = Result.EXPIRED, *, closed_unknown: bool = False) -> Absence:
    return Absence(
        instrument=order().instrument,
        account="main",
        origin=Origin.RECONCILE,
        received_ns=NOW,
        client_order_id="om1",
        conclusion=conclusion,
        closed_unknown=closed_unknown,
        passes=2,
        sentence="not found in two full passes",
    )


def test_c02_an_order_that_the_venue_never_had_expires_unless_another_end_was_concluded():
    doubt = outcome(Result.UNCERTAIN)

    assert tell(order(), [doubt, absence(None)]).order.state is OrderState.EXPIRED
    assert tell(order(), [doubt, absence(Result.NOT_ACCEPTED)]).order.state is OrderState.FAILED


def test_o01_an_order_whose_history_is_out_of_reach_is_closed_unknown_and_somebody_hears_of_it():
    told = tell(order(), [report(), absence(None, closed_unknown=True)])

    assert told.order.state is OrderState.CLOSED_UNKNOWN
    assert [code for code, _ in told.alerts] == ["ORDER_CLOSED_UNKNOWN"]


def test_o01_an_order_closed_as_unknown_reopens_when_the_venue_says_something_new_of_it():
    gone = tell(order(), [report(), absence(None, closed_unknown=True)]).order

    assert tell(gone, [report()]).order.state is OrderState.CLOSED_UNKNOWN, "the same again is no news"
    told = tell(gone, [report(updated_ns=NOW + 1)])

    assert told.order.state is OrderState.ACKNOWLEDGED
    assert [code for code, _ in told.alerts] == ["ORDER_CORRECTED"]


def test_o07_an_order_whose_quantity_the_venue_does_not_state_is_neither_filled_nor_overfilled():
    unstated = order(quantity=dec(0), local=LocalState.NONE, state=OrderState.ACKNOWLEDGED, external=True)

    told = tell(unstated, [report(quantity=dec(0)), report(VenueState.LIVE, "0.5", quantity=dec(0))])

    assert told.order.state is OrderState.PARTIALLY_FILLED
    assert told.alerts == ()


def test_o01_an_end_that_we_concluded_reopens_on_evidence_with_an_alert():
    told = tell(order(), [outcome(Result.UNCERTAIN), absence(), report()])

    assert EventKind.EXPIRED in kinds(told)
    assert told.order.state is OrderState.ACKNOWLEDGED
    assert [code for code, _ in told.alerts] == ["ORDER_CORRECTED"]


def test_o01_an_order_filled_by_our_own_sum_reopens_when_a_late_report_shows_that_it_was_enlarged():
    enlarged = report(VenueState.LIVE, "1", quantity=dec(2), updated_ns=NOW + 1)

    told = tell(order(), [report(), fill("e1", "1"), enlarged])

    assert told.order.state is OrderState.PARTIALLY_FILLED
    assert told.order.leaves == dec(1)
    assert kinds(told)[-1] is EventKind.CORRECTED


def test_o01_a_refusal_followed_by_an_unknown_outcome_is_in_doubt_again():
    told = tell(order(), [outcome(Result.REFUSED), outcome(Result.UNCERTAIN)])

    assert told.order.state is OrderState.UNCERTAIN
    assert told.order.in_doubt
    assert [code for code, _ in told.alerts] == ["ORDER_CORRECTED"]


def test_o02_a_conditional_order_that_is_triggered_and_then_rests_is_acknowledged():
    told = tell(order(), [report(VenueState.UNTRIGGERED), report(VenueState.TRIGGERED), report(VenueState.LIVE)])

    assert [step.after for step in told.transitions] == [
        OrderState.SUBMITTING,
        OrderState.UNTRIGGERED,
        OrderState.TRIGGERED,
        OrderState.ACKNOWLEDGED,
    ]


def test_j01_an_amendment_tells_before_and_after():
    told = tell(order(), [report(), report(price=dec(101), quantity=dec(2), updated_ns=NOW + 1)])

    assert kinds(told)[-1] is EventKind.AMENDED
    assert told.transitions[-1].details == {
        "price_before": "100",
        "price_after": "101",
        "quantity_before": "1",
        "quantity_after": "2",
    }


def test_x10_a_dry_run_ends_in_its_own_state():
    told = tell(order(), [outcome(Result.DRY_RUN)])

    assert told.order.state is OrderState.DRY_RUN
    assert kinds(told)[-1] is EventKind.DRY_RUN


def test_x05_an_order_that_surely_never_arrived_has_failed_and_somebody_hears_of_it():
    told = tell(order(), [outcome(Result.NOT_ACCEPTED, sentence="no connection", attempts=3)])

    assert told.order.state is OrderState.FAILED
    assert told.order.attempts == 3
    assert told.alerts[0][0] == "ORDER_FAILED"


def test_o01_more_executed_than_ordered_is_told():
    told = tell(order(), [fill("e1", "1"), fill("e2", "0.5")])

    assert "ORDER_OVERFILLED" in dict(told.alerts)


def test_o08_times_are_those_of_the_first_sight():
    told = tell(
        order(),
        [
            outcome(Result.ACCEPTED, sent_ns=NOW - 20, replied_ns=NOW - 10),
            fill("e1", "0.5", executed_ns=NOW - 5),
            report(VenueState.FILLED, "1", received_ns=NOW + 3),
        ],
    )

    times = told.order.times
    assert (times.sent_ns, times.acknowledged_ns) == (NOW - 20, NOW - 10)
    assert (times.first_fill_ns, times.finished_ns, times.updated_ns) == (NOW, NOW + 3, NOW + 3)


def test_o08_an_order_was_acknowledged_when_the_first_word_of_it_came():
    late = tell(order(), [report(received_ns=NOW), outcome(Result.ACCEPTED, replied_ns=NOW + 5)])
    early = tell(order(), [report(received_ns=NOW), outcome(Result.ACCEPTED, replied_ns=NOW - 5)])

    assert late.order.times.acknowledged_ns == NOW
    assert early.order.times.acknowledged_ns == NOW - 5
    assert late.order.times.first_fill_ns == 0


@pytest.mark.parametrize("state", list(OrderState))
def test_o02_every_state_has_a_status_and_legal_ways_on(state):
    assert state.status
    assert set(TRANSITIONS[state]) <= set(OrderState)


def test_o01_a_dry_run_that_meets_the_venues_word_is_a_bug_and_says_so():
    dry = tell(order(), [outcome(Result.DRY_RUN)]).order

    with pytest.raises(InvalidStateTransition, match="dry_run does not lead to"):
        apply_update(dry, report(), source="x", offset=1)


def test_o02_an_order_that_expired_after_resting_counts_as_cancelled():
    rested = tell(order(), [report(), report(VenueState.EXPIRED)]).order
    unsent = tell(order(), [outcome(Result.EXPIRED, attempts=0)]).order

    assert (rested.state, rested.status) == (OrderState.EXPIRED, "cancelled")
    assert (unsent.state, unsent.status, unsent.local) == (OrderState.EXPIRED, "failed", LocalState.EXPIRED)
