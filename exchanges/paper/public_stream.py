"""The public WebSocket, /v5/public/linear: tickers, books and trades, a snapshot first and then what changes.

All subscribers of a topic are told the same: the topic keeps what it told last, a newcomer gets that as its snapshot,
and every later message is the difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import orjson
from aiohttp import web

from exchanges.paper.books import Books
from exchanges.paper.exact import plain
from exchanges.paper.instruments import INSTRUMENTS
from exchanges.paper.market_questions import ticker_row
from exchanges.paper.rows import NS_PER_MS
from exchanges.paper.sessions import Command, Session
from exchanges.paper.turn import Row
from exchanges.paper.vocabulary import Side

DEPTHS: Final = frozenset({1, 50, 200, 500, 1000})
MAX_ARGS: Final = 2000

Levels = dict[str, str]  # price → quantity


class Topic:
    """One topic and what it told last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind, *rest = name.split(".")
        self.symbol = rest[-1]
        self.depth = int(rest[0]) if self.kind == "orderbook" else 0
        self.ticker: Row = {}
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.trade_seq = 0
        self.number = 0
        self.is_fresh = True


def topic_of(name: object) -> Topic | None:
    """The topic of that name, if there is such a thing."""
    if not isinstance(name, str):
        return None
    match name.split("."):
        case ["tickers" | "publicTrade", symbol] if symbol in INSTRUMENTS:
            return Topic(name)
        case ["orderbook", depth, symbol] if symbol in INSTRUMENTS and depth.isdigit() and int(depth) in DEPTHS:
            return Topic(name)
    return None


