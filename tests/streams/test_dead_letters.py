"""What is put aside can be put aside, however large it is."""

from __future__ import annotations

import pytest
from quiet_venue import NOW
from trading_desk import TOPICS, Desk

from domain.errors import InvalidInput
from streams.dead_letters import dead_letter, size_of
from streams.record import Record

LIMIT_BYTES = 1_000_000
"""What the log takes as one record."""


def record(value: bytes = b"{", key: bytes = b"BTCUSDT", **headers: bytes) -> Record:
    return Record(TOPICS.signals, 0, 7, key, value, tuple(headers.items()), NOW)


def test_s02_a_letter_has_the_original_bytes_key_and_headers() -> None:
    letter = dead_letter(TOPICS.signals_dead, record(trace=b"t"), "BAD_SIGNAL", ["value: not JSON"])

    assert (letter.key, letter.value) == (b"BTCUSDT", b"{")
    assert dict(letter.headers)["trace"] == b"t"
    assert dict(letter.headers)["__streams.errors.message"] == b"value: not JSON"
    assert "ordermanager-cut" not in dict(letter.headers)


@pytest.mark.parametrize(
    "large",
    [record(b"x" * 5_000_000), record(trace=b"x" * 1_040_000), record(key=b"x" * 1_040_000)],
    ids=["value", "headers", "key"],
)
def test_s02_a_letter_of_a_record_too_large_for_one_is_cut_and_says_so(large: Record) -> None:
    letter = dead_letter(TOPICS.signals_dead, large, "BAD_SIGNAL", ["value: not JSON"] * 10_000)

    headers = dict(letter.headers)
    assert len(letter.key) + len(letter.value) + size_of(letter.headers) < LIMIT_BYTES - 1_000
    assert int(headers["ordermanager-cut"]) > 1_000_000
    assert headers["__streams.errors.offset"] == b"7"


def test_s04_a_signal_whose_headers_would_not_fit_a_second_time_is_refused_instead_of_sent_on() -> None:
    value = b'{"signal_id": "s", "signal_type": "buy", "symbol": "BTCUSDT", "amount": "10"}'

    with pytest.raises(InvalidInput, match="headers"):
        Desk().signal_agent._intake.read(record(value, key=b"elsewhere", note=b"x" * 100_000))
