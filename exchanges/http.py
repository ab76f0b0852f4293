"""HTTP requests whose failures say whether the venue may have seen them.

A money-moving request has three ends: a reply; a failure before a byte can have left (`NotAccepted`); anything else
(`Uncertain`). The line between the last two is drawn by aiohttp's class: the connector's errors come before the first
byte, every other may come after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import httpx
from yarl import URL

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


@dataclass(slots=True)
class Request:
    """A request that can still be given headers. `url` is what reaches the wire, escaped as it stands."""

    method: str
    url: URL
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply, read to its end. Names of headers are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpCaller:
    """A pool of connections to one venue, opened with the first request."""

    def __init__(self, base_url: str, timeouts: Timeouts, *, max_connections: int = 64) -> None:
        self._base = URL(base_url)
        self._paths: dict[str, URL] = {}
        self._timeouts = timeouts
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Request:
        """A request for a path of the venue's."""
        url = self._paths.get(path)
        if url is None:
            url = self._paths[path] = self._base.with_path(self._base.path.rstrip("/") + path)
        return Request(method, url.with_query(params) if params else url, content)

    async def send(self, request: Request) -> Reply:
        """Send it once.

        Raises `NotAccepted` when no connection was opened and `Uncertain` when the venue may have seen the request.
        """
        if self._closed:
            raise NotAccepted("CLOSED", "the adapter has been closed")
        session = self._session
        if session is None:
            session = self._session = self._open()
        try:
            async with (
                asyncio.timeout(self._timeouts.total_s),
                session.request(
                    request.method, request.url, data=request.content, headers=request.headers, allow_redirects=False
                ) as response,
            ):
                return Reply(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error, self._timeouts) from error

    def _open(self) -> aiohttp.ClientSession:
        timeouts = self._timeouts
        encrypted = self._base.scheme == "https"
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._max_connections,
                keepalive_timeout=KEEPALIVE_S,
                ssl=httpx.create_ssl_context() if encrypted else True,  # its certificates, where the system has none
            ),
            timeout=aiohttp.ClientTimeout(
                connect=timeouts.connect_s, sock_connect=timeouts.connect_s, sock_read=timeouts.read_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "ordermanager"},
        )

    async def close(self) -> None:
        """Close every connection."""
        self._closed = True
        if self._session is not None:
            await self._session.close()


def _failure(error: Exception, timeouts: Timeouts) -> NotAccepted | Uncertain:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL):
        return NotAccepted("NO_CONNECTION", f"the connection was never opened: {_described(error)}")
    if type(error) is TimeoutError:  # ours; aiohttp's are subclasses that say which
        return Uncertain("NO_REPLY", f"no complete reply within {timeouts.total_s} s")
    return Uncertain("NO_REPLY", f"the connection broke before the reply was complete: {_described(error)}")


def _described(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()[:200]
