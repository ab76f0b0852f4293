"""From a broker to two sets of tables: the live ones as of one place in the log, and the same made again."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from app.replay import intents as intents_of
from app.replay import reading
from app.replay.fold import Fold, PutOff
from app.replay.inputs import Inputs
from app.replay.intents import Intent, IntentSources
from app.replay.live import LiveTables
from app.replay.reading import CannotCompare, Offsets
from app.replay.scratch import scratch_tables
from app.replay.signal_rows import SignalRows, told
from app.settings import Settings
from app.topics import topics_of
from app.transport.topic_reader import Connection
from streams.record import Record
from streams.schemas import OrderEvent
from streams.topics import Topics
from tables.orders import order_index
from tables.positions import position_index
from tables.rows import Rows
from tables.signals import SignalTable, signal_index

_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Until:
    """Where to stop: at an offset of `order-updates`, the first one that is not folded (of one partition, or under -1
    of each), or after a time. Without either: where the workers are."""

    offsets: Mapping[int, int] = field(default_factory=dict)
    time_ns: int | None = None

    @property
    def given(self) -> bool:
        """Whether it is before where the workers are."""
        return bool(self.offsets) or self.time_ns is not None


@dataclass(slots=True)
class Folded:
    """Both sets, for as long as the scratch files are there."""

    topics: Topics
    live: Mapping[str, Rows]
    replayed: Mapping[str, Rows]
    until: dict[int, int]
    """First offset of `order-updates` that is not folded, by partition."""
    unfinished: int
    """Records that were there at the beginning and that no worker had finished when the time was up."""
    updates: int
    intents: IntentSources
    unknown_intents: list[str]
    unread_inputs: int
    cut_off: frozenset[tuple[str, int]]
    """(table, partition) of changelogs that go on beyond what is folded."""
    live_is_known: bool
    """False when the live tables of an earlier moment can't be had: compaction has taken rows."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """What is read: from where, to where."""

    starts: Offsets
    ends: Offsets
    until: dict[int, int]
    unfinished: int


@asynccontextmanager
async def folded(settings: Settings, directory: Path, until: Until, settle_s: float) -> AsyncIterator[Folded]:
    """Fold both. Raises `CannotCompare` if the topics can't be read. `settle_s`: how long the workers are given to
    finish what is in the topics now."""
    connection: Connection = {"bootstrap_servers": settings.bootstrap}
    topics = topics_of(settings)
    async with reading.readable():
        reach = await _reach(connection, topics, until, settle_s)
        with scratch_tables(directory, topics.partitions) as scratch:
            put_off = PutOff(reach.until)
            updates = reading.only(reach.ends, topics.order_updates)
            await reading.read_all(connection, reach.starts, updates, put_off.note)
            live = LiveTables(scratch, topics, reach.until, put_off.last_ns if until.given else None, put_off.copied_at)
            changelogs = {place: end for place, end in reach.ends.items() if place[0] in topics.changelogs}
            await reading.read_all(connection, reach.starts, changelogs, live.take, live.settle)
            inputs = Inputs(
                scratch,
                topics,
                venue=settings.venue.value,
                categories=settings.traded_categories,
                max_bytes=settings.signal_max_bytes,
            )
            for topic in (topics.signals, topics.order_commands):
                ends = reading.only(reach.ends, topic)
                await reading.read_all(connection, reach.starts, ends, inputs.take, inputs.settle)
            maker = IntentMaker(live, inputs)
            await maker.read_events(connection, topics)
            made = {
                "orders": scratch.table("made-orders", order_index),
                "signals": scratch.table("made-signals", signal_index),
                "positions": scratch.table("made-positions", position_index),
            }
            live_signals = SignalTable(live.rows["signals"])
            fold = Fold(
                made,
                scratch.log,
                topics,
                settings.instance,
                intents=live.intents,
                make_intent=maker.make,
                put_off=put_off,
                put_aside=lambda record: live_signals.is_put_aside(record.partition, str(record.source)),
            )
            cut = {(topics.order_updates, partition): end for partition, end in reach.until.items()}
            await reading.read_all(connection, reach.starts, cut, fold.take)
            fold.finish()
            signals = SignalRows(live.rows["signals"], SignalTable(made["signals"]), inputs, fold.orders)
            for partition, end in reach.until.items():
                signals.make(partition, complete=end >= updates[topics.order_updates, partition])
            yield Folded(
                topics=topics,
                live=live.rows,
                replayed=made,
                until=reach.until,
                unfinished=reach.unfinished,
                updates=fold.updates,
                intents=maker.sources,
                unknown_intents=fold.unknown_intents,
                unread_inputs=signals.unread,
                cut_off=frozenset(live.past_until),
                live_is_known=not (until.given and live.compacted),
            )


