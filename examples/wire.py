"""The topics as a program of yours sees them: JSON records under symbols. Needs aiokafka, and nothing of the manager.

The schemas of all records are in `docs/schemas`. Amounts and prices are decimals written as text: they stay exact.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

Record = dict[str, Any]  # Any: JSON

log = logging.getLogger("example")


class Wire:
    """Reads topics from where you say, without a group, and sends signals."""

    def __init__(self, bootstrap: str, prefix: str = "") -> None:
        """`prefix` is the installation's ORDERMANAGER_TOPIC_PREFIX."""
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._producer: Any = None  # Any: aiokafka is untyped
        self._consumer: Any = None

    async def open(self) -> None:
        """Connect."""
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, group_id=None, enable_auto_commit=False)
        await self._consumer.start()

    async def close(self) -> None:
        """Disconnect; what was sent is acknowledged before."""
        for part in (self._consumer, self._producer):
            if part is not None:
                await part.stop()

    async def send(self, wish: Record) -> None:
        """Publish a signal under its symbol, and wait until the broker has it."""
        value = json.dumps(wish).encode()
        await self._producer.send_and_wait(self._prefix + "signals", value, key=wish["symbol"].encode())
        log.info("sent %s: %s %s over %s", wish["signal_id"], wish["signal_type"], wish["symbol"], wish["amount"])

    async def history(self, topics: Iterable[str]) -> AsyncIterator[tuple[str, str, Record]]:
        """Every record that these topics have by now, as (topic, key, record)."""
        places = await self._places(topics)
        self._consumer.assign(places)
        await self._consumer.seek_to_beginning(*places)
        ends = await self._consumer.end_offsets(places)
        while any([await self._consumer.position(place) < end for place, end in ends.items()]):
            for found in await self._batch():
                yield found

    async def follow(self, latest: Iterable[str]) -> AsyncIterator[tuple[str, str, Record]]:
        """What comes from now on: of the topics of `history`, from where that ended; of these, from their newest."""
        known = {place: await self._consumer.position(place) for place in self._consumer.assignment()}
        fresh = await self._places(latest)
        self._consumer.assign([*known, *fresh])
        for place, position in known.items():
            self._consumer.seek(place, position)
        await self._consumer.seek_to_end(*fresh)
        log.info("listens")
        while True:
            for found in await self._batch():
                yield found

    async def _batch(self) -> list[tuple[str, str, Record]]:
        batches = await self._consumer.getmany(timeout_ms=200)
        return [
            (record.topic.removeprefix(self._prefix), (record.key or b"").decode(), json.loads(record.value))
            for batch in batches.values()
            for record in batch
            if record.value is not None
        ]

    async def _places(self, topics: Iterable[str]) -> list[TopicPartition]:
        named = [self._prefix + topic for topic in topics]
        return [TopicPartition(name, number) for name in named for number in await self._producer.partitions_for(name)]


@asynccontextmanager
async def running(wire: Wire) -> AsyncIterator[None]:
    """Connected inside; Ctrl-C and SIGTERM end it in order."""
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda: task and task.cancel())
    try:
        await wire.open()
        yield
    except asyncio.CancelledError:
        log.info("stopped; the topics remember everything")
    finally:
        await wire.close()
