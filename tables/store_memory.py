"""The local stores of a process: how each is opened, and the memory of all, one limit however many there are."""

from __future__ import annotations

from pathlib import Path

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBufferManager

WRITE_BUFFER_BYTES = 4 << 20  # of one store; the limit is for all together
ARENA_BLOCK_BYTES = 64 << 10
"""Write buffers grow in steps of this: by RocksDB's own choice each store would take half a MiB with its first row."""


class StoreMemory:
    """What the stores of one process share. Blocks read from files and rows that wait to be written to them count
    together: at most half of `limit_bytes` waits, and what doesn't is for blocks.

    Beside the limit, RocksDB holds filters and indexes of open files: about two bytes a row.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._blocks = Cache(limit_bytes)
        # Never stalls: a writer is the event loop. A flush that is behind is a matter of milliseconds.
        self._waiting = WriteBufferManager.new_write_buffer_manager_with_cache(limit_bytes // 2, False, self._blocks)

    @property
    def used_bytes(self) -> int:
        """What counts in the limit now."""
        return int(self._blocks.get_usage())

    def open(self, path: Path) -> Rdict:
        """A store that lives within the limit, made where there is none. Raises what RocksDB does."""
        table = BlockBasedOptions()
        table.set_bloom_filter(10, False)
        table.set_block_cache(self._blocks)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(WRITE_BUFFER_BYTES)
        options.set_max_write_buffer_number(2)
        options.set_max_open_files(128)
        options.set_keep_log_file_num(2)
        options.set_write_buffer_manager(self._waiting)
        options.set_arena_block_size(ARENA_BLOCK_BYTES)
        options.set_block_based_table_factory(table)
        # Named as the family's own too: a store that is there already is else opened with those that it was left with,
        # and with a cache of 8 MiB of its own.
        return Rdict(str(path), options, column_families={"default": options})