@asynccontextmanager
async def live_now(settings: Settings, directory: Path) -> AsyncIterator[Mapping[str, Rows]]:
    """The live tables as their changelogs have them at this moment; the table of signals is left empty."""
    connection: Connection = {"bootstrap_servers": settings.bootstrap}
    topics = topics_of(settings)
    async with reading.readable():
        tables = [topics.changelog(name) for name in ("orders", "positions")]
        starts, ends = await reading.bounds(connection, reading.partitions_of(tables, topics.partitions))
        with scratch_tables(directory, topics.partitions) as scratch:
            everything = dict.fromkeys(range(topics.partitions), sys.maxsize)
            live = LiveTables(scratch, topics, everything)
            await reading.read_all(connection, starts, ends, live.take, live.settle)
            yield live.rows


async def _reach(connection: Connection, topics: Topics, until: Until, settle_s: float) -> _Reach:
    """Where the topics end now, once the workers have finished that or the time is up."""
    inputs = reading.partitions_of(topics.inputs, topics.partitions)
    changelogs = reading.partitions_of(topics.changelogs, topics.partitions)
    starts, ends = await reading.bounds(connection, inputs + changelogs)
    if any(starts[place] for place in inputs):
        gone = ", ".join(f"{topic}-{partition}" for topic, partition in inputs if starts[topic, partition])
        raise CannotCompare("TOPICS_TRIMMED", f"{gone}: the first records are gone, nothing can be replayed")
    give_up_s = time.monotonic() + settle_s
    while True:
        done = await reading.committed(connection, topics.app_id, inputs)
        unfinished = await reading.how_many(connection, done, {place: ends[place] for place in inputs})
        if not unfinished or time.monotonic() > give_up_s:
            break
        await asyncio.sleep(_POLL_S)
    # Rows as of the updates that are finished; what signals had been planned is known to the end taken before.
    tables = reading.partitions_of([topics.changelog(name) for name in ("orders", "positions")], topics.partitions)
    _, table_ends = await reading.bounds(connection, tables)
    updates = reading.partitions_of([topics.order_updates], topics.partitions)
    cut = {partition: done[topic, partition] for topic, partition in updates}
    _, newest = await reading.bounds(connection, updates)
    every = until.offsets.get(-1)
    for partition, end in cut.items():
        wanted = until.offsets.get(partition, every)
        cut[partition] = end if wanted is None else min(end, wanted)
    if until.time_ns is not None:
        later = await reading.first_after(connection, updates, until.time_ns // reading.NS_PER_MS)
        for (_, partition), first in later.items():
            cut[partition] = cut[partition] if first is None else min(cut[partition], first)
    return _Reach(starts, ends | table_ends | newest, cut, unfinished)


class IntentMaker:
    """Makes intents from the best source that is left."""

    def __init__(self, live: LiveTables, inputs: Inputs) -> None:
        self.sources = IntentSources()
        self._live = live
        self._inputs = inputs
        self._orphans: dict[str, int] = {}
        self._events: dict[str, OrderEvent] = {}

    async def read_events(self, connection: Connection, topics: Topics) -> None:
        """Read `order-events` if there are intents that only its events tell of."""
        self._orphans = {
            order_id: partition
            for partition, intents in self._live.intents.items()
            for order_id in intents.places
            if self._live.planned(partition, order_id) is None and self._live.first_row(partition, order_id) is None
        }
        if not self._orphans:
            return
        starts, ends = await reading.bounds(connection, reading.partitions_of([topics.order_events], topics.partitions))
        await reading.read_all(connection, starts, ends, self._take_event)

    def _take_event(self, record: Record) -> None:
        try:
            event = _event.decode(record.value or b"")
        except msgspec.DecodeError:  # a signal's event, or nobody's
            return
        if intents_of.is_created(event, self._orphans):
            self._events[event.order_id] = event

    def make(self, partition: int, order_id: str) -> Intent | None:
        """The order's first row and transition; None if nothing tells of it."""
        row = self._live.planned(partition, order_id)
        work = None if row is None else self._inputs.work(partition, row.source)
        if row is not None and work is not None:
            row = msgspec.structs.replace(row, **told(work), attempt=row.plan.attempt)
            intent = intents_of.from_plan(row, work, order_id)
            if intent is not None:
                self.sources.plans += 1
                return intent
        if (first := self._live.first_row(partition, order_id)) is not None:
            self.sources.rows += 1
            return intents_of.from_first_row(first, self._live.first_transition(partition, order_id))
        if (event := self._events.get(order_id)) is not None:
            self.sources.events += 1
            return intents_of.from_event(event)
        return None


_event = msgspec.json.Decoder(OrderEvent)
