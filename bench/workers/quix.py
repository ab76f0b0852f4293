"""Quix Streams as it comes: a stateful function from the inputs to the events. Runs in an environment of its own."""

from __future__ import annotations

import json
import sys
from typing import Any

from quixstreams import Application, State  # not in our environment: see bench/quix.lock

from bench.event_work import apply


def handle(value: bytes, state: State) -> bytes:
    """The work; state belongs to the record's key, the symbol."""
    outcome = apply(value, state.get_bytes("o/" + value[13:45].decode()))
    state.set_bytes(outcome.order_key.decode(), outcome.order_row)
    state.set_bytes(outcome.ledger_key.decode(), outcome.ledger_row)
    return outcome.event


def run(config: dict[str, Any]) -> None:
    """Consume until killed."""
    app = Application(
        broker_address=config["bootstrap"],
        consumer_group=config["app_id"],
        state_dir=config["directory"],
        auto_offset_reset="earliest",
        loglevel="WARNING",
    )
    raw = {"key_deserializer": "bytes", "value_deserializer": "bytes"}
    inputs = app.topic(config["inputs"], **raw)
    events = app.topic(config["events"], key_serializer="bytes", value_serializer="bytes")
    app.dataframe(inputs).apply(handle, stateful=True).to_topic(events)
    app.run()


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
