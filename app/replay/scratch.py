"""Tables in a scratch directory: the stores of a worker without a broker behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rocksdict import Cache

from app.transport.partitioner import partition_of
from streams.ports import Headers
from streams.record import Record, Source
from tables.durable_rows import DurableRows
from tables.index_entries import IndexFunction
from tables.receipt import Receipt
from tables.shard import ChangelogRecord

_CLUSTER = "scratch"
_CACHE_BYTES = 64 << 20


class ScratchLog:
    """A log that keeps nothing: rows are durable at once, and what else is appended stands in the topics already."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._next: dict[tuple[str, int], int] = defaultdict(int)

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,  # noqa: ARG002 -- the port's argument
        value: bytes | None,  # noqa: ARG002 -- the port's argument
        receipt: Receipt,
        headers: Headers = (),  # noqa: ARG002 -- the port's argument
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        """Acknowledge. A table's rows get offsets without holes, as its store expects them."""
        receipt.expect()
        if on_ack is not None:
            on_ack(self._next[topic, partition])
            self._next[topic, partition] += 1
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


class Scratch:
    """Makes tables under one directory, all partitions each, and closes them at the end."""

    def __init__(self, directory: Path, partitions: int) -> None:
        self.log = ScratchLog(partitions)
        self._directory = directory
        self._partitions = partitions
        self._cache = Cache(_CACHE_BYTES)
        self._tables: list[DurableRows] = []

    def table(self, name: str, index: IndexFunction | None = None) -> DurableRows:
        """An empty table, its partitions ready to be read and written."""
        rows = DurableRows(name, name, self._directory, self.log.append, index=index, cache=self._cache)
        for partition in range(self._partitions):
            rows.reset(partition, _CLUSTER)
            rows.admit(partition, 0)
        self._tables.append(rows)
        return rows

    def close(self) -> None:
        """Give every file free."""
        for rows in self._tables:
            rows.settle()
            for partition in rows.opened():
                rows.close(partition)


@contextmanager
def scratch_tables(directory: Path, partitions: int) -> Iterator[Scratch]:
    """Tables for as long as the context lasts. The directory is the caller's."""
    scratch = Scratch(directory, partitions)
    try:
        yield scratch
    finally:
        scratch.close()


def load(rows: DurableRows, partition: int, pairs: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Bring rows to the disk of a scratch table; None deletes one."""
    start = rows.next_offset(partition)
    records = [ChangelogRecord(start + number, key, value) for number, (key, value) in enumerate(pairs)]
    if records:
        rows.apply(partition, records, start + len(records))
