"""The private WebSocket, /v5/private: who is connected, what they subscribed to, and what they are told.

Topics come all-in-one (`order`) or by category (`order.linear`), not mixed in one request; a message carries the name
that was subscribed. There is no snapshot on subscribing: clients ask over REST what they missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import orjson
from aiohttp import web

from exchanges.paper.faults import FaultKind, Faults
from exchanges.paper.refusals import Refusal
from exchanges.paper.rows import NS_PER_MS
from exchanges.paper.sessions import Command, Session
from exchanges.paper.signing import KeyRing
from exchanges.paper.turn import Row, StreamMessage
from exchanges.paper.unreliable import UnreliableWay

ALL_IN_ONE: Final = frozenset({"order", "execution", "execution.fast", "position", "wallet"})
BY_CATEGORY: Final = frozenset(
    f"{topic}.{category}"
    for topic in ("order", "execution", "execution.fast", "position")
    for category in ("linear", "inverse", "spot", "option")
)
SILENT: Final = frozenset({"greeks", "spread.order", "spread.execution"})  # of what is not traded here
PROTECTING: Final = frozenset({"dcp.future", "dcp.spot", "dcp.option"})
TOPICS: Final = ALL_IN_ONE | BY_CATEGORY | SILENT | PROTECTING
MAX_ARGS: Final = 10
FAST_KEYS: Final = (
    "category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId", "side", "execTime",
    "seq",
)  # fmt: skip


class DisconnectProtection(Protocol):
    """What happens when an account's streams are gone."""

    def window_s(self, uid: int) -> int:
        """How long they may be gone; 0: as long as they like."""
        ...

    def cancel_all(self, uid: int) -> None:
        """Cancel the open orders of the account."""
        ...


