"""Changelogs with many orders, made once for all benchmarks of a run, and workers that recover from them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from bench import order_rows
from bench.harness.broker import commit_start, create_topics, fill
from bench.harness.children import Child
from bench.harness.command import progress
from streams.topics import Topics

PARTITIONS = order_rows.PARTITIONS
POLL_S = 0.05


def scene_of(orders: int) -> Topics:
    """The topics of the worker that has so many orders."""
    return Topics(prefix=f"bench-stored-{orders}-", partitions=PARTITIONS)


def changelog_of(topics: Topics) -> str:
    """Where its orders are."""
    return f"{topics.app_id}-orders-changelog"


async def ensure_orders(bootstrap: str, orders: int) -> Topics:
    """Write the changelog, unless this broker has it already; the group starts at the beginning of its inputs."""
    topics = scene_of(orders)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        there = changelog_of(topics) in await admin.list_topics()
    finally:
        await admin.close()
    if there:
        return topics
    progress(f"writing {orders:,} orders")
    outputs = [topics.order_updates, topics.order_updates_dead, topics.order_events, topics.position_events]
    changelogs = [f"{topics.app_id}-{table}-changelog" for table in ("orders", "signals", "positions")]
    await create_topics(bootstrap, [*outputs, topics.alerts], PARTITIONS, changelogs)
    await fill(bootstrap, changelog_of(topics), order_rows.rows(orders))
    await commit_start(bootstrap, topics.app_id, topics.order_updates, PARTITIONS)
    return topics


def worker_config(bootstrap: str, topics: Topics, directory: Path) -> dict[str, Any]:
    """For `bench.workers.order_agent`."""
    return {
        "bootstrap": bootstrap,
        "app_id": topics.app_id,
        "prefix": topics.prefix,
        "inputs": topics.order_updates,
        "directory": str(directory / "state"),
        "partitions": PARTITIONS,
        "report": str(directory / "recovered.json"),
    }


async def recovered(child: Child, config: dict[str, Any], within_s: float) -> dict[str, Any]:
    """What the worker says of its recovery: {"records", "seconds"}. Raises `TimeoutError`."""
    async with asyncio.timeout(within_s):
        while (found := _content(config["report"])) is None:
            child.check()
            await asyncio.sleep(POLL_S)
    return found


def _content(path: str) -> dict[str, Any] | None:
    """What the file says, if it is there yet."""
    report = Path(path)
    if not report.exists():
        return None
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return found
