"""The text beside a committed offset: short enough for a broker, and never trusted further than it can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transport.offset_metadata import SPAN, finished_offsets, finished_text


@given(st.integers(0, 2**62), st.sets(st.integers(1, SPAN), max_size=50))
def test_what_is_finished_comes_back(offset: int, ahead: set[int]) -> None:
    finished = {offset + each for each in ahead}
    assert finished_offsets(offset, finished_text(offset, finished)) == finished


def test_nothing_finished_is_no_text() -> None:
    assert finished_text(7, ()) == ""


def test_the_longest_text_fits_a_brokers_default() -> None:
    assert len(finished_text(7, range(8, 8 + 2 * SPAN))) <= 4_096


@pytest.mark.parametrize("text", ["", "done/1:%%%", "done/2:AAAA", "somebody else's", "done/1:A"])
def test_a_text_that_is_not_ours_says_nothing(text: str) -> None:
    assert finished_offsets(7, text) == frozenset()
