"""Reading lists page by page: streams of index entries, merged, and the rows that they name."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from tables.rows import Rows, index_cursor

T = TypeVar("T")

Entry = tuple[bytes, int, bytes]
"""(place, partition, row key)"""

_BEYOND_ROW_KEYS = b"\xff"
"""Greater than any row key: those are UTF-8."""


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A row, its place in the list, and the partition it lies in."""

    place: bytes
    partition: int
    row: T


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in order. `resume` is the place after which to go on, None when there is nothing more; `scanned` counts
    the rows looked at. With `cut_short` the bound on them ended the page before it was full."""

    found: list[Found[T]]
    resume: bytes | None
    scanned: int
    cut_short: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """The part of an index that a page may take from: a range of time, beyond the last page."""

    from_ns: int
    to_ns: int | None
    after: bytes | None
    descending: bool

    def start(self, prefix: bytes) -> bytes | None:
        """What `scan_index` takes as `after`."""
        bounds = []
        if self.after is not None:
            bounds.append(index_cursor(prefix + self.after, b"" if self.descending else _BEYOND_ROW_KEYS))
        if self.descending and self.to_ns is not None:
            bounds.append(index_cursor(prefix + b"%020d" % self.to_ns, b""))
        if not self.descending and self.from_ns:
            bounds.append(index_cursor(prefix + b"%020d" % self.from_ns, b""))
        if not bounds:
            return None
        return min(bounds) if self.descending else max(bounds)

    def is_past(self, place: bytes) -> bool:
        """Whether the range of time ends before `place`."""
        if self.descending:
            return place < b"%020d" % self.from_ns
        return self.to_ns is not None and place >= b"%020d" % self.to_ns


class Reading(Generic[T]):
    """A list on its way: each `page` goes on where the last one ended.

    Nothing is held open in between, so other work may be done there, and what it writes neither repeats nor hides a row
    that stood still (`tables.scanning`). A partition that goes meanwhile ends the reading with a `KeyError`.
    """

    def __init__(
        self, rows: Rows, streams: Iterable[Iterator[Entry]], accept: Callable[[bytes], T | None], *, descending: bool
    ) -> None:
        """`accept` makes of a row's value what the list shows; None: it is not one of these."""
        self._rows = rows
        self._entries = heapq.merge(*streams, key=_place_of, reverse=descending)
        self._accept = accept
        self._ahead: Entry | None = None
        self._last = b""

    def page(self, limit: int, max_scanned: int) -> Page[T]:
        """The next rows, at most `limit`, looking at no more than `max_scanned`; both are above zero."""
        found: list[Found[T]] = []
        scanned = 0
        while (entry := self._ahead or next(self._entries, None)) is not None:
            if len(found) == limit or scanned == max_scanned:
                self._ahead = entry
                return Page(found, self._last, scanned, cut_short=len(found) < limit)
            self._ahead = None
            place, partition, row_key = entry
            scanned, self._last = scanned + 1, place
            value = self._rows.get(partition, row_key)
            row = None if value is None else self._accept(value)
            if row is not None:
                found.append(Found(place, partition, row))
        return Page(found, None, scanned)


def _place_of(entry: Entry) -> bytes:
    return entry[0]
