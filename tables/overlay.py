"""Writes of one partition that the broker has not acknowledged: reads see them, the disk doesn't."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

KIND_BYTES = 2
"""Of a key: `o/`, `h/` and so on."""


class StagedWrite:
    """A row (or its deletion, `value` None) on its way to the changelog. `offset` is set by the acknowledgement, of
    which `settle_soon` is told."""

    __slots__ = ("entries", "key", "offset", "settle_soon", "value")

    def __init__(self, key: bytes, value: bytes | None, entries: tuple[bytes, ...]) -> None:
        self.key = key
        self.value = value
        self.entries = entries
        """Index keys of the row; empty for a deletion."""
        self.offset: int | None = None
        self.settle_soon: Callable[[], None] | None = None

    def acknowledged(self, offset: int) -> None:
        """The broker has the write, at `offset` of the changelog."""
        self.offset = offset
        if self.settle_soon is not None:
            self.settle_soon()


class Overlay:
    """The newest unacknowledged write of each key, and all of them in the order of the changelog."""

    __slots__ = ("_kinds", "_newest", "_queue")

    def __init__(self) -> None:
        self._newest: dict[bytes, StagedWrite] = {}
        self._kinds: dict[bytes, dict[bytes, StagedWrite]] = {}
        """The same by the first bytes of their keys: a scan for rows of one kind must not look at all the others."""
        self._queue: deque[StagedWrite] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def __contains__(self, key: bytes) -> bool:
        return key in self._newest

    def get(self, key: bytes) -> StagedWrite | None:
        """The newest write of `key`, if there is one."""
        return self._newest.get(key)

    def stage(self, write: StagedWrite) -> None:
        """Add a write behind all others."""
        key = write.key
        self._newest[key] = write
        kind = self._kinds.get(key[:KIND_BYTES])
        if kind is None:
            kind = self._kinds[key[:KIND_BYTES]] = {}
        kind[key] = write
        self._queue.append(write)

    def in_order(self) -> Iterator[StagedWrite]:
        """All unsettled writes, oldest first."""
        return iter(self._queue)

    def oldest(self) -> StagedWrite | None:
        """The write that the disk gets next."""
        return self._queue[0] if self._queue else None

    def pop_oldest(self) -> StagedWrite:
        """Take the oldest write out of the queue. Reads see it until `settled`."""
        return self._queue.popleft()

    def settled(self, write: StagedWrite) -> None:
        """The disk has this write: reads take the row from there, unless a newer write is under way."""
        key = write.key
        if self._newest.get(key) is write:
            del self._newest[key]
            del self._kinds[key[:KIND_BYTES]][key]

    def rows(self, prefix: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """(key, value or None) of the keys that start with `prefix`, in no order."""
        of_kind = self._newest if len(prefix) < KIND_BYTES else self._kinds.get(prefix[:KIND_BYTES], {})
        for key, write in of_kind.items():
            if key.startswith(prefix):
                yield key, write.value

    def index_entries(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(index key, row key) of the index keys that start with `prefix`, in no order."""
        for key, write in self._newest.items():
            for entry in write.entries:
                if entry.startswith(prefix):
                    yield entry, key
