"""A table's rows over a changelog: writes under way, partitions that come and go, and somebody else's writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tables.durable_rows import DurableRows
from tables.receipt import Receipt
from tables.shard import ChangelogRecord, Shard
from tables.store_memory import StoreMemory


class FakeChangelog:
    """Keeps what is appended; the test says when it is acknowledged."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes | None]] = []
        self._waiting: list[tuple[int, Receipt, Callable[[int], None] | None]] = []

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        receipt: Receipt,
        headers: Any = (),
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        if value is not None and len(value) > 100:
            raise ValueError("RECORD_TOO_LARGE")
        receipt.expect()
        self._waiting.append((len(self.records), receipt, on_ack))
        self.records.append((key, value))

    def append_foreign(self, key: bytes, value: bytes | None) -> None:
        self.records.append((key, value))

    async def acknowledge(self) -> None:
        waiting, self._waiting = self._waiting, []
        for offset, receipt, on_ack in waiting:
            if on_ack is not None:
                on_ack(offset)
            receipt.settle()
        await asyncio.sleep(0)

    def between(self, start: int, end: int) -> list[ChangelogRecord]:
        return [ChangelogRecord(at, self.records[at][0] or b"", self.records[at][1]) for at in range(start, end)]


@pytest.fixture
def changelog() -> FakeChangelog:
    return FakeChangelog()


@pytest.fixture
def rows(changelog: FakeChangelog, tmp_path: Path) -> Iterable[DurableRows]:
    made = DurableRows(
        "orders",
        "om-orders-changelog",
        tmp_path,
        changelog.append,
        index=lambda key, value: (b"s/" + value,),
        memory=StoreMemory(4 << 20),
        settle_at_rows=1,
    )
    made.open(0, "cluster")
    made.admit(0, 0)
    yield made
    made.close(0)


async def test_a_write_is_durable_when_its_receipt_settles(rows: DurableRows, changelog: FakeChangelog) -> None:
    receipt = Receipt()
    rows.put(0, b"k", b"v", receipt)
    assert rows.get(0, b"k") == b"v"
    assert list(rows.scan_index(0, b"s/")) == [(b"s/v", b"k")]
    assert not receipt.complete
    await changelog.acknowledge()
    assert receipt.complete
    assert rows.unacknowledged(0) == 0
    assert rows.next_offset(0) == 1


async def test_rows_reach_the_disk_together_and_soon(changelog: FakeChangelog, tmp_path: Path) -> None:
    table = DurableRows(
        "orders",
        "changelog",
        tmp_path,
        changelog.append,
        memory=StoreMemory(4 << 20),
        settle_after_s=0.02,
        settle_at_rows=3,
    )
    table.open(0, "cluster")
    table.admit(0, 0)

    table.put(0, b"k", b"first", Receipt())
    await changelog.acknowledge()
    assert (table.next_offset(0), table.position(0)) == (0, None), "it may come again in a moment"
    assert table.get(0, b"k") == b"first"
    async with asyncio.timeout(5):
        while table.position(0) is None:  # noqa: ASYNC110 -- nothing tells us
            await asyncio.sleep(0.005)

    for value in (b"second", b"third", b"fourth"):
        table.put(0, b"k", value, Receipt())
    await changelog.acknowledge()
    assert table.next_offset(0) == 4, "so many are not kept waiting"
    table.close(0)


async def test_a_busy_partition_takes_no_rows_of_others_to_disk(tmp_path: Path) -> None:
    changelogs = FakeChangelog(), FakeChangelog()

    def append(topic: str, partition: int, *others: Any) -> None:
        changelogs[partition].append(topic, partition, *others)

    table = DurableRows(
        "orders", "changelog", tmp_path, append, memory=StoreMemory(4 << 20), settle_after_s=60, settle_at_rows=3
    )
    for partition in range(2):
        table.open(partition, "cluster")
        table.admit(partition, 0)

    table.put(1, b"k", b"alone", Receipt())
    await changelogs[1].acknowledge()
    for value in (b"first", b"second", b"third"):
        table.put(0, b"k", value, Receipt())
    await changelogs[0].acknowledge()
    assert (table.next_offset(0), table.next_offset(1)) == (3, 0)

    table.settle()
    assert (table.next_offset(0), table.next_offset(1)) == (3, 1)
    for partition in range(2):
        table.close(partition)