class PublicStream:
    """All public connections of the linear category."""

    def __init__(self, books: Books, clock: Callable[[], int], ack_delay_s: float) -> None:
        self._books = books
        self._clock = clock
        self._ack_delay_s = ack_delay_s
        self._sessions: set[Session] = set()
        self._topics: dict[str, Topic] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        session = Session(self._ack_delay_s)
        self._sessions.add(session)
        try:
            return await session.run(request, self._obey)
        finally:
            self._sessions.discard(session)
            self._forget_unread()

    async def _obey(self, session: Session, command: Command) -> None:
        op = command.get("op")
        reply: dict[str, object] = {"success": True, "ret_msg": "", "conn_id": session.conn_id, "op": op}
        if op == "ping":
            reply["ret_msg"] = "pong"
            session.send(reply | ({"req_id": command["req_id"]} if "req_id" in command else {}))
            return
        arguments = command.get("args")
        names = arguments if isinstance(arguments, list) else []
        topics = [topic_of(name) for name in names]
        if op not in {"subscribe", "unsubscribe"} or not topics or None in topics or len(topics) > MAX_ARGS:
            wrong = ",".join(str(name) for name, topic in zip(names, topics, strict=True) if topic is None)
            problem = f"Invalid topic :{wrong}" if wrong else "Params Error"
            await session.acknowledge(reply | {"success": False, "ret_msg": problem}, command)
            return
        await session.acknowledge(reply, command)
        for topic in topics:
            if topic is None:
                continue
            if op == "unsubscribe":
                session.topics.discard(topic.name)
            elif topic.name not in session.topics:
                self._join(session, topic)
        self._forget_unread()

    def _join(self, session: Session, fresh: Topic) -> None:
        topic = self._topics.setdefault(fresh.name, fresh)
        if topic.is_fresh:
            self._observe(topic)
            topic.is_fresh = False
        session.topics.add(topic.name)
        snapshot = self._snapshot(topic)
        if snapshot is not None:
            session.send(snapshot)

    def _forget_unread(self) -> None:
        read: set[str] = set().union(*(session.topics for session in self._sessions))
        self._topics = {name: topic for name, topic in self._topics.items() if name in read}

    # -- telling -------------------------------------------------------------------------------------------------

    def publish_changes(self) -> None:
        """Tell every topic's readers what has changed since the last time."""
        changed = {symbol for symbol, market in self._books.venue.markets.items() if market.changed}
        for topic in tuple(self._topics.values()):
            if topic.symbol in changed:
                message = self._observe(topic)
                if message is not None:
                    self._send(topic.name, orjson.dumps(message))
        for symbol in changed:
            self._books.venue.markets[symbol].changed = False

    def _send(self, name: str, message: bytes) -> None:
        for session in tuple(self._sessions):
            if name in session.topics:
                session.send_bytes(message)

    def _snapshot(self, topic: Topic) -> dict[str, object] | None:
        """What a newcomer needs to follow; trades have no past."""
        if topic.kind == "tickers":
            return self._message(topic, "snapshot", topic.ticker)
        if topic.kind == "orderbook":
            return self._message(topic, "snapshot", self._book_row(topic, topic.bids, topic.asks))
        return None

    def _observe(self, topic: Topic) -> dict[str, object] | None:
        """Look at the market, remember it, and give the difference to what the topic knew."""
        match topic.kind:
            case "tickers":
                return self._observe_ticker(topic)
            case "orderbook":
                return self._observe_book(topic)
            case _:
                return self._observe_trades(topic)

    def _observe_ticker(self, topic: Topic) -> dict[str, object] | None:
        now = ticker_row(self._books.venue, topic.symbol)
        difference = {name: value for name, value in now.items() if topic.ticker.get(name) != value}
        topic.ticker = now
        if not difference:
            return None
        topic.number += 1
        return self._message(topic, "delta", {"symbol": topic.symbol} | difference)

    def _observe_book(self, topic: Topic) -> dict[str, object] | None:
        bids, asks = self._levels(topic, Side.BUY), self._levels(topic, Side.SELL)
        changed_bids, changed_asks = _difference(topic.bids, bids), _difference(topic.asks, asks)
        topic.bids, topic.asks = bids, asks
        if not (changed_bids or changed_asks):
            return None
        topic.number += 1
        return self._message(topic, "delta", self._book_row(topic, changed_bids, changed_asks))

    def _observe_trades(self, topic: Topic) -> dict[str, object] | None:
        trades = [t for t in self._books.venue.markets[topic.symbol].recent_trades if t.seq > topic.trade_seq]
        if not trades:
            return None
        topic.trade_seq = trades[-1].seq
        rows = [
            {
                "T": trade.traded_at_ns // NS_PER_MS,
                "s": trade.symbol,
                "S": trade.taker_side,
                "v": plain(trade.qty),
                "p": plain(trade.price),
                "L": "ZeroPlusTick",
                "i": trade.trade_id,
                "BT": False,
                "RPI": False,
                "seq": trade.seq,
            }
            for trade in trades
        ]
        now_ms = self._clock() // NS_PER_MS
        return {"topic": topic.name, "type": "snapshot", "ts": now_ms, "data": rows}

    def _levels(self, topic: Topic, side: Side) -> Levels:
        levels = self._books.venue.markets[topic.symbol].depth(side)
        return {plain(price): plain(qty) for (price, qty), _ in zip(levels, range(topic.depth), strict=False)}

    @staticmethod
    def _book_row(topic: Topic, bids: Levels, asks: Levels) -> Row:
        return {
            "s": topic.symbol,
            "b": [[price, qty] for price, qty in bids.items()],
            "a": [[price, qty] for price, qty in asks.items()],
            "u": topic.number,
            "seq": topic.number,
        }

    def _message(self, topic: Topic, kind: str, row: Row) -> dict[str, object]:
        now_ms = self._clock() // NS_PER_MS
        return {
            "topic": topic.name,
            "type": kind,
            "data": row,
            "cs": topic.number,
            "ts": now_ms,
            "cts": now_ms,
        }

    async def close(self) -> None:
        await asyncio.gather(*(session.close() for session in tuple(self._sessions)), return_exceptions=True)


def _difference(before: Levels, now: Levels) -> Levels:
    """Levels that are new or different, and with quantity 0 those that are gone."""
    gone = {price: "0" for price in before if price not in now}
    return gone | {price: qty for price, qty in now.items() if before.get(price) != qty}
