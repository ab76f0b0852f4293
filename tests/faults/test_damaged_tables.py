"""Damage in a store's files is met once: the process ends, and the next one builds the store anew."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from tables.shard import ChangelogRecord, Shard
from tables.store_memory import StoreMemory

KEYS = [b"k%02d" % number for number in range(50)]


def by_first_byte(_key: bytes, value: bytes) -> Iterable[bytes]:
    return {value[:1]}


def opened(path: Path) -> Shard:
    return Shard(path, b"cluster/topic/v1", by_first_byte, StoreMemory(4 << 20), now_ns=lambda: 1)


def filled(path: Path) -> None:
    """A store whose table file begins with index, identity and position; the rows fill several blocks after them."""
    noise = random.Random(1)  # noqa: S311 -- what can't be compressed
    with closing(opened(path)) as shard:
        shard.apply([ChangelogRecord(number, KEYS[number], noise.randbytes(400)) for number in range(50)], 50)
        shard.flush()


def damage(path: Path, part: float) -> None:
    """One byte at this part of each table file is not what was written."""
    for file in path.glob("*.sst"):
        content = bytearray(file.read_bytes())
        content[int(len(content) * part)] ^= 0xFF
        file.write_bytes(content)


def test_fault_30_a_damaged_row_whose_index_entry_a_write_takes_back_is_met_once(tmp_path: Path) -> None:
    path = tmp_path / "orders-0"
    filled(path)
    damage(path, 0.5)
    with closing(opened(path)) as shard, pytest.raises(Exception, match="Corruption"):
        shard.apply([ChangelogRecord(50 + number, KEYS[number], b"w") for number in range(50)], 100)
    with closing(opened(path)) as shard:
        assert (shard.position, shard.has_rows()) == (None, False)


def test_fault_30_a_store_whose_identity_is_damaged_is_built_anew_at_once(tmp_path: Path) -> None:
    path = tmp_path / "orders-0"
    filled(path)
    damage(path, 0.005)
    with closing(opened(path)) as shard:
        assert (shard.position, shard.has_rows()) == (None, False)
