"""Reads a topic from beginning to end with aiokafka and does nothing with it: what recovery is compared with."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

FETCH_BYTES, MAX_RECORDS = 4 << 20, 2_000
"""As recovery has them."""


async def run(config: dict[str, Any]) -> None:
    """Print {"records", "bytes", "seconds"}."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=config["bootstrap"], group_id=None, enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES, max_poll_records=MAX_RECORDS, fetch_max_wait_ms=100,
    )  # fmt: skip
    await consumer.start()
    try:
        partitions = [TopicPartition(config["topic"], partition) for partition in range(config["partitions"])]
        consumer.assign(partitions)
        total = sum((await consumer.end_offsets(partitions)).values())
        began_s, records, size = time.monotonic(), 0, 0
        while records < total:
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records += len(batch)
                size += sum(len(record.value) for record in batch)
            await asyncio.sleep(0)
        print(json.dumps({"records": records, "bytes": size, "seconds": time.monotonic() - began_s}))
    finally:
        await consumer.stop()


if __name__ == "__main__":
    uvloop.run(run(json.loads(sys.argv[1])))
