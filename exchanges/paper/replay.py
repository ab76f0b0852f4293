"""Prices from a file in the place of the synthetic market: quotes and trades as they were, in order of time.

CSV with a line of names, or JSON lines (by the file's suffix, `.csv` or not). Each record is one moment of one market:

    time       seconds since 1970 (also with a fraction), milliseconds or nanoseconds, or ISO 8601; never falling
    symbol     such as BTCUSDT; category is optional: linear, inverse, spot (linear without it)
    bid, ask   the best prices; bid_size, ask_size their quantities (the market's habitual one without them)
    bids, asks JSON lines only, in the place of bid and ask: lists of [price, quantity], best first
    last       the last trade's price; with last_size that trade reaches resting orders too

Markets that the file names follow it alone; all others stay with their synthetic market. The order of what happens is
that of the file, whatever the speed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from pathlib import Path
from typing import Final

from exchanges.paper.exact import ceiled, floored
from exchanges.paper.instruments import MARKETS, Instrument, market_key
from exchanges.paper.vocabulary import Category, Side

Levels = tuple[tuple[Decimal, Decimal], ...]

NS_PER_S: Final = 1_000_000_000
_MILLISECONDS_FROM: Final = Decimal(10) ** 11  # as seconds this would be the year 5138
_NANOSECONDS_FROM: Final = Decimal(10) ** 16


class ReplayError(ValueError):
    """The file cannot be replayed: which line, and why."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One record. Sizes of None are the market's habitual ones; `last` None: no trade; `last_size` None: it is only
    shown. `taker` is the side that came to the book."""

    at_ns: int
    key: str
    bids: Levels
    asks: Levels
    last: Decimal | None = None
    last_size: Decimal | None = None

    @property
    def taker(self) -> Side:
        """Who paid the ask bought; everybody else sold."""
        bought = self.last is not None and self.asks and self.last >= self.asks[0][0]
        return Side.BUY if bought else Side.SELL


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of prices, read and checked whole. `digest` tells it from others."""

    moments: tuple[Moment, ...]
    digest: str

    @property
    def keys(self) -> frozenset[str]:
        """The markets that follow it."""
        return frozenset(moment.key for moment in self.moments)


def read_recording(path: Path) -> Recording:
    """Raises `ReplayError` with the line for a record that cannot be used, and `OSError` if there is no such file."""
    content = path.read_bytes()
    moments: list[Moment] = []
    for line, record in _records(content.decode("utf-8-sig"), is_csv=path.suffix.lower() == ".csv"):
        try:
            moment = _moment(record)
        except (ValueError, KeyError, InvalidOperation, TypeError) as error:
            raise ReplayError(f"REPLAY_RECORD: line {line}: {type(error).__name__}: {error}") from error
        if moments and moment.at_ns < moments[-1].at_ns:
            raise ReplayError(f"REPLAY_ORDER: line {line}: the time falls")
        moments.append(moment)
    if not moments:
        raise ReplayError(f"REPLAY_EMPTY: {path.name} holds no records")
    return Recording(tuple(moments), blake2b(content, digest_size=16).hexdigest())


def _records(content: str, *, is_csv: bool) -> Iterator[tuple[int, Mapping[str, object]]]:
    lines = content.splitlines()
    if is_csv:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            yield number, row
        return
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            record = json.loads(text, parse_float=Decimal, parse_int=Decimal)
        except json.JSONDecodeError as error:
            raise ReplayError(f"REPLAY_RECORD: line {number}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ReplayError(f"REPLAY_RECORD: line {number}: not an object")
        yield number, record


def _moment(record: Mapping[str, object]) -> Moment:
    category = Category(str(record.get("category") or Category.LINEAR))
    key = market_key(category, str(record["symbol"]))
    instrument = MARKETS.get(key)
    if instrument is None:
        raise ValueError(f"{record['symbol']} is not listed in {category}")
    bids, asks = _side(record, instrument, Side.BUY), _side(record, instrument, Side.SELL)
    if bids and asks and bids[0][0] >= asks[0][0]:
        raise ValueError(f"bid {bids[0][0]} is not below ask {asks[0][0]}")
    return Moment(_time_ns(record["time"]), key, bids, asks, _figure(record, "last"), _figure(record, "last_size"))


def _side(record: Mapping[str, object], instrument: Instrument, side: Side) -> Levels:
    """The quotes of one side, on the tick and the lot: bids downwards, asks upwards, quantities downwards."""
    name = "bid" if side is Side.BUY else "ask"
    written = record.get(f"{name}s")
    if isinstance(written, list):
        given = [(Decimal(str(price)), Decimal(str(qty))) for price, qty in written]
    else:
        price = _figure(record, name)
        size = _figure(record, f"{name}_size")
        given = [] if price is None else [(price, instrument.habitual_qty if size is None else size)]
    on_tick = floored if side is Side.BUY else ceiled
    levels: dict[Decimal, Decimal] = {}
    for price, qty in given:
        step, lots = on_tick(price, instrument.tick), floored(qty, instrument.lot)
        if step <= 0 or qty < 0:
            raise ValueError(f"{name} {price} with {qty}")
        if lots:
            levels[step] = levels.get(step, Decimal(0)) + lots
    return tuple(sorted(levels.items(), reverse=side is Side.BUY))


def _figure(record: Mapping[str, object], name: str) -> Decimal | None:
    written = record.get(name)
    if written is None or written == "":
        return None
    figure = Decimal(str(written))
    if not figure.is_finite() or figure < 0:
        raise ValueError(f"{name}: {written}")
    return figure


def _time_ns(written: object) -> int:
    text = str(written).strip()
    try:
        figure = Decimal(text)
    except InvalidOperation:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError(f"time without a zone: {text}") from None
        return int(at.timestamp()) * NS_PER_S + at.microsecond * 1000
    if figure >= _NANOSECONDS_FROM:
        return int(figure)
    return int(figure * 1_000_000 if figure >= _MILLISECONDS_FROM else figure * NS_PER_S)
