"""The topics of the public WebSocket: what each told last, and what it has to tell now.

All readers of a topic are told the same: a newcomer gets what it told last as its snapshot, and every later message is
the difference. Tickers of spot pairs, the best bid and ask (`orderbook.1`) and candles are always told whole, the best
bid and ask again after three seconds without a change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from exchanges.paper.candles import Candle, end_of, is_interval, start_of
from exchanges.paper.exact import plain
from exchanges.paper.market import SymbolMarket
from exchanges.paper.market_figures import price_band
from exchanges.paper.market_questions import ticker_row
from exchanges.paper.paging import markets_of
from exchanges.paper.rows import NS_PER_MS
from exchanges.paper.turn import Row
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import Category, Side

REPEATED_AFTER_MS: Final = 3_000
DEPTHS: Final = frozenset({1, 50, 200, 500, 1000})
SILENT_KINDS: Final = frozenset({"liquidation", "insurance", "adlAlert"})
WITHOUT_PAST: Final = frozenset({"publicTrade", "allLiquidation"})
NOT_IN_SPOT_TICKERS: Final = frozenset({"bid1Price", "bid1Size", "ask1Price", "ask1Size"})

Levels = dict[str, str]  # price → quantity
Message = dict[str, object]


@dataclass(slots=True)
class Topic:
    """One topic of one category. `kind` is its first word, `market_key` names its market, "" for a silent topic.

    Of a book, `number` counts the changes told and `version` is that of the market's book when it was last looked at,
    the same for all depths.
    """

    name: str
    kind: str
    category: Category
    market_key: str
    depth: int = 0
    interval: str = ""
    told: Row = field(default_factory=dict)
    bids: Levels = field(default_factory=dict)
    asks: Levels = field(default_factory=dict)
    trade_seq: int = 0
    number: int = 0
    version: int = 0
    told_at_ms: int = 0
    is_fresh: bool = True

    @property
    def symbol(self) -> str:
        return self.name.rsplit(".", 1)[-1]

    @property
    def is_best_only(self) -> bool:
        """Whether it is a book of one level."""
        return self.kind == "orderbook" and self.depth == 1


def topic_of(name: object, category: Category) -> Topic | None:
    """The topic of that name in a category, if there is such a thing."""
    if not isinstance(name, str):
        return None
    kind, *rest = name.split(".")
    if kind in SILENT_KINDS and len(rest) == 1:
        return Topic(name, kind, category, "")
    key = markets_of(category).get(rest[-1]) if rest else None
    if key is None:
        return None
    match [kind, *rest[:-1]]:
        case ["tickers" | "publicTrade" | "priceLimit"]:
            return Topic(name, kind, category, key)
        case ["allLiquidation"] if category is not Category.SPOT:
            return Topic(name, kind, category, key)
        case ["orderbook", "rpi"]:
            return Topic(name, kind, category, key, depth=50)
        case ["orderbook", depth] if depth.isdigit() and int(depth) in DEPTHS:
            return Topic(name, kind, category, key, depth=int(depth))
        case ["kline", interval] if is_interval(interval):
            return Topic(name, kind, category, key, interval=interval)
    return None


class Observer:
    """Looks at the markets for the topics."""

    def __init__(self, venue: PaperVenue) -> None:
        self._venue = venue

    def look(self, topic: Topic) -> list[Message]:
        """What has changed since the topic looked last; it remembers what it saw."""
        if not topic.market_key:
            return []
        match topic.kind:
            case "tickers":
                return self._ticker(topic)
            case "orderbook":
                return self._book(topic)
            case "kline":
                return self._candles(topic)
            case "priceLimit":
                return self._price_limit(topic)
            case "allLiquidation":
                return self._liquidations(topic)
            case _:
                return self._trades(topic)

    def snapshot(self, topic: Topic) -> Message | None:
        """What a newcomer needs to follow; trades and liquidations have no past."""
        if not topic.market_key or topic.kind in WITHOUT_PAST:
            return None
        if topic.kind == "orderbook":
            return self._book_message(topic, "snapshot", topic.bids, topic.asks)
        if topic.kind == "kline":
            return self._kline_message(topic, self._candle(topic, self._now_ms()), confirmed=False)
        if topic.kind == "priceLimit":
            return self._limit_message(topic)
        return self._message(topic, "snapshot", topic.told)

    def _now_ms(self) -> int:
        return self._venue.clock() // NS_PER_MS

    def _market(self, topic: Topic) -> SymbolMarket:
        return self._venue.markets[topic.market_key]

    def _ticker(self, topic: Topic) -> list[Message]:
        now = ticker_row(self._venue, topic.market_key)
        if topic.category is Category.SPOT:
            now = {name: value for name, value in now.items() if name not in NOT_IN_SPOT_TICKERS}
        difference = {name: value for name, value in now.items() if topic.told.get(name) != value}
        topic.told = now
        if not difference:
            return []
        topic.number += 1
        if topic.category is Category.SPOT:
            return [self._message(topic, "snapshot", now)]
        return [self._message(topic, "delta", {"symbol": topic.symbol} | difference)]

    def _book(self, topic: Topic) -> list[Message]:
        bids, asks = self._levels(topic, Side.BUY), self._levels(topic, Side.SELL)
        changed_bids, changed_asks = _difference(topic.bids, bids), _difference(topic.asks, asks)
        topic.bids, topic.asks, topic.version = bids, asks, self._market(topic).version
        if not (changed_bids or changed_asks):
            return []
        topic.number += 1
        topic.told_at_ms = self._now_ms()
        if topic.is_best_only:
            return [self._book_message(topic, "snapshot", bids, asks)]
        return [self._book_message(topic, "delta", changed_bids, changed_asks)]

    def repeated(self, topic: Topic) -> list[Message]:
        """The best bid and ask once more, under the same number, if they have stood still for long."""
        now_ms = self._now_ms()
        if not topic.is_best_only or now_ms < topic.told_at_ms + REPEATED_AFTER_MS:
            return []
        topic.told_at_ms = now_ms
        return [self._book_message(topic, "snapshot", topic.bids, topic.asks)]

    def _book_message(self, topic: Topic, kind: str, bids: Levels, asks: Levels) -> Message:
        now_ms = self._now_ms()
        return {"topic": topic.name, "type": kind, "ts": now_ms, "data": _book_row(topic, bids, asks), "cts": now_ms}

    def _levels(self, topic: Topic, side: Side) -> Levels:
        levels = self._market(topic).depth(side)
        return {plain(price): plain(qty) for (price, qty), _ in zip(levels, range(topic.depth), strict=False)}

    def _trades(self, topic: Topic) -> list[Message]:
        trades = [trade for trade in self._market(topic).recent_trades if trade.seq > topic.trade_seq]
        if not trades:
            return []
        topic.trade_seq = trades[-1].seq
        rows = [
            {
                "T": trade.traded_at_ns // NS_PER_MS,
                "s": trade.symbol,
                "S": trade.taker_side,
                "v": plain(trade.qty),
                "p": plain(trade.price),
                **({} if topic.category is Category.SPOT else {"L": trade.tick}),
                "i": trade.trade_id,
                "BT": False,
                "RPI": False,
                "seq": trade.version,
            }
            for trade in trades
        ]
        return [{"topic": topic.name, "type": "snapshot", "ts": self._now_ms(), "data": rows}]

    def _liquidations(self, topic: Topic) -> list[Message]:
        """Positions that were taken over. `S` is the side of the position: Buy for a long one."""
        found = [one for one in self._market(topic).liquidations if one.seq > topic.trade_seq]
        if not found:
            return []
        topic.trade_seq = found[-1].seq
        rows = [
            {
                "T": one.traded_at_ns // NS_PER_MS,
                "s": one.symbol,
                "S": one.taker_side.opposite,
                "v": plain(one.qty),
                "p": plain(one.price),
            }
            for one in found
        ]
        return [{"topic": topic.name, "type": "snapshot", "ts": self._now_ms(), "data": rows}]

    # -- candles -------------------------------------------------------------------------------------------------

    def _candles(self, topic: Topic) -> list[Message]:
        """The candle that is being made, if it moved; the one before it, closed, when a new one has begun."""
        candle = self._candle(topic, self._now_ms())
        shown = _candle_row(topic, candle)
        if shown == topic.told:
            return []
        messages = []
        begun_ms = topic.told.get("start")
        if isinstance(begun_ms, int) and begun_ms < candle.start_ms:
            messages.append(self._kline_message(topic, self._candle(topic, begun_ms), confirmed=True))
        topic.told = shown
        return [*messages, self._kline_message(topic, candle, confirmed=False)]

    def _candle(self, topic: Topic, at_ms: int) -> Candle:
        history = self._venue.histories.observed(self._market(topic), self._now_ms())
        start_ms = start_of(topic.interval, at_ms)
        (candle,) = history.last.candles(topic.interval, start_ms, start_ms, 1)
        return candle

    def _kline_message(self, topic: Topic, candle: Candle, *, confirmed: bool) -> Message:
        now_ms = self._now_ms()
        row = _candle_row(topic, candle) | {"confirm": confirmed, "timestamp": now_ms}
        return {"topic": topic.name, "type": "snapshot", "ts": now_ms, "data": [row]}

    # -- the band of prices --------------------------------------------------------------------------------------

    def _price_limit(self, topic: Topic) -> list[Message]:
        band = price_band(self._market(topic))
        if band == topic.told:
            return []
        topic.told = band
        return [self._limit_message(topic)]

    def _limit_message(self, topic: Topic) -> Message:
        return {"topic": topic.name, "ts": self._now_ms(), "data": {"symbol": topic.symbol} | topic.told}

    def _message(self, topic: Topic, kind: str, row: Row) -> Message:
        now_ms = self._now_ms()
        return {"topic": topic.name, "type": kind, "data": row, "cs": topic.number, "ts": now_ms}


def _candle_row(topic: Topic, candle: Candle) -> Row:
    return {
        "start": candle.start_ms,
        "end": end_of(topic.interval, candle.start_ms) - 1,
        "interval": topic.interval,
        "open": plain(candle.open),
        "close": plain(candle.close),
        "high": plain(candle.high),
        "low": plain(candle.low),
        "volume": plain(candle.volume),
        "turnover": plain(candle.turnover),
    }


def _book_row(topic: Topic, bids: Levels, asks: Levels) -> Row:
    beside = ["0"] if ".rpi." in topic.name else []
    return {
        "s": topic.symbol,
        "b": [[price, qty, *beside] for price, qty in bids.items()],
        "a": [[price, qty, *beside] for price, qty in asks.items()],
        "u": topic.number,
        "seq": topic.version,
    }


def _difference(before: Levels, now: Levels) -> Levels:
    """Levels that are new or different, and with quantity 0 those that are gone."""
    gone = {price: "0" for price in before if price not in now}
    return gone | {price: qty for price, qty in now.items() if before.get(price) != qty}
