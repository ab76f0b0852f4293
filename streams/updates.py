"""Publishing to `order-updates`: the one way in which anything we learn reaches an order."""

from __future__ import annotations

from collections.abc import Sequence

from domain.updates import Update, encode_update
from streams.outbox import Outgoing
from streams.ports import Headers, Log
from streams.record import Record, Source
from streams.topics import Topics
from tables.receipt import Receipt

_HEADERS: Headers = (
    ("content-type", b"application/json"),
    ("schema", b"order-update/1"),
    ("producer", b"ordermanager"),
)

MARK: Headers = (("schema", b"order-update-mark/1"), ("producer", b"ordermanager"))
"""Headers of a record that only marks how far the log has been read."""


def mark_in(topics: Topics, partition: int) -> Outgoing:
    """A mark, which says nothing of any order."""
    return Outgoing(topics.order_updates, partition, b"", b"{}", MARK)


def is_mark(record: Record) -> bool:
    """Whether the record is such a mark."""
    return dict(record.headers).get("schema") == b"order-update-mark/1"


class UpdatePublisher:
    """Publishes updates under their symbol and waits for the broker's acknowledgement."""

    def __init__(self, log: Log, topics: Topics) -> None:
        self._log = log
        self._topics = topics

    async def mark(self, partition: int) -> Source:
        """Append a mark: when it is applied, everything before it is."""
        mark = mark_in(self._topics, partition)
        return await self._log.publish(mark.topic, mark.key, mark.value, mark.headers, partition)

    async def publish(self, update: Update) -> Source:
        """Returns where the record stands; see `streams.applied` to wait until it is applied."""
        key = update.instrument.symbol.encode()
        return await self._log.publish(self._topics.order_updates, key, encode_update(update), _HEADERS)

    async def publish_all(self, updates: Sequence[Update]) -> Source:
        """Publish updates of one symbol, at least one, in their order; returns where the last one stands."""
        topic, key = self._topics.order_updates, updates[0].instrument.symbol.encode()
        partition, receipt, offsets = self._log.partition_of(key), Receipt(), list[int]()
        for update in updates:
            self._log.append(topic, partition, key, encode_update(update), receipt, _HEADERS, offsets.append)
        await receipt.durable()
        return Source(topic, partition, max(offsets))
