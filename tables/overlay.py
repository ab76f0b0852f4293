"""Writes of one partition that the broker has not acknowledged: reads see them, the disk doesn't."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator


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

    __slots__ = ("_newest", "_queue")

    def __init__(self) -> None:
        self._newest: dict[bytes, StagedWrite] = {}
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
        self._newest[write.key] = write
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
        if self._newest.get(write.key) is write:
            del self._newest[write.key]

    def rows(self, prefix: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """(key, value or None) of the keys that start with `prefix`, in no order."""
        for key, write in self._newest.items():
            if key.startswith(prefix):
                yield key, write.value

    def index_entries(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(index key, row key) of the index keys that start with `prefix`, in no order."""
        for key, write in self._newest.items():
            for entry in write.entries:
                if entry.startswith(prefix):
                    yield entry, key
