"""What the world was told: every event of an order or a position must say what the tables' rows say, and there must be
one for each step and each fill (requirements J01, J02)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson

from app.replay import reading
from app.replay.folded import Folded
from app.replay.reading import Offsets
from app.replay.rows import decode, field_differences
from app.replay.scratch import Scratch, scratch_tables
from app.transport.topic_reader import Connection
from app.verify.ledger import Difference
from domain.events import EventKind, Transition
from domain.orders import Order
from domain.positions import LedgerEntry, Position
from streams import schemas
from streams.record import Record

TRANSITION, CHANGE = "transition", "position change"
_TABLES, _EVENTS = "tables", "events"
_encoder = msgspec.json.Encoder(order="deterministic")
_Rows = Iterator[tuple[int, str, str, bytes | None]]
"""(partition, kind, event id, what its event must say; None for a step that may not be told yet)."""


class _Told:
    """The events as they were published first, by id, and those that said another thing when they came again."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self.rows = scratch.table(_EVENTS)
        self.retold: list[Difference] = []
        self._waiting: dict[int, dict[bytes, bytes]] = {}

    def take(self, record: Record) -> None:
        """One record of `order-events` or `position-events`. A signal's own events, and warnings of losses,
        belong to no row."""
        try:
            event = orjson.loads(record.value or b"")
        except orjson.JSONDecodeError:
            event = {}
        if "order_id" not in event or event.get("type") in {schemas.LOSS_WARNING, schemas.LOSS_WARNING_OVER}:
            return
        key, value = str(event["event_id"]).encode(), record.value or b""
        place = orjson.dumps({"offset": record.offset, "topic": record.topic}) + b"\n"
        waiting = self._waiting.setdefault(record.partition, {})
        known = waiting.get(key) or self.rows.get(record.partition, key)
        if known is None:
            waiting[key] = place + value
        elif (first := known.split(b"\n", 1)[1]) != value:
            kind = CHANGE if "execution_id" in event and "sequence" not in event else TRANSITION
            for name, here, there in field_differences(orjson.loads(first), event):
                pair = (_EVENTS, _EVENTS)
                self.retold.append(Difference(pair, kind, key.decode(), name, (_text(here), _text(there))))

    def settle(self) -> None:
        """Bring to the scratch files what was taken."""
        waiting, self._waiting = self._waiting, {}
        for partition, events in waiting.items():
            self.rows.load(partition, events.items())

    def get(self, partition: int, event_id: str) -> bytes | None:
        """The event's value."""
        stored = self.rows.get(partition, event_id.encode())
        return None if stored is None else stored.split(b"\n", 1)[1]

    def all(self) -> Iterator[tuple[int, str, dict[str, Any], dict[str, Any]]]:
        """(partition, event id, its place in the log, what it says)."""
        for partition in sorted(self.rows.partitions()):
            for key, stored in self.rows.scan(partition, b""):
                place, value = stored.split(b"\n", 1)
                yield partition, key.decode(), orjson.loads(place), orjson.loads(value)


async def event_ends(connection: Connection, topics: tuple[str, str], partitions: int) -> tuple[Offsets, Offsets]:
    """From where to where the events go now."""
    return await reading.bounds(connection, reading.partitions_of(topics, partitions))


async def compare_events(
    connection: Connection, directory: Path, tables: Folded, before: Offsets
) -> tuple[list[Difference], int]:
    """Every difference, and how many events were compared. `before`: where the events ended before the tables were
    read: what was told by then has its row."""
    topics = (tables.topics.order_events, tables.topics.position_events)
    starts, ends = await event_ends(connection, topics, tables.topics.partitions)
    with scratch_tables(directory, tables.topics.partitions) as scratch:
        told = _Told(scratch)
        await reading.read_all(connection, starts, ends, told.take, told.settle)
        found = list(told.retold)
        compared = 0
        known = scratch.table("known")
        for rows in (_transitions(tables), _changes(tables)):
            for partition, kind, event_id, wanted in rows:
                known.load(partition, [(event_id.encode(), b"")])
                said = told.get(partition, event_id)
                compared += said is not None
                found += _differences(kind, event_id, wanted, said)
        found += _beyond_the_rows(tables, told, before, lambda at, key: known.get(at, key) is not None)
        return found, compared


def _differences(kind: str, event_id: str, wanted: bytes | None, said: bytes | None) -> Iterator[Difference]:
    between = (_TABLES, _EVENTS)
    if said is None:
        if wanted is not None:
            yield Difference(between, kind, event_id, "", ("is a row", None))
        return
    if wanted is not None and wanted != said:
        for name, here, there in field_differences(orjson.loads(wanted), orjson.loads(said)):
            yield Difference(between, kind, event_id, name, (_text(here), _text(there)))


def _transitions(tables: Folded) -> _Rows:
    rows = tables.live["orders"]
    for partition in sorted(rows.partitions()):
        for key, value in rows.scan(partition, b"o/"):
            order = decode("orders", key, value)
            if not isinstance(order, Order):
                continue
            for name, step in rows.scan(partition, b"h/" + key[2:] + b"/"):
                transition = decode("orders", name, step)
                if isinstance(transition, Transition):
                    event = schemas.order_event(order, transition)
                    # The first event of an intent goes out after its row, when nothing else has been said of it yet.
                    new = transition.kind is EventKind.CREATED and order.sequence == 1
                    told = None if new and event.event_id else _encoder.encode(event)
                    yield partition, TRANSITION, event.event_id, told


def _changes(tables: Folded) -> _Rows:
    ledger, orders = tables.live["positions"], tables.live["orders"]
    for partition in sorted(ledger.partitions()):
        for key, value in ledger.scan(partition, b"l/"):
            entry = decode("positions", key, value)
            if not isinstance(entry, LedgerEntry):
                continue
            fill = entry.fill
            position = Position(instrument=fill.instrument, account=fill.account, side=fill.position_side)
            owner = orders.get(partition, b"o/" + entry.order_id.encode()) if entry.order_id else None
            order = None if owner is None else decode("orders", b"o/", owner)
            trace_id = order.trace_id if isinstance(order, Order) else ""
            source = f"{tables.topics.order_updates}-{partition}-{entry.offset}"
            event = schemas.position_event(position, entry, source, trace_id)
            yield partition, CHANGE, event.event_id, _encoder.encode(event)


def _beyond_the_rows(
    tables: Folded, told: _Told, before: Offsets, has_row: Callable[[int, bytes], bool]
) -> Iterator[Difference]:
    """Events that no row stands behind, although there was time for one."""
    for partition, event_id, place, event in told.all():
        if has_row(partition, event_id.encode()) or place["offset"] >= before.get((place["topic"], partition), 0):
            continue
        topic, _, offset = (*str(event.get("source", "")).rsplit("-", 2), "", "")[:3]
        if topic == tables.topics.order_updates:
            if offset.isdigit() and int(offset) >= tables.until[partition]:
                continue  # later than what is folded
        elif ("orders", partition) in tables.cut_off:
            continue  # an intent that may stand in the rest of the changelog
        kind = TRANSITION if "sequence" in event else CHANGE
        yield Difference((_TABLES, _EVENTS), kind, event_id, "", (None, "was told"))


def _text(value: object) -> str | None:
    return None if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
