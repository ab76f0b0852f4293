"""Bounds on connections: aiohttp has none, and a peer that opens many and says nothing would use up the process's
files, which the tables and the brokers need.

Two rules: a connection without a request is closed after a while, and when there are too many, the one longest
without a request makes room. A request that is being answered is never touched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

MAX_CONNECTIONS = 512
IDLE_LIMIT_S = 30.0
"""More than any client of ours keeps an unused connection (5 s), less than what would need many to be in our way."""

SWEEP_EVERY_S = 1.0
START_POLL_S = 0.01


class Connections:
    """Watches the connections of one server."""

    def __init__(
        self,
        limit: int = MAX_CONNECTIONS,
        idle_limit_s: float = IDLE_LIMIT_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._idle_limit_s = idle_limit_s
        self._clock_s = clock_s
        self._idle_since_s: dict[RequestHandler, float] = {}
        self._served: dict[RequestHandler, int] = {}
        """How many requests each connection had had at the last sweep."""
        self._server: web.Server | None = None

    async def watch(self, runner: web.AppRunner) -> None:
        """Look after the runner's server until cancelled. The server is made after the application has started."""
        while True:
            if self._server is None and runner.server is not None:
                self._attach(runner.server)
            if self._server is not None:
                self.sweep()
            await asyncio.sleep(SWEEP_EVERY_S if self._server is not None else START_POLL_S)

    def _attach(self, server: web.Server) -> None:
        made = server.connection_made

        def connection_made(handler: RequestHandler, transport: asyncio.Transport) -> None:
            made(handler, transport)
            self._idle_since_s[handler] = self._clock_s()
            if len(server.connections) > self._limit:
                self._make_room(server)

        server.connection_made = connection_made  # type: ignore[method-assign]  # aiohttp has no hook for it
        self._server = server

    def sweep(self) -> None:
        """Close what has been without a request for too long."""
        if self._server is None:
            return
        now_s = self._clock_s()
        quiet = [handler for handler in self._server.connections if not _busy(handler)]
        self._idle_since_s = {handler: self._since_s(handler, now_s) for handler in quiet}
        self._served = {handler: _requests(handler) for handler in quiet}
        for handler, since_s in self._idle_since_s.items():
            if now_s - since_s > self._idle_limit_s:
                _close(handler)

    def _since_s(self, handler: RequestHandler, now_s: float) -> float:
        """A connection may have had many short requests since the last sweep, and be quiet at each."""
        asked = self._served.get(handler, 0) != _requests(handler)
        return now_s if asked else self._idle_since_s.get(handler, now_s)

    def _make_room(self, server: web.Server) -> None:
        """Close the connection that has been without a request for longest; the newest if all others are at work."""
        idle = [handler for handler in server.connections if not _busy(handler) and not _closing(handler)]
        if idle:
            _close(min(idle, key=lambda handler: self._idle_since_s.get(handler, 0.0)))


def _busy(handler: RequestHandler) -> bool:
    return handler._request_in_progress


def _requests(handler: RequestHandler) -> int:
    return handler._request_count


def _closing(handler: RequestHandler) -> bool:
    return handler.transport is None or handler.transport.is_closing()


def _close(handler: RequestHandler) -> None:
    if handler.transport is not None:
        handler.transport.abort()
