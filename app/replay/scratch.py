"""Tables in a scratch directory: rows and indexes as a worker has them, in one store without a broker behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.transport.partitioner import partition_of
from streams.ports import Headers
from streams.record import Record, Source
from tables.index_entries import IndexFunction
from tables.receipt import Receipt
from tables.rows import index_cursor
from tables.shard import ChangelogRecord, Shard, delete
from tables.store_memory import StoreMemory

_MEMORY_BYTES = 128 << 20


class ScratchLog:
    """A log that keeps nothing: rows are durable at once, and what else is appended stands in the topics already."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def append(
        self,
        topic: str,  # noqa: ARG002 -- the port's argument
        partition: int,  # noqa: ARG002 -- the port's argument
        key: bytes | None,  # noqa: ARG002 -- the port's argument
        value: bytes | None,  # noqa: ARG002 -- the port's argument
        receipt: Receipt,
        headers: Headers = (),  # noqa: ARG002 -- the port's argument
        on_ack: Callable[[int], None] | None = None,  # noqa: ARG002 -- the port's argument
    ) -> None:
        """Acknowledge."""
        receipt.expect()
        receipt.settle()

    async def publish(
        self, topic: str, key: bytes, value: bytes, headers: Headers = (), partition: int | None = None
    ) -> Source:
        """Nobody who replays publishes and waits."""
        raise NotImplementedError(topic)

    async def room(self) -> None:
        """There always is."""

    def partition_of(self, key: bytes) -> int:
        """The symbol's partition."""
        return partition_of(key, self._partitions)


class ScratchInbox:
    """Everything is current, nothing is counted."""

    def is_current(self, record: Record) -> bool:  # noqa: ARG002 -- the port's argument
        """Nobody takes a partition away."""
        return True

    def may_act(self, record: Record) -> bool:  # noqa: ARG002 -- the port's argument
        """There is nothing to act upon."""
        return True

    def finished(self, record: Record) -> None:
        """Nothing is committed."""

    def forgotten(self, record: Record) -> None:
        """Nothing comes again."""


class ScratchRows:
    """The `Rows` port on a part of a scratch file: every write is there at once."""

    def __init__(self, name: str, scratch: Scratch, partitions: int) -> None:
        self._scratch = scratch
        self._partitions = frozenset(range(partitions))
        self._places = {partition: f"{name}/{partition}/".encode() for partition in self._partitions}

    def partitions(self) -> frozenset[int]:
        """All of them."""
        return self._partitions

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The row under `key`, or None."""
        return self._scratch.shard.get(self._places[partition] + key)

    def put(self, partition: int, key: bytes, value: bytes | None, receipt: Receipt) -> None:
        """Write a row; None deletes it."""
        receipt.expect()
        self.load(partition, [(key, value)])
        receipt.settle()

    def load(self, partition: int, pairs: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Write many rows."""
        place = self._places[partition]
        self._scratch.write([(place + key, value) for key, value in pairs])

    def scan(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the rows whose key starts with `prefix`, in key order (or backwards), beyond `after`."""
        place = self._places[partition]
        bound = None if after is None else place + after
        for key, value in self._scratch.shard.scan(place + prefix, after=bound, reverse=reverse):
            yield key[len(place) :], value

    def scan_index(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(index key, row key) of the index entries that start with `prefix`, beyond the `index_cursor` `after`."""
        place = self._places[partition]
        for entry, key in self._scratch.shard.scan_index(place + prefix, reverse=reverse):
            found = entry[len(place) :], key[len(place) :]
            if after is None or (index_cursor(*found) < after if reverse else index_cursor(*found) > after):
                yield found


class Scratch:
    """Makes tables in one directory, all partitions each, and closes them at the end. They are parts of one store: to
    open and close one for each partition of each table takes longer than to read the topics."""

    def __init__(self, directory: Path, partitions: int) -> None:
        self.log = ScratchLog(partitions)
        self._partitions = partitions
        self._indexes: dict[bytes, IndexFunction] = {}
        delete(directory)
        self.shard = Shard(directory, b"scratch", self._index, StoreMemory(_MEMORY_BYTES))

    def table(self, name: str, index: IndexFunction | None = None) -> ScratchRows:
        """An empty table, its partitions ready to be read and written."""
        if index is not None:
            self._indexes[name.encode()] = index
        return ScratchRows(name, self, self._partitions)

    def write(self, pairs: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Rows under their places, in one batch."""
        if pairs:
            start = self.shard.next_offset
            records = [ChangelogRecord(start + number, key, value) for number, (key, value) in enumerate(pairs)]
            self.shard.apply(records, start + len(records))

    def close(self) -> None:
        """Give the files free."""
        self.shard.close()

    def _index(self, placed: bytes, value: bytes) -> list[bytes]:
        name, partition, key = placed.split(b"/", 2)
        index = self._indexes.get(name)
        if index is None:
            return []
        place = name + b"/" + partition + b"/"
        return [place + entry for entry in index(key, value)]


@contextmanager
def scratch_tables(directory: Path, partitions: int) -> Iterator[Scratch]:
    """Tables for as long as the context lasts. The directory is theirs; it goes with its parent."""
    scratch = Scratch(directory, partitions)
    try:
        yield scratch
    finally:
        scratch.close()
