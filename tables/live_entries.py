"""Index entries that are held in memory: those of work that is under way.

They are few and asked for all the time, by every gate of every signal. On disk each of them leaves a mark where it was
deleted, and an iterator has to walk over the marks of all work that ended lately before it can say that nothing is
there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from tables.rows import index_cursor
from tables.scanning import prefix_end


class LiveEntries:
    """The entries, of one partition, whose index keys start with one of `prefixes`, as reads are to see them.

    `entries` are those there are: (index key, row key). As many are held as there are rows with such entries.
    """

    def __init__(self, prefixes: tuple[bytes, ...], entries: Iterable[tuple[bytes, bytes]]) -> None:
        self._prefixes = prefixes
        self._of_row: dict[bytes, tuple[bytes, ...]] = {}
        self._ordered: list[tuple[bytes, bytes, bytes]] = []
        """(index cursor, index key, row key)."""
        for entry, row_key in set(entries):
            self._of_row[row_key] = (*self._of_row.get(row_key, ()), entry)
            self._ordered.append((index_cursor(entry, row_key), entry, row_key))
        self._ordered.sort()

    def note(self, row_key: bytes, entries: Iterable[bytes]) -> None:
        """A row was written: these are all its index keys from now on."""
        new = tuple({entry for entry in entries if entry.startswith(self._prefixes)})
        old = self._of_row.get(row_key, ())
        for entry in old:
            if entry not in new:
                del self._ordered[bisect_left(self._ordered, (index_cursor(entry, row_key),))]
        for entry in new:
            if entry not in old:
                insort(self._ordered, (index_cursor(entry, row_key), entry, row_key))
        if new:
            self._of_row[row_key] = new
        elif old:
            del self._of_row[row_key]

    def scan(self, prefix: bytes, *, after: bytes | None, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """(index key, row key) as `Rows.scan_index` gives them, as they are now. `prefix` begins with one of ours."""
        ordered, end = self._ordered, prefix_end(prefix)
        low = bisect_left(ordered, (prefix,))
        high = len(ordered) if end is None else bisect_left(ordered, (end,))
        if after is not None:
            if reverse:
                high = min(high, bisect_left(ordered, (after,)))
            else:
                low = max(low, bisect_left(ordered, (after + b"\0",)))  # the first one beyond
        found = ordered[low:high]
        for _, entry, row_key in reversed(found) if reverse else found:
            if entry.startswith(prefix):  # a row key could make the cursor of a shorter index key look alike
                yield entry, row_key
