"""The `Inbox` port: which records were delivered and are not finished, and up to where offsets may be committed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from simulation.broker import TopicPartition
from simulation.effects import Effects, Life
from streams.record import Record


@dataclass(slots=True)
class _Book:
    low: int
    next: int
    finished: set[int] = field(default_factory=set)
    forgotten: set[int] = field(default_factory=set)


class SimulatedInbox:
    """Books of one process. A generation begins with each recovery."""

    def __init__(self, life: Life, effects: Effects) -> None:
        self._life = life
        self._effects = effects
        self._books: dict[TopicPartition, _Book] = {}
        self._idle: list[asyncio.Future[None]] = []
        self.generation = 0
        self.lease_good = True
        self._open = False

    def open(self, starts: dict[TopicPartition, int]) -> int:
        """A generation begins; records flow from these offsets on."""
        self.generation += 1
        self._open = True
        self._books = {at: _Book(start, start) for at, start in starts.items()}
        return self.generation

    @property
    def is_open(self) -> bool:
        """Whether records flow."""
        return self._open

    def close(self) -> None:
        """The generation ends."""
        self._open = False

    def take(self, record: Record) -> None:
        """The record is delivered."""
        book = self._books[record.topic, record.partition]
        if record.offset != book.next:
            raise AssertionError(f"simulation: {record.source} delivered, {book.next} expected")
        book.next += 1

    def watermarks(self) -> dict[TopicPartition, int]:
        """Per partition the lowest offset that is not finished."""
        return {at: book.low for at, book in self._books.items()}

    def unfinished(self) -> list[str]:
        """Records that are delivered, not finished and not forgotten."""
        return [
            f"{at[0]}-{at[1]}-{offset}"
            for at, book in self._books.items()
            for offset in range(book.low, book.next)
            if offset not in book.finished and offset not in book.forgotten
        ]

    async def idle(self) -> None:
        """Wait until nothing is at work."""
        while self.unfinished():
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(future)
            await future

    # -- the port ------------------------------------------------------------------------------------------------

    def is_current(self, record: Record) -> bool:
        """Whether the record belongs to the generation that is open."""
        return self._life.alive and self._open and record.generation == self.generation

    def may_act(self, record: Record) -> bool:
        """... and the lease holds."""
        return self.is_current(record) and self.lease_good

    def finished(self, record: Record) -> None:
        """All it causes is said to be durable."""
        if not self._life.alive or record.generation != self.generation:
            return
        book = self._books[record.topic, record.partition]
        if not book.low <= record.offset < book.next or record.offset in book.finished:
            self._effects.violate(f"{record.source} finished twice, or never delivered")
            return
        self._effects.note(f"{self._life.name} finished {record.source}")
        book.finished.add(record.offset)
        while book.low in book.finished:
            book.finished.discard(book.low)
            book.low += 1
        self._tell()

    def forgotten(self, record: Record) -> None:
        """It comes again."""
        if not self._life.alive or record.generation != self.generation:
            return
        self._effects.note(f"{self._life.name} forgot {record.source}")
        self._books[record.topic, record.partition].forgotten.add(record.offset)
        self._tell()

    def _tell(self) -> None:
        idle, self._idle = self._idle, []
        for future in idle:
            if not future.done():
                future.set_result(None)
