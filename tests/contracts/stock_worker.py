"""A worker of stock Faust 0.15.3, written as its documentation suggests: the other half of each contract.

It does the same work as `contract_worker.py` and leaves the same trace. `style` says how it takes records:

    lanes       un-acknowledged events, a task per key, acknowledged when done: what users build for order per key
    concurrent  an agent with `concurrency`
    serial      a plain agent, one record after another
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import weakref
from collections import deque
from pathlib import Path
from typing import Any

import faust
import faust.streams
from contract_breakage import hold_stock_seek, note_commits, slow_down_requests
from contract_trace import Trace


def new_app(config: dict[str, Any]) -> faust.App:
    options = config["options"]
    return faust.App(
        config["app_id"],
        broker=f"kafka://{config['bootstrap']}",
        store="rocksdb://",
        datadir=config["data_directory"],
        value_serializer="raw",
        topic_partitions=options["partitions"],
        topic_replication_factor=config.get("replication", 1),
        topic_disable_leader=True,
        table_standby_replicas=0,
        broker_commit_interval=options["commit_interval_s"],
        broker_commit_every=100,
        broker_session_timeout=options["session_timeout_s"],
        broker_heartbeat_interval=options["heartbeat_s"],
        broker_request_timeout=15.0,
        broker_rebalance_timeout=options["rebalance_timeout_s"],
        broker_max_poll_interval=86_400.0,
        broker_max_poll_records=500,
        consumer_auto_offset_reset="earliest",
        producer_request_timeout=15.0,
        stream_buffer_maxsize=256,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )


class StockWorker:
    """The application and what it does with a record."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.trace = Trace(config["trace"], config["worker"])
        self.app = new_app(config)
        self._rnd = random.Random(config["seed"])  # noqa: S311 -- a load, no secret
        self._slow = {int(i): seconds for i, seconds in config.get("slow_s", {}).items()}
        self._lanes: dict[bytes, deque[Any]] = {}
        self._places = asyncio.Semaphore(64)
        topic = self.app.topic(
            config["inputs"], key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )
        self.table = self.app.Table("t", key_type=bytes, value_type=bytes, partitions=config["options"]["partitions"])
        style = config.get("style", "lanes")
        take = self.take_into_lanes if style == "lanes" else self.take_one_by_one
        self.app.agent(topic, concurrency=16 if style == "concurrent" else 1)(take)
        self._trace_rebalances()

    async def take_into_lanes(self, stream: Any) -> None:
        async for event in stream.noack().events():
            self._taken(event)
            await self._places.acquire()
            key = event.message.key
            if key in self._lanes:
                self._lanes[key].append(event)
            else:
                self._lanes[key] = deque([event])
                asyncio.get_running_loop().create_task(self._run_lane(key, stream))
            del event  # Faust waits for every event that is still referred to

    async def _run_lane(self, key: bytes, stream: Any) -> None:
        lane = self._lanes[key]
        while lane:
            event = lane.popleft()
            faust.streams._current_event.set(weakref.ref(event))  # table writes need it
            try:
                await self.handle(event)
            finally:
                self._places.release()
            await stream.ack(event)
            del event
        del self._lanes[key]

    async def take_one_by_one(self, stream: Any) -> None:
        async for event in stream.events():
            self._taken(event)
            await self.handle(event)

    def _taken(self, event: Any) -> None:
        message = event.message
        self.trace.write("TAKEN", message.partition, message.offset, message.generation_id)

    async def handle(self, event: Any) -> None:
        """Decide, write rows, have an effect: as ours does."""
        message, content, config = event.message, json.loads(event.value), self.config
        where = (message.partition, message.offset, content["k"], content["i"])
        self.trace.write("BEGIN", *where)
        if content["i"] == config.get("crash_at"):
            raise RuntimeError("boom")
        row = event.value.ljust(config.get("row_bytes", 0))
        self.table[f"{content['k']}-{content['i']}".encode()] = row
        self.table[f"last-{content['k']}".encode()] = row
        await asyncio.sleep(self._drawn(config.get("think_s", 0.0)))
        self.trace.write("EFFECT", *where)
        await asyncio.sleep(self._slow.get(content["i"], self._drawn(config.get("work_s", 0.02))))
        self.trace.write("END", *where)

    def _drawn(self, seconds: float | list[float]) -> float:
        return self._rnd.uniform(*seconds) if isinstance(seconds, list) else seconds

    def _trace_rebalances(self) -> None:
        app, trace = self.app, self.trace
        rebalance_end = app.on_rebalance_end

        def flows() -> None:
            rebalance_end()
            trace.write("FLOW")

        app.on_rebalance_end = flows

        @app.on_partitions_revoked.connect
        async def _revoked(_app: Any, revoked: Any, **_: Any) -> None:
            trace.write("REVOKED", len(revoked))


def main() -> int:
    config = json.loads(sys.argv[1])
    worker = StockWorker(config)
    worker.trace.write("BOOT", os.getpid())
    note_commits(worker.trace, config["inputs"], config.get("kill_at_commit"))
    if "slow_requests_s" in config:
        slow_down_requests(*config["slow_requests_s"])
    if "hold_seek_s" in config:
        hold_stock_seek(config["hold_seek_s"])
    Path(config["data_directory"]).mkdir(parents=True, exist_ok=True)
    faust.Worker(worker.app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
