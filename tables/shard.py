"""One partition of a table: its rows and indexes on disk, and the writes on their way there.

The disk is a cache of the changelog and nothing else. What it holds is always the fold of a prefix of the changelog:
rows, index entries and the position reached are written in one batch, and only when the broker has acknowledged.
"""

from __future__ import annotations

import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

from rocksdict import Rdict, WriteBatch

from tables.index_entries import ENTRY, INDEX, ROW, IndexFunction, listed_row, write_index
from tables.live_entries import LiveEntries
from tables.overlay import Overlay, StagedWrite
from tables.rows import index_cursor
from tables.scanning import merged_scan, prefix_end
from tables.store_errors import is_damage, is_full, is_locked
from tables.store_memory import StoreMemory

POSITION, IDENTITY = b"m/position", b"m/identity"
REBUILD_MARK = "REBUILD"

_POSITION = Struct(">qqIq")


@dataclass(frozen=True, slots=True)
class Position:
    """How far the disk has followed the changelog.

    `next_offset` is the first offset not applied; `tip_offset` and `tip_crc` tell the last record that was, so that a
    changelog that was made anew under the same name is noticed; `written_at_ns` when that was.
    """

    next_offset: int
    tip_offset: int
    tip_crc: int
    written_at_ns: int


@dataclass(frozen=True, slots=True)
class ChangelogRecord:
    """A record of the changelog: `value` None deletes the row."""

    offset: int
    key: bytes
    value: bytes | None


def fingerprint(key: bytes, value: bytes | None) -> int:
    """What `Position.tip_crc` keeps of a record."""
    return zlib.crc32(value if value is not None else b"\0deleted", zlib.crc32(key))


