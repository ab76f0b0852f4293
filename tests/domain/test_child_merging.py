"""Requirement P07: what is said of an order that the venue made ends in the same row, whatever comes first."""

from __future__ import annotations

import msgspec
from domain_cases import NOW, dec, fill, order, report
from hypothesis import given
from hypothesis import strategies as st

from domain.comparing import says_more
from domain.events import EventKind
from domain.merging import apply_update
from domain.orders import LocalState, Order, OrderState, OrderType, VenueState
from domain.protection import Protects, Role
from domain.updates import FillReport, OrderReport, Update

_REPORTS = st.builds(
    lambda state, trigger, quantity, updated, parent, partial: report(
        state,
        order_type=OrderType.MARKET,
        price=None,
        quantity=dec(quantity),
        trigger_price=dec(trigger),
        updated_ns=NOW + updated,
        role=Role.STOP_LOSS,
        parent_client_order_id=parent,
        partial=partial,
    ),
    st.sampled_from([VenueState.UNTRIGGERED, VenueState.TRIGGERED, VenueState.FILLED, VenueState.CANCELLED]),
    st.sampled_from(["90", "91"]),
    st.sampled_from(["1", "2"]),
    st.integers(0, 3),
    st.sampled_from(["", "parent-1"]),
    st.booleans(),
)
_FILLS = st.builds(
    lambda number: fill(f"e{number}", "0.25", role=Role.STOP_LOSS if number % 2 else Role.NONE), st.integers(0, 3)
)
"""The same execution is told with the same words; some channels leave out what the order was made for."""


def adopted(role: Role = Role.NONE) -> Order:
    """A row as it is made for an order that was not sent from here."""
    return order(
        quantity=dec(0),
        price=None,
        local=LocalState.NONE,
        state=OrderState.CREATED,
        external=role is Role.NONE,
        role=role,
        signal=None,
        sequence=0,
    )


def tell(words: list[Update]) -> Order:
    now, seen = adopted(), set()
    for offset, word in enumerate(words):
        if isinstance(word, FillReport):
            if word.execution_id in seen:
                continue
            seen.add(word.execution_id)
        now = apply_update(now, word, source=f"order-updates-0-{offset}", offset=offset).order
    return now


@given(st.lists(st.one_of(_REPORTS, _FILLS), min_size=1, max_size=7), st.data())
def test_role_parent_and_trigger_do_not_depend_on_the_order_of_words(words, data):
    shuffled = data.draw(st.permutations(words + data.draw(st.lists(st.sampled_from(words)))))

    told, again = tell(words), tell(shuffled)

    for name in ("role", "partial", "parent_order_id", "external", "evidence", "fills", "state"):
        assert getattr(told, name) == getattr(again, name), name
    named = any(isinstance(word, OrderReport) or word.role is Role.STOP_LOSS for word in words)
    assert (told.role is Role.STOP_LOSS, told.external) == (named, not named)


def test_a_fill_without_a_role_is_somebody_elses_until_the_report_tells():
    first = apply_update(adopted(), fill(), source="order-updates-0-1", offset=1)
    told = report(VenueState.FILLED, "0.25", quantity=dec("0.25"), role=Role.TAKE_PROFIT, parent_client_order_id="p")

    after = apply_update(first.order, told, source="order-updates-0-2", offset=2)

    assert (first.order.external, first.order.ours) == (True, False)
    assert (after.order.external, after.order.ours, after.order.parent_order_id) == (False, False, "p")
    assert first.transitions[-1].protects is None
    assert after.transitions[-1].protects == Protects(role=Role.TAKE_PROFIT, parent_order_id="p")


def test_a_row_of_before_it_was_told_learns_that_a_stop_is_for_a_part():
    part = report(VenueState.UNTRIGGERED, quantity=dec(1), price=None, role=Role.STOP_LOSS, partial=True)
    whole = msgspec.structs.replace(part, partial=False)
    before = apply_update(adopted(), whole, source="order-updates-0-1", offset=1).order
    row = msgspec.json.decode(msgspec.json.encode(before))
    del row["partial"]
    old = msgspec.convert(row, Order)

    after = apply_update(old, part, source="order-updates-0-2", offset=2).order

    assert (old.partial, says_more(old, part), says_more(old, whole)) == (False, True, False)
    assert (after.partial, says_more(after, part), says_more(after, whole)) == (True, False, False)


def test_a_stop_that_is_moved_is_amended_with_both_prices():
    def stands(trigger: str, seconds: int) -> OrderReport:
        return report(
            VenueState.UNTRIGGERED,
            quantity=dec(1),
            price=None,
            trigger_price=dec(trigger),
            updated_ns=NOW + seconds,
            role=Role.STOP_LOSS,
        )

    before = apply_update(adopted(Role.STOP_LOSS), stands("90", 1), source="order-updates-0-1", offset=1)
    moved = apply_update(before.order, stands("91", 2), source="order-updates-0-2", offset=2)

    assert [step.kind for step in before.transitions] == [EventKind.ACKNOWLEDGED]
    assert before.order.state is OrderState.UNTRIGGERED
    (step,) = moved.transitions
    assert (step.kind, step.after) == (EventKind.AMENDED, OrderState.UNTRIGGERED)
    assert (step.details["trigger_price_before"], step.details["trigger_price_after"]) == ("90", "91")


def test_the_way_of_a_stop_is_untriggered_triggered_filled():
    now, states = adopted(Role.STOP_LOSS), []
    for offset, (state, executed) in enumerate(
        [(VenueState.UNTRIGGERED, "0"), (VenueState.TRIGGERED, "0"), (VenueState.FILLED, "1")]
    ):
        word = report(state, executed, quantity=dec(1), price=None, role=Role.STOP_LOSS, updated_ns=NOW + offset)
        now = apply_update(now, word, source=f"order-updates-0-{offset}", offset=offset).order
        states.append(now.state)

    assert states == [OrderState.UNTRIGGERED, OrderState.TRIGGERED, OrderState.FILLED]
