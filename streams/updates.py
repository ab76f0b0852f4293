"""Publishing to `order-updates`: the one way in which anything we learn reaches an order."""

from __future__ import annotations

from domain.updates import Update, encode_update
from streams.ports import Headers, Log
from streams.record import Source
from streams.topics import Topics

_HEADERS: Headers = (
    ("content-type", b"application/json"),
    ("schema", b"order-update/1"),
    ("producer", b"ordermanager"),
)


class UpdatePublisher:
    """Publishes updates under their symbol and waits for the broker's acknowledgement."""

    def __init__(self, log: Log, topics: Topics) -> None:
        self._log = log
        self._topic = topics.order_updates

    async def publish(self, update: Update) -> Source:
        """Returns where the record stands; see `streams.applied` to wait until it is applied."""
        key = update.instrument.symbol.encode()
        return await self._log.publish(self._topic, key, encode_update(update), _HEADERS)
