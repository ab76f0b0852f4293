"""Index entries on disk: which index keys a row stands under, and what changes there when the row does.

An entry's key is the row's `index_cursor`; its value is the length of the index key in it, which separates the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct

from rocksdict import Rdict, WriteBatch

from tables.rows import index_cursor

IndexFunction = Callable[[bytes, bytes], Iterable[bytes]]
"""(row key, row value) → the keys under which secondary indexes list the row."""

ROW, INDEX = b"r", b"i"
"""What stands before the keys of rows and of entries."""

ENTRY = Struct(">I")


def listed_row(cursor: bytes, length: bytes | None) -> bytes:
    """The row that an entry lists."""
    return cursor[ENTRY.unpack(length or b"")[0] + 1 :]


def write_index(
    index: IndexFunction, db: Rdict, batch: WriteBatch, key: bytes, value: bytes | None, known: Iterable[bytes] | None
) -> None:
    """`known`: the index keys of the row that comes, if they are."""
    if known is None:
        known = index(key, value) if value is not None else ()
    before = db.get(ROW + key)
    old = set(index(key, before)) if before is not None else ()
    new = set(known)
    for entry in old:
        if entry not in new:
            batch.delete(INDEX + index_cursor(entry, key))
    for entry in new:
        if entry not in old:
            batch.put(INDEX + index_cursor(entry, key), ENTRY.pack(len(entry)))