class PrivateStream:
    """All private connections."""

    def __init__(
        self,
        keys: KeyRing,
        faults: Faults,
        clock: Callable[[], int],
        ack_delay_s: float,
        protection: DisconnectProtection,
    ) -> None:
        self._protection = protection
        self._keys = keys
        self._faults = faults
        self._clock = clock
        self._ack_delay_s = ack_delay_s
        self._sessions: set[Session] = set()
        self._cancelling: dict[int, asyncio.TimerHandle] = {}
        self._way: UnreliableWay[StreamMessage] = UnreliableWay(self._send)
        self._refused_until_ns = 0
        self.connections = 0
        self.messages_sent = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        is_shut = self._faults.standing(FaultKind.MAINTENANCE) is not None
        if is_shut or self._clock() < self._refused_until_ns:
            return web.Response(status=503, text="Service Unavailable")
        session = Session(self._ack_delay_s)
        self._sessions.add(session)
        self.connections += 1
        try:
            return await session.run(request, self._obey)
        finally:
            self._sessions.discard(session)
            if session.uid is not None and session.topics & PROTECTING:
                self._unprotected(session.uid)

    def _unprotected(self, uid: int) -> None:
        """The last connection with a `dcp` topic is gone: if none is back in time, the open orders go too."""
        window_s = self._protection.window_s(uid)
        if not window_s or self._is_protected(uid):
            return
        if (timer := self._cancelling.pop(uid, None)) is not None:
            timer.cancel()
        self._cancelling[uid] = asyncio.get_running_loop().call_later(window_s, self._act_unless_back, uid)

    def _is_protected(self, uid: int) -> bool:
        return any(session.uid == uid and session.topics & PROTECTING for session in self._sessions)

    def _act_unless_back(self, uid: int) -> None:
        self._cancelling.pop(uid, None)
        if not self._is_protected(uid):
            self._protection.cancel_all(uid)

    # -- commands ------------------------------------------------------------------------------------------------

    async def _obey(self, session: Session, command: Command) -> None:
        match command.get("op"):
            case "ping":
                self._pong(session, command)
            case "auth":
                await self._authenticate(session, command)
            case "subscribe":
                await self._subscribe(session, command)
            case "unsubscribe":
                session.topics -= {topic for topic in _arguments(command) if isinstance(topic, str)}
                await session.acknowledge(_told(session, "unsubscribe", success=True), command)
            case other:
                reply = _told(session, str(other or ""), success=False, message="Invalid op")
                await session.acknowledge(reply, command)

    def _pong(self, session: Session, command: Command) -> None:
        reply: dict[str, object] = {"req_id": command["req_id"]} if "req_id" in command else {}
        now_ms = str(self._clock() // NS_PER_MS)
        session.send(reply | {"op": "pong", "args": [now_ms], "conn_id": session.conn_id})

    async def _authenticate(self, session: Session, command: Command) -> None:
        try:
            key, expires, signed = (*_arguments(command), None, None, None)[:3]
            pair = self._keys.authenticate_stream(key, expires, signed, self._clock() // NS_PER_MS)
        except Refusal as refusal:
            reply = _told(session, "auth", success=False, message=refusal.message) | {"retCode": refusal.code}
            await session.acknowledge(reply, command)
            return
        session.uid = pair.uid
        await session.acknowledge(_told(session, "auth", success=True), command)

    async def _subscribe(self, session: Session, command: Command) -> None:
        topics = _arguments(command)
        problem = "Request not authorized" if session.uid is None else _problem(topics)
        if problem:
            await session.acknowledge(_told(session, "subscribe", success=False, message=problem), command)
            return
        await session.acknowledge(_told(session, "subscribe", success=True), command)
        session.topics |= {topic for topic in topics if isinstance(topic, str)}

    # -- telling -------------------------------------------------------------------------------------------------

    def publish(self, messages: list[StreamMessage]) -> None:
        """Tell the connections of each account, in order, as far as the fault rules let it."""
        for message in messages:
            if message.topic == "wallet" and self._faults.standing(FaultKind.BALANCE_UNKNOWN, message.uid):
                continue
            rules = self._faults.for_message(message.topic, message.symbol, message.uid)
            self._way.pass_on(message, rules)
            if any(rule.kind is FaultKind.SECOND_FILLED for rule in rules) and _is_filled(message):
                self._way.pass_on(_second_filled(message), ())

    def _send(self, message: StreamMessage) -> None:
        names = _names(message)
        encoded: dict[str, bytes] = {}
        for session in tuple(self._sessions):
            if session.uid != message.uid:
                continue
            for name in names & session.topics:
                if name not in encoded:
                    encoded[name] = _encoded(message, name)
                session.send_bytes(encoded[name])
                self.messages_sent += 1

    # -- ending --------------------------------------------------------------------------------------------------

    def cut(self, refuse_ms: int, uid: int | None = None) -> int:
        """Cut the connections (of one account, or all) without a goodbye; refuse new ones for a while."""
        self._refused_until_ns = self._clock() + refuse_ms * NS_PER_MS
        cut = [session for session in self._sessions if uid in {None, session.uid}]
        for session in cut:
            session.abort()
        return len(cut)

    async def close(self) -> None:
        self._way.close()
        for timer in self._cancelling.values():
            timer.cancel()
        await asyncio.gather(*(session.close() for session in tuple(self._sessions)), return_exceptions=True)

    @property
    def open_sessions(self) -> int:
        return len(self._sessions)

    @property
    def subscribed_sessions(self) -> int:
        return sum(bool(session.topics) for session in self._sessions)


def _encoded(message: StreamMessage, name: str) -> bytes:
    if name.startswith("execution.fast"):
        rows = [_fast(row) for row in message.rows]
        return orjson.dumps({"topic": name, "creationTime": message.created_at_ms, "data": rows})
    return orjson.dumps(
        {"topic": name, "id": message.message_id, "creationTime": message.created_at_ms, "data": message.rows}
    )


def _arguments(command: Command) -> list[object]:
    arguments = command.get("args")
    return arguments if isinstance(arguments, list) else []


def _told(session: Session, op: str, *, success: bool, message: str = "") -> dict[str, object]:
    return {"success": success, "ret_msg": message, "op": op, "conn_id": session.conn_id}


def _problem(topics: list[object]) -> str:
    """What is wrong with a list of topics, "" if nothing is."""
    if not topics:
        return "Params Error"
    if len(topics) > MAX_ARGS:
        return f"args size >{MAX_ARGS}"
    unknown = [str(topic) for topic in topics if not isinstance(topic, str) or topic not in TOPICS]
    if unknown:
        return f"Invalid topic :{','.join(unknown)}"
    # wallet has no category, so it does not count as mixing
    mixed = set(topics) & BY_CATEGORY and set(topics) & (ALL_IN_ONE - {"wallet"})
    return "All-in-one and categorised topics must not be mixed" if mixed else ""


def _names(message: StreamMessage) -> set[str]:
    """The topics under which a message is told."""
    if message.topic == "wallet":
        return {"wallet"}
    category = message.category
    names = {message.topic, f"{message.topic}.{category}"}
    if message.topic == "execution" and message.rows[0]["execType"] == "Trade":
        names |= {"execution.fast", f"execution.fast.{category}"}
    return names


def _is_filled(message: StreamMessage) -> bool:
    return message.topic == "order" and message.rows[0]["orderStatus"] == "Filled"


def _second_filled(message: StreamMessage) -> StreamMessage:
    """What the venue sends after the fill when a cancel raced it and came too late."""
    changes = {"cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}
    return message._replace(rows=[row | changes for row in message.rows])


def _fast(row: Row) -> Row:
    """An execution as `execution.fast` shows it: less of it, and without the maker's own id."""
    shown = {name: row[name] for name in FAST_KEYS}
    return shown | {"orderLinkId": ""} if row["isMaker"] else shown
