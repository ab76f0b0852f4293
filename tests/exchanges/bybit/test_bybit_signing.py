"""Signatures: worked out by hand, and equal to what is on the wire."""

from __future__ import annotations

import hashlib
import hmac
import traceback

from exchanges.bybit.signing import Credentials

CREDENTIALS = Credentials("desk-key", "desk-secret")


def test_a_rest_signature_covers_time_key_window_and_payload() -> None:
    payload = b'{"category":"linear","qty":"0.1"}'
    headers = CREDENTIALS.rest_headers(payload, timestamp_ms=1_800_000_000_000, receive_window_ms=5000)
    by_hand = hmac.new(b"desk-secret", b"1800000000000" + b"desk-key" + b"5000" + payload, hashlib.sha256).hexdigest()
    assert headers == {
        "X-BAPI-API-KEY": "desk-key",
        "X-BAPI-TIMESTAMP": "1800000000000",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": by_hand,
    }


def test_a_rest_signature_stays_what_it_was_in_an_earlier_release() -> None:
    headers = CREDENTIALS.rest_headers(b"category=linear", timestamp_ms=1_700_000_000_000, receive_window_ms=5000)
    assert headers["X-BAPI-SIGN"] == "65ce928b229fc392642ac4e0c72aac941d783ba9df5b4f9c3870152a577e4b51"


def test_the_streams_arguments_are_key_expiry_and_signature() -> None:
    key, expires_ms, sign = CREDENTIALS.stream_args(expires_ms=1_700_000_010_000)
    assert (key, expires_ms) == ("desk-key", 1_700_000_010_000)
    assert sign == hmac.new(b"desk-secret", b"GET/realtime1700000010000", hashlib.sha256).hexdigest()
    assert sign == "73a861ab9a313a162ec4e3f9ff472c8099ad3bc820aaef40b093f28577584583"


def test_nothing_private_is_shown_when_credentials_are_printed() -> None:
    shown = f"{CREDENTIALS!r} {CREDENTIALS!s} {CREDENTIALS}"
    assert "desk-key" not in shown
    assert "desk-secret" not in shown


def test_a_venues_message_that_repeats_key_or_secret_is_redacted() -> None:
    assert CREDENTIALS.redact("origin_string[1desk-key5000desk-secret]") == "origin_string[1***5000***]"


def test_a_traceback_with_locals_shows_no_secret() -> None:
    credentials = CREDENTIALS

    def fail(signer: Credentials) -> None:
        signer.rest_headers(b"", timestamp_ms=0, receive_window_ms=0)
        raise RuntimeError

    try:
        fail(credentials)
    except RuntimeError as error:
        told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "desk-secret" not in told
