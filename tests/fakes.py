"""Stand-ins for what a test does not want to start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tables.receipt import Receipt
from tables.rows import NotOurs, index_cursor


class MemoryRows:
    """The `Rows` port in memory; every write is acknowledged at once. `held` may be changed by the test."""

    def __init__(self, partitions: Iterable[int], index: Callable[[bytes, bytes], Iterable[bytes]]) -> None:
        self.held = set(partitions)
        self._index = index
        self._rows: dict[int, dict[bytes, bytes]] = {}

    def partitions(self) -> frozenset[int]:
        return frozenset(self.held)

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self._of(partition).get(key)

    def put(self, partition: int, key: bytes, value: bytes | None, receipt: Receipt) -> None:
        rows = self._of(partition)
        receipt.expect()
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value
        receipt.settle()

    def scan(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._of(partition)
        for key in sorted(rows, reverse=reverse):
            if key.startswith(prefix) and _beyond(key, after, reverse):
                yield key, rows[key]

    def scan_index(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        entries = [(entry, key) for key, value in self._of(partition).items() for entry in self._index(key, value)]
        for entry, key in sorted(entries, key=lambda pair: index_cursor(*pair), reverse=reverse):
            if entry.startswith(prefix) and _beyond(index_cursor(entry, key), after, reverse):
                yield entry, key

    def _of(self, partition: int) -> dict[bytes, bytes]:
        if partition not in self.held:
            raise NotOurs(partition)
        return self._rows.setdefault(partition, {})


def _beyond(key: bytes, after: bytes | None, reverse: bool) -> bool:
    return after is None or (key < after if reverse else key > after)
