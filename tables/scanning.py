"""Ordered reading of disk and unacknowledged writes as one, without holding anything open in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

FIRST_CHUNK = 16
LARGEST_CHUNK = 1_024
"""Pairs read from disk at a time: few at first, as most scans are pages, and each partition has its share of one."""

Pair = tuple[bytes, bytes | None]


def prefix_end(prefix: bytes) -> bytes | None:
    """The smallest key greater than every key that starts with `prefix`; None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


def merged_scan(
    disk: Callable[[bytes | None, int], list[Pair]],
    staged: Callable[[], Iterable[Pair]],
    hidden: Callable[[bytes, bytes | None], bool],
    *,
    after: bytes | None,
    reverse: bool,
) -> Iterator[Pair]:
    """Pairs of `disk` and `staged` in key order (backwards if `reverse`), beyond the key `after`.

    `disk(bound, n)` reads up to n pairs beyond `bound`; `staged()` gives the unacknowledged ones in any order;
    `hidden(pair)` says that a pair on disk is outdated by an unacknowledged write. A write between two pairs may or
    may not be seen, but no pair is given twice and none that stood still is left out.
    """
    bound, n = after, FIRST_CHUNK
    while True:
        chunk = disk(bound, n)
        at_end = len(chunk) < n
        horizon = None if at_end else chunk[-1][0]
        found = [pair for pair in chunk if not hidden(*pair)]
        found += [pair for pair in staged() if _between(pair[0], bound, horizon, reverse)]
        found.sort(key=lambda pair: pair[0], reverse=reverse)
        yield from found
        if at_end:
            return
        bound, n = horizon, min(n * 4, LARGEST_CHUNK)


def _between(key: bytes, bound: bytes | None, horizon: bytes | None, reverse: bool) -> bool:
    if reverse:
        return (bound is None or key < bound) and (horizon is None or key >= horizon)
    return (bound is None or key > bound) and (horizon is None or key <= horizon)
