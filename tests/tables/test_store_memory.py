"""The limit on the memory of all local stores of a process."""

from __future__ import annotations

import os
from pathlib import Path

from tables.store_memory import StoreMemory

LIMIT_BYTES = 8 << 20
STORES = 4
ROWS = 4_000
ROW_BYTES = 2_000
"""8 MB in each store: four times the limit in all."""


def key(number: int) -> bytes:
    return b"%08d" % number


def test_what_is_read_from_stores_that_were_there_before_counts_in_the_one_limit(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(STORES)]
    for path in paths:
        store = StoreMemory(LIMIT_BYTES).open(path)
        for number in range(ROWS):
            store[key(number)] = os.urandom(ROW_BYTES)
        store.close()

    memory = StoreMemory(LIMIT_BYTES)
    stores = [memory.open(path) for path in paths]
    for number in range(ROWS):
        for store in stores:
            assert len(store[key(number)]) == ROW_BYTES

    assert memory.used_bytes > LIMIT_BYTES // 2, "what was read went to another cache"
    assert memory.used_bytes <= LIMIT_BYTES * 1.25
    for store in stores:
        store.close()
