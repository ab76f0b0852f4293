"""Quix Streams as its documentation shows it: values are JSON objects, and so is what the state keeps.

Runs in an environment of its own. State is written, and offsets are committed, every `commit_interval_s`; several
writes of one key in between are one record of its changelog.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from quixstreams import Application, State  # not in our environment: see bench/quix.lock

from bench.event_work import EVENT_BYTES, LEDGER_BYTES, ROW_BYTES, merge

_ROW_FILL, _LEDGER_FILL, _EVENT_FILL = (
    {"x": "." * size} for size in (ROW_BYTES - 309, LEDGER_BYTES - 122, EVENT_BYTES - 412)
)
"""Up to about the sizes that the others have."""


def handle(told: dict[str, Any], state: State) -> dict[str, Any]:
    """The work; state belongs to the record's key, the symbol."""
    order_key = "o/" + told["order_id"]
    merged = merge(told, state.get(order_key))
    state.set(order_key, merged.order_row | _ROW_FILL)
    state.set(f"l/{told['order_id']}/{merged.order_row['sequence']:010d}", merged.ledger_row | _LEDGER_FILL)
    return merged.event | _EVENT_FILL


def run(config: dict[str, Any]) -> None:
    """Consume until killed."""
    app = Application(
        broker_address=config["bootstrap"],
        consumer_group=config["app_id"],
        state_dir=config["directory"],
        auto_offset_reset="earliest",
        commit_interval=config.get("commit_interval_s", 5.0),
        loglevel="WARNING",
    )
    inputs = app.topic(config["inputs"], key_deserializer="bytes", value_deserializer="json")
    events = app.topic(config["events"], key_serializer="bytes", value_serializer="json")
    app.dataframe(inputs).apply(handle, stateful=True).to_topic(events)
    app.run()


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
