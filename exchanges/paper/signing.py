"""Who is calling: the signature of REST calls, checked over the bytes that arrived, and of the stream's `auth`.

Source: Bybit v5, "Integration Guidance": HMAC-SHA256 of timestamp + key + receive window + (raw query string or raw
body), lower-case hexadecimal; for RSA keys RSA-SHA256 of the same, in base64; valid while
server_time - window ≤ timestamp < server_time + 1000 ms.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final

from exchanges.paper.options import ApiKey
from exchanges.paper.refusals import bad_parameter, bad_signature, stale_timestamp, unknown_key
from exchanges.paper.rsa import is_signed, public_key

DEFAULT_WINDOW_MS: Final = 5000
MAX_AHEAD_MS: Final = 1000
KEY_HEADER: Final = "X-BAPI-API-KEY"
TIMESTAMP_HEADER: Final = "X-BAPI-TIMESTAMP"
SIGN_HEADER: Final = "X-BAPI-SIGN"
WINDOW_HEADER: Final = "X-BAPI-RECV-WINDOW"


def signature(secret: str, message: bytes) -> str:
    """Lower-case hexadecimal HMAC-SHA256."""
    return hmac.new(secret.encode(), message, "sha256").hexdigest()


class KeyRing:
    """The API keys that are valid here."""

    def __init__(self, keys: tuple[ApiKey, ...]) -> None:
        self._keys = {pair.key: pair for pair in keys}
        self._public_keys = {pair.key: public_key(pair.secret) for pair in keys if "PUBLIC KEY" in pair.secret}

    def authenticate(self, headers: Mapping[str, str], payload: bytes, now_ms: int) -> ApiKey:
        """The key pair that signed `payload` (raw query string or raw body), or a refusal.

        Raises `Refusal` 10001 (headers missing), 10003 (key), 10002 (time), 10004 (signature), in this order.
        """
        key, stamp = headers.get(KEY_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
        signed = headers.get(SIGN_HEADER, "")
        if not (key and stamp and signed):
            raise bad_parameter(
                f"empty value: apiTimestamp[{stamp}] apiKey[{key}] apiSignature[{signed}]: openapi sign params error!"
            )
        window = headers.get(WINDOW_HEADER, "") or str(DEFAULT_WINDOW_MS)
        pair = self._keys.get(key)
        if pair is None:
            raise unknown_key()
        if not (_is_whole(stamp) and _is_whole(window)):
            raise bad_parameter("params error: timestamp or recv_window invalid")
        if not now_ms - int(window) <= int(stamp) < now_ms + MAX_AHEAD_MS:
            raise stale_timestamp(int(stamp), now_ms, int(window))
        origin = f"{stamp}{key}{window if WINDOW_HEADER in headers else ''}".encode() + payload
        if not self._is_signed(pair, origin, signed):
            raise bad_signature(origin.decode("utf-8", "replace"))
        return pair

    def authenticate_stream(self, key: object, expires: object, signed: object, now_ms: int) -> ApiKey:
        """The key pair of a stream's `auth` arguments; `expires` (ms) comes as a number or as a string.

        Raises `Refusal` 10001, 10003, 10004 as above, and 10002 for an expiry in the past.
        """
        stamp = str(expires)
        if not isinstance(key, str) or not isinstance(signed, str) or not _is_whole(stamp):
            raise bad_parameter("Params Error")
        pair = self._keys.get(key)
        if pair is None:
            raise unknown_key()
        if int(stamp) <= now_ms:
            raise stale_timestamp(int(stamp), now_ms, 0)
        origin = f"GET/realtime{stamp}"
        if not self._is_signed(pair, origin.encode(), signed):
            raise bad_signature(origin)
        return pair

    def _is_signed(self, pair: ApiKey, origin: bytes, signed: str) -> bool:
        """By the secret, or by the owner of the public key that stands in its place."""
        key = self._public_keys.get(pair.key)
        if key is not None:
            return is_signed(key, origin, signed)
        expected = signature(pair.secret, origin).encode()
        return hmac.compare_digest(expected, signed.encode("utf-8", "surrogateescape"))


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
