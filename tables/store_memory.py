"""The memory of all local stores of a process: one limit, however many there are and whatever they hold."""

from __future__ import annotations

from rocksdict import BlockBasedOptions, Cache, Options, WriteBufferManager

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

    def share_with(self, options: Options, table: BlockBasedOptions) -> None:
        """Have the store that is opened with these live within the limit."""
        options.set_write_buffer_manager(self._waiting)
        options.set_arena_block_size(ARENA_BLOCK_BYTES)
        table.set_block_cache(self._blocks)
