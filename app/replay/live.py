"""The live tables as their changelogs have them, as of one place in `order-updates`, and what the changelogs alone
know: where among the updates each intent was written, and the plans that later attempts have replaced.

A changelog has one writer, which appends the rows of one update after those of the one before it. So the rows as of an
offset are the fold of the changelog up to its first record that a later update led to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from app.replay.rows import decode
from app.replay.scratch import Scratch, ScratchRows
from domain.events import Transition
from domain.orders import Order
from streams.record import Record
from streams.topics import TABLES, Topics
from tables.signals import SignalRow

_INTENT = b"/0000000001"
"""How the key of an order's first transition ends."""


class _AppliedOffset(msgspec.Struct):
    applied_offset: int


class _Offset(msgspec.Struct):
    offset: int


class _Source(msgspec.Struct):
    source: str


_applied = msgspec.json.Decoder(_AppliedOffset)
_offset = msgspec.json.Decoder(_Offset)
_source = msgspec.json.Decoder(_Source)


@dataclass(frozen=True, slots=True)
class IntentStep:
    """An intent that is written after the rows of the update at `place`, or one that was `undone` later and is in
    flight from here, or to here."""

    place: int
    order_id: str
    undone: Order | None = None
    ends: bool = False


@dataclass(slots=True)
class Intents:
    """Where intents stand among the updates of one partition, in the order in which they were written.

    `places`: order id → the last update whose rows were written before. An intent counts from the writing after which
    its order had a row: a crash may leave a first transition alone, and the next attempt writes both."""

    places: dict[str, int] = field(default_factory=dict)
    _without_row: set[str] = field(default_factory=set)
    _heard_of: set[str] = field(default_factory=set)
    _undone: list[IntentStep] = field(default_factory=list)

    def begins(self, order_id: str, newest: int) -> None:
        """The order's first transition was written."""
        if order_id not in self.places or order_id in self._without_row:
            self.places.pop(order_id, None)
            self.places[order_id] = newest
            self._without_row.add(order_id)

    def has_row(self, order_id: str) -> None:
        """The order's own row was written."""
        self._without_row.discard(order_id)

    def heard_of(self, order_id: str) -> None:
        """An update was applied to the order: from now on it is more than an intent."""
        self._heard_of.add(order_id)

    def may_be_undone(self, order_id: str) -> bool:
        """Whether nobody has heard of the intent: then it was never meant if its row is deleted, until it is written
        again (decision 0009). Any other order does not become undone by losing its row."""
        return order_id in self.places and order_id not in self._heard_of

    def undone(self, order_id: str, newest: int, row: Order | None) -> None:
        """The intent's own row, as it was written, was deleted. What came meanwhile may have waited for it."""
        place = self.places.pop(order_id)
        self._without_row.discard(order_id)
        if row is not None and place < newest:
            self._undone += [IntentStep(place, order_id, row), IntentStep(newest, order_id, row, ends=True)]

    def steps(self) -> list[IntentStep]:
        """All of them in their order. What ends at a place ends before anything begins there: the same intent may be
        written again."""
        meant = [IntentStep(place, order_id) for order_id, place in self.places.items()]
        return sorted(meant + self._undone, key=lambda step: (step.place, not step.ends))


