"""A table: the shards of the partitions that are ours, and the changelog that makes their rows durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from tables.index_entries import IndexFunction
from tables.receipt import Receipt
from tables.rows import ByPartition
from tables.shard import ChangelogRecord, Position, Shard, delete
from tables.store_memory import StoreMemory


class Append(Protocol):
    """How a row gets into the changelog (the `Log` port's `append`)."""

    def __call__(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        receipt: Receipt,
        headers: tuple[tuple[str, bytes], ...] = (),
        on_ack: Callable[[int], None] | None = None,
    ) -> None: ...


SETTLE_AFTER_S = 0.05
"""How long acknowledged rows may be kept from the disk. An order is written some five times in the first hundredths
of a second of its life; the disk gets the last of them, and index entries for that one only."""

SETTLE_AT_ROWS = 64
"""Acknowledged rows of one partition that are not kept waiting any longer: the cost of a write to disk is shared, and
the loop is not held for long."""

OnHole = Callable[["DurableRows", int, int, int], None]
"""Told of offsets somebody else wrote to the changelog: (table, partition, from, to)."""


class DurableRows:
    """The `Rows` port. Every write is a record of the changelog; the local disk follows its acknowledgement, at the
    latest after `settle_after_s` or when so many rows of a partition wait. Reads see every write in between, and
    recovery reads what the disk lacks.

    The life of a partition: `open` (files), `apply` while recovering, `admit` (reads and writes from now on),
    `withdraw` (all partitions; files stay open for the next generation), `close`.
    """

    def __init__(
        self,
        name: str,
        changelog_topic: str,
        directory: Path,
        append: Append,
        *,
        index: IndexFunction | None = None,
        live: tuple[bytes, ...] = (),
        version: int = 1,
        memory: StoreMemory,
        settle_after_s: float = SETTLE_AFTER_S,
        settle_at_rows: int = SETTLE_AT_ROWS,
    ) -> None:
        self.name = name
        self.changelog_topic = changelog_topic
        self._directory = directory
        self._append = append
        self._index = index
        self._live = live
        self._version = version
        self._memory = memory
        self._shards: dict[int, Shard] = {}
        self._admitted: ByPartition[Shard] = ByPartition()
        self._settle_after_s = settle_after_s
        self._settle_at_rows = settle_at_rows
        self._unsettled: dict[int, int] = {}
        """Acknowledged rows that the disk lacks, by partition."""
        self._settle_timer: asyncio.TimerHandle | None = None
        self._settling: dict[int, Callable[[], None]] = {}
        """What an acknowledgement calls, one for each partition and not for each row."""
        self.on_hole: OnHole | None = None
        self.on_failure: Callable[[Exception], None] | None = None
        """Told when acknowledged rows could not be written to disk: nothing that follows can be relied upon."""

    # -- the port ------------------------------------------------------------------------------------------------

    def partitions(self) -> frozenset[int]:
        """The partitions that are ours and recovered."""
        return frozenset(self._admitted)

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The row under `key`, or None. Raises `NotOurs` for a partition that is not ours."""
        return self._admitted[partition].get(key)

    def put(self, partition: int, key: bytes, value: bytes | None, receipt: Receipt) -> None:
        """Write a row (None deletes it): visible at once, durable when `receipt` settles.

        Raises `NotOurs` for a partition that is not ours, `ValueError` for a row that is too large: nothing is
        written then.
        """
        shard = self._admitted[partition]
        write = shard.prepare(key, value)
        write.settle_soon = self._settling[partition]
        self._append(self.changelog_topic, partition, key, value, receipt, (), write.acknowledged)
        shard.stage(write)

    def scan(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the rows whose key starts with `prefix`, in key order (or backwards), beyond `after`.

        To be consumed without an `await` in between.
        """
        return self._admitted[partition].scan(prefix, after=after, reverse=reverse)

    def scan_index(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(index key, row key) of the index entries that start with `prefix`, beyond the `index_cursor` `after`."""
        return self._admitted[partition].scan_index(prefix, after=after, reverse=reverse)

    # -- for the engine ------------------------------------------------------------------------------------------

    def open(self, partition: int, cluster_id: str) -> None:
        """Open (or make) the files of a partition. Raises when another process has them."""
        if partition not in self._shards:
            identity = f"{cluster_id}/{self.changelog_topic}-{partition}/v{self._version}".encode()
            self._shards[partition] = Shard(self._path(partition), identity, self._index, self._memory, live=self._live)

    def close(self, partition: int) -> None:
        """Give the files of a partition free."""
        self._admitted.pop(partition, None)
        shard = self._shards.pop(partition, None)
        if shard is not None:
            shard.close()

    def reset(self, partition: int, cluster_id: str) -> None:
        """Delete the files of a partition and begin with none: the changelog has everything."""
        self.close(partition)
        delete(self._path(partition))
        self.open(partition, cluster_id)

    def opened(self) -> frozenset[int]:
        """The partitions whose files are open."""
        return frozenset(self._shards)

    def position(self, partition: int) -> Position | None:
        """How far the disk has followed the changelog; None if there is nothing yet."""
        return self._shards[partition].position

    def apply(self, partition: int, records: Iterable[ChangelogRecord], next_offset: int) -> None:
        """Follow the changelog while recovering."""
        self._shards[partition].apply(records, next_offset)

    def admit(self, partition: int, next_offset: int) -> None:
        """The disk is at the changelog's end, `next_offset`: rows may be read and written."""
        shard = self._shards[partition]
        shard.next_offset = next_offset
        self._admitted[partition] = shard
        self._settling[partition] = partial(self._settle_soon, partition)

    def withdraw(self) -> None:
        """The partitions are about to change hands: no reads or writes until they are admitted again."""
        self.settle()
        self._admitted.clear()
        for partition, shard in list(self._shards.items()):
            # Writes that are still on their way belong to a generation that is over; the changelog decides.
            if len(shard.overlay):
                self.close(partition)

    def next_offset(self, partition: int) -> int:
        """The changelog offset that our next write is expected at, writes under way not counted."""
        return self._admitted[partition].next_offset

    def unacknowledged(self, partition: int) -> int:
        """How many writes are under way."""
        return len(self._admitted[partition].overlay)

    def has_rows(self, partition: int) -> bool:
        """Whether the partition has any row."""
        shard = self._admitted.get(partition)
        return shard is not None and shard.has_rows()

    def fill_hole(self, partition: int, records: list[ChangelogRecord]) -> int:
        """Somebody else's records, found in the changelog between ours: our rows of the same keys are written again.

        Returns how many. The disk follows the foreign records, so it stays a fold of the changelog; reads see our
        rows all along.
        """
        shard = self._admitted.get(partition)
        if shard is None or shard.hole is None:
            return 0
        ours = {record.key: shard.get(record.key) for record in records}
        for key, value in ours.items():
            self.put(partition, key, value, Receipt())
        shard.fill_hole(records)
        return len(ours)

    def note_foreign_tail(self, partition: int, end_offset: int) -> bool:
        """The changelog ends at `end_offset` though no write of ours is under way: what is beyond is a hole."""
        shard = self._admitted.get(partition)
        if shard is None or len(shard.overlay) or shard.hole is not None or end_offset <= shard.next_offset:
            return False
        shard.hole = (shard.next_offset, end_offset)
        return True

    # -- acknowledgements ----------------------------------------------------------------------------------------

    def _settle_soon(self, partition: int) -> None:
        """One write to disk for all that is acknowledged meanwhile."""
        waiting = self._unsettled.get(partition, 0) + 1
        self._unsettled[partition] = waiting
        if waiting == self._settle_at_rows:
            asyncio.get_running_loop().call_soon(self._settle_now, partition)
        elif self._settle_timer is None:
            self._settle_timer = asyncio.get_running_loop().call_later(self._settle_after_s, self._settle_each)

    def _settle_each(self) -> None:
        """One after the other: the loop has other work in between."""
        self._settle_timer = None
        for partition in self._unsettled:
            asyncio.get_running_loop().call_soon(self._settle_now, partition)

    def _settle_now(self, partition: int) -> None:
        try:
            self._settle(partition)
        except Exception as error:
            if self.on_failure is None:
                raise
            self.on_failure(error)

    def settle(self) -> None:
        """Bring to disk what is acknowledged."""
        if self._settle_timer is not None:
            self._settle_timer.cancel()
            self._settle_timer = None
        for partition in list(self._unsettled):
            self._settle(partition)

    def _settle(self, partition: int) -> None:
        self._unsettled.pop(partition, None)
        shard = self._shards.get(partition)
        if shard is None:
            return
        had_hole = shard.hole is not None
        shard.settle()
        if shard.hole is not None and not had_hole and self.on_hole is not None:
            self.on_hole(self, partition, *shard.hole)

    def _path(self, partition: int) -> Path:
        return self._directory / f"{self.name}-{partition}"
