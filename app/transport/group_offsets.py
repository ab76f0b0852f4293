"""What a group has committed, asked from outside the group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)

_PAUSE_S = 0.2
LIMIT_S = 10.0
"""A coordinator that has just begun reads its offsets first; with ours that takes less than a second."""


async def committed_offsets(
    admin: Any,  # Any: aiokafka is untyped
    group: str,
    partitions: Collection[TopicPartition],
    limit_s: float = LIMIT_S,
) -> dict[TopicPartition, int]:
    """The offset committed for each of `partitions`; 0 where there is none.

    aiokafka's admin client looks at the errors of partitions only. A coordinator that can't answer names no partition
    at all, which must not be read as "nothing was ever committed": the partitions are asked for by name, and one that
    the answer lacks is asked for again. Raises `GroupLoadInProgressError` after `limit_s`, and what the client raises.
    """
    if not partitions:
        return {}
    end_s = time.monotonic() + limit_s
    while True:
        try:
            known = await admin.list_consumer_group_offsets(group, partitions=list(partitions))
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            known = {}  # it is being found
        if all(partition in known for partition in partitions):
            return {partition: max(0, known[partition].offset) for partition in partitions}
        if time.monotonic() >= end_s:
            raise GroupLoadInProgressError(f"{group}: what is committed could not be read within {limit_s:g} s")
        await asyncio.sleep(_PAUSE_S)
