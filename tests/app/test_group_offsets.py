"""What a group has committed: read, or told to be unreadable, and never taken for nothing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupLoadInProgressError
from aiokafka.structs import OffsetAndMetadata

from app.transport.group_offsets import committed_offsets


class Loading:
    """Answers as a coordinator that still reads: no partition is named. A real one does for milliseconds."""

    def __init__(self, silent: int) -> None:
        self.silent = silent

    async def list_consumer_group_offsets(
        self, _group: str, *, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        self.silent -= 1
        return {} if self.silent >= 0 else {each: OffsetAndMetadata(7, "") for each in partitions}


async def test_a_coordinator_that_is_loading_is_asked_again() -> None:
    place = TopicPartition("signals", 0)

    assert await committed_offsets(Loading(2), "workers", [place]) == {place: 7}


async def test_a_coordinator_that_does_not_answer_is_no_group_without_offsets() -> None:
    with pytest.raises(GroupLoadInProgressError, match="workers"):
        await committed_offsets(Loading(10**9), "workers", [TopicPartition("signals", 0)], limit_s=0)


async def test_what_a_broker_has_is_read_and_the_rest_is_nothing(kafka: str) -> None:
    name = f"offsets-{uuid.uuid4().hex[:8]}"
    first, second = TopicPartition(name, 0), TopicPartition(name, 1)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    member = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=name, enable_auto_commit=False)
    await member.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
        assert await committed_offsets(admin, name, [first, second]) == {first: 0, second: 0}
        member.assign([first])
        await member.commit({first: 42})

        assert await committed_offsets(admin, name, [first, second]) == {first: 42, second: 0}
    finally:
        await member.stop()
        await admin.close()
