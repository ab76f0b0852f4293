"""Connections that call the paper exchange as cheaply as it goes: bytes made by hand, one call at a time on each."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import Any, Self

import orjson

from exchanges.paper import ApiKey

WINDOW_MS = 60_000


class Connection:
    """One account's connection, kept open."""

    def __init__(self, pair: ApiKey, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._pair = pair
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, pair: ApiKey) -> Self:
        """Connect to the exchange on this machine."""
        return cls(pair, *await asyncio.open_connection("127.0.0.1", port))

    async def post(self, endpoint: str, fields: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """The reply, and the seconds it took. Raises `RuntimeError` if the exchange refuses."""
        body = orjson.dumps(fields)
        began_s = time.perf_counter()
        self._writer.write(self._head(endpoint, body) + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        reply: dict[str, Any] = orjson.loads(await self._reader.readexactly(length))
        took_s = time.perf_counter() - began_s
        if reply["retCode"]:
            raise RuntimeError(f"{endpoint}: {reply['retCode']} {reply['retMsg']}")
        return reply, took_s

    def _head(self, endpoint: str, body: bytes) -> bytes:
        stamp = str(time.time_ns() // 1_000_000)
        text = f"{stamp}{self._pair.key}{WINDOW_MS}".encode() + body
        sign = hmac.digest(self._pair.secret.encode(), text, "sha256").hex()
        return (
            f"POST /v5/{endpoint} HTTP/1.1\r\nHost: paper\r\nContent-Type: application/json\r\n"
            f"X-BAPI-API-KEY: {self._pair.key}\r\nX-BAPI-TIMESTAMP: {stamp}\r\nX-BAPI-RECV-WINDOW: {WINDOW_MS}\r\n"
            f"X-BAPI-SIGN: {sign}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
