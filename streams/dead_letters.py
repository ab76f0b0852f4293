"""Records that cannot be used: kept with every reason (requirements S02, J05)."""

from __future__ import annotations

from streams import schemas
from streams.outbox import Outgoing
from streams.ports import Headers
from streams.record import Record
from streams.topics import Topics

_ERROR = "__streams.errors."
_CUT = "ordermanager-cut"

MAX_HEADERS_BYTES = 64 * 1024
MAX_VALUE_BYTES = 800_000
"""A letter has to fit into one record of ours, whatever a producer (and its compression) got through: one that can't
be written would stop the worker, and the next one, at the same record. What is beyond stays where it came from."""


def dead_letter(topic: str, record: Record, code: str, reasons: list[str]) -> Outgoing:
    """The original bytes, key and headers, in the same partition, and what was wrong in Kafka Streams' own headers.

    Of a record too large for a letter: its beginning, and the header `ordermanager-cut` with its full size.
    """
    value = record.value or b""
    fits = size_of(record.headers) + len(record.key or b"") <= MAX_HEADERS_BYTES
    cut: Headers = ()
    if not fits or len(value) > MAX_VALUE_BYTES:
        cut = ((_CUT, b"%d" % (len(value) + size_of(record.headers) + len(record.key or b""))),)
    headers: Headers = (
        *(record.headers if fits else ()),
        *cut,
        (_ERROR + "exception", code.encode()),
        (_ERROR + "message", "; ".join(reasons).encode()[:MAX_HEADERS_BYTES]),
        (_ERROR + "topic", record.topic.encode()),
        (_ERROR + "partition", str(record.partition).encode()),
        (_ERROR + "offset", str(record.offset).encode()),
    )
    key = (record.key or b"") if fits else b""
    return Outgoing(topic, record.partition, key, value[:MAX_VALUE_BYTES], headers)


def put_aside(topics: Topics, record: Record, code: str, reasons: list[str]) -> list[Outgoing]:
    """The letter, and an alert that somebody should read it (requirement A01)."""
    letters = topics.dead(record.topic)
    sentence = f"record {record.source} could not be used and lies in {letters}: {code}: {'; '.join(reasons):.500}"
    alert = schemas.Alert(
        alert_id=f"{record.source}-DEAD_LETTER",
        code="DEAD_LETTER",
        severity="critical",
        sentence=sentence,
        symbol="",
        at_ns=record.timestamp_ns,
        source=str(record.source),
    )
    headers = schemas.event_headers("alert/1", alert.alert_id)
    return [
        dead_letter(letters, record, code, reasons),
        Outgoing(topics.alerts, 0, alert.alert_id.encode(), schemas.encode(alert), headers),
    ]


def size_of(headers: Headers) -> int:
    """Bytes of names and values."""
    return sum(len(name.encode()) + len(content) for name, content in headers)
