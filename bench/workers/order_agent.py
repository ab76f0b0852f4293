"""The engine with the real order agent and the real tables: reports and fills of orders that are there already."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from app.engine import Engine, build_engine, run_engine
from app.engine_options import EngineOptions
from streams.applied import Applied
from streams.order_agent import OrderAgent
from streams.topics import Topics
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.signals import signal_index


def build(config: dict[str, Any]) -> Engine:
    """The engine of a worker as far as updates go."""
    topics = Topics(prefix=config["prefix"], partitions=config["partitions"])
    engine = build_engine(
        EngineOptions(
            app_id=config["app_id"],
            bootstrap=config["bootstrap"],
            data_directory=Path(config["directory"]),
            partitions=config["partitions"],
            web_enabled=False,
        )
    )
    orders = OrderTable(engine.table("orders", index=order_index))
    engine.table("signals", index=signal_index)
    agent = OrderAgent(
        log=engine.log,
        inbox=engine.inbox,
        topics=topics,
        orders=orders,
        positions=PositionTable(engine.table("positions", index=position_index)),
        applied=Applied(),
        instance="om",
    )
    engine.runs(config["inputs"], agent.handle)
    engine.writes_to(
        topics.order_updates, topics.order_updates_dead, topics.order_events, topics.position_events, topics.alerts
    )

    async def revoked(partitions: frozenset[int]) -> None:
        for partition in partitions:
            agent.forget(partition)

    engine.on_revoked(revoked)
    return engine


if __name__ == "__main__":
    sys.exit(run_engine(build(json.loads(sys.argv[1]))))
