"""The private WebSocket, /v5/private: who is connected, what they subscribed to, and what they are told.

Topics come all-in-one (`order`) or by category (`order.linear`), not mixed in one request; a message carries the name
that was subscribed. There is no snapshot on subscribing: clients ask over REST what they missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import orjson
from aiohttp import web

from exchanges.paper.faults import FaultKind, FaultRule, Faults
from exchanges.paper.refusals import Refusal
from exchanges.paper.rows import NS_PER_MS
from exchanges.paper.sessions import Command, Session
from exchanges.paper.signing import KeyRing
from exchanges.paper.turn import StreamMessage

ALL_IN_ONE: Final = frozenset({"order", "execution", "position", "wallet"})
BY_CATEGORY: Final = frozenset(
    f"{topic}.{category}"
    for topic in ("order", "execution", "position")
    for category in ("linear", "inverse", "spot", "option")
)
MAX_ARGS: Final = 10


class PrivateStream:
    """All private connections."""

    def __init__(self, keys: KeyRing, faults: Faults, clock: Callable[[], int], ack_delay_s: float) -> None:
        self._keys = keys
        self._faults = faults
        self._clock = clock
        self._ack_delay_s = ack_delay_s
        self._sessions: set[Session] = set()
        self._held: list[tuple[StreamMessage, int]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._refused_until_ns = 0
        self.connections = 0
        self.messages_sent = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        if self._clock() < self._refused_until_ns:
            return web.Response(status=503, text="Service Unavailable")
        session = Session(self._ack_delay_s)
        self._sessions.add(session)
        self.connections += 1
        try:
            return await session.run(request, self._obey)
        finally:
            self._sessions.discard(session)

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
            rules = self._faults.for_message(message.topic, message.symbol, message.uid)
            if rules:
                self._misbehave(message, rules)
            else:
                self._tell(message)

    def _misbehave(self, message: StreamMessage, rules: list[FaultRule]) -> None:
        for rule in rules:
            match rule.kind:
                case FaultKind.DROP_STREAM:
                    return
                case FaultKind.DELAY_STREAM:
                    self._later(rule.delay_ms / 1000, message)
                    return
                case FaultKind.REORDER_STREAM:
                    self._held.append((message, rule.times))
                    self._timer(max(rule.delay_ms, 200) / 1000, self._release_all)
                    return
                case FaultKind.DUPLICATE_STREAM:
                    for _ in range(rule.times):
                        self._tell(message)
                case _:
                    continue
        self._tell(message)

    def _later(self, delay_s: float, message: StreamMessage) -> None:
        self._timer(delay_s, lambda: self._tell(message))

    def _timer(self, delay_s: float, action: Callable[[], None]) -> None:
        def act() -> None:
            self._timers.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(delay_s, act)
        self._timers.add(handle)

    def _release_all(self) -> None:
        held, self._held = self._held, []
        for message, _ in held:
            self._send(message)

    def _tell(self, message: StreamMessage) -> None:
        """Send a message, then those held back that have now been overtaken often enough."""
        self._send(message)
        if not self._held:
            return
        waiting = [(held, left - 1) for held, left in self._held]
        self._held = [(held, left) for held, left in waiting if left > 0]
        for held, left in waiting:
            if left <= 0:
                self._send(held)

    def _send(self, message: StreamMessage) -> None:
        names = (message.topic, f"{message.topic}.{message.category}")
        encoded: dict[str, bytes] = {}
        for session in tuple(self._sessions):
            if session.uid != message.uid:
                continue
            for name in names:
                if name in session.topics:
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
        for timer in self._timers:
            timer.cancel()
        await asyncio.gather(*(session.close() for session in tuple(self._sessions)), return_exceptions=True)

    @property
    def open_sessions(self) -> int:
        return len(self._sessions)

    @property
    def subscribed_sessions(self) -> int:
        return sum(bool(session.topics) for session in self._sessions)


def _encoded(message: StreamMessage, name: str) -> bytes:
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
    unknown = [str(topic) for topic in topics if not isinstance(topic, str) or topic not in ALL_IN_ONE | BY_CATEGORY]
    if unknown:
        return f"Invalid topic :{','.join(unknown)}"
    kinds = {topic in BY_CATEGORY for topic in topics}
    return "All-in-one and categorised topics must not be mixed" if len(kinds) > 1 and _overlap(topics) else ""


def _overlap(topics: list[object]) -> bool:
    """wallet has no category, so it does not count as mixing."""
    return bool({str(topic) for topic in topics} & (ALL_IN_ONE - {"wallet"}))
