"""What the changelog must say after updates were delivered in runs, whatever happened on the way."""

from __future__ import annotations

import json
from collections import defaultdict

from contract_harness import Scene
from contract_trace import Place


async def assert_updates_are_folded_once(scene: Scene) -> None:
    """Each key's row contains each of its updates once, and each update was told of by an event of its own place."""
    expected: dict[str, list[tuple[Place, int]]] = defaultdict(list)
    for place, (key, number) in sorted(scene.updated.items()):
        expected[key].append((place, number))
    rows = {record.key: json.loads(record.value) for record in await scene.read(scene.changelog)}
    for key, updates in expected.items():
        row = rows[f"u-{key}".encode()]
        assert (row["n"], row["sum"]) == (len(updates), sum(number for _, number in updates)), f"row of {key}"
        assert row["at"] == updates[-1][0][1]
    told = {(record.partition, json.loads(record.value)["of"]) for record in await scene.read(scene.events)}
    assert told == set(scene.updated)


async def assert_events_have_their_rows(scene: Scene) -> int:
    """Every event in the log has the row it tells of in the changelog. Returns how many there are."""
    durable = {
        (record.partition, json.loads(record.value)["at"])
        for record in await scene.read(scene.changelog)
        if record.key.startswith(b"u-")
    }
    events = await scene.read(scene.events)
    assert {(event.partition, json.loads(event.value)["of"]) for event in events} <= durable
    return len(events)
