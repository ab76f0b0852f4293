"""Requirements S01, S02, S06: what a signal may look like, and what is said of one that may not be traded."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from domain_cases import NOW, SECOND, dec, record, signal, signal_fields
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import InvalidInput
from domain.orders import OrderType, PositionSide, Side, TimeInForce
from domain.signals import MAX_DEPTH, Signal, Urgency, fingerprint, identify, parse_signal, signal_time_ns


def read(value: bytes | None) -> Signal:
    return parse_signal(value, record_time_ns=NOW, max_bytes=10_000)


def reasons(value: bytes | None) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        read(value)
    assert refused.value.code == "BAD_SIGNAL"
    return refused.value.reasons


# -- what is read --------------------------------------------------------------------------------------------------


def test_s01_four_fields_are_enough_and_the_time_is_the_records():
    wish = read(b'{"signal_id": "s1", "signal_type": "sell", "symbol": "BTCUSDT", "amount": 1000}')

    assert (wish.signal_id, wish.side, wish.symbol, wish.amount) == ("s1", Side.SELL, "BTCUSDT", dec(1000))
    assert wish.timestamp_ns == NOW
    assert (wish.confidence, wish.is_warmup, wish.market_data_snapshot, wish.order_type) == (None, False, None, None)


def test_s01_every_field_is_read():
    wish = signal(
        signal_type="BUY",
        symbol="eth-usdt",
        confidence=0.75,
        strategy_id="trend",
        model_version="3.1",
        is_warmup=True,
        market_data_snapshot={"price": 2000.5, "spread": "0.5", "volume": 12, "depth": 3, "venue_time": 1},
        metadata={"why": {"score": 0.25}},
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        venue="Bybit",
        category="linear",
        urgency="high",
        order_type="LIMIT",
        limit_price="1999.5",
        time_in_force="gtc",
        reduce_only=False,
        post_only=True,
        take_profit="2100",
        stop_loss="1900",
        position_side="LONG",
        expires_at=NOW + SECOND,
    )

    assert (wish.side, wish.symbol, wish.confidence) == (Side.BUY, "ETH-USDT", dec("0.75"))
    assert wish.market_data_snapshot is not None
    assert (wish.market_data_snapshot.price, wish.market_data_snapshot.depth) == (dec("2000.5"), dec(3))
    assert wish.metadata == {"why": {"score": dec("0.25")}}
    assert (wish.venue, wish.category, wish.urgency) == ("bybit", "linear", Urgency.URGENT)
    assert (wish.order_type, wish.limit_price, wish.time_in_force) == (OrderType.LIMIT, dec("1999.5"), TimeInForce.GTC)
    assert (wish.reduce_only, wish.post_only, wish.position_side) == (False, True, PositionSide.LONG)
    assert (wish.take_profit, wish.stop_loss, wish.expires_at_ns) == (dec(2100), dec(1900), NOW + SECOND)


def test_s01_asset_is_another_name_for_the_symbol():
    assert signal(symbol=None, asset="btcusdt").symbol == "BTCUSDT"
    assert signal(symbol="BTCUSDT", asset="btcusdt").symbol == "BTCUSDT"


def test_s01_unknown_fields_are_kept():
    wish = read(record(colour="green", nested={"a": [1, None]}))

    assert wish.model_extra == {"colour": "green", "nested": {"a": [1, None]}}


@pytest.mark.parametrize("name", ["side", "timestamp_ns", "model_config", "model_extra", "model_dump", "__class__", ""])
def test_s01_an_unknown_field_disturbs_nothing_whatever_its_name(name):
    wish = read(record(**{name: "5"}))

    assert wish.model_extra == {name: "5"}
    assert (wish.side, wish.timestamp_ns) == (Side.BUY, NOW)
    assert read(wish.model_dump_json(by_alias=True).encode()) == wish


def test_j06_the_published_schema_takes_either_name_of_the_instrument_and_every_way_to_write_a_time():
    schema = Signal.model_json_schema()

    assert schema["required"] == ["signal_id", "signal_type", "amount"]
    assert schema["anyOf"] == [{"required": ["symbol"]}, {"required": ["asset"]}]
    assert [way["type"] for way in schema["properties"]["timestamp"]["anyOf"]] == ["integer", "number", "string"]


def test_s01_a_field_that_is_null_is_absent():
    text = json.dumps(signal_fields() | {"confidence": None, "timestamp": None, "venue": None, "extra": None})

    wish = read(text.encode())

    assert (wish.confidence, wish.timestamp_ns, wish.venue) == (None, NOW, None)
    assert wish.model_extra == {"extra": None}


def test_s01_a_repeated_field_counts_as_it_was_written_last():
    assert read(record()[:-1] + b', "amount": 5}').amount == dec(5)


def test_d04_an_amount_never_passes_through_a_binary_float():
    value = record()[:-1] + b', "amount": 123456789012345.123456789012345678}'

    assert read(value).amount == Decimal("123456789012345.123456789012345678")


def test_s01_a_signal_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        signal().amount = dec(2)  # type: ignore[misc]


def test_s01_a_signal_written_again_reads_the_same():
    wish = signal(confidence="0.9", expires_at=NOW + 1, urgency=True, colour="green", position_side="short")

    assert read(wish.model_dump_json(by_alias=True).encode()) == wish


@pytest.mark.parametrize(
    ("given_as", "urgency"),
    [
        (True, Urgency.URGENT),
        (False, Urgency.NORMAL),
        ("IMMEDIATE", Urgency.URGENT),
        ("urgent", Urgency.URGENT),
        ("low", Urgency.NORMAL),
        (0.8, Urgency.URGENT),
        ("0.79", Urgency.NORMAL),
        (1, Urgency.URGENT),
    ],
)
def test_d01_haste_is_a_word_a_flag_or_a_fraction_of_at_least_four_fifths(given_as, urgency):
    assert signal(urgency=given_as).urgency is urgency


# -- times ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        1_763_700_000,
        1_763_700_000.0,
        "1763700000",
        1_763_700_000_000,
        1_763_700_000_000_000,
        1_763_700_000_000_000_000,
        "1763700000000000000",
        "2025-11-21T04:40:00Z",
        "2025-11-21T04:40:00",
        "2025-11-21 05:40:00+01:00",
        "2025-11-21T04:40:00.000000000Z",
        "20251121T044000Z",
    ],
)
def test_s01_a_time_is_understood_in_seconds_milli_micro_nanoseconds_and_iso_8601(written):
    assert signal(timestamp=written).timestamp_ns == NOW


def test_s01_a_times_fraction_is_exact_to_the_nanosecond():
    assert signal(timestamp="2025-11-21T04:40:00.123456789Z").timestamp_ns == NOW + 123_456_789
    assert signal(timestamp="2025-11-21T05:40:00,5+01:00").timestamp_ns == NOW + SECOND // 2
    assert signal(timestamp="1763700000.000000001").timestamp_ns == NOW + 1
    assert read(record()[:-1] + b', "timestamp": 1763700000.123456789}').timestamp_ns == NOW + 123_456_789


@pytest.mark.parametrize(
    "written",
    [
        0,
        -1,
        5,
        20251121,
        "2025",
        "yesterday",
        "",
        True,
        [],
        "1e30",
        1e300,
        "9" * 200,
        "9999-12-31",
        "٢٠٢٥-11-21",
        "1..2",
    ],
)
def test_s02_what_is_no_time_of_this_age_is_refused(written):
    assert [reason.partition(":")[0] for reason in reasons(record(timestamp=written))] == ["timestamp"]


def test_s09_age_counts_from_the_earlier_of_the_signals_time_and_its_records():
    assert signal_time_ns(signal(timestamp=NOW), NOW + 5) == NOW
    assert signal_time_ns(signal(timestamp=NOW), NOW - 5) == NOW - 5


# -- what is refused -----------------------------------------------------------------------------------------------


def test_s02_every_reason_is_given_in_the_order_of_the_fields():
    value = {
        "signal_id": "",
        "asset": "BTC USDT",
        "amount": "-5",
        "confidence": 1.5,
        "timestamp": "soon",
        "market_data_snapshot": {"price": "NaN", "spread": -1},
        "reduce_only": "false",
        "take_profit": "high",
    }

    assert reasons(json.dumps(value).encode()) == [
        "signal_id: empty",
        "signal_type: missing",
        "symbol: 'BTC USDT' is not a symbol: 1 to 40 letters, digits, '.', '_', '-'",
        "amount: -5 is not above 0",
        "confidence: 1.5 is not between 0 and 1",
        "timestamp: 'soon' is not a time: seconds since 1970, or ISO 8601",
        "market_data_snapshot.price: NaN is not a finite number",
        "market_data_snapshot.spread: -1 is below 0",
        "reduce_only: 'false' is not true or false",
        "take_profit: 'high' is not a number",
    ]


def test_s02_an_asset_that_is_not_the_symbol_is_refused():
    assert reasons(record(asset="ETHUSDT")) == ["asset: 'ETHUSDT' is not the symbol 'BTCUSDT'"]


@pytest.mark.parametrize(
    ("value", "beginning"),
    [
        (None, "value: the record has none"),
        (b"", "value: not JSON"),
        (b"hello", "value: not JSON"),
        (b'{"signal_id": "s1"', "value: not JSON"),
        (b"\xff\xfe", "value: not JSON"),
        (b"[1]", "value: a list is not a JSON object"),
        (b"null", "value: None is not a JSON object"),
        (b'{"amount": NaN}', "value: not JSON"),
        (b'{"amount": Infinity}', "value: not JSON"),
        (b'{"a": "\\ud800"}', "value: not JSON"),
        (b'{"a": ' + b"[" * 4000 + b"]" * 4000 + b"}", f"value: nested deeper than {MAX_DEPTH} levels"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", f"value: nested deeper than {MAX_DEPTH} levels"),
        (b" " * 10_001, "value: 10001 bytes, the limit is 10000"),
    ],
)
def test_s02_a_value_that_is_no_json_object_is_refused_with_one_reason(value, beginning):
    (reason,) = reasons(value)

    assert reason.startswith(beginning)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("signal_id", "x" * 129),
        ("signal_id", "a\nb"),
        ("signal_id", 5),
        ("signal_id", "  "),
        ("signal_type", "hold"),
        ("symbol", "-BTC"),
        ("symbol", "B" * 41),
        ("symbol", "ßBTC"),
        ("amount", "0"),
        ("amount", 1e400),
        ("amount", "1" * 40),
        ("amount", True),
        ("amount", {"value": 1}),
        ("confidence", -0.1),
        ("market_data_snapshot", [1]),
        ("market_data_snapshot", {"price": 0}),
        ("metadata", "text"),
        ("venue", "by bit"),
        ("urgency", "soonish"),
        ("urgency", 7),
        ("order_type", "stop"),
        ("time_in_force", "GTD"),
        ("limit_price", 0),
        ("position_side", "both ways"),
        ("is_warmup", 1),
    ],
)
def test_s02_a_field_out_of_range_is_named(field, value):
    text = json.dumps(signal_fields(**{field: value})).replace("Infinity", "1e400")

    (reason,) = reasons(text.encode())

    assert reason.startswith(field)
    assert len(reason) < 250


def test_s02_what_can_be_read_of_a_bad_signal_names_it():
    assert identify(record(amount="-1")) == ("s1", "BTCUSDT")
    assert identify(b'{"signal_id": "s1", "asset": "ethusdt"}') == ("s1", "ETHUSDT")
    assert identify(b'{"signal_id": "", "symbol": "BTCUSDT"}') == (None, "BTCUSDT")
    assert identify(b'{"signal_id": "s1", "symbol": ["BTCUSDT"]}') == ("s1", None)
    assert identify(b"hello") == (None, None)
    assert identify(None) == (None, None)


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
_NAMES = [field.alias or name for name, field in Signal.model_fields.items()]
_RECORDS = st.dictionaries(st.one_of(st.sampled_from([*_NAMES, "asset"]), st.text(max_size=8)), _JSON, max_size=8)


@given(st.one_of(st.binary(max_size=300), _RECORDS.map(lambda fields: json.dumps(signal_fields() | fields).encode())))
def test_s02_any_bytes_are_a_signal_or_refused_with_reasons_and_nothing_else_happens(value):
    identify(value)
    try:
        wish = read(value)
    except InvalidInput as error:
        assert (error.code, bool(error.reasons)) == ("BAD_SIGNAL", True)  # noqa: PT017 -- either end is right
    else:
        again = read(wish.model_dump_json(by_alias=True).encode())
        assert fingerprint(again) == fingerprint(wish)
        assert msgspec.json.encode(wish.metadata)


# -- the same wish or another --------------------------------------------------------------------------------------


def test_s06_a_repeated_wish_is_the_same_whatever_its_time_market_and_trace():
    repeated = signal(
        timestamp=NOW + SECOND,
        expires_at=NOW + 9 * SECOND,
        market_data_snapshot={"price": 1},
        trace_id="t2",
        metadata={"again": True},
        amount=1000.00,
        symbol="btcusdt",
        colour="green",
        strategy_id="renamed",
    )

    assert fingerprint(repeated) == fingerprint(signal())


@pytest.mark.parametrize(
    "changed",
    [
        {"signal_type": "sell"},
        {"symbol": "ETHUSDT"},
        {"amount": "1000.01"},
        {"confidence": "0.5"},
        {"venue": "okx"},
        {"category": "spot"},
        {"urgency": "high"},
        {"order_type": "market"},
        {"limit_price": "1"},
        {"time_in_force": "IOC"},
        {"reduce_only": False},
        {"post_only": False},
        {"take_profit": "1"},
        {"stop_loss": "1"},
        {"position_side": "net"},
        {"is_warmup": True},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_s06_another_trading_field_makes_another_wish(changed):
    assert fingerprint(signal(**changed)) != fingerprint(signal())
