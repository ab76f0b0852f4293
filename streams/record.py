"""One record of a topic as our handlers see it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Source(NamedTuple):
    """Where a record stands in the log: what makes it different from every other record."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as delivered: raw bytes, its place in the log, and the group generation that delivered it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ns: int
    generation: int = 0

    @property
    def source(self) -> Source:
        """The record's place in the log."""
        return Source(self.topic, self.partition, self.offset)


class RecordFailed(Exception):  # noqa: N818 -- said of the record
    """Handling one record of a run met an error that nobody expected.

    `traceless`: no row has anything of the record, so that it may be left out as if it had not come.
    """

    def __init__(self, record: Record, error: Exception, *, traceless: bool) -> None:
        super().__init__(f"{record.source}: {error!r}")
        self.record = record
        self.error = error
        self.traceless = traceless