async def test_a_write_that_is_refused_is_not_seen(rows: DurableRows) -> None:
    receipt = Receipt()
    with pytest.raises(ValueError, match="RECORD_TOO_LARGE"):
        rows.put(0, b"k", b"x" * 101, receipt)
    assert receipt.complete
    assert rows.get(0, b"k") is None


async def test_a_partition_that_is_not_ours_is_a_key_error(rows: DurableRows) -> None:
    with pytest.raises(KeyError):
        rows.get(1, b"k")
    with pytest.raises(KeyError):
        rows.put(1, b"k", b"v", Receipt())
    with pytest.raises(KeyError):
        rows.scan(1, b"")


async def test_between_generations_no_partition_is_ours(rows: DurableRows, changelog: FakeChangelog) -> None:
    rows.put(0, b"k", b"v", Receipt())
    await changelog.acknowledge()
    rows.withdraw()
    assert rows.partitions() == frozenset()
    assert rows.opened() == {0}
    rows.admit(0, 1)
    assert rows.get(0, b"k") == b"v"


async def test_writes_under_way_end_with_their_generation(rows: DurableRows, changelog: FakeChangelog) -> None:
    rows.put(0, b"k", b"v", Receipt())
    rows.withdraw()
    assert rows.opened() == frozenset()
    await changelog.acknowledge()  # too late: nobody listens, and nothing breaks
    rows.open(0, "cluster")
    assert rows.position(0) is None


async def test_somebody_elses_row_between_ours_is_undone(rows: DurableRows, changelog: FakeChangelog) -> None:
    holes: list[tuple[int, int, int]] = []
    rows.on_hole = lambda table, partition, start, end: holes.append((partition, start, end))
    rows.put(0, b"a", b"1", Receipt())
    await changelog.acknowledge()
    changelog.append_foreign(b"a", b"stale")
    changelog.append_foreign(b"z", b"unknown to us")
    rows.put(0, b"b", b"2", Receipt())
    await changelog.acknowledge()
    assert holes == [(0, 1, 3)]
    assert rows.get(0, b"a") == b"1"

    assert rows.fill_hole(0, changelog.between(1, 3)) == 2
    assert rows.get(0, b"a") == b"1"
    assert rows.get(0, b"z") is None
    await changelog.acknowledge()
    assert changelog.records[-2:] == [(b"a", b"1"), (b"z", None)]
    assert rows.unacknowledged(0) == 0
    assert dict(rows.scan(0, b"")) == {b"a": b"1", b"b": b"2"}
    assert rows.next_offset(0) == len(changelog.records)


async def test_somebody_elses_row_behind_ours_is_found_by_the_changelogs_end(
    rows: DurableRows, changelog: FakeChangelog
) -> None:
    rows.put(0, b"a", b"1", Receipt())
    assert not rows.note_foreign_tail(0, 1), "our own write under way explains the end"
    await changelog.acknowledge()
    assert not rows.note_foreign_tail(0, 1)
    changelog.append_foreign(b"a", b"stale")
    assert rows.note_foreign_tail(0, 2)
    assert rows.fill_hole(0, changelog.between(1, 2)) == 1
    await changelog.acknowledge()
    assert dict(rows.scan(0, b"")) == {b"a": b"1"}


async def test_a_reset_table_starts_from_nothing(rows: DurableRows, changelog: FakeChangelog) -> None:
    rows.put(0, b"a", b"1", Receipt())
    await changelog.acknowledge()
    rows.withdraw()
    rows.reset(0, "cluster")
    assert rows.position(0) is None
    rows.apply(0, changelog.between(0, 1), 1)
    rows.admit(0, 1)
    assert dict(rows.scan(0, b"")) == {b"a": b"1"}


async def test_rows_that_the_disk_refuses_are_told(
    rows: DurableRows, changelog: FakeChangelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    rows.on_failure = lambda error: told.append(str(error))

    def refuse(_shard: Shard) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Shard, "settle", refuse)
    rows.put(0, b"k", b"v", Receipt())
    await changelog.acknowledge()
    assert told == ["No space left on device"]
