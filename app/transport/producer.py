"""Faust's producer, idempotent and with one way in: the log."""

# Faust and aiokafka carry no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from faust.transport.drivers import aiokafka as driver

if TYPE_CHECKING:
    from app.transport.wiring import Wiring

NO_PARTITIONS: frozenset[Any] = frozenset()

BROKER_RETRY_S = 2.0
"""Between two looks for a broker that isn't there yet."""


class TopicsUnfit(Exception):  # noqa: N818 -- said of the topics
    """Topics are missing or have another number of partitions than the application."""


class Producer(driver.Producer):
    """Started and stopped by Faust; everything is appended through `Wiring.log`.

    Faust's own sending is closed: its flush gives up after 0.1 s and a record that fails is only a warning.
    """

    _producer: Any  # AIOKafkaProducer, untyped; None before the start

    @property
    def wiring(self) -> Wiring:
        """The parts of the engine around this producer."""
        wiring: Wiring = self.app.wiring
        return wiring

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def _settings_auth(self) -> Mapping[str, Any]:
        return self.wiring.security

    async def on_start(self) -> None:
        """Start, learn the topics, connect: the first append is as quick as the second."""
        while not await self._connected():
            if self.should_stop:
                return
        wiring = self.wiring
        wiring.log.bind(self._producer)
        self._hold_rows_of_a_lapsed_lease()
        await self._check_topics()

    async def _connected(self) -> bool:
        """Start aiokafka's producer. False if the broker went away again meanwhile."""
        await self._wait_for_broker()
        if self.should_stop:
            return False
        try:
            await super().on_start()
        except KafkaConnectionError as error:
            self.log.warning("the broker went away again: %s", error)
            producer, self._producer = self._producer, None
            await producer.stop()
            return False
        return True

    async def _wait_for_broker(self) -> None:
        """A broker that isn't there yet is waited for; whatever starts us need not know the order."""
        while not self.should_stop:
            client = AIOKafkaClient(**self.wiring.connection())
            try:
                await client.bootstrap()
            except KafkaConnectionError as error:
                self.log.warning("no broker yet: %s", error)
                await self.sleep(BROKER_RETRY_S)
            else:
                return
            finally:
                await client.close()
                await asyncio.sleep(0)  # the closed connection leaves the loop

    async def _check_topics(self) -> None:
        """Raises `TopicsUnfit` before anything is read or written: Faust would wait for a missing topic in silence,
        and with another number of partitions a symbol's state would be elsewhere than its records."""
        wiring = self.wiring
        keyed = wiring.changelog_topics | wiring.readers.keys()
        counts = await wiring.log.warm_up(sorted(keyed | wiring.output_topics))
        wrong = [
            f"{topic} does not exist" if count is None else f"{topic} has {count} partitions, not {wiring.partitions}"
            for topic, count in counts.items()
            if count is None or (topic in keyed and count != wiring.partitions)
        ]
        if wrong:
            raise TopicsUnfit("TOPICS_UNFIT: " + "; ".join(wrong))

    async def on_stop(self) -> None:
        """Stop once everything appended is acknowledged."""
        await self.wiring.log.flush()
        await super().on_stop()
        self.wiring.log.unbind()

    async def flush(self) -> None:
        """Wait for every acknowledgement, or for the end of the process."""
        await self.wiring.log.flush()

    def _hold_rows_of_a_lapsed_lease(self) -> None:
        """Send no table rows while the lease is in doubt.

        A paused process wakes up with batches of rows from before. Their partition may belong to another worker by
        now, whose newer rows they would undo. They wait until a heartbeat is accepted (then nobody else had the
        partition) or the process ends. Facts for other topics go on: they are true whoever publishes them.
        """
        wiring = self.wiring
        accumulator = self._producer._message_accumulator  # private: aiokafka 0.14's sender asks it for batches
        drain = accumulator.drain_by_nodes

        def drain_by_nodes(ignore_nodes: Any, muted_partitions: Any = NO_PARTITIONS) -> Any:
            if not wiring.lease.good():
                held = {tp for tp in accumulator._batches if tp.topic in wiring.changelog_topics}
                muted_partitions = muted_partitions | held
            return drain(ignore_nodes, muted_partitions)

        def look_again() -> None:
            # Private: the future that the sender waits on for new batches.
            if not accumulator._waiter_future.done():
                accumulator._waiter_future.set_result(None)

        accumulator.drain_by_nodes = drain_by_nodes
        wiring.lease.on_regained(look_again)

    def _closed_way(self) -> NoReturn:
        self.wiring.stop("UNTRACKED_SEND: records are appended through the log only")

    async def send(self, *_args: Any, **_kwargs: Any) -> Any:
        """Closed: see the class."""
        self._closed_way()

    async def send_and_wait(self, *_args: Any, **_kwargs: Any) -> Any:
        """Closed: see the class."""
        self._closed_way()

    def send_soon(self, *_args: Any, **_kwargs: Any) -> None:
        """Closed: see the class."""
        self._closed_way()
