"""`ordermanager replay`: make the tables again, and say whether they are what the live ones are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.replay.folded import Folded, Until, folded
from app.replay.reading import CannotCompare, topics_are_there
from app.replay.rows import KIND_NAMES
from app.replay.snapshot import Comparison, RowDifference, Snapshot, compare_snapshots, write_snapshot
from app.settings import Settings
from app.topics import topics_of

LIVE, REPLAYED = "live", "replayed"


async def replay(settings: Settings, *, directory: Path | None, until: Until, settle_s: float) -> dict[str, Any]:
    """Fold, write both snapshots and compare them; returns what is printed. With a `directory` they stay there.

    Raises `CannotCompare` when the topics can't be read.
    """
    await topics_are_there(settings.bootstrap, topics_of(settings))
    with scratch_directory(directory) as place:
        async with folded(settings, place / "scratch", until, settle_s) as tables:
            snapshots = write_both(tables, place)
        shutil.rmtree(place / "scratch", ignore_errors=True)
        compared = None
        if tables.live_is_known:
            compared = compare_snapshots(place / LIVE, place / REPLAYED, names=(LIVE, REPLAYED))
        return account(tables, snapshots, compared, directory)


@contextmanager
def scratch_directory(wanted: Path | None) -> Iterator[Path]:
    """The directory that is wanted, or one that goes at the end."""
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
        return
    made = Path(tempfile.mkdtemp(prefix="ordermanager-replay-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_both(tables: Folded, place: Path) -> dict[str, Snapshot]:
    """Snapshots of the live tables, where they are known, and of those made again."""
    snapshots = {REPLAYED: write_snapshot(place / REPLAYED, tables.replayed, tables.until)}
    if tables.live_is_known:
        snapshots[LIVE] = write_snapshot(place / LIVE, tables.live, tables.until)
    return snapshots


def account(
    tables: Folded, snapshots: dict[str, Snapshot], compared: Comparison | None, directory: Path | None
) -> dict[str, Any]:
    """What came of it, for programs."""
    return {
        "equal": None if compared is None else not compared.differences,
        "digest": {name: snapshot.whole for name, snapshot in snapshots.items()},
        "tables": {
            name: {table: {"sha256": each.sha256, "rows": each.rows} for table, each in snapshot.tables.items()}
            for name, snapshot in snapshots.items()
        },
        "until": snapshots[REPLAYED].until,
        "updates": tables.updates,
        "unfinished": tables.unfinished,
        "intents": {
            "from_plans": tables.intents.plans,
            "from_first_rows": tables.intents.rows,
            "from_events": tables.intents.events,
            "unknown": tables.unknown_intents,
        },
        "inputs_gone": tables.unread_inputs,
        "differences": 0 if compared is None else compared.differences,
        "first_difference": None if compared is None or compared.first is None else row_difference(compared.first),
        "differing_rows": [] if compared is None else [row_difference(each) for each in compared.kept],
        "directory": None if directory is None else str(directory),
    }


def compare_directories(one: Path, other: Path) -> dict[str, Any]:
    """`ordermanager diff`: two directories with snapshots, row by row. Raises `CannotCompare`."""
    if one.resolve() == other.resolve():
        raise CannotCompare("SAME_DIRECTORY", f"{one} and {other} are one directory")
    names = (str(one), str(other))
    compared = compare_snapshots(one, other, names=names)
    return {
        "equal": not compared.differences,
        "differences": compared.differences,
        "first_difference": None if compared.first is None else row_difference(compared.first),
        "differing_rows": [row_difference(each) for each in compared.kept],
    }


def row_difference(difference: RowDifference) -> dict[str, Any]:
    """A difference for programs."""
    kinds = KIND_NAMES[difference.table]
    return {
        "table": difference.table,
        "kind": kinds.get(difference.key[:1], "row"),
        "partition": difference.partition,
        "key": difference.key,
        "only_in": difference.only_in or None,
        "fields": [{"field": name, "values": [here, there]} for name, here, there in difference.fields],
        "at_ns": difference.at_ns,
        "record": difference.record,
    }


def in_words(difference: dict[str, Any]) -> str:
    """A difference for people, one line."""
    place = f"{difference['kind']} {difference['key']} (partition {difference['partition']})"
    when = datetime.fromtimestamp(difference["at_ns"] / 1e9, UTC).isoformat(timespec="milliseconds")
    record = f", from {difference['record']} at {when}" if difference["record"] else ""
    if difference["only_in"]:
        return f"{place}: only in {difference['only_in']}{record}"
    fields = "; ".join(f"{each['field']}: {each['values'][0]} | {each['values'][1]}" for each in difference["fields"])
    return f"{place}: {fields}{record}"
