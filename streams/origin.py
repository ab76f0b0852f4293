"""Where a signal came from first (requirement S04).

A record under the wrong key is published again under the right one. Its identity stays the place where its producer
put it, and its age counts from there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from streams.ports import Headers
from streams.record import Record, Source

_ORIGIN = "ordermanager-origin"
_TIME = "ordermanager-origin-time-ns"
_HOPS = "ordermanager-hops"
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


@dataclass(frozen=True, slots=True)
class Origin:
    """A record's first place and time (ns UTC), how often it was published again, and the trace it came with."""

    source: Source
    timestamp_ns: int
    hops: int
    trace_id: str


def origin_of(record: Record) -> Origin:
    """From the headers that `republished` writes; the record itself where they are absent or unreadable."""
    headers = dict(record.headers)
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", b"").decode(errors="replace"))
    trace = match[1] if match and set(match[1]) != {"0"} else ""
    try:
        topic, partition, offset = headers[_ORIGIN].decode().rsplit("-", 2)
        return Origin(
            Source(topic, int(partition), int(offset)),
            int(headers[_TIME].decode()),
            int(headers[_HOPS].decode()),
            trace,
        )
    except (KeyError, ValueError):
        return Origin(record.source, record.timestamp_ns, 0, trace)


def republished(record: Record, origin: Origin) -> Headers:
    """The record's own headers, with where it came from and one hop more."""
    own = {_ORIGIN, _TIME, _HOPS}
    return (
        *((name, value) for name, value in record.headers if name not in own),
        (_ORIGIN, str(origin.source).encode()),
        (_TIME, str(origin.timestamp_ns).encode()),
        (_HOPS, str(origin.hops + 1).encode()),
    )


def again(source: str, timestamp_ns: int) -> Headers:
    """The headers of a signal's record that is published once more where it belongs (requirement D08)."""
    return ((_ORIGIN, source.encode()), (_TIME, str(timestamp_ns).encode()), (_HOPS, b"1"))
