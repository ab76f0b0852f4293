"""The books of records that were taken and are not finished: they decide how far a partition may be committed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.transport.offset_metadata import SPAN
from streams.record import Record, Source

Partition = tuple[str, int]
"""(topic, partition). Faust's and aiokafka's own named tuples compare equal to it."""


class OutOfOrder(Exception):  # noqa: N818 -- said of a record, reads as a sentence
    """A record does not follow the one taken before it: records were lost between the fetch and the handler."""


class Commit(NamedTuple):
    """How far a partition is done: everything below `offset`, and the records `ahead` of it that are finished too."""

    offset: int
    ahead: tuple[int, ...] = ()


class _Book:
    """One partition in one generation. Offsets are taken in rising order, so a queue of them is sorted by itself."""

    __slots__ = ("committed", "done_before", "expected", "forgotten", "generation", "taken", "unfinished")

    def __init__(self, position: int, committed: Commit | None, generation: int) -> None:
        self.generation = generation
        self.expected = position
        self.committed = committed
        self.done_before = set() if committed is None else set(committed.ahead)
        """Finished by the former owner, and not delivered to us yet."""
        self.taken: deque[int] = deque()
        self.unfinished: set[int] = set()
        self.forgotten: set[int] = set()

    def watermark(self) -> int:
        """The lowest offset that is not finished: what the next owner has to read first."""
        taken, unfinished, forgotten = self.taken, self.unfinished, self.forgotten
        while taken and taken[0] not in unfinished and taken[0] not in forgotten:
            taken.popleft()
        return taken[0] if taken else self.expected

    def commit(self) -> Commit:
        """What can be committed now."""
        low = self.watermark()
        ahead = []
        for offset in self.taken:
            if offset > low + SPAN:
                break
            if offset not in self.unfinished and offset not in self.forgotten:
                ahead.append(offset)
        # What the former owner finished and we have not met yet stays known. It lies behind all that we took.
        ahead += sorted(self.done_before)
        return Commit(low, tuple(ahead))


class Ledger:
    """Every record between "taken from the stream" and "finished".

    A partition's committable offset is its lowest unfinished or forgotten one. What finished above it is committed
    beside it, so that the next owner takes none of it again. Calls for records of an earlier generation, or of a
    partition that was revoked, change nothing. Not thread-safe: it belongs to the loop.
    """

    def __init__(self) -> None:
        self._books: dict[Partition, _Book] = {}
        self._unfinished = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.finished_total = 0

    def __len__(self) -> int:
        return self._unfinished

    def start(self, partition: Partition, position: int, committed: Commit | None, generation: int) -> None:
        """A partition is ours from `position` on; `committed` is what the group has of it, None if nothing. Records
        that it names as finished are not taken again."""
        self._drop(partition)
        self._books[partition] = _Book(position, committed, generation)

    def take(self, record: Record, follows: int) -> bool:
        """A record was taken for handling. `follows` is the position it was read at: its own offset, or a lower one
        when the log has no records in between (compaction, transaction markers).

        False for a record that is not to be handled: of another generation, delivered twice in this one, or finished
        by the former owner.
        Raises `OutOfOrder` if records before it were delivered to nobody.
        """
        book = self._book_of(record)
        if book is None or record.offset < book.expected:
            return False
        if follows > book.expected:
            raise OutOfOrder(f"{record.source}: expected offset {book.expected}, the delivery starts at {follows}")
        book.expected = record.offset + 1
        book.taken.append(record.offset)
        if record.offset in book.done_before:
            book.done_before.discard(record.offset)
            return False
        book.unfinished.add(record.offset)
        self._unfinished += 1
        self._idle.clear()
        return True

    def finished(self, record: Record) -> None:
        """All that the record causes is durable."""
        if self._settle(record) is not None:
            self.finished_total += 1

    def forgotten(self, record: Record) -> None:
        """Nothing more happens for the record here, and it is not done: no commit may pass it."""
        book = self._settle(record)
        if book is not None:
            book.forgotten.add(record.offset)

    def committable(self) -> dict[Partition, Commit]:
        """What to commit, of the partitions where that differs from what is committed."""
        commits = {}
        for partition, book in self._books.items():
            commit = book.commit()
            if book.committed is None or (commit != book.committed and commit.offset >= book.committed.offset):
                commits[partition] = commit
        return commits

    def committed(self, commits: Mapping[Partition, Commit]) -> None:
        """The group's coordinator has accepted these."""
        for partition, commit in commits.items():
            book = self._books.get(partition)
            if book is not None:
                book.committed = commit

    def revoke(self) -> None:
        """Close all books: the protocol is eager, a rebalance takes every partition away."""
        for partition in list(self._books):
            self._drop(partition)

    async def idle(self) -> None:
        """Wait until no record is unfinished."""
        await self._idle.wait()

    def partitions(self) -> frozenset[Partition]:
        """The partitions with an open book."""
        return frozenset(self._books)

    def position(self, partition: Partition) -> int | None:
        """The offset that is to be taken next; None if the partition is not ours."""
        book = self._books.get(partition)
        return None if book is None else book.expected

    def watermark(self, partition: Partition) -> int | None:
        """The lowest offset that is not finished; None if the partition is not ours."""
        book = self._books.get(partition)
        return None if book is None else book.watermark()

    def oldest(self) -> list[tuple[Source, int]]:
        """The oldest unfinished record of each partition that has any, with the generation that delivered it."""
        return [
            (Source(topic, partition, offset), book.generation)
            for (topic, partition), book in self._books.items()
            for offset in _oldest(book.taken, book.unfinished, 1)
        ]

    def unfinished(self, limit: int = 20) -> list[Source]:
        """The oldest unfinished records of each partition, for messages and health."""
        found: list[Source] = []
        for (topic, partition), book in sorted(self._books.items()):
            found.extend(Source(topic, partition, offset) for offset in _oldest(book.taken, book.unfinished, limit))
        return found[:limit]

    def _book_of(self, record: Record) -> _Book | None:
        book = self._books.get((record.topic, record.partition))
        return book if book is not None and book.generation == record.generation else None

    def _settle(self, record: Record) -> _Book | None:
        book = self._book_of(record)
        if book is None or record.offset not in book.unfinished:
            return None
        book.unfinished.discard(record.offset)
        self._count_down(1)
        return book

    def _drop(self, partition: Partition) -> None:
        book = self._books.pop(partition, None)
        if book is not None:
            self._count_down(len(book.unfinished))

    def _count_down(self, n: int) -> None:
        self._unfinished -= n
        if self._unfinished == 0:
            self._idle.set()


def _oldest(taken: Iterable[int], unfinished: set[int], limit: int) -> Iterable[int]:
    count = 0
    for offset in taken:
        if offset in unfinished:
            yield offset
            count += 1
            if count == limit:
                return
