"""Requirement J05: an update's record is read back as it was written, or refused with the reason."""

from __future__ import annotations

import msgspec
import pytest
from domain_cases import BTC, NOW, cancel_request, dec, fill, outcome, report
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.instruments import Instrument
from domain.orders import Sums, VenueState
from domain.updates import Absence, Origin, Result, decode_update, encode_update

_ABSENCE = Absence(
    instrument=BTC,
    account="main",
    origin=Origin.RECONCILE,
    received_ns=NOW,
    client_order_id="om1",
    conclusion=None,
    closed_unknown=True,
    passes=2,
    sentence="not found",
)
_KINDS = [report(VenueState.FILLED, "1"), fill(), outcome(Result.UNCERTAIN), cancel_request(), _ABSENCE]


@pytest.mark.parametrize("update", _KINDS, ids=lambda update: type(update).__name__)
def test_an_update_is_read_as_it_was_written(update):
    assert decode_update(encode_update(update)) == update


@given(st.decimals("-999999", "999999", places=12), st.decimals("0", "1e12", places=18))
def test_figures_go_through_a_record_exactly(price, quantity):
    assert decode_update(encode_update(fill(price=str(price), quantity=str(quantity)))).price == price


@pytest.mark.parametrize(
    ("value", "beginning"),
    [
        (None, "the record has no value"),
        (b"", "Input data was truncated"),
        (b"{}", "Object missing required field"),
        (b"\xff", "JSON is malformed"),
        (b'{"x": ' + b"[" * 100_000, "maximum recursion depth"),
        (msgspec.json.encode({"kind": "rumour"}), "Invalid value 'rumour'"),
    ],
)
def test_j05_what_is_no_update_is_refused_with_the_reason(value, beginning):
    with pytest.raises(InvalidInput) as refused:
        decode_update(value)

    assert refused.value.code == "BAD_UPDATE"
    assert refused.value.reasons[0].startswith(beginning)


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        (fill(price="NaN"), "price: NaN is not a usable number"),
        (fill(quantity="1E+1000"), "quantity: 1E+1000 is not a usable number"),
        (fill(order_quantity=dec("NaN")), "order_quantity: NaN is not a usable number"),
        (fill(order_quantity=dec(1), order_executed=dec("1E+99")), "order_executed: 1E+99 is not a usable number"),
        (report(cumulative=Sums(dec(0), dec("1E-99"), {})), "cumulative.value: 1E-99 is not a usable number"),
        (fill(instrument=Instrument("paper", "linear", "")), "instrument.symbol: empty"),
        (
            fill(client_order_id="", venue_order_id=""),
            "client_order_id, venue_order_id: one of them must name the order",
        ),
    ],
    ids=["not a number", "too large", "of its order", "so far of its order", "too small", "no symbol", "no order"],
)
def test_j05_an_update_that_cannot_be_applied_is_refused_with_the_reason(update, reason):
    with pytest.raises(InvalidInput) as refused:
        decode_update(encode_update(update))

    assert refused.value.reasons == [reason]


@given(st.binary(max_size=200))
def test_j05_any_bytes_are_an_update_or_refused(value):
    try:
        decode_update(value)
    except InvalidInput as error:
        assert error.reasons  # noqa: PT017 -- the only end but success
