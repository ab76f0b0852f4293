"""The trade WebSocket, /v5/trade: the order calls over one connection, each answered under its `reqId`.

The same endpoints, buckets, counters and call faults as over REST. Commands take effect in the order in which they
arrive; their replies come a little later and do not wait for each other. Of the faults those apply that a message can
show: latency, lost and late replies, error codes, the rate limit; the ones that cut a connection cut this one.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from exchanges.paper.books import Books
from exchanges.paper.endpoints import ENDPOINTS, Answer, BatchAnswer, Endpoint, is_about_spot, orders_in, within_limit
from exchanges.paper.faults import Channel, FaultKind, FaultRule, Faults
from exchanges.paper.instruments import LISTED
from exchanges.paper.rates import RateCounters, RateVerdict
from exchanges.paper.refusals import (
    Refusal,
    bad_parameter,
    service_restarting,
    stale_timestamp,
    too_many_visits,
)
from exchanges.paper.rows import NS_PER_MS
from exchanges.paper.sessions import Command, Session
from exchanges.paper.signing import DEFAULT_WINDOW_MS, MAX_AHEAD_MS, KeyRing
from exchanges.paper.turn import Row

MAX_ID_LENGTH: Final = 36  # of a reqId
REMEMBERED_IDS: Final = 10_000  # reqIds of one connection that may not come again
OPERATIONS: Final = {
    f"order.{name}": ENDPOINTS["POST", f"order/{name}"]
    for name in ("create", "amend", "cancel", "create-batch", "amend-batch", "cancel-batch")
}
_SILENT: Final = frozenset({FaultKind.TIMEOUT_BEFORE_ACCEPT, FaultKind.TIMEOUT_AFTER_ACCEPT})
_CUTTING: Final = frozenset({
    FaultKind.RESET_BEFORE, FaultKind.RESET_MID_REPLY, FaultKind.ERROR_5XX_BEFORE, FaultKind.ERROR_5XX_AFTER,
    FaultKind.CUT_JSON, FaultKind.IP_BANNED,
})  # fmt: skip
_UNDONE: Final = frozenset({
    FaultKind.TIMEOUT_BEFORE_ACCEPT, FaultKind.RESET_BEFORE, FaultKind.ERROR_5XX_BEFORE, FaultKind.IP_BANNED,
    FaultKind.ERROR_CODE_BEFORE, FaultKind.RATE_LIMITED,
})  # fmt: skip


@dataclass(slots=True)
class Served:
    """What has become of a command."""

    verdict: RateVerdict
    answer: Answer = field(default_factory=dict)
    code: int = 0
    message: str = "OK"
    rules: list[FaultRule] = field(default_factory=list)


class TradeStream:
    """All trade connections."""

    def __init__(
        self,
        books: Books,
        keys: KeyRing,
        faults: Faults,
        rates: RateCounters,
        counters: dict[str, Counter[str]],
        clock: Callable[[], int],
        ack_delay_s: float,
    ) -> None:
        self._books = books
        self._keys = keys
        self._faults = faults
        self._rates = rates
        self._counters = counters
        self._clock = clock
        self._ack_delay_s = ack_delay_s
        self._sessions: dict[Session, deque[str]] = {}
        self._replies: set[asyncio.Task[None]] = set()
        self._refused_until_ns = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        is_shut = self._faults.standing(FaultKind.MAINTENANCE) is not None
        if is_shut or self._clock() < self._refused_until_ns:
            return web.Response(status=503, text="Service Unavailable")
        session = Session(self._ack_delay_s)
        self._sessions[session] = deque(maxlen=REMEMBERED_IDS)
        try:
            return await session.run(request, self._obey)
        finally:
            del self._sessions[session]

    def cut(self, refuse_ms: int, uid: int | None = None) -> int:
        """Cut the connections (of one account, or all) without a goodbye; refuse new ones for a while."""
        self._refused_until_ns = self._clock() + refuse_ms * NS_PER_MS
        cut = [session for session in self._sessions if uid in {None, session.uid}]
        for session in cut:
            session.abort()
        return len(cut)

    async def close(self) -> None:
        for reply in self._replies:
            reply.cancel()
        await asyncio.gather(*(session.close() for session in tuple(self._sessions)), return_exceptions=True)

    # -- commands ------------------------------------------------------------------------------------------------

    async def _obey(self, session: Session, command: Command) -> None:
        op = command.get("op")
        if op == "ping":
            now_ms = str(self._now_ms())
            session.send({"retCode": 0, "retMsg": "OK", "op": "pong", "data": [now_ms], "connId": session.conn_id})
        elif op == "auth":
            await self._authenticate(session, command)
        else:
            self._order(session, command, OPERATIONS.get(str(op)))

    async def _authenticate(self, session: Session, command: Command) -> None:
        arguments = command.get("args")
        reply: dict[str, object]
        key, expires, signed = (*(arguments if isinstance(arguments, list) else ()), None, None, None)[:3]
        if session.uid is not None:
            reply = {"retCode": 20001, "retMsg": "Repeat auth", "op": "auth", "connId": session.conn_id}
            await session.acknowledge(reply, {})
            return
        code, message = 0, "OK"
        try:
            session.uid = self._keys.authenticate_stream(key, expires, signed, self._now_ms()).uid
        except Refusal as refusal:
            code, message = refusal.code, refusal.message
        reply = {
            "retCode": code,
            "retMsg": message,
            "op": "auth",
            "connId": session.conn_id,
        }
        if "reqId" in command:
            reply["reqId"] = command["reqId"]
        await session.acknowledge(reply, {})

    def _order(self, session: Session, command: Command, endpoint: Endpoint | None) -> None:
        """Do at once what the command says, then see to the reply."""
        served = Served(RateVerdict(0, 0, self._now_ms(), allowed=True))
        try:
            self._serve(session, command, endpoint, served)
        except Refusal as refusal:
            if endpoint is not None and session.uid is not None:
                self._counters.setdefault(endpoint.name, Counter())["refused"] += 1
            served.answer, served.code, served.message = {}, refusal.code, refusal.message
        reply = self._reply(session, command, served)
        task = asyncio.create_task(self._answer(session, reply, served.rules), name="paper-trade-reply")
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    def _serve(self, session: Session, command: Command, endpoint: Endpoint | None, served: Served) -> None:
        """Raises `Refusal`; what `served` holds by then is still part of the reply."""
        if endpoint is None:
            raise Refusal(10404, "op type is not found")
        if self._faults.standing(FaultKind.MAINTENANCE) is not None:
            raise service_restarting()
        fields = self._admit(session, command)
        counters = self._counters.setdefault(endpoint.name, Counter())
        counters["arrived"] += 1
        uid = session.uid or 0
        served.verdict = self._rates.count(
            uid, endpoint.name, endpoint.group, self._now_ms(), orders_in(fields), on_spot=is_about_spot(fields)
        )
        within_limit(fields, served.verdict.granted)
        symbol = fields.get("symbol")
        name = symbol if isinstance(symbol, str) else ""
        served.rules = self._faults.for_call(endpoint.name, name, uid, Channel.TRADE)
        counters["faulted"] += bool(served.rules)
        self._refuse_before(served)
        if any(rule.kind in _UNDONE for rule in served.rules):
            return
        served.answer = self._books.perform(lambda: endpoint.serve(self._books.venue, uid, fields))
        counters["accepted"] += 1
        for rule in served.rules:
            if rule.kind is FaultKind.ERROR_CODE_AFTER:
                served.code, served.message = rule.code, rule.message

    def _admit(self, session: Session, command: Command) -> Row:
        """The fields of the one order, if the connection may, the reqId is new, the time is right and the category is
        one that is traded here."""
        if session.uid is None:
            raise Refusal(20003, "Not authorized")
        request_id, seen = command.get("reqId"), self._sessions[session]
        if isinstance(request_id, str) and request_id:
            if len(request_id) > MAX_ID_LENGTH:
                raise bad_parameter(f"params error: reqId is longer than {MAX_ID_LENGTH} characters")
            if request_id in seen:
                raise Refusal(20006, "Duplicate reqId")
            seen.append(request_id)
        header = command.get("header")
        header = header if isinstance(header, dict) else {}
        try:
            stamp_ms = int(header.get("X-BAPI-TIMESTAMP", ""))
            window_ms = int(header.get("X-BAPI-RECV-WINDOW") or DEFAULT_WINDOW_MS)
        except (TypeError, ValueError) as error:
            raise bad_parameter("params error: X-BAPI-TIMESTAMP invalid") from error
        now_ms = self._now_ms()
        if not now_ms - window_ms <= stamp_ms < now_ms + MAX_AHEAD_MS:
            raise stale_timestamp(stamp_ms, now_ms, window_ms)
        arguments = command.get("args")
        if not isinstance(arguments, list) or len(arguments) != 1 or not isinstance(arguments[0], dict):
            raise bad_parameter("params error: args must hold one object")
        fields: Row = arguments[0]
        if fields.get("category") not in tuple(LISTED):  # a tuple: the client may send something unhashable
            raise Refusal(10404, "category is not correct/supported")
        return fields

    # -- replies -------------------------------------------------------------------------------------------------

    def _refuse_before(self, served: Served) -> None:
        """Raises `Refusal` for a call over the limit, or one that a rule refuses."""
        for rule in served.rules:
            if rule.kind is FaultKind.RATE_LIMITED:
                reset_at_ms = self._now_ms() + rule.retry_after_ms
                served.verdict = RateVerdict(served.verdict.limit, 0, reset_at_ms, allowed=False)
            if rule.kind is FaultKind.ERROR_CODE_BEFORE:
                raise Refusal(rule.code, rule.message)
        if not served.verdict.allowed:
            raise too_many_visits()

    def _reply(self, session: Session, command: Command, served: Served) -> dict[str, object]:
        answer = served.answer
        result, ext_info = answer if isinstance(answer, BatchAnswer) else (answer, {})
        header = served.verdict.headers() | {"Traceid": secrets.token_hex(16), "Timenow": str(self._now_ms())}
        echo = {"reqId": command["reqId"]} if "reqId" in command else {}
        return {
            **echo,
            "retCode": served.code,
            "retMsg": served.message,
            "op": command.get("op", ""),
            "data": result,
            "retExtInfo": ext_info,
            "header": header,
            "connId": session.conn_id,
        }

    async def _answer(self, session: Session, reply: dict[str, object], rules: list[FaultRule]) -> None:
        """Commit, wait as long as habit and rules say, and send; or do not, if a rule says so."""
        try:
            await self._books.committed()
        except Refusal as refusal:
            reply |= {"retCode": refusal.code, "retMsg": refusal.message, "data": {}}
        if any(rule.kind in _CUTTING for rule in rules):
            session.abort()
            return
        if any(rule.kind in _SILENT for rule in rules):
            return
        late_ms = sum(rule.delay_ms for rule in rules if rule.kind in {FaultKind.LATENCY, FaultKind.LATE_REPLY})
        await asyncio.sleep(self._ack_delay_s + late_ms / 1000)
        session.send(reply)

    def _now_ms(self) -> int:
        return self._clock() // NS_PER_MS
