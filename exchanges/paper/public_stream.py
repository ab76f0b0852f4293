"""The public WebSockets, /v5/public/{spot,linear,inverse,option,misc/status}: who reads which topic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import orjson
from aiohttp import web

from exchanges.paper.books import Books
from exchanges.paper.faults import FaultKind, Faults
from exchanges.paper.hiding import maintenance_row
from exchanges.paper.public_topics import Message, Observer, Topic, topic_of
from exchanges.paper.rows import NS_PER_MS
from exchanges.paper.sessions import Command, Session
from exchanges.paper.unreliable import UnreliableWay
from exchanges.paper.vocabulary import Category

MAX_ARGS: Final = 2000
MAX_SPOT_ARGS: Final = 10
STATUS_TOPIC: Final = "system.status"


class PublicStream:
    """All public connections of one category; `category` None is the stream of the system's own state."""

    def __init__(
        self, books: Books, category: Category | None, faults: Faults, clock: Callable[[], int], ack_delay_s: float
    ) -> None:
        self._books = books
        self._category = category
        self._faults = faults
        self._clock = clock
        self._ack_delay_s = ack_delay_s
        self._sessions: set[Session] = set()
        self._topics: dict[str, Topic] = {}
        self._way: UnreliableWay[tuple[str, bytes]] = UnreliableWay(self._send)
        self._refused_until_ns = 0
        self._told_maintained = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        if self._clock() < self._refused_until_ns:
            return web.Response(status=503, text="Service Unavailable")
        session = Session(self._ack_delay_s)
        self._sessions.add(session)
        try:
            return await session.run(request, self._obey)
        finally:
            self._sessions.discard(session)
            self._forget_unread()

    # -- commands ------------------------------------------------------------------------------------------------

    async def _obey(self, session: Session, command: Command) -> None:
        op = command.get("op")
        if op == "ping":
            self._pong(session, command)
            return
        reply: Message = {"success": True, "ret_msg": "", "conn_id": session.conn_id, "op": op}
        names = command.get("args")
        names = names if isinstance(names, list) else []
        problem = self._problem(op, names)
        if problem:
            await session.acknowledge(reply | {"success": False, "ret_msg": problem}, command)
            return
        await session.acknowledge(self._acknowledgement(reply, names), command)
        for name in names:
            if op == "unsubscribe":
                session.topics.discard(str(name))
            elif name not in session.topics and self._exists(name):
                self._join(session, str(name))
        self._forget_unread()

    def _pong(self, session: Session, command: Command) -> None:
        echo = {"req_id": command["req_id"]} if "req_id" in command else {}
        if self._category is Category.OPTION:
            session.send({"args": [str(self._clock() // NS_PER_MS)], "op": "pong"} | echo)
        else:
            session.send({"success": True, "ret_msg": "pong", "conn_id": session.conn_id, "op": "ping"} | echo)

    def _acknowledgement(self, reply: Message, names: list[object]) -> Message:
        """Each category's own words for yes."""
        if self._category is Category.SPOT and reply["op"] == "subscribe":
            return reply | {"ret_msg": "subscribe"}
        if self._category is Category.OPTION:
            known, unknown = self._sorted(names)
            topics = {"failTopics": unknown, "successTopics": known}
            return {"success": not unknown, "conn_id": reply["conn_id"], "data": topics, "type": "COMMAND_RESP"}
        return reply

    def _problem(self, op: object, names: list[object]) -> str:
        """What is wrong with a command, "" if nothing is."""
        if op not in {"subscribe", "unsubscribe"} or not names:
            return "Params Error"
        limit = MAX_SPOT_ARGS if self._category is Category.SPOT else MAX_ARGS
        if len(names) > limit:
            return f"args size >{limit}"
        if self._category is Category.OPTION:
            return ""  # its answer says of each topic whether there is one
        _, unknown = self._sorted(names)
        return f"Invalid topic :{','.join(unknown)}" if unknown else ""

    def _sorted(self, names: list[object]) -> tuple[list[object], list[str]]:
        """The topics that there are, and those that there are not."""
        return [name for name in names if self._exists(name)], [str(name) for name in names if not self._exists(name)]

    def _exists(self, name: object) -> bool:
        if self._category is None:
            return name == STATUS_TOPIC
        return topic_of(name, self._category) is not None

    def _join(self, session: Session, name: str) -> None:
        session.topics.add(name)
        if self._category is None:
            return
        topic = self._topics.get(name) or topic_of(name, self._category)
        if topic is None:
            return
        self._topics[name] = topic
        observer = Observer(self._books.venue)
        if topic.is_fresh:
            observer.look(topic)
            topic.is_fresh = False
        snapshot = observer.snapshot(topic)
        if snapshot is not None:
            session.send(snapshot)

    def _forget_unread(self) -> None:
        read: set[str] = set().union(*(session.topics for session in self._sessions))
        self._topics = {name: topic for name, topic in self._topics.items() if name in read}

    # -- telling -------------------------------------------------------------------------------------------------

    def publish_changes(self) -> None:
        """Tell every topic's readers what has changed since the last time."""
        if self._category is None:
            self._tell_status()
            return
        markets = self._books.venue.markets
        observer = Observer(self._books.venue)
        for topic in tuple(self._topics.values()):
            market = markets.get(topic.market_key)
            if market is not None and (market.changed or topic.kind == "kline"):
                self._tell(topic, observer.look(topic))
            if topic.is_best_only:
                self._tell(topic, observer.repeated(topic))

    def _tell(self, topic: Topic, messages: Iterable[Message]) -> None:
        for message in messages:
            rules = self._faults.for_public(topic.kind, topic.symbol)
            self._way.pass_on((topic.name, orjson.dumps(message)), rules)

    def _tell_status(self) -> None:
        """Maintenance has begun or ended."""
        is_maintained = self._faults.standing(FaultKind.MAINTENANCE) is not None
        if is_maintained is self._told_maintained:
            return
        self._told_maintained = is_maintained
        now_ms = self._clock() // NS_PER_MS
        row = maintenance_row(now_ms, "ongoing" if is_maintained else "completed")
        self._send((STATUS_TOPIC, orjson.dumps({"topic": STATUS_TOPIC, "ts": now_ms, "data": [row]})))

    def _send(self, message: tuple[str, bytes]) -> None:
        name, body = message
        for session in tuple(self._sessions):
            if name in session.topics:
                session.send_bytes(body)

    # -- ending --------------------------------------------------------------------------------------------------

    def cut(self, refuse_ms: int) -> int:
        """Cut all connections without a goodbye; refuse new ones for a while."""
        self._refused_until_ns = self._clock() + refuse_ms * NS_PER_MS
        cut = tuple(self._sessions)
        for session in cut:
            session.abort()
        return len(cut)

    async def close(self) -> None:
        self._way.close()
        await asyncio.gather(*(session.close() for session in tuple(self._sessions)), return_exceptions=True)
