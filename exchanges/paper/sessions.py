"""One WebSocket connection of a client: reading commands, answering late, sending what is queued."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

MAX_QUEUED: Final = 20_000  # messages; a client that lets more than this pile up is cut off
MAX_COMMAND_BYTES: Final = 64 * 1024
DEFAULT_IDLE_S: Final = 600.0
IDLE_RANGE_S: Final = (30.0, 600.0)
_DURATION: Final = re.compile(r"([0-9]{1,6})([sm]?)")

Command = dict[str, object]


class Session:
    """A connection. `handle` is called with every command, one after another."""

    def __init__(self, ack_delay_s: float) -> None:
        self.conn_id = secrets.token_hex(10)
        self.topics: set[str] = set()
        self.uid: int | None = None
        self._ack_delay_s = ack_delay_s
        self._socket = web.WebSocketResponse(max_msg_size=MAX_COMMAND_BYTES, autoping=True, timeout=0.5)
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED)
        self._transport: asyncio.Transport | None = None

    async def run(
        self, request: web.Request, handle: Callable[[Session, Command], Awaitable[None]]
    ) -> web.WebSocketResponse:
        """Serve the connection until either end closes it."""
        await self._socket.prepare(request)
        self._transport = request.transport
        writer = asyncio.create_task(self._write(), name=f"paper-session-{self.conn_id}")
        try:
            await self._read(idle_limit_s(request.query.get("max_active_time", "")), handle)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return self._socket

    async def _read(self, idle_s: float, handle: Callable[[Session, Command], Awaitable[None]]) -> None:
        while True:
            try:
                message = await self._socket.receive(idle_s)
            except TimeoutError:
                await self._socket.close(code=WSCloseCode.POLICY_VIOLATION)
                return
            if message.type is not WSMsgType.TEXT:
                return
            command = _parsed(message.data)
            if command is None:
                self.send({"success": False, "ret_msg": "Invalid JSON", "conn_id": self.conn_id, "op": ""})
            else:
                await handle(self, command)

    async def acknowledge(self, reply: dict[str, object], command: Command) -> None:
        """Answer a command after the habitual delay, with its req_id, unchanged in value and type."""
        if self._ack_delay_s:
            await asyncio.sleep(self._ack_delay_s)
        if "req_id" in command:
            reply["req_id"] = command["req_id"]
        self.send(reply)

    def send(self, message: dict[str, object]) -> None:
        self.send_bytes(orjson.dumps(message))

    def send_bytes(self, message: bytes) -> None:
        """Queue a message. A client that does not read is cut off rather than let memory grow."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """Cut the connection without a goodbye."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Say goodbye and close; gives up waiting for the client's answer soon."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY)

    async def _write(self) -> None:
        while True:
            message = await self._queue.get()
            try:
                await self._socket.send_str(message.decode())
            except (ConnectionError, RuntimeError):
                return  # the reader sees the end of the connection too


def idle_limit_s(max_active_time: str) -> float:
    """How long a connection may be silent: what the client wrote, 30s to 600s or 1m to 10m, else ten minutes.

    Source: Bybit v5, "Connect".
    """
    wanted = _DURATION.fullmatch(max_active_time)
    if wanted is None:
        return DEFAULT_IDLE_S
    seconds = float(wanted[1]) * (60 if wanted[2] == "m" else 1)
    return min(max(seconds, IDLE_RANGE_S[0]), IDLE_RANGE_S[1])


def _parsed(text: str) -> Command | None:
    try:
        command = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return command if isinstance(command, dict) else None