class LiveTables:
    """Takes the changelogs' records in their order; `until` has the first update that does not count, by partition.
    `signals_until_ns`: rows of signals that were written after this time don't count either, by partition.
    `copied_at`: (partition, offset) of a parked update → where its first copy stands; that takes the row away."""

    def __init__(
        self,
        scratch: Scratch,
        topics: Topics,
        until: Mapping[int, int],
        signals_until_ns: Mapping[int, int] | None = None,
        copied_at: Callable[[int, int], int | None] = lambda _partition, _offset: None,
    ) -> None:
        self.rows: dict[str, ScratchRows] = {name: scratch.table(name) for name in TABLES}
        self.plans = scratch.table("plans")
        """Order id → the newest version of its signal's row that plans it."""
        self.first_rows = scratch.table("first-rows")
        """Order id → the order's row as it was when nothing had been said of it, where compaction has left it."""
        self.intents: dict[int, Intents] = defaultdict(Intents)
        self.compacted = False
        self.past_until: set[tuple[str, int]] = set()
        self._names = {topics.changelog(name): name for name in TABLES}
        self._updates = topics.order_updates
        self._until = until
        self._signals_until_ns = signals_until_ns
        self._copied_at = copied_at
        self._newest: dict[int, int] = defaultdict(lambda: -1)
        self._next: dict[tuple[str, int], int] = {}
        self._waiting: dict[tuple[ScratchRows, int], list[tuple[bytes, bytes | None]]] = defaultdict(list)

    def take(self, record: Record) -> None:
        """One record of a changelog."""
        name, partition = self._names[record.topic], record.partition
        place = (name, partition)
        self.compacted |= self._next.get(place, 0) != record.offset
        self._next[place] = record.offset + 1
        if place in self.past_until or record.key is None:
            return
        if name == "signals":
            if self._signals_until_ns is not None and record.timestamp_ns > self._signals_until_ns.get(partition, 0):
                self.past_until.add(place)
                return
            self._take_signal(partition, record.key, record.value)
        elif (update := self._update_of(name, record)) is not None:
            if update >= self._until.get(partition, 0):
                self.past_until.add(place)
                return
            if name == "orders":
                self._newest[partition] = max(self._newest[partition], update)
                if record.key.startswith(b"o/"):
                    self.intents[partition].heard_of(record.key[2:].decode())
        elif name == "orders":
            self._take_intent(partition, record.key, record.value)
        if name == "orders" and record.key.startswith(b"o/"):
            self.intents[partition].has_row(record.key[2:].decode())
        self._waiting[self.rows[name], partition].append((record.key, record.value))

    def settle(self) -> None:
        """Bring to the scratch files what was taken."""
        waiting, self._waiting = self._waiting, defaultdict(list)
        for (rows, partition), pairs in waiting.items():
            rows.load(partition, pairs)

    def _update_of(self, name: str, record: Record) -> int | None:
        """The offset of the update that led to the row; None for rows of intents, deletions, and what is unreadable."""
        key, value = record.key or b"", record.value
        try:
            match name, key[:1]:
                case "orders", b"p":
                    parked_at = int(key[key.rindex(b"/") + 1 :])
                    return parked_at if value is not None else self._copied_at(record.partition, parked_at)
                case _ if value is None:
                    return None
                case ("orders", b"o") | ("positions", b"p"):
                    offset = _applied.decode(value).applied_offset
                    return None if offset < 0 else offset
                case ("orders", b"f") | ("positions", b"l" | b"m"):
                    return _offset.decode(value).offset
                case "orders", b"h":
                    topic, _, offset_text = _source.decode(value).source.rsplit("-", 2)
                    return int(offset_text) if topic == self._updates else None
        except (msgspec.DecodeError, ValueError):
            return None
        return None

    def _take_intent(self, partition: int, key: bytes, value: bytes | None) -> None:
        if value is None:
            if key.startswith(b"o/"):
                order_id = key[2:].decode()
                if (intents := self.intents[partition]).may_be_undone(order_id):
                    self.settle()  # its row may be among what was just taken
                    intents.undone(order_id, self._newest[partition], self.first_row(partition, order_id))
                self._waiting[self.first_rows, partition].append((key[2:], None))
            return
        if key.startswith(b"h/") and key.endswith(_INTENT):
            self.intents[partition].begins(key[2 : -len(_INTENT)].decode(), self._newest[partition])
        elif key.startswith(b"o/"):
            self._waiting[self.first_rows, partition].append((key[2:], value))

    def _take_signal(self, partition: int, key: bytes, value: bytes | None) -> None:
        row = None if value is None else decode("signals", key, value)
        if isinstance(row, SignalRow) and value is not None:
            pairs = self._waiting[self.plans, partition]
            pairs += [(intent.order_id.encode(), value) for intent in row.standing_plan.intents]

    # -- reading ---------------------------------------------------------------------------------------------------

    def planned(self, partition: int, order_id: str) -> SignalRow | None:
        """The signal's row that plans this order, if a changelog still has it."""
        value = self.plans.get(partition, order_id.encode())
        row = None if value is None else decode("signals", b"s", value)
        return row if isinstance(row, SignalRow) else None

    def first_row(self, partition: int, order_id: str) -> Order | None:
        """The intent's row as it was written."""
        value = self.first_rows.get(partition, order_id.encode())
        row = None if value is None else decode("orders", b"o", value)
        return row if isinstance(row, Order) else None

    def first_transition(self, partition: int, order_id: str) -> Transition | None:
        """The order's first transition."""
        key = b"h/" + order_id.encode() + _INTENT
        value = self.rows["orders"].get(partition, key)
        row = None if value is None else decode("orders", key, value)
        return row if isinstance(row, Transition) else None
