"""A private stream on a real socket that says what a test wants it to say, and keeps what it was told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Message = dict[str, Any]
Script = Callable[["Conversation"], Awaitable[None]]

AUTHENTICATED: Message = {"op": "auth", "success": True, "ret_msg": "", "conn_id": "c-1"}
SUBSCRIBED: Message = {"op": "subscribe", "success": True, "ret_msg": "", "conn_id": "c-1", "req_id": "1"}


class Conversation:
    """One connection, from the venue's side."""

    def __init__(self, socket: ServerConnection, heard: list[Message]) -> None:
        self._socket = socket
        self._heard = heard

    async def hear(self, operation: str = "") -> Message:
        """The client's next message, or its next one of this operation."""
        while True:
            message = json.loads(await self._socket.recv())
            self._heard.append(message)
            if operation in {"", message["op"]}:
                return message

    async def say(self, message: Message | str | bytes) -> None:
        """Send a message; text and bytes go as they are."""
        await self._socket.send(json.dumps(message) if isinstance(message, dict) else message)

    async def welcome(self) -> None:
        """Accept the key and the subscription."""
        await self.hear("auth")
        await self.say(AUTHENTICATED)
        await self.hear("subscribe")
        await self.say(SUBSCRIBED)

    async def stay(self) -> None:
        """Listen until the client goes."""
        while True:
            await self.hear()

    async def hang_up(self) -> None:
        """Close the connection."""
        await self._socket.close()


class OddStream:
    """Runs one script per connection; after the last, that one again."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.heard: list[Message] = []
        self.connections = 0
        self._server: Server

    async def __aenter__(self) -> Self:
        self._server = await serve(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v5/private"
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        try:
            await script(Conversation(socket, self.heard))
        except (ConnectionClosed, asyncio.CancelledError):
            return
