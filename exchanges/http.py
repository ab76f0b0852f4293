"""HTTP requests whose failures say whether the venue may have seen them.

A money-moving request has three ends: a reply; a failure before a byte can have left (`NotAccepted`); anything else
(`Uncertain`). The line between the last two is drawn by the cause below httpx: the aiohttp transport reports a
connection that broke *after* the request under the same class as one that never opened, so httpx's class alone would
call a sent order unsent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from domain.errors import NotAccepted, Uncertain

KEEPALIVE_S = 20.0
"""Idle connections are dropped before the venue drops them: a POST on a connection that the other side has just
closed ends `Uncertain` although nothing was wrong with it."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds of one request, seconds. `connect_s` includes the wait for a free connection; `read_s` is the longest
    silence; `total_s` ends everything, a reply that drips byte by byte included."""

    connect_s: float = 2.0
    read_s: float = 5.0
    total_s: float = 8.0

    def __post_init__(self) -> None:
        if not 0 < self.connect_s < self.total_s or self.read_s <= 0:
            raise ValueError(
                f"BAD_TIMEOUTS: connect_s={self.connect_s} must be positive and under total_s={self.total_s}, "
                f"read_s={self.read_s} positive"
            )


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpCaller:
    """A pool of connections to one venue."""

    def __init__(self, base_url: str, timeouts: Timeouts, *, max_connections: int = 64) -> None:
        self._timeouts = timeouts
        self._client = httpx.AsyncClient(
            base_url=base_url,
            transport=AiohttpTransport(
                limits=httpx.Limits(max_connections=max_connections, keepalive_expiry=KEEPALIVE_S)
            ),
            timeout=httpx.Timeout(
                connect=timeouts.connect_s, pool=timeouts.connect_s, read=timeouts.read_s, write=timeouts.read_s
            ),
            headers={"User-Agent": "ordermanager"},
            follow_redirects=False,
        )

    def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Request:
        """A request that can still be given headers."""
        return self._client.build_request(method, path, params=params or None, content=content)

    async def send(self, request: httpx.Request) -> Reply:
        """Send it once.

        Raises `NotAccepted` when no connection was opened and `Uncertain` when the venue may have seen the request.
        """
        if self._client.is_closed:
            raise NotAccepted("CLOSED", "the adapter has been closed")
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                response = await self._client.send(request)
        except (httpx.HTTPError, httpx.StreamError, aiohttp.ClientError, OSError) as error:
            raise _failure(error, self._timeouts) from error
        return Reply(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


def _failure(error: Exception, timeouts: Timeouts) -> NotAccepted | Uncertain:
    if _never_opened(error):
        return NotAccepted("NO_CONNECTION", f"the connection was never opened: {_described(error)}")
    if isinstance(error, TimeoutError):
        return Uncertain("NO_REPLY", f"no complete reply within {timeouts.total_s} s")
    return Uncertain("NO_REPLY", f"the connection broke before the reply was complete: {_described(error)}")


def _never_opened(error: Exception) -> bool:
    """Whether it is certain that no byte left: the connector failed, or the wait for a connection ran out."""
    cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return True
    return isinstance(error, httpx.UnsupportedProtocol)


def _described(error: Exception) -> str:
    return f"{type(error.__cause__ or error).__name__} {error}".strip()[:200]
