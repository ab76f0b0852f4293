"""What stands in `order-exposure`, as it is read: each instrument's newest record, where in the log each wish stands,
and which of the records are of our writing.

The worker's name in a record does not tell that: a process that hangs may have the name of the one that replaced it.
What is appended here is remembered until it is read back; what is read and is not among that, another has written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Collection

import msgspec

from domain.exposure import SymbolLoad
from streams.broadcast import Entry

_decode = msgspec.json.Decoder(SymbolLoad).decode


class LoadRecords:
    """The records of every instrument, by name (`domain.exposure.load_name`)."""

    def __init__(self) -> None:
        self._records: dict[str, SymbolLoad] = {}
        self._asked_at: dict[tuple[str, str], int] = {}
        """Offset at which each pending wish was first seen."""
        self._on_their_way: dict[str, deque[bytes]] = {}
        """What was appended here and is not read yet, in the order of the log."""
        self._ours: set[str] = set()
        """Names under which a record of ours was read last."""
        self._changed = asyncio.Event()

    def appends(self, name: str, value: bytes) -> None:
        """A record of ours is about to be appended."""
        self._on_their_way.setdefault(name, deque()).append(value)

    def heard(self, name: str, entry: Entry | None) -> SymbolLoad | None:
        """Take the next record of the log; returns what it says, None for a deletion and for what can't be read."""
        record = None if entry is None else _read(name, entry)
        self._note_whose(name, entry)
        before = self._records.pop(name, None)
        if record is not None and entry is not None:
            self._records[name] = record
            for source, hold in record.pending.items():
                asked = None if before is None else before.pending.get(source)
                # Who asks for more than before, as a signal does that is planned again, asks anew: others who stood
                # behind it have counted less.
                if asked is None or not asked.covers(hold):
                    self._asked_at[name, source] = entry.offset
        for known in [each for each in self._asked_at if each[0] == name]:
            if record is None or known[1] not in record.pending:
                del self._asked_at[known]
        self._changed.set()
        self._changed = asyncio.Event()
        return record

    def _note_whose(self, name: str, entry: Entry | None) -> None:
        coming = self._on_their_way.get(name)
        if coming is None or entry is None or entry.value not in coming:
            self._ours.discard(name)
            return
        while coming.popleft() != entry.value:
            pass  # compaction has taken it before it was read
        if not coming:
            del self._on_their_way[name]
        self._ours.add(name)

    def is_ours(self, name: str) -> bool:
        """Whether the record that was read last under the name is of our writing."""
        return name in self._ours

    def get(self, name: str) -> SymbolLoad | None:
        """The newest record of an instrument."""
        return self._records.get(name)

    def all(self) -> Collection[SymbolLoad]:
        """The newest record of every instrument; changes while records are read."""
        return self._records.values()

    # -- wishes ------------------------------------------------------------------------------------------------------

    def asked_at(self, name: str, source: str) -> int | None:
        """Offset at which the wish was first seen; None where nothing is pending."""
        return self._asked_at.get((name, source))

    def stands_before(self, name: str, source: str, before: int | None) -> bool:
        """Whether a wish stands before the offset. None: all do."""
        return before is None or self._asked_at.get((name, source), -1) < before

    def undecided(self, name: str, before: int) -> bool:
        """Whether a wish of another instrument stands before the offset and is not decided."""
        return any(other != name and at < before for (other, _), at in self._asked_at.items())

    async def decided(self, name: str, before: int, timeout_s: float) -> None:
        """Wait until no other wish before the offset is undecided, at the longest so long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while self.undecided(name, before):
            changed, remaining_s = self._changed, end - loop.time()
            if remaining_s <= 0:
                return
            try:
                await asyncio.wait_for(changed.wait(), remaining_s)
            except TimeoutError:
                return


def _read(name: str, entry: Entry) -> SymbolLoad | None:
    """The record; None for what nobody of ours writes, and for those of a version that knew one category only."""
    with contextlib.suppress(msgspec.DecodeError):
        record = _decode(entry.value)
        if record.name == name:
            return record
    return None
