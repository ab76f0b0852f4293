"""The `Rows` port in memory: what a process wrote, over the fold of the changelog that it recovered from."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator

from simulation.broker import Broker, StagedLog
from tables.receipt import Receipt
from tables.rows import ByPartition, NotOurs, index_cursor

IndexFunction = Callable[[bytes, bytes], Iterable[bytes]]


class _Shard:
    """One partition: rows and index entries, both in order."""

    def __init__(self, index: IndexFunction) -> None:
        self._index = index
        self.rows: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []
        self.entries: list[tuple[bytes, bytes]] = []

    def put(self, key: bytes, value: bytes | None) -> None:
        before = self.rows.get(key)
        if before is not None:
            for entry in self._index(key, before):
                del self.entries[bisect_left(self.entries, (entry, key))]
        if value is None:
            if before is not None:
                del self.rows[key]
                del self.keys[bisect_left(self.keys, key)]
            return
        if before is None:
            insort(self.keys, key)
        self.rows[key] = value
        for entry in self._index(key, value):
            insort(self.entries, (entry, key))


class SimulatedRows:
    """Rows of one table in one process. A changelog record is staged with every write."""

    def __init__(self, name: str, index: IndexFunction, broker: Broker) -> None:
        self.changelog = f"{name}-changelog"
        self._index = index
        self._broker = broker
        self._shards: ByPartition[_Shard] = ByPartition()
        self._log: StagedLog | None = None

    def recover(self, log: StagedLog, partitions: Iterable[int]) -> None:
        """Own these partitions: rows are what the changelogs say, acknowledged to a former process or not."""
        self._log = log
        self._shards = ByPartition({each: self.folded(each) for each in partitions})
        for partition in self._shards:
            log.acknowledged[self.changelog, partition] = self._broker.end((self.changelog, partition))

    def withdraw(self) -> None:
        """No partition is ours."""
        self._shards = ByPartition()

    def folded(self, partition: int) -> _Shard:
        """The fold of a partition's changelog."""
        shard = _Shard(self._index)
        for stored in self._broker.logs[self.changelog, partition]:
            shard.put(stored.key or b"", stored.value)
        return shard

    def as_written(self, partition: int) -> dict[bytes, bytes]:
        """All rows of a partition, as this process sees them."""
        return dict(self._shards[partition].rows)

    # -- the port ------------------------------------------------------------------------------------------------

    def partitions(self) -> frozenset[int]:
        """Those that are ours."""
        return frozenset(self._shards)

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The row."""
        return self._shards[partition].rows.get(key)

    def put(self, partition: int, key: bytes, value: bytes | None, receipt: Receipt) -> None:
        """Visible at once, durable when the receipt says so."""
        if self._log is None:
            raise NotOurs(partition)
        shard = self._shards[partition]
        self._log.append(self.changelog, partition, key, value, receipt)
        shard.put(key, value)

    def scan(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows by key. A copy of the keys is taken: writes during a scan are allowed."""
        shard = self._shards[partition]
        low = bisect_left(shard.keys, prefix)
        found = []
        for key in shard.keys[low:]:
            if not key.startswith(prefix):
                break
            found.append(key)
        for key in reversed(found) if reverse else found:
            beyond = after is None or (key < after if reverse else key > after)
            if beyond and key in shard.rows:
                yield key, shard.rows[key]

    def scan_index(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Index entries in order."""
        shard = self._shards[partition]
        low = bisect_left(shard.entries, (prefix, b""))
        found = []
        for entry in shard.entries[low:]:
            if not entry[0].startswith(prefix):
                break
            found.append(entry)
        for index_key, row_key in reversed(found) if reverse else found:
            cursor = index_cursor(index_key, row_key)
            if after is None or (cursor < after if reverse else cursor > after):
                yield index_key, row_key
