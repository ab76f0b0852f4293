"""One signed request to Bybit v5, and what its reply means.

The signature covers the bytes that are sent: a POST's body is encoded once, and a GET's query string is read back
from the URL in the form in which it goes on the wire, because every layer has its own idea of what to escape.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson

from domain.errors import NotAccepted, RateLimited, Uncertain, VenueError
from exchanges.bybit.errors import (
    ADDRESS_BAN_S,
    RATE_LIMIT_CAP_S,
    CallKind,
    http_error,
    venue_error,
)
from exchanges.bybit.options import BybitOptions
from exchanges.bybit.server_time import ServerTime
from exchanges.bybit.signing import Credentials
from exchanges.clock import Clock
from exchanges.http import HttpCaller, Reply, Request
from exchanges.rate_limit import Priority, RateLimiter
from exchanges.venue import CallHooks

ADDRESS = "address"
"""The bucket of the network address, which every call counts in."""

_EXCERPT_CHARS = 160


@dataclass(frozen=True, slots=True)
class Answered:
    """A successful reply. `asked_ns` is our clock when the request left: what it tells was true then or later. A batch
    has a verdict for each order in `extra`; what was too many for the rate limit should wait for `retry_after_s`."""

    result: Mapping[str, object]
    asked_ns: int
    extra: Mapping[str, object] = field(default_factory=dict)
    retry_after_s: float = 1.0


class BybitRest:
    """Requests to one account. Each is one attempt; errors are those of `domain.errors`."""

    def __init__(
        self,
        options: BybitOptions,
        credentials: Credentials,
        limiter: RateLimiter,
        server_time: ServerTime,
        clock: Clock,
        hooks: CallHooks,
    ) -> None:
        self._options = options
        self._credentials = credentials
        self._limiter = limiter
        self._server_time = server_time
        self._clock = clock
        self._hooks = hooks
        self._http = HttpCaller(options.rest_url, options.timeouts, max_connections=options.max_connections)
        self._syncing = asyncio.Lock()

    async def get(
        self, path: str, params: Mapping[str, str], *, bucket: str | None = None, signed: bool = True
    ) -> Answered:
        """Ask a question, once a token of `bucket` and one of the address are there.

        Raises `NotAccepted` (nothing is known, ask again), `RateLimited`, `Refused`, or `NotFoundOrTooLate`.
        """
        names = (ADDRESS,) if bucket is None else (bucket, ADDRESS)
        await self._limiter.acquire(names, Priority.READ)
        request = self._http.request("GET", path, params=params)
        payload = request.url.raw_query_string.encode()
        return await self._send(CallKind.READ, request, payload if signed else None, bucket)

    async def post(self, path: str, body: Mapping[str, object], *, call: CallKind, bucket: str) -> Answered:
        """Ask for a change. The caller has taken the tokens.

        Raises `Uncertain` whenever the venue may have done what was asked; otherwise as `get`, and `Duplicate`.
        """
        content = orjson.dumps(body)
        request = self._http.request("POST", path, content=content)
        request.headers["Content-Type"] = "application/json"
        return await self._send(call, request, content, bucket)

    async def sync_time(self) -> None:
        """Ask the venue for its time and correct ours. Raises as `get`. Callers that come together share one."""
        before = self._server_time.offset_ms
        async with self._syncing:
            if self._server_time.offset_ms != before:
                return
            asked_ns = self._clock.now_ns()
            answered = await self.get("/v5/market/time", {}, signed=False)
            answered_ns = self._clock.now_ns()
            nanoseconds = str(answered.result.get("timeNano", ""))
            if not nanoseconds.isdecimal():
                raise NotAccepted("UNREADABLE_REPLY", "the venue's time has no timeNano")
            venue_ms = int(nanoseconds) // 1_000_000
            self._server_time.learn(venue_ms=venue_ms, asked_ns=asked_ns, answered_ns=answered_ns)

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    # -- one call ----------------------------------------------------------------------------------------------------

    async def _send(self, call: CallKind, request: Request, payload: bytes | None, bucket: str | None) -> Answered:
        """Send, judge, and tell the hooks, the limiter and the clock what the reply says."""
        endpoint = f"{request.method} {request.url.path}"
        started_s = self._clock.monotonic_s()
        outcome = "ok"
        try:
            return await self._exchange(call, request, payload, bucket)
        except VenueError as error:
            outcome = error.code
            raise
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self._hooks.on_call(endpoint, self._clock.monotonic_s() - started_s, outcome)

    async def _exchange(self, call: CallKind, request: Request, payload: bytes | None, bucket: str | None) -> Answered:
        if payload is not None:
            request.headers.update(
                self._credentials.rest_headers(
                    payload,
                    timestamp_ms=self._server_time.now_ms(),
                    receive_window_ms=self._options.receive_window_ms,
                )
            )
        asked_ns = self._clock.now_ns()
        try:
            reply = await self._http.send(request)
        except Uncertain as error:
            if call.writes:
                raise
            raise NotAccepted(error.code, error.sentence) from error
        retry_after_s = self._follow(reply, bucket, batch=request.url.path.endswith("-batch"))
        try:
            result, extra = self._judge(call, reply, retry_after_s)
        except RateLimited as error:
            self.slow_down(error, bucket)
            raise
        except NotAccepted as error:
            if error.code == "CLOCK_SKEW" and payload is not None:  # the question for the time is not signed
                with contextlib.suppress(VenueError):  # the next request meets the same complaint and tries again
                    await self.sync_time()
            raise
        return Answered(result, asked_ns, extra, retry_after_s)

    def _judge(
        self, call: CallKind, reply: Reply, retry_after_s: float
    ) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """The result of a successful reply, and what it says besides; raises for every other."""
        try:
            envelope = orjson.loads(reply.body)
            code, message, result = envelope["retCode"], envelope.get("retMsg"), envelope.get("result")
        except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
            raise self._unreadable(call, reply, retry_after_s) from None
        if reply.status != HTTPStatus.OK or isinstance(code, bool) or not isinstance(code, int):
            raise self._unreadable(call, reply, retry_after_s)
        error = None if code == 0 else self.error(call, code, message, retry_after_s)
        if error is not None:
            raise error
        extra = envelope.get("retExtInfo")
        return result if isinstance(result, dict) else {}, extra if isinstance(extra, dict) else {}

    def error(self, call: CallKind, code: int, message: object, retry_after_s: float) -> VenueError | None:
        """What a code other than 0 says of a call, or of one order of a batch; None: it is a success for this call."""
        sentence = self._credentials.redact(str(message or ""))[:_EXCERPT_CHARS]
        return venue_error(call, code, sentence, retry_after_s=retry_after_s)

    def _unreadable(self, call: CallKind, reply: Reply, retry_after_s: float) -> VenueError:
        """What a reply without a readable envelope means. Its beginning is shown, on one line and redacted."""
        text = " ".join(reply.body[: 4 * _EXCERPT_CHARS].decode(errors="replace").split())
        excerpt = self._credentials.redact(text)[:_EXCERPT_CHARS]
        return http_error(call, reply.status, excerpt, retry_after_s=retry_after_s)

    # -- rates -------------------------------------------------------------------------------------------------------

    def _follow(self, reply: Reply, bucket: str | None, *, batch: bool) -> float:
        """Let the bucket follow the venue's count; returns the seconds that a throttled call should wait."""
        limit = _header_number(reply, "X-Bapi-Limit")
        left = _header_number(reply, "X-Bapi-Limit-Status")
        if bucket is not None:
            # Categories have limits of their own, and so have batches: with several in one bucket the settings stay,
            # and only the count of what is left is followed.
            several = batch or len(self._options.categories) > 1
            self._limiter.bucket(bucket).follow(limit=None if limit and several else limit, left=left)
        reset_ms = _header_number(reply, "X-Bapi-Limit-Reset-Timestamp")
        if reset_ms is not None:
            wait_s = (reset_ms - self._server_time.now_ms()) / 1000
        else:
            wait_s = _header_number(reply, "Retry-After") or 1.0
        return min(max(0.0, wait_s), RATE_LIMIT_CAP_S)

    def slow_down(self, error: RateLimited, bucket: str | None) -> None:
        """What one call was told holds for those that wait behind it."""
        if error.retry_after_s >= ADDRESS_BAN_S:
            self._limiter.pause_all(error.retry_after_s)
        else:
            self._limiter.bucket(bucket or ADDRESS).pause(error.retry_after_s)


def _header_number(reply: Reply, name: str) -> int | None:
    """A header that should be a count or a time; None when it is missing or is neither."""
    text = reply.headers.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
