"""The engine with the real order agent and the real tables: reports and fills of orders that are there already.

`web_port` makes it answer questions as well; `report` names a file that says how its recovery went.
"""

from __future__ import annotations

import json
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from app.engine import Engine, build_engine, run_engine
from app.engine_options import EngineOptions
from app.metrics import Metrics
from app.web import ApiKey, Scope, WebContext, WebSettings, key_hash, readiness, register_views
from streams.applied import Applied
from streams.order_agent import OrderAgent
from streams.topics import Topics
from tables.orders import LIVE_ORDERS, OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.rows import Rows
from tables.signals import signal_index

API_KEY = "key-of-the-benchmarks"


def build(config: dict[str, Any]) -> Engine:
    """The engine of a worker as far as updates go."""
    topics = Topics(prefix=config["prefix"], partitions=config["partitions"])
    engine = build_engine(
        EngineOptions(
            app_id=config["app_id"],
            bootstrap=config["bootstrap"],
            data_directory=Path(config["directory"]),
            partitions=config["partitions"],
            web_enabled="web_port" in config,
            web_port=config.get("web_port", 6066),
        )
    )
    orders = OrderTable(engine.table("orders", index=order_index, live=LIVE_ORDERS))
    signals = engine.table("signals", index=signal_index)
    positions = engine.table("positions", index=position_index)
    agent = OrderAgent(
        log=engine.log,
        inbox=engine.inbox,
        topics=topics,
        orders=orders,
        positions=PositionTable(positions),
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
    if "report" in config:
        engine.on_recovered(lambda _partitions: _report(engine, config["report"]))
    if "web_port" in config:
        register_views(engine.app, _context(engine, orders.rows, signals, positions))
    return engine


async def _report(engine: Engine, path: str) -> None:
    recovery = engine.app.tables.recovery
    _write(path, json.dumps({"records": recovery.recovered_records, "seconds": recovery.recovered_s}))


def _write(path: str, content: str) -> None:
    """In one step, as somebody waits for it."""
    written = Path(f"{path}.new")
    written.write_text(content, "utf-8")
    written.rename(path)


def _context(engine: Engine, orders: Rows, signals: Rows, positions: Rows) -> WebContext:
    """The views over these tables alone: whatever else they could be given is empty."""
    keys = [ApiKey("bench", key_hash(API_KEY), Scope.READ)]
    given: dict[str, Any] = {
        each.name: list for each in fields(WebContext) if each.default is MISSING and each.default_factory is MISSING
    } | {
        "settings": WebSettings(partitions=engine.options.partitions),
        "orders": orders,
        "signals": signals,
        "positions": positions,
        "partition_of": lambda symbol: engine.log.partition_of(symbol.encode()),
        "api_keys": lambda: keys,
        "metrics": Metrics(),
        "checks": readiness(engine.ready),
        "peers": dict,
        "mark": lambda _instrument: None,
    }
    return WebContext(**given)


if __name__ == "__main__":
    sys.exit(run_engine(build(json.loads(sys.argv[1]))))
