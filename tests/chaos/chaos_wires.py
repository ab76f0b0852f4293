"""The wire between two parts, so that it can be cut while both live."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Self

_CHUNK_BYTES = 65_536


class State(Enum):
    """OPEN carries; CUT resets every connection, new ones too; SILENT takes everything in and hands nothing on."""

    OPEN = 1
    CUT = 2
    SILENT = 3


class Wire:
    """Carries connections from a port of its own to `target`."""

    def __init__(self, port: int, target: int, host: str = "127.0.0.1") -> None:
        self.port = port
        self._state = State.OPEN
        self._carries = asyncio.Event()
        self._carries.set()
        self._target = target
        self._host = host
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.become(State.CUT)
        if self._server is not None:
            self._server.close()

    def become(self, state: State) -> None:
        """From now on it is so; what is connected when it is cut is reset."""
        self._state = state
        if state is State.SILENT:
            self._carries.clear()
        else:
            self._carries.set()
        if state is State.CUT:
            for writer in list(self._writers):
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._state is State.CUT:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while received := await reader.read(_CHUNK_BYTES):
                await self._carries.wait()
                writer.write(received)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()
