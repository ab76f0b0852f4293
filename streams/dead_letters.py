"""Records that cannot be used: kept whole, with every reason (requirements S02, J05)."""

from __future__ import annotations

from streams.outbox import Outgoing
from streams.ports import Headers
from streams.record import Record

_ERROR = "__streams.errors."


def dead_letter(topic: str, record: Record, code: str, reasons: list[str]) -> Outgoing:
    """The original bytes, key and headers, in the same partition, and what was wrong in Kafka Streams' own headers."""
    headers: Headers = (
        *record.headers,
        (_ERROR + "exception", code.encode()),
        (_ERROR + "message", "; ".join(reasons).encode()),
        (_ERROR + "topic", record.topic.encode()),
        (_ERROR + "partition", str(record.partition).encode()),
        (_ERROR + "offset", str(record.offset).encode()),
    )
    return Outgoing(topic, record.partition, record.key or b"", record.value or b"", headers)
