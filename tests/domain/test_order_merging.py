"""Requirement O04: whatever the order and repetition of what the venue says, the same order comes of it."""

from __future__ import annotations

import pytest
from domain_cases import NOW, cancel_request, dec, fill, order, outcome, report
from hypothesis import given
from hypothesis import strategies as st
from order_words import tell

from domain.events import EventKind
from domain.merging import apply_update
from domain.orders import Order, OrderState, Sums, VenueState
from domain.updates import Call, FillReport, OrderReport, Result, Update

_QUANTITIES = st.sampled_from(["0", "0.25", "0.5", "0.75", "1", "1.25"])
_REPORTS = st.builds(
    lambda state, executed, value, quantity, price, updated: report(
        state,
        executed,
        reason=f"{state} because",
        quantity=dec(quantity),
        price=dec(price),
        cumulative=Sums(dec(executed), dec(executed) * dec(value), {}),
        updated_ns=NOW + updated,
    ),
    st.sampled_from([state for state in VenueState if state is not VenueState.UNKNOWN]),
    _QUANTITIES,
    st.sampled_from(["99", "100"]),
    st.sampled_from(["1", "1.5"]),
    st.sampled_from(["99", "100", "100.0"]),
    st.integers(0, 4),
)
_FILLS = st.builds(
    lambda number, quantity, price: fill(f"e{number}", quantity, price),
    st.integers(0, 5),
    st.sampled_from(["0.25", "0.5"]),
    st.sampled_from(["99.5", "100"]),
)
_WORDS = st.lists(st.one_of(_REPORTS, _FILLS), max_size=8)


def substance(row: Order) -> tuple[object, ...]:
    """What must not depend on the order of arrival. Sequence, times of sight and reasons may."""
    return (
        row.state,
        row.evidence,
        row.fills,
        row.cumulative,
        row.current_price,
        row.current_quantity,
        row.leaves,
        row.venue_order_id,
    )


def one_fill_per_id(words: list[Update]) -> list[Update]:
    """A venue never gives one execution id to two executions."""
    fills = {word.execution_id: word for word in words if isinstance(word, FillReport)}
    return [word for word in words if not isinstance(word, FillReport)] + list(fills.values())


@given(_WORDS, st.data())
def test_o04_any_order_and_repetition_of_the_same_words_ends_in_the_same_order(words, data):
    words = one_fill_per_id(words)
    shuffled = data.draw(st.permutations(words + data.draw(st.lists(st.sampled_from(words))) if words else words))

    assert substance(tell(order(), shuffled).order) == substance(tell(order(), words).order)


@given(_WORDS)
def test_o04_telling_everything_twice_changes_nothing_the_second_time(words):
    once = tell(order(), words)

    again = tell(once.order, [word for word in words if isinstance(word, OrderReport)])

    assert substance(again.order) == substance(once.order)
    assert again.transitions == ()


_OURS = st.one_of(
    st.builds(outcome, st.sampled_from([result for result in Result if result is not Result.DRY_RUN])),
    st.builds(outcome, st.sampled_from([Result.ACCEPTED, Result.REFUSED, Result.UNCERTAIN]), st.just(Call.CANCEL)),
    st.builds(cancel_request),
)


@given(st.lists(st.one_of(_REPORTS, _FILLS, _OURS), max_size=10))
def test_j02_transitions_are_numbered_without_a_gap_and_each_begins_where_the_last_one_ended(words):
    told = tell(order(), words)

    assert [step.sequence for step in told.transitions] == list(range(1, len(told.transitions) + 1))
    assert told.order.sequence == len(told.transitions)
    states = [OrderState.PLANNED, *(step.after for step in told.transitions)]
    assert [step.before for step in told.transitions] == states[:-1]
    assert told.order.state is states[-1]


@pytest.mark.parametrize(
    ("state", "kind", "after"),
    [
        (VenueState.UNTRIGGERED, EventKind.ACKNOWLEDGED, OrderState.UNTRIGGERED),
        (VenueState.TRIGGERED, EventKind.TRIGGERED, OrderState.TRIGGERED),
    ],
)
def test_j02_a_report_that_an_accepted_order_is_conditional_is_a_step_of_its_own(state, kind, after):
    told = tell(order(), [outcome(Result.ACCEPTED), report(state)])

    assert (told.transitions[-1].kind, told.transitions[-1].before, told.transitions[-1].after) == (
        kind,
        OrderState.ACKNOWLEDGED,
        after,
    )
    assert told.order.state is after


@given(st.lists(st.one_of(_REPORTS, _FILLS, _OURS), max_size=10))
def test_o01_an_order_that_its_venue_ended_never_lives_again(words):
    now, seen = order(), set()
    for offset, word in enumerate(words):
        if isinstance(word, FillReport) and (word.execution_id in seen or seen.add(word.execution_id)):
            continue
        was_over = now.evidence.state.terminal
        now = apply_update(now, word, source="x", offset=offset).order
        assert now.state.terminal or not was_over


@given(st.lists(st.one_of(_REPORTS, _FILLS), max_size=8))
def test_o05_what_is_left_is_what_was_ordered_less_what_was_executed(words):
    row = tell(order(), words).order

    left = dec(0) if row.state.terminal else row.current_quantity - row.cumulative.quantity
    assert row.leaves == max(dec(0), left)
    assert row.cumulative.quantity == max(row.fills.quantity, row.evidence.cumulative.quantity)


@given(st.lists(st.one_of(_REPORTS, _FILLS, _OURS), max_size=8))
def test_j01_every_step_tells_what_was_executed_and_what_is_left_at_that_moment(words):
    told = tell(order(), words)

    for step in told.transitions:
        left = dec(0) if step.after.terminal else max(dec(0), step.quantity - step.cumulative.quantity)
        assert step.leaves == left
        if step.fill is not None:
            assert step.fill.quantity > 0
    if told.transitions:
        assert told.transitions[-1].cumulative.quantity == told.order.cumulative.quantity


def test_o04_what_an_order_was_when_it_traded_stands_although_the_venues_clock_was_put_back() -> None:
    before = report(VenueState.LIVE, quantity=dec("1"), updated_ns=NOW + 10_000)
    amended = report(
        VenueState.FILLED, "3", quantity=dec("3"), cumulative=Sums(dec("3"), dec("300"), {}), updated_ns=NOW
    )

    for words in ([before, amended], [amended, before]):
        told = tell(order(), words)
        assert (told.order.current_quantity, told.order.state) == (3, OrderState.FILLED)
        assert told.alerts == ()
