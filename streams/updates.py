"""Publishing to `order-updates`: the one way in which anything we learn reaches an order."""

from __future__ import annotations

from domain.updates import Update, encode_update
from streams.ports import Headers, Log
from streams.record import Record, Source
from streams.topics import Topics

_HEADERS: Headers = (
    ("content-type", b"application/json"),
    ("schema", b"order-update/1"),
    ("producer", b"ordermanager"),
)

MARK: Headers = (("schema", b"order-update-mark/1"), ("producer", b"ordermanager"))
"""Headers of a record that only marks how far the log has been read."""


def is_mark(record: Record) -> bool:
    """Whether the record is such a mark."""
    return dict(record.headers).get("schema") == b"order-update-mark/1"


class UpdatePublisher:
    """Publishes updates under their symbol and waits for the broker's acknowledgement."""

    def __init__(self, log: Log, topics: Topics) -> None:
        self._log = log
        self._topic = topics.order_updates

    async def mark(self, partition: int) -> Source:
        """Append a mark, which says nothing of any order: when it is applied, everything before it is."""
        return await self._log.publish(self._topic, b"", b"{}", MARK, partition)

    async def publish(self, update: Update) -> Source:
        """Returns where the record stands; see `streams.applied` to wait until it is applied."""
        key = update.instrument.symbol.encode()
        return await self._log.publish(self._topic, key, encode_update(update), _HEADERS)
