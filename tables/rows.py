"""What a table is to the code that uses it: rows by partition, read at once, durable when the receipt is complete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn, Protocol, TypeVar

from tables.receipt import Receipt

T = TypeVar("T")


class NotOurs(KeyError):  # noqa: N818 -- what happened, in two words
    """The partition is not ours, or not any more: whoever worked on it stops there, the next owner begins anew."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"partition {partition} is not ours")


class ByPartition(dict[int, T]):
    """What belongs to each partition that is ours; asking for another's raises `NotOurs`."""

    def __missing__(self, partition: int) -> NoReturn:
        raise NotOurs(partition)


def index_cursor(index_key: bytes, row_key: bytes) -> bytes:
    """Where an index entry stands in its index: what `scan_index` takes as `after`. Two rows may share an index key."""
    return index_key + b"\0" + row_key


class Rows(Protocol):
    """Rows of one table. Reads see every write made in this process, acknowledged or not."""

    def partitions(self) -> frozenset[int]:
        """The partitions that are ours and recovered."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The row under `key`, or None. Raises `NotOurs` for a partition that is not ours."""

    def put(self, partition: int, key: bytes, value: bytes | None, receipt: Receipt) -> None:
        """Write a row (None deletes it). Visible at once; `receipt` settles when the changelog has it.

        Never waits. Raises `NotOurs` for a partition that is not ours.
        """

    def scan(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of the rows whose key starts with `prefix`, in key order (or backwards), beyond `after`."""

    def scan_index(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(index key, row key) of the index entries whose index key starts with `prefix`, ordered by their
        `index_cursor` (or backwards), beyond the cursor `after`."""
