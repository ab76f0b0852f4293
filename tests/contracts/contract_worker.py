"""A worker of the contract tests: two topics in lanes, one in runs, one indexed table; what it does is traced.

Started as a process of its own, so that it can be killed, stopped and left to wake up. `stock_worker.py` does the same
work on stock Faust.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from contract_breakage import (
    break_polls,
    hold_consumer_start,
    hold_our_seek,
    note_commits,
    slow_down_recovery,
    slow_down_requests,
)
from contract_trace import Trace

from app.engine import Engine, EngineOptions, build_engine, run_engine
from streams.ports import Turn
from streams.record import Record
from tables.receipt import Receipt


def by_tens(_key: bytes, value: bytes) -> Iterable[bytes]:
    """The index of the test table: rows by their number divided by ten."""
    return (b"n%08d" % (json.loads(value)["i"] // 10),)


class ContractWorker:
    """The engine and what is done with its records."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.trace = Trace(config["trace"], config["worker"])
        self.engine = self._new_engine()
        self.rows = self.engine.table("t", index=by_tens)
        self._rnd = random.Random(config["seed"])  # noqa: S311 -- a load, no secret
        self._slow = {int(i): seconds for i, seconds in config.get("slow_s", {}).items()}
        self.engine.lanes(
            config["inputs"],
            self.handle,
            max_running=config.get("max_running", 64),
            max_queued=config.get("max_queued", 2_000),
        )
        self.engine.lanes(config["commands"], self.handle_command)
        self.engine.runs(config["updates"], self.handle_run)
        self.engine.writes_to(config["events"])
        self._follow_partitions()
        if config.get("traces_taken"):
            self._trace_taken()

    def _new_engine(self) -> Engine:
        config = self.config
        return build_engine(
            EngineOptions(
                app_id=config["app_id"],
                bootstrap=config["bootstrap"],
                data_directory=Path(config["data_directory"]),
                web_enabled=False,
                **config["options"],
            )
        )

    # -- records -------------------------------------------------------------------------------------------------

    async def handle(self, turn: Turn) -> None:
        """Decide, make rows durable, have an effect."""
        record, config = turn.record, self.config
        assert record.value is not None
        content = json.loads(record.value)
        where = (record.partition, record.offset, content["k"], content["i"])
        self.trace.write("BEGIN", *where)
        if content["i"] == config.get("crash_at"):
            raise RuntimeError("boom")
        await self.engine.log.room()
        receipt, row = Receipt(), record.value.ljust(config.get("row_bytes", 0))
        for key in (f"{content['k']}-{content['i']}", f"last-{content['k']}"):
            self.rows.put(record.partition, key.encode(), row, receipt)
            assert self.rows.get(record.partition, key.encode()) == row
        if config.get("awaits_rows", True):
            await turn.wait(receipt.durable())
        if "think_s" in config:
            await turn.wait(asyncio.sleep(self._drawn(config["think_s"])))

        async def effect() -> None:
            self.trace.write("EFFECT", *where)
            await asyncio.sleep(self._slow.get(content["i"], self._drawn(config.get("work_s", 0.02))))

        await turn.call(effect)
        self.trace.write("END", *where)

    def _drawn(self, seconds: float | list[float]) -> float:
        return self._rnd.uniform(*seconds) if isinstance(seconds, list) else seconds

    async def handle_command(self, turn: Turn) -> None:
        """A second agent beside the first: a row of the same table, and nothing slow."""
        record = turn.record
        assert record.key is not None
        receipt = Receipt()
        self.rows.put(record.partition, b"c-" + record.key, record.value, receipt)
        await turn.wait(receipt.durable())
        self.trace.write("COMMANDED", record.partition, record.offset)

    def handle_run(self, run: list[Record]) -> None:
        """Fold each update into its key's row, once: the row knows the offset it contains. An event tells of it when
        the row is durable, and the record is finished when the event is."""
        for record in run:
            assert record.key is not None
            assert record.value is not None
            content, key, receipt = json.loads(record.value), b"u-" + record.key, Receipt()
            found = self.rows.get(record.partition, key)
            row = {"i": 0, "n": 0, "sum": 0, "at": -1} if found is None else json.loads(found)
            if row["at"] < record.offset:
                row = {"i": content["i"], "n": row["n"] + 1, "sum": row["sum"] + content["i"], "at": record.offset}
                self.rows.put(record.partition, key, json.dumps(row).encode(), receipt)
            receipt.then(lambda record=record: self._tell(record))

    def _tell(self, record: Record) -> None:
        receipt = Receipt()
        event = json.dumps({"of": record.offset, "by": self.config["worker"]}).encode()
        self.engine.log.append(self.config["events"], record.partition, record.key, event, receipt)
        receipt.then(lambda: self._finish(record))

    def _finish(self, record: Record) -> None:
        self.trace.write("APPLIED", record.partition, record.offset)
        self.engine.inbox.finished(record)

    # -- what is traced ------------------------------------------------------------------------------------------

    def _follow_partitions(self) -> None:
        """Trace how partitions come and go, or break there."""
        engine, trace, broken = self.engine, self.trace, self.config.get("broken")
        if broken == "poll":
            break_polls()

        async def recovered(partitions: frozenset[int]) -> None:
            if broken == "recovered":
                raise LookupError("no venue")
            trace.write("RECOVERED", *sorted(partitions))
            await asyncio.sleep(self.config.get("asks_s", 0.0))

        async def revoked(partitions: frozenset[int]) -> None:
            if broken == "revoked":
                raise LookupError("no venue")
            trace.write("REVOKED", *sorted(partitions))

        engine.on_recovered(recovered)
        engine.on_revoked(revoked)
        engine.on_alert(lambda code, text: trace.write("ALERT", code, text))
        engine.wiring.resuming.append(lambda: trace.write("FLOW"))

    def _trace_taken(self) -> None:
        ledger, inputs, trace = self.engine.wiring.ledger, self.config["inputs"], self.trace
        take = ledger.take

        def traced_take(record: Record, follows: int) -> bool:
            if record.topic == inputs:
                trace.write("TAKEN", record.partition, record.offset, record.generation)
            return take(record, follows)

        ledger.take = traced_take  # type: ignore[method-assign]


def main() -> int:
    config = json.loads(sys.argv[1])
    worker = ContractWorker(config)
    worker.trace.write("BOOT", os.getpid())
    note_commits(worker.trace, config["inputs"], config.get("kill_at_commit"))
    if "slow_requests_s" in config:
        slow_down_requests(*config["slow_requests_s"])
    if "hold_seek_s" in config:
        hold_our_seek(config["hold_seek_s"])
    if "slow_recovery_s" in config:
        slow_down_recovery(config["slow_recovery_s"], worker.trace)
    if "hold_start_s" in config:
        hold_consumer_start(config["hold_start_s"], worker.trace)
    return run_engine(worker.engine)


if __name__ == "__main__":
    sys.exit(main())
