"""A worker of the contract tests: one topic in lanes, one in runs, one indexed table; what it does is traced.

Started as a process of its own, so that it can be killed, stopped and left to wake up. A trace line is one write in
append mode: `<monotonic seconds> <worker> <event> <details…>`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiokafka.errors import CorruptRecordException
from aiokafka.producer.sender import Sender

from app.engine import Engine, EngineOptions, build_engine, run_engine
from app.transport.consumer_thread import ConsumerThread
from streams.ports import Turn
from streams.record import Record
from tables.receipt import Receipt


class Trace:
    """Lines of several processes in one file, in the order they happened."""

    def __init__(self, path: str, worker: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._worker = worker

    def write(self, event: str, *details: Any) -> None:
        line = " ".join(str(part) for part in (f"{time.monotonic():.6f}", self._worker, event, *details))
        os.write(self._file, f"{line}\n".encode())


def by_tens(_key: bytes, value: bytes) -> Iterable[bytes]:
    """The index of the test table: rows by their number divided by ten."""
    return (b"n%08d" % (json.loads(value)["i"] // 10),)


def slow_down_requests(before_s: float, after_s: float) -> None:
    """Let every produce request take longer, as with a slow leader: its acknowledgement, or the next request."""
    send = Sender._send_produce_req

    async def slow_send(self: Any, node_id: Any, batches: Any) -> None:
        await asyncio.sleep(before_s)
        await send(self, node_id, batches)
        self._in_flight.add(node_id)
        await asyncio.sleep(after_s)
        self._in_flight.discard(node_id)

    Sender._send_produce_req = slow_send


def break_polls() -> None:
    """Let the third poll fail as on a damaged batch."""
    poll, polls = ConsumerThread.poll, iter(range(1_000_000))

    async def failing_poll(self: Any, wanted: Any, timeout_s: float) -> Any:
        if next(polls) == 2:
            raise CorruptRecordException("crc")
        return await poll(self, wanted, timeout_s)

    ConsumerThread.poll = failing_poll  # type: ignore[method-assign]


def trace_commits(trace: Trace) -> None:
    """Note every commit that the coordinator accepted."""
    commit = ConsumerThread.commit_offsets

    async def noted_commit(self: Any, offsets: Any) -> None:
        await commit(self, offsets)
        trace.write("COMMIT", *(f"{tp.topic}-{tp.partition}:{offset}" for tp, offset in offsets.items()))

    ConsumerThread.commit_offsets = noted_commit  # type: ignore[method-assign]


def follow_partitions(engine: Engine, trace: Trace, config: dict[str, Any]) -> None:
    """Trace how partitions come and go, or break there."""
    broken = config.get("broken")
    if broken == "poll":
        break_polls()

    async def recovered(partitions: frozenset[int]) -> None:
        if broken == "recovered":
            raise LookupError("no venue")
        trace.write("RECOVERED", *sorted(partitions))

    async def revoked(partitions: frozenset[int]) -> None:
        if broken == "revoked":
            raise LookupError("no venue")
        trace.write("REVOKED", *sorted(partitions))

    engine.on_recovered(recovered)
    engine.on_revoked(revoked)
    engine.on_alert(lambda code, text: trace.write("ALERT", code, text))
    engine.wiring.resuming.append(lambda: trace.write("FLOW"))


def build(config: dict[str, Any]) -> tuple[Engine, Trace]:
    trace = Trace(config["trace"], config["worker"])
    options = EngineOptions(
        app_id=config["app_id"],
        bootstrap=config["bootstrap"],
        data_directory=Path(config["data_directory"]),
        web_enabled=False,
        **config.get("options", {}),
    )
    engine = build_engine(options)
    rows = engine.table("t", index=by_tens)
    slow = {int(i): seconds for i, seconds in config.get("slow_s", {}).items()}
    work_s = config.get("work_s", 0.02)
    crash_at = config.get("crash_at")

    async def handle(turn: Turn) -> None:
        record = turn.record
        assert record.value is not None
        content = json.loads(record.value)
        trace.write("BEGIN", record.partition, record.offset, content["k"], content["i"])
        if content["i"] == crash_at:
            raise RuntimeError("boom")
        await engine.log.room()
        receipt = Receipt()
        key = f"{content['k']}-{content['i']}".encode()
        rows.put(record.partition, key, record.value, receipt)
        assert rows.get(record.partition, key) == record.value
        if config.get("awaits_rows", True):
            await turn.wait(receipt.durable())

        async def effect() -> None:
            trace.write("EFFECT", record.partition, record.offset, content["k"], content["i"])
            await asyncio.sleep(slow.get(content["i"], work_s))

        await turn.call(effect)
        trace.write("END", record.partition, record.offset, content["k"], content["i"])

    def handle_run(run: list[Record]) -> None:
        for record in run:
            receipt = Receipt()
            assert record.key is not None
            rows.put(record.partition, b"u-" + record.key, record.value, receipt)
            engine.log.append(config["events"], record.partition, record.key, record.value, receipt)
            receipt.then(lambda record=record: finish(record))

    def finish(record: Record) -> None:
        trace.write("APPLIED", record.partition, record.offset)
        engine.inbox.finished(record)

    engine.lanes(config["inputs"], handle, max_running=config.get("max_running", 64))
    engine.runs(config["updates"], handle_run)
    engine.writes_to(config["events"])
    follow_partitions(engine, trace, config)
    return engine, trace


def main() -> int:
    config = json.loads(sys.argv[1])
    engine, trace = build(config)
    trace.write("BOOT", os.getpid())
    trace_commits(trace)
    if "slow_requests_s" in config:
        slow_down_requests(*config["slow_requests_s"])
    return run_engine(engine)


if __name__ == "__main__":
    sys.exit(main())
