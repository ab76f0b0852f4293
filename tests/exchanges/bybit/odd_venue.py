"""A venue on a real socket that answers byte by byte as a test wants it, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Received:
    """A request as it came off the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> str:
        """The raw query string."""
        return self.target.partition("?")[2]


Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


class OddVenue:
    """Answers every request with `respond`; after the script of `responses` is used up, with the last of them."""

    def __init__(self, *responses: Respond) -> None:
        self.responses = list(responses)
        self.received: list[Received] = []
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                self.received.append(await _request(reader))
                respond = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
                await respond(writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    return Received(method, target, headers, body)


def envelope(result: object = None, *, code: int = 0, message: str = "OK") -> bytes:
    """A reply in the venue's envelope."""
    return json.dumps(
        {"retCode": code, "retMsg": message, "result": result or {}, "retExtInfo": {}, "time": 1_800_000_000_000}
    ).encode()


def http(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Respond:
    """A well-formed HTTP reply."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        writer.write(f"HTTP/1.1 {status} Odd\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return respond


def ok(result: object = None, **headers: str) -> Respond:
    return http(envelope(result), headers=headers)


async def silence(_writer: asyncio.StreamWriter) -> None:
    """Never a word."""
    await asyncio.Event().wait()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.close()
    await writer.wait_closed()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Reset the connection instead of answering."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def half_a_reply(writer: asyncio.StreamWriter) -> None:
    """Promise a body, send half of it, close."""
    body = envelope({"orderId": "v-1"})
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2])
    await writer.drain()
    await hang_up(writer)


async def drip(writer: asyncio.StreamWriter) -> None:
    """A reply that comes byte by byte and would take a minute."""
    body = envelope({"orderId": "v-1"})
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    for byte in body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)  # the drip itself, not a wait for something to happen


async def garbage(writer: asyncio.StreamWriter) -> None:
    """Something that is not HTTP."""
    writer.write(b"\x00\x01\x02 what is this\r\n\r\n")
    await hang_up(writer)
