"""A shard: reads see every write, the disk holds a prefix of the changelog and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tables.rows import index_cursor
from tables.shard import ChangelogRecord, Shard
from tables.store_errors import is_locked
from tables.store_memory import StoreMemory

KEYS = st.binary(min_size=1, max_size=3)
VALUES = st.binary(min_size=1, max_size=3) | st.sampled_from([b"1", b"12", b"\x00"])


def by_bytes(_key: bytes, value: bytes) -> Iterable[bytes]:
    """Index keys of all kinds: several for a row, with zero and highest bytes in them."""
    return {value[:1], value[-2:], b"\x00\xff"}


LIVE = (b"\x00", b"1")
"""Index keys of these beginnings are held in memory."""


def new_shard(path: Path, identity: bytes = b"cluster/topic/v1") -> Shard:
    return Shard(path, identity, by_bytes, StoreMemory(4 << 20), now_ns=lambda: 1, live=LIVE)


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Shard]:
    made = new_shard(tmp_path / "t-0")
    yield made
    made.close()


def stage(shard: Shard, key: bytes, value: bytes | None) -> int:
    """A write under way; returns how many are."""
    write = shard.prepare(key, value)
    shard.stage(write)
    return len(shard.overlay)


def acknowledge(shard: Shard, offset: int) -> None:
    """The broker has the oldest write that it had not."""
    write = next(write for write in shard.overlay.in_order() if write.offset is None)
    write.offset = offset
    shard.settle()


def test_a_write_is_read_at_once_and_gone_from_disk_until_acknowledged(shard: Shard) -> None:
    stage(shard, b"k", b"v")
    assert shard.get(b"k") == b"v"
    assert shard.position is None
    acknowledge(shard, 0)
    assert shard.get(b"k") == b"v"
    assert shard.position is not None
    assert shard.position.next_offset == 1


def test_a_newer_write_is_read_while_the_older_one_reaches_the_disk(shard: Shard) -> None:
    stage(shard, b"k", b"old")
    stage(shard, b"k", b"new")
    acknowledge(shard, 0)
    assert shard.get(b"k") == b"new"
    acknowledge(shard, 1)
    assert shard.get(b"k") == b"new"
    assert len(shard.overlay) == 0


def test_a_deleted_row_is_gone_from_reads_scans_and_indexes(shard: Shard) -> None:
    stage(shard, b"k", b"v")
    acknowledge(shard, 0)
    stage(shard, b"k", None)
    for _ in range(2):
        assert shard.get(b"k") is None
        assert list(shard.scan(b"")) == []
        assert list(shard.scan_index(b"")) == []
        if len(shard.overlay):
            acknowledge(shard, 1)


def test_what_was_not_acknowledged_is_not_there_after_a_restart(shard: Shard, tmp_path: Path) -> None:
    stage(shard, b"a", b"1")
    acknowledge(shard, 0)
    stage(shard, b"b", b"2")
    shard.close()
    again = new_shard(tmp_path / "t-0")
    assert dict(again.scan(b"")) == {b"a": b"1"}
    assert again.next_offset == 1
    again.close()


def test_acknowledgements_behind_a_hole_wait_until_it_is_read(shard: Shard) -> None:
    for key, value in ((b"a", b"1"), (b"b", b"2")):
        stage(shard, key, value)
    acknowledge(shard, 0)
    acknowledge(shard, 3)
    assert shard.hole == (1, 3)
    assert shard.next_offset == 1
    shard.fill_hole([ChangelogRecord(1, b"x", b"9"), ChangelogRecord(2, b"x", b"8")])
    assert shard.hole is None
    assert shard.next_offset == 4
    assert dict(shard.scan(b"")) == {b"a": b"1", b"b": b"2", b"x": b"8"}


def test_an_acknowledgement_below_what_is_on_disk_is_an_error(shard: Shard) -> None:
    shard.apply([ChangelogRecord(7, b"a", b"1")], 8)
    stage(shard, b"b", b"2")
    with pytest.raises(RuntimeError, match="CHANGELOG_WENT_BACK: t-0: acknowledged at 5, expected 8"):
        acknowledge(shard, 5)


def test_a_store_of_another_changelog_is_deleted(shard: Shard, tmp_path: Path) -> None:
    shard.apply([ChangelogRecord(0, b"a", b"1")], 1)
    shard.close()
    other = new_shard(tmp_path / "t-0", b"cluster/topic/v2")
    assert other.position is None
    assert list(other.scan(b"")) == []
    other.close()


def test_a_store_marked_for_rebuild_is_deleted(shard: Shard, tmp_path: Path) -> None:
    shard.apply([ChangelogRecord(0, b"a", b"1")], 1)
    shard.mark_for_rebuild()
    shard.close()
    again = new_shard(tmp_path / "t-0")
    assert again.position is None
    again.close()


def test_damage_that_shows_at_closing_too_does_not_keep_a_store_from_being_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = new_shard(tmp_path / "t-0")
    first.apply([ChangelogRecord(0, b"k", b"v")], 1)
    first.close()
    damage = "Corruption: block checksum mismatch: stored = 1, computed = 2 in 000033.sst"

    class Damaged:
        """What a store is like when a compaction has met a bad block in the background."""

        def __init__(self, *_arguments: object, **_options: object) -> None:
            monkeypatch.undo()  # the next one that is opened is a real one

        def get(self, _key: bytes) -> bytes:
            raise OSError(damage)

        def close(self) -> None:
            raise OSError(damage)

    monkeypatch.setattr("tables.store_memory.Rdict", Damaged)

    with closing(new_shard(tmp_path / "t-0")) as again:
        assert again.position is None
        assert again.get(b"k") is None


def test_a_store_with_flipped_bytes_is_built_anew_once_they_are_noticed(tmp_path: Path) -> None:
    shard = new_shard(tmp_path / "t-0")
    shard.apply([ChangelogRecord(i, b"%06d" % i, b"x" * 100) for i in range(5_000)], 5_000)
    shard.flush()
    shard.close()
    (table, *_) = sorted((tmp_path / "t-0").glob("*.sst"))
    table.write_bytes(bytes(byte ^ 0xFF if at % 64 == 0 else byte for at, byte in enumerate(table.read_bytes())))

    with suppress(Exception):  # noticed while opening, or at the latest while reading
        damaged = new_shard(tmp_path / "t-0")
        with closing(damaged):
            assert len(list(damaged.scan(b""))) == 5_000, "damage must not go unnoticed"
    again = new_shard(tmp_path / "t-0")
    assert again.position is None
    again.close()


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST-*", "*.sst"])
def test_a_store_with_a_missing_file_is_built_anew_once_it_is_noticed(tmp_path: Path, name: str) -> None:
    shard = new_shard(tmp_path / "t-0")
    shard.apply([ChangelogRecord(i, b"%06d" % i, b"x" * 100) for i in range(100)], 100)
    shard.flush()
    shard.close()
    for file in (tmp_path / "t-0").glob(name):
        file.unlink()

    with suppress(Exception):  # noticed while opening, or at the latest while reading
        damaged = new_shard(tmp_path / "t-0")
        with closing(damaged):
            assert len(list(damaged.scan(b""))) == 100, "damage must not go unnoticed"
    again = new_shard(tmp_path / "t-0")
    assert again.position is None
    again.close()


def test_files_that_are_in_use_are_left_alone(shard: Shard, tmp_path: Path) -> None:
    shard.apply([ChangelogRecord(0, b"a", b"1")], 1)
    with pytest.raises(Exception, match=r"(?i)lock") as error:
        new_shard(tmp_path / "t-0")
    assert is_locked(error.value)
    assert shard.get(b"a") == b"1"


def test_a_closed_shard_refuses_reads_and_writes(shard: Shard) -> None:
    stage(shard, b"k", b"v")
    shard.close()
    with pytest.raises(KeyError, match="PARTITION_CLOSED"):
        shard.get(b"k")
    with pytest.raises(KeyError, match="PARTITION_CLOSED"):
        shard.prepare(b"k", b"v")


def test_a_scan_left_in_the_middle_keeps_nothing_open(shard: Shard, tmp_path: Path) -> None:
    shard.apply([ChangelogRecord(i, b"%04d" % i, b"v") for i in range(500)], 500)
    unfinished = shard.scan(b"")
    next(unfinished)
    shard.close()
    again = new_shard(tmp_path / "t-0")  # the files are free, though the scan is alive
    assert next(again.scan(b"0499")) == (b"0499", b"v")
    again.close()
    with pytest.raises(KeyError, match="PARTITION_CLOSED"):
        list(unfinished)


def test_long_scans_give_every_row_once_in_order(shard: Shard) -> None:
    shard.apply([ChangelogRecord(i, b"%05d" % i, b"v") for i in range(0, 5_000, 2)], 5_000)
    for i in range(1, 5_000, 500):
        stage(shard, b"%05d" % i, b"w")
    keys = [key for key, _ in shard.scan(b"")]
    assert len(keys) == 2_500 + 10
    assert all(one < other for one, other in pairwise(keys))
    assert [key for key, _ in shard.scan(b"", reverse=True)] == keys[::-1]
    assert [key for key, _ in shard.scan(b"", after=keys[1_000])] == keys[1_001:]
    assert [key for key, _ in shard.scan(b"", after=keys[1_000], reverse=True)] == keys[:1_000][::-1]


class ShardMachine(RuleBasedStateMachine):
    """Writes, acknowledgements in groups, restarts: against two dictionaries."""

    @initialize()
    def begin(self) -> None:
        self.directory = TemporaryDirectory()
        self.shard = new_shard(Path(self.directory.name) / "t-0")
        self.log: list[tuple[bytes, bytes | None]] = []
        self.acknowledged = 0

    @rule(key=KEYS, value=st.none() | VALUES)
    def write(self, key: bytes, value: bytes | None) -> None:
        stage(self.shard, key, value)
        self.log.append((key, value))

    @rule(n=st.integers(1, 5))
    def acknowledge(self, n: int) -> None:
        writes = [write for write in self.shard.overlay.in_order() if write.offset is None][:n]
        for write in writes:
            write.offset = self.acknowledged
            self.acknowledged += 1
        self.shard.settle()

    @rule(writes=st.lists(st.tuples(KEYS, st.none() | VALUES), min_size=1, max_size=3))
    def follow(self, writes: list[tuple[bytes, bytes | None]]) -> None:
        """The changelog has records that were not written here."""
        if len(self.shard.overlay):
            return
        begin = self.acknowledged
        self.acknowledged += len(writes)
        records = [ChangelogRecord(begin + at, key, value) for at, (key, value) in enumerate(writes)]
        self.shard.apply(records, self.acknowledged)
        self.log.extend(writes)

    @rule()
    def restart(self) -> None:
        self.shard.close()
        self.shard = new_shard(Path(self.directory.name) / "t-0")
        del self.log[self.acknowledged :]
        assert self.shard.next_offset == self.acknowledged

    @rule(prefix=st.binary(max_size=1), after=st.none() | KEYS, reverse=st.booleans())
    def scans_agree(self, prefix: bytes, after: bytes | None, reverse: bool) -> None:
        rows = self.expected()
        wanted = sorted((item for item in rows.items() if item[0].startswith(prefix)), reverse=reverse)
        if after is not None:
            wanted = [item for item in wanted if (item[0] < after if reverse else item[0] > after)]
        assert list(self.shard.scan(prefix, after=after, reverse=reverse)) == wanted

    @rule(prefix=st.binary(max_size=2) | st.sampled_from(LIVE), reverse=st.booleans(), skip=st.integers(0, 5))
    def index_scans_agree(self, prefix: bytes, reverse: bool, skip: int) -> None:
        entries = [(entry, key) for key, value in self.expected().items() for entry in by_bytes(key, value)]
        wanted = sorted(
            (pair for pair in entries if pair[0].startswith(prefix)),
            key=lambda pair: index_cursor(*pair),
            reverse=reverse,
        )
        assert list(self.shard.scan_index(prefix, reverse=reverse)) == wanted
        if skip < len(wanted):
            after = index_cursor(*wanted[skip])
            assert list(self.shard.scan_index(prefix, after=after, reverse=reverse)) == wanted[skip + 1 :]

    @invariant()
    def reads_agree(self) -> None:
        if not hasattr(self, "shard"):
            return
        expected = self.expected()
        for key, _ in self.log[-5:]:
            assert self.shard.get(key) == expected.get(key)

    def expected(self) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        for key, value in self.log:
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        return rows

    def teardown(self) -> None:
        if hasattr(self, "shard"):
            self.shard.close()
            self.directory.cleanup()


TestShardAgainstDictionaries = ShardMachine.TestCase
TestShardAgainstDictionaries.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
