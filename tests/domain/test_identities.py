"""Requirement X02: ids follow from what a thing is, are legal at every venue and never shared."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import (
    PREFIX_PATTERN,
    client_order_id,
    event_id,
    external_order_id,
    fingerprint,
    is_ours,
    signal_event_id,
    trace_id,
)

_TEXT = st.text(max_size=12)
_PARTS = st.tuples(_TEXT, _TEXT, _TEXT, _TEXT, _TEXT, st.integers(1, 99), st.integers(0, 99))
_PREFIXES = st.from_regex(PREFIX_PATTERN, fullmatch=True)
_LEGAL = {
    "bybit": r"[A-Za-z0-9_-]{1,36}",
    "okx": r"[A-Za-z0-9]{1,32}",
    "btcturk": r"[A-Za-z0-9_-]{1,50}",
}


@pytest.mark.parametrize("venue", sorted(_LEGAL))
@given(prefix=_PREFIXES, parts=_PARTS)
def test_x02_an_id_is_legal_at_the_venue(venue, prefix, parts):
    assert re.fullmatch(_LEGAL[venue], client_order_id(prefix, *parts))


@given(_PREFIXES, _PARTS)
def test_x02_an_id_of_ours_is_recognised_and_anothers_is_not(prefix, parts):
    order_id = client_order_id(prefix, *parts)

    assert is_ours(prefix, order_id)
    assert not is_ours(prefix, order_id.upper())
    assert not is_ours(prefix, order_id[:-1])
    assert not is_ours(prefix + "z", order_id)


@given(_PARTS, _PARTS)
def test_x02_different_orders_have_different_ids_and_the_same_order_has_the_same(one, other):
    same = client_order_id("om", *one) == client_order_id("om", *other)

    assert same == (one == other)


def test_x02_letters_that_move_from_one_part_to_the_next_make_another_id():
    assert client_order_id("om", "ab", "c", "", "S", "x", 1, 0) != client_order_id("om", "a", "bc", "", "S", "x", 1, 0)


def test_x02_an_id_never_changes_between_releases():
    made = client_order_id("om", "bybit", "linear", "main", "BTCUSDT", "s1", 1, 0)

    assert made == "omkaiy6tooeosw64nh6uck4m5try"
    assert external_order_id("bybit", "linear", "main", "v1") == "extm464kcsedwajhozo3ax3kk4uj3"
    assert fingerprint(("buy", "BTCUSDT")) == "2d4i3qqxb4hcteasj3agorn3co"


def test_o07_the_row_of_an_external_order_does_not_look_like_one_of_ours():
    assert not is_ours("om", external_order_id("bybit", "linear", "main", "v1"))


def test_j02_an_event_is_named_by_its_order_and_number():
    assert event_id("om1", 3) == "om1-3"
    assert signal_event_id("signals-0-7", "rejected") == "signals-0-7-rejected"


def test_s12_a_made_trace_id_is_that_of_w3c_and_the_same_on_every_redelivery():
    assert re.fullmatch("[0-9a-f]{32}", trace_id("signals-0-7"))
    assert trace_id("signals-0-7") == trace_id("signals-0-7") != trace_id("signals-0-8")
