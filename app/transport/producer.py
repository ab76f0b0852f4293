"""Faust's producer, idempotent and with one way in: the log."""

# Faust and aiokafka carry no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from faust.transport.drivers import aiokafka as driver

from app.transport.fail_stop import fail_stop

if TYPE_CHECKING:
    from app.transport.wiring import Wiring

NO_PARTITIONS: frozenset[Any] = frozenset()


class Producer(driver.Producer):
    """Started and stopped by Faust; everything is appended through `Wiring.log`.

    Faust's own sending is closed: its flush gives up after 0.1 s and a record that fails is only a warning.
    """

    @property
    def wiring(self) -> Wiring:
        """The parts of the engine around this producer."""
        wiring: Wiring = self.app.wiring
        return wiring

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    async def on_start(self) -> None:
        """Start, learn the topics, connect: the first append is as quick as the second."""
        await super().on_start()
        wiring = self.wiring
        wiring.log.bind(self._producer)
        self._hold_rows_of_a_lapsed_lease()
        await wiring.log.warm_up(sorted(wiring.output_topics | wiring.changelog_topics))

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
        loop = self.loop
        wiring.lease.on_regained(lambda: loop.call_soon_threadsafe(look_again))

    def _closed_way(self) -> NoReturn:
        fail_stop("UNTRACKED_SEND: records are appended through the log only")

    async def send(self, *_args: Any, **_kwargs: Any) -> Any:
        """Closed: see the class."""
        self._closed_way()

    async def send_and_wait(self, *_args: Any, **_kwargs: Any) -> Any:
        """Closed: see the class."""
        self._closed_way()

    def send_soon(self, *_args: Any, **_kwargs: Any) -> None:
        """Closed: see the class."""
        self._closed_way()
