"""The archive of position snapshots, asked while brokers are away."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError

from app.snapshot_log import SnapshotLog

pytestmark = pytest.mark.asyncio


class Unsteady(SnapshotLog):
    """A log whose topic, which is empty, can be read only after so many failures. They stand for moments in which a
    broker goes between two of a question's requests, which no test can hit on a real one."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__("127.0.0.1:1", "position-snapshots")
        self.failures = list(failures)

    async def _started(self) -> object:
        class Consumer:
            async def stop(self) -> None: ...

        return Consumer()

    async def _window(
        self, consumer: object, place: TopicPartition, from_ns: int | None, to_ns: int | None
    ) -> tuple[int, int]:
        if self.failures:
            raise self.failures.pop(0)
        return 0, 0


async def test_a_broker_that_goes_in_the_middle_of_the_question_costs_time_only() -> None:
    log = Unsteady(KafkaTimeoutError("Failed to get offsets by times in 40000 ms"), KafkaTimeoutError("again"))

    assert await log.taken(0, 1) == frozenset()

    assert not log.failures


async def test_what_waiting_does_not_mend_is_raised_at_once() -> None:
    log = Unsteady(TopicAuthorizationFailedError("position-snapshots"))

    with pytest.raises(TopicAuthorizationFailedError):
        await log.taken(0, 1)
