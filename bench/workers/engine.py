"""Our engine with a handler that does the benchmark's work and nothing else.

`safety` false takes away, one by one or all together, what a promise costs: `ordered` (events wait for their rows),
`ledger` (a record is finished when its events are acknowledged), `flush` (a commit waits for acknowledgements),
`lease`. Only here: the engine has no such switches.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from app.engine import Engine, build_engine, run_engine
from app.engine_options import EngineOptions
from app.transport.lease import Lease
from bench.event_work import apply
from streams.outbox import Outbox, Outgoing
from streams.record import Record
from tables.receipt import Receipt


def build(config: dict[str, Any]) -> Engine:
    """The engine with its handler."""
    engine = build_engine(
        EngineOptions(
            app_id=config["app_id"],
            bootstrap=config["bootstrap"],
            data_directory=Path(config["directory"]),
            partitions=config["partitions"],
            web_enabled=False,
        )
    )
    orders, ledger = engine.table("orders"), engine.table("ledger")
    outbox, inbox, log, events = Outbox(engine.log), engine.inbox, engine.log, config["events"]

    def applied(record: Record, receipt: Receipt) -> bytes:
        value, partition = record.value or b"", record.partition
        outcome = apply(value, orders.get(partition, b"o/" + value[13:45]))
        orders.put(partition, outcome.order_key, outcome.order_row, receipt)
        ledger.put(partition, outcome.ledger_key, outcome.ledger_row, receipt)
        return outcome.event

    def handle(records: list[Record]) -> None:
        receipt = Receipt()
        outgoing = [
            Outgoing(events, record.partition, record.key or b"", applied(record, receipt)) for record in records
        ]

        def finished() -> None:
            for record in records:
                inbox.finished(record)

        outbox.submit(records[0].partition, receipt, outgoing, finished)

    def handle_unsafely(records: list[Record]) -> None:
        receipt = Receipt()
        for record in records:
            event = applied(record, receipt)
            log.append(events, record.partition, record.key or b"", event, receipt)
            inbox.finished(record)

    engine.runs(config["inputs"], handle if config.get("safety", True) else handle_unsafely)
    engine.writes_to(events)
    if not config.get("safety", True):
        _commit_at_once(engine)
    return engine


class _BlindLease(Lease):
    """Always good, as far as it knows."""

    def good(self) -> bool:
        """Nobody else can have the partition."""
        return True


def _commit_at_once(engine: Engine) -> None:
    """Offsets are committed without waiting for what they stand for; rows are sent whoever has the partition."""

    async def no_flush() -> None:
        return

    wiring, options = engine.wiring, engine.options
    wiring.log.flush = no_flush  # type: ignore[method-assign]
    wiring.lease = wiring.inbox.lease = _BlindLease(options.session_timeout_s, options.lease_margin_s)


if __name__ == "__main__":
    sys.exit(run_engine(build(json.loads(sys.argv[1]))))
