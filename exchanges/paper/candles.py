"""Candles: what each market did, minute by minute, as far as this process has seen it.

A minute without a trade stands at the last price, with no volume, as on the venue. What was before the oldest minute
that is kept (before the process started, say) counts as standing still at that minute's opening price.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from exchanges.paper.exact import ZERO
from exchanges.paper.market import SymbolMarket

MINUTE_MS: Final = 60_000
DAY_MS: Final = 24 * 60 * MINUTE_MS
KEPT_MINUTES: Final = 2 * 24 * 60
INTERVAL_MINUTES: Final = {name: int(name) for name in ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720")}
CALENDAR_INTERVALS: Final = frozenset({"D", "W", "M"})


@dataclass(frozen=True, slots=True)
class Candle:
    """What happened from `start_ms` on, for one interval. Volume in the quantity's unit, turnover in the value's."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    turnover: Decimal = ZERO

    def moved(self, price: Decimal, qty: Decimal = ZERO, value: Decimal = ZERO) -> Candle:
        """This candle after the price went to `price`, with what was traded there."""
        return Candle(
            self.start_ms,
            self.open,
            max(self.high, price),
            min(self.low, price),
            price,
            self.volume + qty,
            self.turnover + value,
        )

    def joined(self, later: Candle) -> Candle:
        """This candle and a later one as one."""
        return Candle(
            self.start_ms,
            self.open,
            max(self.high, later.high),
            min(self.low, later.low),
            later.close,
            self.volume + later.volume,
            self.turnover + later.turnover,
        )

    @classmethod
    def still(cls, start_ms: int, price: Decimal) -> Candle:
        """A candle of a market that stood still."""
        return cls(start_ms, price, price, price, price)


def is_interval(name: str) -> bool:
    return name in INTERVAL_MINUTES or name in CALENDAR_INTERVALS


def start_of(interval: str, at_ms: int) -> int:
    """When the interval began that holds `at_ms`: weeks begin on Mondays, all in UTC."""
    if interval in INTERVAL_MINUTES:
        length_ms = INTERVAL_MINUTES[interval] * MINUTE_MS
        return at_ms // length_ms * length_ms
    day = datetime.fromtimestamp(at_ms // DAY_MS * 86_400, UTC)
    if interval == "W":
        day -= timedelta(days=day.weekday())
    if interval == "M":
        day = day.replace(day=1)
    return int(day.timestamp()) * 1000


def end_of(interval: str, start_ms: int) -> int:
    """The first millisecond after the interval that begins at `start_ms`."""
    if interval in INTERVAL_MINUTES:
        return start_ms + INTERVAL_MINUTES[interval] * MINUTE_MS
    longest_ms = {"D": DAY_MS, "W": 7 * DAY_MS, "M": 31 * DAY_MS}[interval]
    return start_of(interval, start_ms + longest_ms)


class MinuteSeries:
    """The minutes of one price."""

    def __init__(self) -> None:
        self.minutes: OrderedDict[int, Candle] = OrderedDict()

    def move(self, at_ms: int, price: Decimal, qty: Decimal = ZERO, value: Decimal = ZERO) -> None:
        """Take in that the price was `price` at `at_ms`, which is never before the newest minute."""
        start_ms = at_ms // MINUTE_MS * MINUTE_MS
        newest = self.newest
        if newest is None:
            self.minutes[start_ms] = Candle.still(start_ms, price).moved(price, qty, value)
        elif start_ms <= newest.start_ms:
            self.minutes[newest.start_ms] = newest.moved(price, qty, value)
        else:
            self.minutes[start_ms] = Candle.still(start_ms, newest.close).moved(price, qty, value)
            if len(self.minutes) > KEPT_MINUTES:
                self.minutes.popitem(last=False)

    @property
    def newest(self) -> Candle | None:
        return next(reversed(self.minutes.values()), None)

    def candles(self, interval: str, from_ms: int, until_ms: int, limit: int) -> list[Candle]:
        """The latest `limit` candles that begin from `from_ms` until `until_ms`, newest first."""
        starts = list(_starts(interval, from_ms, until_ms, limit))
        if not starts:
            return []
        price = self.price_before(starts[-1])
        joined = self._joined(interval, starts[-1])
        found: list[Candle] = []
        for start_ms in reversed(starts):
            candle = joined.get(start_ms) or Candle.still(start_ms, price)
            price = candle.close
            found.append(candle)
        return found[::-1]

    def price_before(self, at_ms: int) -> Decimal:
        """Where the market stood before `at_ms`; before all that is kept, where the oldest minute began."""
        price = next((minute.open for minute in self.minutes.values()), ZERO)
        for minute in self.minutes.values():
            if minute.start_ms >= at_ms:
                break
            price = minute.close
        return price

    def _joined(self, interval: str, from_ms: int) -> dict[int, Candle]:
        """The kept minutes from `from_ms` on, put together by interval."""
        joined: dict[int, Candle] = {}
        for minute in self.minutes.values():
            if minute.start_ms < from_ms:
                continue
            start_ms = start_of(interval, minute.start_ms)
            before = joined.get(start_ms)
            joined[start_ms] = before.joined(minute) if before else replace(minute, start_ms=start_ms)
        return joined


def _starts(interval: str, from_ms: int, until_ms: int, limit: int) -> Iterator[int]:
    """When the intervals begin, the newest first."""
    start_ms = start_of(interval, until_ms)
    for _ in range(limit):
        if start_ms < from_ms:
            return
        yield start_ms
        start_ms = start_of(interval, start_ms - 1)


class MarketHistory:
    """What one market did: its last price with the trades, and its mark price."""

    def __init__(self) -> None:
        self.last = MinuteSeries()
        self.mark = MinuteSeries()
        self._seen_seq = 0
        self._day: tuple[int, Candle] | None = None

    def observe(self, market: SymbolMarket, now_ms: int) -> None:
        """Take in what has happened since the last time. Called often, it misses nothing but the path in between."""
        trades = []
        for trade in reversed(market.recent_trades):
            if trade.seq <= self._seen_seq:
                break
            trades.append(trade)
        for trade in reversed(trades):
            self.last.move(
                trade.traded_at_ns // 1_000_000, trade.price, trade.qty, market.instrument.value(trade.qty, trade.price)
            )
            self._seen_seq = trade.seq
        self.last.move(now_ms, market.last_price)
        self.mark.move(now_ms, market.mark_price)

    def day(self, now_ms: int) -> Candle:
        """The last 24 hours as one candle; its opening price is the price of 24 hours ago."""
        newest = self.last.newest
        if newest is None:
            return Candle.still(now_ms, ZERO)
        if self._day is None or self._day[0] != newest.start_ms:
            self._day = newest.start_ms, self._day_before(newest)
        return self._day[1].joined(newest)

    def _day_before(self, newest: Candle) -> Candle:
        from_ms = newest.start_ms - DAY_MS
        whole = Candle.still(from_ms, self.last.price_before(from_ms))
        for minute in self.last.minutes.values():
            if from_ms <= minute.start_ms < newest.start_ms:
                whole = whole.joined(minute)
        return whole


class Histories:
    """The histories of all markets, by their keys."""

    def __init__(self) -> None:
        self._histories: dict[str, MarketHistory] = {}

    def observed(self, market: SymbolMarket, now_ms: int) -> MarketHistory:
        """The history of a market, with what has just happened taken in."""
        history = self._histories.setdefault(market.instrument.key, MarketHistory())
        history.observe(market, now_ms)
        return history
