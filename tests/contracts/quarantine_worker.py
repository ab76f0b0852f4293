"""A worker with the quarantine around its lanes, and one record that its handler can't stand."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from contract_trace import Trace

from app.engine import EngineOptions, build_engine, run_engine
from domain.plans import TradingState
from exchanges.clock import SystemClock
from streams import boards
from streams.ports import Turn
from streams.quarantine import Quarantine
from streams.topics import Topics
from tables.signals import SignalTable, signal_index


def quarantine_topics(prefix: str, partitions: int) -> Topics:
    return Topics(prefix=f"{prefix}q-", partitions=partitions)


def halted(controls: list[Any]) -> list[str]:
    """The symbols that control records halt."""
    found = [boards.decode_control(record.value) for record in controls]
    return [control.scope for control in found if control.state is TradingState.HALTED]


def main() -> int:
    config = json.loads(sys.argv[1])
    trace = Trace(config["trace"], config["worker"])
    trace.write("BOOT", os.getpid())
    topics = quarantine_topics(config["prefix"], config["options"]["partitions"])
    engine = build_engine(
        EngineOptions(
            app_id=topics.app_id,
            bootstrap=config["bootstrap"],
            data_directory=Path(config["data_directory"]),
            web_enabled=False,
            **config["options"],
        )
    )
    signals = SignalTable(engine.table("signals", index=signal_index))
    quarantine = Quarantine(log=engine.log, topics=topics, signals=signals, clock=SystemClock())

    async def handle(turn: Turn) -> None:
        record = turn.record
        assert record.value is not None
        content = json.loads(record.value)
        if content["i"] == config["poison"]:
            raise ZeroDivisionError("a bug that one record wakes")
        trace.write("END", record.partition, record.offset, content["k"], content["i"])

    engine.lanes(topics.signals, quarantine.around(handle))
    engine.writes_to(topics.signals_dead, topics.controls, topics.alerts)
    return run_engine(engine)


if __name__ == "__main__":
    sys.exit(main())