class Shard:
    """Rows of one partition.

    `identity` names what the disk was built from (cluster, changelog, version of the indexes): a store with another
    one is deleted and built anew. `live`: beginnings of the index keys whose entries are held in memory too. Not
    thread-safe, and never held across an `await`: `close` ends it at any time.
    """

    def __init__(
        self,
        path: Path,
        identity: bytes,
        index: IndexFunction | None,
        memory: StoreMemory,
        now_ns: Callable[[], int] = time.time_ns,
        *,
        live: tuple[bytes, ...] = (),
    ) -> None:
        self._path = path
        self._index = index
        self._now_ns = now_ns
        self._live_prefixes = live
        self._live: LiveEntries | None = None
        """Read when they are first asked for; kept with every write, until the disk follows somebody else's."""
        self.overlay = Overlay()
        self._db: Rdict | None = self._open(identity, memory)
        self.position = self._read_position()
        self.next_offset = 0 if self.position is None else self.position.next_offset
        self.hole: tuple[int, int] | None = None
        """Offsets [from, to) that somebody else wrote, while they are unread."""

    # -- files ---------------------------------------------------------------------------------------------------

    def _open(self, identity: bytes, memory: StoreMemory) -> Rdict:
        if (self._path / REBUILD_MARK).exists():
            delete(self._path)
        self._path.mkdir(parents=True, exist_ok=True)
        db: Rdict | None = None
        found: bytes | None = None
        try:
            db = memory.open(self._path)
            found = db.get(IDENTITY)
        except Exception as error:
            if is_locked(error) or is_full(error):
                raise
            # Whatever else is wrong with the files: the changelog has everything.
            db = self._made_anew(db, memory)
        if found is not None and found != identity:
            db = self._made_anew(db, memory)
            found = None
        if found is None:
            db[IDENTITY] = identity
        return db

    def _made_anew(self, db: Rdict | None, memory: StoreMemory) -> Rdict:
        """`db`, if it could be opened, holds the lock of the files that go."""
        if db is not None:
            self._close(db)
            del db  # what could not be closed lets go of its files with the last reference
        delete(self._path)
        self._path.mkdir(parents=True)
        return memory.open(self._path)

    def close(self) -> None:
        """Give the files free. Every further use raises `KeyError`."""
        if self._db is not None:
            db, self._db = self._db, None
            self._close(db)

    def _close(self, db: Rdict) -> None:
        """Closing flushes, so damage that a compaction met in the background shows here too: it must not keep the
        files from being made anew."""
        try:
            db.close()
        except Exception as error:
            if not is_damage(error):
                raise
            self.mark_for_rebuild()

    def flush(self) -> None:
        """Bring what is in memory to the table files: a smaller log to read at the next start."""
        with self._damage_noticed():
            self._disk().flush()

    def mark_for_rebuild(self) -> None:
        """The next `Shard` at this path starts from nothing."""
        (self._path / REBUILD_MARK).touch()

    @property
    def is_open(self) -> bool:
        """False after `close`."""
        return self._db is not None

    def _disk(self) -> Rdict:
        if self._db is None:
            raise KeyError(f"PARTITION_CLOSED: {self._path.name} is not ours any more")
        return self._db

    def _read_position(self) -> Position | None:
        raw: bytes | None = self._read(lambda db: db.get(POSITION))
        return None if raw is None else Position(*_POSITION.unpack(raw))

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The row, acknowledged or not."""
        db = self._disk()
        staged = self.overlay.get(key)
        if staged is not None:
            return staged.value
        try:  # as `_read`, without its two more calls: this is asked several times for every update
            found: bytes | None = db.get(ROW + key)
        except Exception as error:
            self._note_damage(error)
            raise
        return found

    def has_rows(self) -> bool:
        """Whether there is any row."""
        return next(self.scan(b""), None) is not None

    def scan(
        self, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the rows whose key starts with `prefix`, ordered."""

        def disk(bound: bytes | None, n: int) -> list[tuple[bytes, bytes | None]]:
            return [(key[1:], value) for key, value in self._range(ROW, prefix, bound, n, reverse)]

        def staged() -> Iterable[tuple[bytes, bytes | None]]:
            return self.overlay.rows(prefix)

        def hidden(key: bytes, _value: bytes | None) -> bool:
            return key in self.overlay

        for key, value in merged_scan(disk, staged, hidden, after=after, reverse=reverse):
            if value is not None:
                yield key, value

    def scan_index(
        self, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(index key, row key) of the index entries that start with `prefix`, ordered."""
        if self._live_prefixes and prefix.startswith(self._live_prefixes):
            return self._live_entries().scan(prefix, after=after, reverse=reverse)
        return self._stored_entries(prefix, after=after, reverse=reverse)

    def _live_entries(self) -> LiveEntries:
        self._disk()
        if self._live is None:
            stored = [pair for prefix in self._live_prefixes for pair in self._stored_entries(prefix)]
            self._live = LiveEntries(self._live_prefixes, stored)
        return self._live

    def _stored_entries(
        self, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """The same from the disk and the writes on their way there."""

        def disk(bound: bytes | None, n: int) -> list[tuple[bytes, bytes | None]]:
            return [(key[1:], value) for key, value in self._range(INDEX, prefix, bound, n, reverse)]

        def staged() -> Iterable[tuple[bytes, bytes | None]]:
            for entry, key in self.overlay.index_entries(prefix):
                yield index_cursor(entry, key), ENTRY.pack(len(entry))

        def hidden(cursor: bytes, length: bytes | None) -> bool:
            return listed_row(cursor, length) in self.overlay

        for cursor, length in merged_scan(disk, staged, hidden, after=after, reverse=reverse):
            row_key = listed_row(cursor, length)
            entry = cursor[: len(cursor) - len(row_key) - 1]
            if entry.startswith(prefix):  # a longer row key could make an entry of a shorter index key look alike
                yield entry, row_key

    def _range(
        self, kind: bytes, prefix: bytes, bound: bytes | None, n: int, reverse: bool
    ) -> list[tuple[bytes, bytes]]:
        """At most `n` pairs from disk beyond `bound`. The iterator does not outlive the call: one that is alive at
        `close` keeps the files locked."""

        def read(db: Rdict) -> list[tuple[bytes, bytes]]:
            low = kind + prefix
            end = prefix_end(low) or b""  # there is always one: the kind is no 0xff
            if reverse:
                start = end if bound is None else min(kind + bound, end)
            else:
                start = low if bound is None else max(kind + bound, low)
            found: list[tuple[bytes, bytes]] = []
            for key, value in db.items(backwards=reverse, from_key=start):
                if bound is not None and key == kind + bound:
                    continue
                if not key.startswith(low):
                    if reverse and key > low:
                        continue
                    break
                found.append((key, value))
                if len(found) == n:
                    break
            return found

        pairs: list[tuple[bytes, bytes]] = self._read(read)
        return pairs

    def _read(self, read: Callable[[Rdict], Any]) -> Any:
        with self._damage_noticed():
            return read(self._disk())

    @contextmanager
    def _damage_noticed(self) -> Iterator[None]:
        """Every touch of the files: damage ends the process, and the next one must not meet it again."""
        try:
            yield
        except Exception as error:
            self._note_damage(error)
            raise

    def _note_damage(self, error: Exception) -> None:
        if is_damage(error):
            self.mark_for_rebuild()

    # -- writing -------------------------------------------------------------------------------------------------

    def prepare(self, key: bytes, value: bytes | None) -> StagedWrite:
        """A write with its index keys, not visible yet."""
        self._disk()
        return StagedWrite(key, value, () if self._index is None or value is None else tuple(self._index(key, value)))

    def stage(self, write: StagedWrite) -> None:
        """The write is appended to the changelog: visible from now on."""
        self.overlay.stage(write)
        if self._live is not None:
            self._live.note(write.key, write.entries)

    def settle(self) -> None:
        """Write to disk what is acknowledged, in the changelog's order, up to a hole if there is one."""
        if self._db is None or self.hole is not None:
            return
        ready: list[StagedWrite] = []
        while (write := self.overlay.oldest()) is not None and write.offset is not None:
            if write.offset != self.next_offset:
                if write.offset < self.next_offset:
                    raise RuntimeError(
                        f"CHANGELOG_WENT_BACK: {self._path.name}: acknowledged at {write.offset}, "
                        f"expected {self.next_offset}"
                    )
                self.hole = (self.next_offset, write.offset)
                break
            ready.append(self.overlay.pop_oldest())
            self.next_offset += 1
        if ready:
            last = ready[-1]
            newest = {write.key: write for write in ready}
            self._write(
                {key: write.value for key, write in newest.items()},
                self.next_offset,
                self.next_offset - 1,
                fingerprint(last.key, last.value),
                {key: write.entries for key, write in newest.items()} if self._index is not None else None,
            )
            for write in ready:
                self.overlay.settled(write)

    def apply(self, records: Iterable[ChangelogRecord], next_offset: int) -> None:
        """Follow the changelog: these records are all there are up to `next_offset`."""
        self._live = None
        rows: dict[bytes, bytes | None] = {}
        last: ChangelogRecord | None = None
        for record in records:
            rows[record.key] = record.value
            last = record
        if last is not None:
            self._write(rows, next_offset, last.offset, fingerprint(last.key, last.value))
        elif self.position is not None and next_offset > self.next_offset:
            self._write({}, next_offset, self.position.tip_offset, self.position.tip_crc)
        self.next_offset = next_offset

    def fill_hole(self, records: list[ChangelogRecord]) -> None:
        """The records in the hole are read: follow them, then the acknowledged writes behind it."""
        if self.hole is None:
            return
        _, end = self.hole
        self.hole = None
        self.apply(records, end)
        self.settle()

    def _write(
        self,
        rows: dict[bytes, bytes | None],
        next_offset: int,
        tip_offset: int,
        tip_crc: int,
        entries: Mapping[bytes, tuple[bytes, ...]] | None = None,
    ) -> None:
        """`entries` are the rows' index keys, where they are known already."""
        position = Position(next_offset, tip_offset, tip_crc, self._now_ns())
        with self._damage_noticed():  # an index entry to take back is read from the row that goes
            batch = self._batch(rows, entries)
            batch.put(
                POSITION,
                _POSITION.pack(position.next_offset, position.tip_offset, position.tip_crc, position.written_at_ns),
            )
            self._disk().write(batch)
        self.position = position

    def _batch(self, rows: dict[bytes, bytes | None], entries: Mapping[bytes, tuple[bytes, ...]] | None) -> WriteBatch:
        db = self._disk()
        batch = WriteBatch(raw_mode=True)
        for key, value in rows.items():
            if self._index is not None:
                write_index(self._index, db, batch, key, value, None if entries is None else entries[key])
            if value is None:
                batch.delete(ROW + key)
            else:
                batch.put(ROW + key, value)
        return batch


def delete(path: Path) -> None:
    """Remove the files of a shard."""
    shutil.rmtree(path, ignore_errors=True)
