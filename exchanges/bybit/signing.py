"""Signatures of Bybit v5: HMAC-SHA256 over exactly the bytes that go on the wire.

Source: Bybit v5, "Integration guidance" (REST) and "Connect" (WebSocket).
"""

from __future__ import annotations

import hashlib
import hmac


class Credentials:
    """A key and its secret. Neither appears when the object is printed, logged or shown in a traceback."""

    __slots__ = ("_secret", "key")

    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self._secret = secret.encode()

    def __repr__(self) -> str:
        return "Credentials(key=***, secret=***)"

    def rest_headers(self, payload: bytes, *, timestamp_ms: int, receive_window_ms: int) -> dict[str, str]:
        """Headers of a signed request; `payload` is the raw query string of a GET or the raw body of a POST."""
        stamp, window = str(timestamp_ms), str(receive_window_ms)
        return {
            "X-BAPI-API-KEY": self.key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": self._sign((stamp + self.key + window).encode() + payload),
        }

    def stream_args(self, *, expires_ms: int) -> list[str | int]:
        """Arguments of the stream's `auth` operation, valid until `expires_ms` of the venue's clock."""
        return [self.key, expires_ms, self._sign(f"GET/realtime{expires_ms}".encode())]

    def redact(self, text: str) -> str:
        """`text` without key and secret: venues repeat what they were sent in their error messages."""
        for private in (self._secret.decode(), self.key):
            if private:
                text = text.replace(private, "***")
        return text

    def _sign(self, message: bytes) -> str:
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
