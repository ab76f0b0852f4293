"""Whatever the venue says, reading it ends in a report or in `InvalidInput`, and never hurts the stream."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
from bybit_rows import context, execution_row, order_row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.updates import decode_update, encode_update
from exchanges.bybit import account
from exchanges.bybit.options import BybitOptions
from exchanges.bybit.rows import Row
from exchanges.bybit.stream import BybitPrivateStream
from exchanges.bybit.translate import fill_report, order_report

# How fast a busy machine draws examples says nothing about the code.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
figures = st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,20})?", fullmatch=True)
order_fields = st.sampled_from(sorted(order_row()._fields))
execution_fields = st.sampled_from(sorted(execution_row()._fields))


@patient
@given(changes=st.dictionaries(order_fields, values | figures, max_size=4))
def test_an_order_row_is_read_or_refused_and_what_is_read_survives_the_topic(changes: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidInput):
        report = order_report(order_row(**changes), context())
        with contextlib.suppress(InvalidInput):  # the topic may be stricter still
            assert decode_update(encode_update(report)) == report


@patient
@given(changes=st.dictionaries(execution_fields, values | figures, max_size=4))
def test_an_execution_row_is_read_or_refused(changes: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidInput):
        fill = fill_report(execution_row(**changes), context(hedge=True))
        assert fill.quantity.is_finite()


@patient
@given(fields=st.dictionaries(st.sampled_from(["coin", "symbol", "size", "side", "bid1Price", "ask1Price"]), values))
def test_account_and_market_rows_are_read_or_refused(fields: dict[str, Any]) -> None:
    row = Row(fields)
    for read in (
        lambda: account.balances(row, account="desk", at_ns=1),
        lambda: account.position(row, venue="bybit", category="linear"),
        lambda: account.instrument_rules(row, venue="bybit", category="linear", fetched_at_ns=1),
        lambda: account.quote(row, at_ns=1),
    ):
        with contextlib.suppress(InvalidInput):
            read()


STREAM = BybitPrivateStream(BybitOptions(key="desk-key", secret="desk-secret"))
messages = st.fixed_dictionaries(
    {},
    optional={
        "topic": st.sampled_from(["order", "execution", "wallet", "position", "order.linear", "ticket"]) | values,
        "data": st.lists(values, max_size=3) | values,
        "creationTime": values,
        "success": values,
        "op": values,
        "ret_msg": values,
    },
)


@patient
@given(message=st.one_of(messages.map(orjson.dumps), st.binary(), st.text(), values.map(orjson.dumps)))
def test_no_message_hurts_the_stream(message: bytes | str) -> None:
    assert isinstance(STREAM._read(message), list)
