"""The way of a REST call: count, authenticate, limit, misbehave if told to, serve, commit, answer.

1. read the raw bytes; the signature is checked over them                       nothing has changed yet
2. faults that strike before: wait, refuse, drop the connection                 nothing has changed yet
3. serve: the venue does its work at once, in memory
4. commit, together with whatever else this turn of the event loop did          the books have it
5. faults that strike after: lose, cut, delay or garble the reply               the books have it
6. answer; the streams are told in the same turn as the commit
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from exchanges.paper.books import Books
from exchanges.paper.endpoints import ENDPOINTS, Answer, BatchAnswer, Endpoint, is_about_spot, orders_in, within_limit
from exchanges.paper.faults import FaultKind, FaultRule, Faults
from exchanges.paper.hiding import as_seen
from exchanges.paper.options import RateLimits
from exchanges.paper.rates import AddressCounters, RateCounters, RateVerdict
from exchanges.paper.refusals import Refusal, bad_parameter, too_many_visits
from exchanges.paper.rows import NS_PER_MS
from exchanges.paper.signing import KeyRing

PREFIX: Final = "/v5/"
SERVED_IN_MAINTENANCE: Final = frozenset({"system/status", "market/time"})
HANG_POLL_S: Final = 0.02  # how often a reply that never comes looks whether the client has given up
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends a reset instead of an orderly end
_BEFORE: Final = frozenset({
    FaultKind.TIMEOUT_BEFORE_ACCEPT, FaultKind.ERROR_5XX_BEFORE, FaultKind.ERROR_CODE_BEFORE, FaultKind.RESET_BEFORE,
    FaultKind.RATE_LIMITED, FaultKind.IP_BANNED,
})  # fmt: skip
_HTML: Final = (
    "<html>\r\n<head><title>{status} Bad Gateway</title></head>\r\n<body><center><h1>{status} Bad Gateway</h1>"
    "</center></body>\r\n</html>\r\n"
)


class RateLimited(Refusal):
    """10006, with the headers that say when it is over."""

    def __init__(self, verdict: RateVerdict) -> None:
        told = too_many_visits()
        super().__init__(told.code, told.message)
        self.verdict = verdict


class ConnectionDropped(Exception):  # noqa: N818 -- the fault has done its work; there is nobody to answer
    """The connection of this request has been cut on purpose."""


@dataclass(frozen=True, slots=True)
class Call:
    """A REST call as it arrived."""

    endpoint: Endpoint
    fields: Mapping[str, object]
    uid: int
    symbol: str


class RestInterface:
    """All of /v5/ over HTTP. `stopping` releases the calls that a fault holds."""

    def __init__(
        self,
        books: Books,
        keys: KeyRing,
        faults: Faults,
        rates: RateCounters,
        clock: Callable[[], int],
        stopping: asyncio.Event,
        latency_s: float,
        limits: RateLimits,
    ) -> None:
        self._books = books
        self._keys = keys
        self._faults = faults
        self._rates = rates
        self._clock = clock
        self._stopping = stopping
        self._latency_s = latency_s
        self._addresses = AddressCounters(limits)
        self.counters: dict[str, Counter[str]] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one call."""
        path, _, query = request.raw_path.partition("?")
        endpoint = ENDPOINTS.get((request.method, path.removeprefix(PREFIX)))
        if endpoint is None:
            return web.Response(status=404, text="404 page not found")
        counters = self.counters.setdefault(endpoint.name, Counter())
        counters["arrived"] += 1
        payload = query.encode("utf-8", "surrogateescape") if request.method == "GET" else await request.read()
        verdict = RateVerdict(0, 0, self._now_ms(), allowed=True)
        if not self._addresses.allows(request.remote or "", self._now_ms()):
            return web.Response(status=403, text="403, access too frequent")
        try:
            self._refuse_in_maintenance(endpoint)
            call, verdict = self._admit(request, endpoint, payload)
            rules = self._faults.for_call(endpoint.name, call.symbol, call.uid or None)
            if rules:
                counters["faulted"] += 1
            await self._wait(rules)
            for rule in rules:
                if rule.kind in _BEFORE:
                    return await self._strike_before(request, rule, verdict)
            answer = self._books.perform(lambda: endpoint.serve(self._books.venue, call.uid, call.fields))
            await self._books.committed()
            counters["accepted"] += 1
            answer = as_seen(answer, endpoint.name, call.uid, self._faults, rules, self._now_ms())
            return await self._answer(request, self._envelope(0, "OK", answer), verdict, rules)
        except Refusal as refusal:
            counters["refused"] += 1
            told = refusal.verdict if isinstance(refusal, RateLimited) else verdict
            return self._reply(self._envelope(refusal.code, refusal.message, {}), told)

    def _now_ms(self) -> int:
        return self._clock() // NS_PER_MS

    def _admit(self, request: web.Request, endpoint: Endpoint, payload: bytes) -> tuple[Call, RateVerdict]:
        """Who it is, whether they may, and what they want."""
        now_ms = self._now_ms()
        uid = 0
        if not endpoint.is_public:
            uid = self._keys.authenticate(request.headers, payload, now_ms).uid
        fields = _query_fields(payload) if request.method == "GET" else _body_fields(payload)
        verdict = self._rates.count(
            uid, endpoint.name, endpoint.group, now_ms, orders_in(fields), on_spot=is_about_spot(fields)
        )
        if not verdict.allowed:
            raise RateLimited(verdict)
        within_limit(fields, verdict.granted)
        symbol = fields.get("symbol")
        return Call(endpoint, fields, uid, symbol if isinstance(symbol, str) else ""), verdict

    def _refuse_in_maintenance(self, endpoint: Endpoint) -> None:
        rule = self._faults.standing(FaultKind.MAINTENANCE)
        if rule is not None and endpoint.name not in SERVED_IN_MAINTENANCE:
            raise Refusal(rule.code, rule.message)

    # -- faults --------------------------------------------------------------------------------------------------

    async def _wait(self, rules: list[FaultRule]) -> None:
        delay_s = self._latency_s + sum(rule.delay_ms for rule in rules if rule.kind is FaultKind.LATENCY) / 1000
        if delay_s:
            await self._sleep(delay_s)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the exchange stops."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _strike_before(self, request: web.Request, rule: FaultRule, verdict: RateVerdict) -> web.StreamResponse:
        if rule.kind is FaultKind.TIMEOUT_BEFORE_ACCEPT:
            await self._hang(request, rule.hold_ms / 1000)
        if rule.kind is FaultKind.RESET_BEFORE:
            _drop(request)
        if rule.kind is FaultKind.RATE_LIMITED:
            reset_at_ms = self._now_ms() + rule.retry_after_ms
            raise RateLimited(RateVerdict(verdict.limit, 0, reset_at_ms, allowed=False))
        if rule.kind is FaultKind.ERROR_CODE_BEFORE:
            raise Refusal(rule.code, rule.message)
        if rule.kind is FaultKind.IP_BANNED:
            return web.Response(status=403, text=_HTML.format(status=403), content_type="text/html")
        return _bad_gateway(rule)

    async def _answer(
        self, request: web.Request, body: bytes, verdict: RateVerdict, rules: list[FaultRule]
    ) -> web.StreamResponse:
        """The reply, as the faults that strike afterwards leave it."""
        for rule in rules:
            match rule.kind:
                case FaultKind.TIMEOUT_AFTER_ACCEPT:
                    await self._hang(request, rule.hold_ms / 1000)
                case FaultKind.LATE_REPLY:
                    await self._sleep(rule.delay_ms / 1000)
                case FaultKind.ERROR_5XX_AFTER:
                    return _bad_gateway(rule)
                case FaultKind.ERROR_CODE_AFTER:
                    return self._reply(self._envelope(rule.code, rule.message, {}), verdict)
                case FaultKind.RESET_MID_REPLY:
                    await self._reset_mid_reply(request, body, verdict)
                case FaultKind.CUT_JSON:
                    return self._reply(body[: len(body) // 2], verdict)
                case FaultKind.SLOW_REPLY:
                    return await self._trickle(request, body, verdict, rule.bytes_per_s)
                case _:
                    continue
        return self._reply(body, verdict)

    async def _hang(self, request: web.Request, hold_s: float) -> NoReturn:
        """Say nothing until the client has gone, `hold_s` are over, or the exchange stops; then cut the connection."""
        deadline_s = asyncio.get_running_loop().time() + hold_s
        while not self._stopping.is_set() and asyncio.get_running_loop().time() < deadline_s:
            if request.transport is None or request.transport.is_closing():
                break
            await self._sleep(HANG_POLL_S)
        _drop(request)

    async def _reset_mid_reply(self, request: web.Request, body: bytes, verdict: RateVerdict) -> NoReturn:
        response = web.StreamResponse(headers=verdict.headers())
        response.content_type = "application/json"
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        _drop(request)

    async def _trickle(
        self, request: web.Request, body: bytes, verdict: RateVerdict, bytes_per_s: int
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=verdict.headers())
        response.content_type = "application/json"
        response.content_length = len(body)
        await response.prepare(request)
        for place in range(len(body)):
            if self._stopping.is_set() or request.transport is None or request.transport.is_closing():
                _drop(request)
            await response.write(body[place : place + 1])
            await self._sleep(1 / bytes_per_s)
        await response.write_eof()
        return response

    # -- replies -------------------------------------------------------------------------------------------------

    def _envelope(self, code: int, message: str, answer: Answer) -> bytes:
        result, ext_info = answer if isinstance(answer, BatchAnswer) else (answer, {})
        return orjson.dumps(
            {
                "retCode": code,
                "retMsg": message,
                "result": result,
                "retExtInfo": ext_info,
                "time": self._now_ms(),
            }
        )

    def _reply(self, body: bytes, verdict: RateVerdict) -> web.Response:
        headers = verdict.headers() | {"Traceid": secrets.token_hex(16), "Timenow": str(self._now_ms())}
        return web.Response(body=body, content_type="application/json", charset="utf-8", headers=headers)


def _query_fields(payload: bytes) -> dict[str, object]:
    return dict(parse_qsl(payload.decode("utf-8", "replace"), keep_blank_values=True))


def _body_fields(payload: bytes) -> dict[str, object]:
    try:
        fields = orjson.loads(payload or b"{}")
    except orjson.JSONDecodeError as error:
        raise bad_parameter("params error: the body is not JSON") from error
    if not isinstance(fields, dict):
        raise bad_parameter("params error: the body is not an object")
    return fields


def _bad_gateway(rule: FaultRule) -> web.Response:
    return web.Response(status=rule.status, text=_HTML.format(status=rule.status), content_type="text/html")


def _drop(request: web.Request) -> NoReturn:
    """Cut the connection with a reset. Raises `ConnectionDropped`, which ends the handling of the request."""
    transport = request.transport
    if transport is not None:
        endpoint = transport.get_extra_info("socket")
        if endpoint is not None:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
    raise ConnectionDropped
