"""Faust as it comes: an agent, two tables on RocksDB, one topic of events."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import faust

from bench.event_work import apply


def build(config: dict[str, Any]) -> faust.App:
    """The application."""
    raw = {"key_type": bytes, "value_type": bytes}
    app = faust.App(
        config["app_id"],
        broker=f"kafka://{config['bootstrap']}",
        store="rocksdb://",
        datadir=str(Path(config["directory"])),
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=config["partitions"],
        topic_replication_factor=1,
        web_enabled=False,
        autodiscover=False,
        worker_redirect_stdouts=False,
    )
    orders, ledger = app.Table("orders", **raw), app.Table("ledger", **raw)
    events = app.topic(config["events"], partitions=config["partitions"], **raw)

    @app.agent(app.topic(config["inputs"], partitions=config["partitions"], **raw))
    async def handle(stream: Any) -> None:
        async for event in stream.events():
            outcome = apply(event.value, orders.get(b"o/" + event.value[13:45]))
            orders[outcome.order_key] = outcome.order_row
            ledger[outcome.ledger_key] = outcome.ledger_row
            await events.send(key=event.key, value=outcome.event, partition=event.message.partition)

    return app


if __name__ == "__main__":
    worker = faust.Worker(build(json.loads(sys.argv[1])), loglevel="WARNING", redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()
