"""`ordermanager verify`: do our tables, the topics and the venue say the same?

1. the tables made again from the topics against the live ones, row by row, as of one place in the log
2. inside the tables: the fills that orders counted against those that positions are the fold of
3. the events that went out against the rows they tell of
4. the live tables against the venue, the paper exchange's own books, and what the workers answer

The first three stand still by nature. The fourth moves while it is read: what differs is looked at again until it
agrees once, or the time is up. A figure that stays different is a difference; one that is another each time is
`moving`, and then nobody can tell.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.replay.folded import Until, folded, live_now
from app.replay.reading import CannotCompare, readable, topics_are_there
from app.replay.report import LIVE, REPLAYED, scratch_directory, write_both
from app.replay.rows import KIND_NAMES
from app.replay.snapshot import RowDifference, compare_snapshots
from app.settings import Settings
from app.settings_parts import VenueName
from app.topics import topics_of
from app.transport.topic_reader import Connection
from app.verify.doubt import with_doubts
from app.verify.events_ledger import compare_events, event_ends
from app.verify.ledger import IN_DOUBT, KINDS, ORDER, Difference, Ledger, compare
from app.verify.suspects import Suspects
from app.verify.tables_ledger import (
    PARTIAL,
    UNREADABLE,
    ledger_of_fill_rows,
    ledger_of_rows,
    ledger_of_web,
    trades,
)
from app.verify.venue_ledger import ledger_of_books, ledger_of_venue, venue_of, with_flat_positions
from exchanges.venue import Trading

TABLES, TOPICS, EVENTS = "tables", "topics", "events"
_DOUBT, _MISSING = "in_doubt", "missing_fills"
_LOOK_AGAIN_S = 0.5
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """`settle_s`: how long workers may take to finish, and movement to end. `days`: how far back the venue is asked
    for ended orders and fills, at most. `venue`: whether it is asked at all."""

    settle_s: float = 15.0
    days: float = 7.0
    venue: bool = True


@dataclass(slots=True)
class _Found:
    """What has come out so far."""

    compared: dict[str, dict[str, int]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    moving: list[Difference] = field(default_factory=list)
    unsettled: list[Difference] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    partly_read: bool = False
    """Somebody is there who did not answer, or not for all: he was late, or partitions have just changed hands."""
    must_be_read: set[str] = field(default_factory=set)
    unfinished: int = 0
    digest: dict[str, str] = field(default_factory=dict)
    begun_ns: int = 0
    """When our oldest order was made: what the venue has from before is none of our business."""

    @property
    def lacks_a_source(self) -> bool:
        """One that has to answer did not, or not for all: a venue may be unwell for a moment."""
        return self.partly_read or bool(self.must_be_read & self.unread.keys())


async def verify(settings: Settings, options: VerifyOptions) -> dict[str, Any]:
    """Compare all ledgers; returns what is printed: `equal` is None when nobody can tell.

    Raises `CannotCompare` when the topics can't be read.
    """
    found = _Found()
    await topics_are_there(settings.bootstrap, topics_of(settings))
    with scratch_directory(None) as place:
        await _compare_topics(settings, options, place, found)
        await _compare_outside(settings, options, place, found)
    return _account(found)


# -- what stands still -------------------------------------------------------------------------------------------------


async def _compare_topics(settings: Settings, options: VerifyOptions, place: Path, found: _Found) -> None:
    connection: Connection = {"bootstrap_servers": settings.bootstrap}
    async with readable():
        topics = topics_of(settings)
        _, before = await event_ends(connection, (topics.order_events, topics.position_events), topics.partitions)
    async with folded(settings, place / "scratch", Until(), options.settle_s) as tables:
        snapshots = write_both(tables, place)
        compared = compare_snapshots(place / LIVE, place / REPLAYED, names=(TABLES, TOPICS))
        live, made = ledger_of_rows(TABLES, tables.live), ledger_of_rows(TOPICS, tables.replayed)
        found.unfinished = tables.unfinished
        begun = [int(str(entry["begun_ns"])) for entry in live.orders.values()]
        found.begun_ns = min(begun, default=time.time_ns())
        found.digest = {name: snapshot.whole for name, snapshot in snapshots.items()}
        found.compared[f"{TABLES}, {TOPICS}"] = _counts(live, made) | {
            "rows": sum(each.rows for each in snapshots[LIVE].tables.values())
        }
        for row in compared.kept:
            found.differences += _of_row(row)
        found.differences += live.twice
        counted = ledger_of_fill_rows("orders", tables.live)
        found.differences += compare(counted, trades(Ledger("positions", fills=live.fills)))
        events, told = await compare_events(connection, place / "events", tables, before)
        found.compared[f"{TABLES}, {EVENTS}"] = {"events": told}
        found.differences += events
    shutil.rmtree(place / "scratch", ignore_errors=True)


def _of_row(row: RowDifference) -> list[Difference]:
    kind = KIND_NAMES[row.table].get(row.key[:1], "row")
    between = (TABLES, TOPICS)
    if row.only_in:
        values = ("has it", None) if row.only_in == TABLES else (None, "has it")
        return [Difference(between, kind, row.key, "", values)]
    return [Difference(between, kind, row.key, name, (_shown(here), _shown(there))) for name, here, there in row.fields]


def _shown(value: object) -> str | None:
    return None if value is None else str(value)


def _counts(one: Ledger, other: Ledger) -> dict[str, int]:
    """How many of each both have."""
    return {f"{kind}s": len(one.part(kind).keys() & other.part(kind).keys()) for kind in KINDS}


# -- what moves --------------------------------------------------------------------------------------------------------


async def _compare_outside(settings: Settings, options: VerifyOptions, place: Path, found: _Found) -> None:
    end_s = time.monotonic() + options.settle_s
    suspects = Suspects()
    async with _sources(settings, options, found) as sources:
        while True:
            others = await _read(sources, found)
            if found.lacks_a_source and time.monotonic() < end_s:
                await asyncio.sleep(_LOOK_AGAIN_S)
                continue
            async with live_now(settings, place / "now") as rows:
                ours = ledger_of_rows(TABLES, rows)
            ours.twice.clear()  # told of already
            suspects.look(_outside(ours, others, found), [TABLES, *(other.name for other in others)])
            if suspects.are_none or (suspects.are_settled and time.monotonic() > end_s):
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
    for last, stays in suspects.last():
        if last.unsure or last.field in {_DOUBT, _MISSING}:
            found.unsettled.append(last)
        elif stays:
            found.differences.append(last)
        else:
            found.moving.append(last)


def _outside(ours: Ledger, others: list[Ledger], found: _Found) -> list[Difference]:
    differences = [
        Difference((TABLES, TABLES), ORDER, str(entry["order_id"]), name, (str(entry["state"]), None))
        for entry in ours.orders.values()
        for name, holds in ((_DOUBT, entry["standing"] == IN_DOUBT), (_MISSING, entry["missing_fills"] is True))
        if holds
    ]
    for other in others:
        if other.of_venue:
            with_flat_positions(other, ours)
        found.compared[f"{TABLES}, {other.name}"] = _counts(ours, other)
        differences += with_doubts(compare(ours, other), ours, other) if other.of_venue else compare(ours, other)
    return differences


Source = Callable[[], Awaitable[Ledger]]


@asynccontextmanager
async def _sources(settings: Settings, options: VerifyOptions, found: _Found) -> AsyncIterator[dict[str, Source]]:
    """Whom to ask. The venue has to answer, unless it was not to be asked; the others may be away."""
    sources: dict[str, Source] = {"web": lambda: ledger_of_web(settings)}
    trading: Trading | None = None
    if options.venue:
        trading = venue_of(settings)
        sources["venue"] = _venue_source(trading, settings, options, found.begun_ns)
        found.must_be_read.add("venue")
        if settings.venue is VenueName.PAPER:
            sources["books"] = lambda: ledger_of_books(settings)
    try:
        yield sources
    finally:
        if trading is not None:
            await trading.close()


def _venue_source(trading: Trading, settings: Settings, options: VerifyOptions, begun_ns: int) -> Source:
    async def ask() -> Ledger:
        now_ns = time.time_ns()
        since_ns = max(begun_ns, now_ns - int(options.days * 86_400) * _NS)
        exact = settings.venue is VenueName.PAPER
        return await ledger_of_venue(trading, settings.traded_categories, since_ns=since_ns, now_ns=now_ns, exact=exact)

    return ask


async def _read(sources: dict[str, Source], found: _Found) -> list[Ledger]:
    ledgers = []
    found.unread.clear()
    found.partly_read = False
    for name, source in sources.items():
        try:
            ledgers.append(await source())
        except CannotCompare as error:
            found.unread[name] = str(error)
            found.partly_read |= error.code in {PARTIAL, UNREADABLE}
    return ledgers


# -- what is printed ---------------------------------------------------------------------------------------------------


def _account(found: _Found) -> dict[str, Any]:
    unknown = found.moving or found.unsettled or found.unfinished or found.lacks_a_source
    return {
        "equal": False if found.differences else None if unknown else True,
        "compared": found.compared,
        "differences": [_difference(each) for each in found.differences],
        "moving": [_difference(each) for each in found.moving],
        "unsettled": [_difference(each) for each in found.unsettled],
        "unfinished": found.unfinished,
        "unread": found.unread,
        "digest": found.digest,
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "between": list(difference.between),
        "kind": difference.kind,
        "key": difference.key,
        "field": difference.field or None,
        "values": list(difference.values),
        "sentence": str(difference),
    }
