"""Tables as files: a line per row in canonical form and in order, and a digest that is the same for the same rows.

orders.jsonl  signals.jsonl  positions.jsonl      {"partition": 0, "key": "o/om…", "value": {…}}
snapshot.json                                     digests, counts, how far the topics were folded
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson

from app.replay.reading import CannotCompare
from app.replay.rows import Json, canonical, cause, field_differences
from streams.topics import TABLES
from tables.rows import Rows


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """SHA-256 over a table's rows (partition, key, canonical value, each with its length), and how many there are."""

    sha256: str
    rows: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What `snapshot.json` says. `whole` is the digest of the tables' digests; `until` the first offset of
    `order-updates` that is not folded, by partition."""

    whole: str
    tables: dict[str, Digest]
    until: dict[str, int]


def write_snapshot(directory: Path, tables: Mapping[str, Rows], until: Mapping[int, int]) -> Snapshot:
    """Write every row; returns the digests. Deterministic: the same rows give the same bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    digests = {name: _write_table(directory / f"{name}.jsonl", name, tables[name]) for name in TABLES}
    whole = hashlib.sha256("".join(f"{name} {digest.sha256}\n" for name, digest in digests.items()).encode())
    snapshot = Snapshot(
        whole=whole.hexdigest(), tables=digests, until={str(number): end for number, end in sorted(until.items())}
    )
    (directory / "snapshot.json").write_bytes(msgspec.json.format(msgspec.json.encode(snapshot)))
    return snapshot


def read_snapshot(directory: Path) -> Snapshot:
    """Raises `CannotCompare` if the directory is none."""
    try:
        return msgspec.json.decode((directory / "snapshot.json").read_bytes(), type=Snapshot)
    except (OSError, msgspec.DecodeError) as error:
        raise CannotCompare("NO_SNAPSHOT", f"{directory} is no snapshot of tables: {error}") from error


def _write_table(path: Path, name: str, rows: Rows) -> Digest:
    digest, count = hashlib.sha256(), 0
    with path.open("wb") as file:
        for partition in sorted(rows.partitions()):
            for key, value in rows.scan(partition, b""):
                form = canonical(name, key, value)
                for part in (b"%d" % partition, key, form):
                    digest.update(len(part).to_bytes(8, "big"))
                    digest.update(part)
                file.write(_line(partition, key, form))
                count += 1
    return Digest(sha256=digest.hexdigest(), rows=count)


def _line(partition: int, key: bytes, form: bytes) -> bytes:
    try:
        value: Any = orjson.Fragment(form) if orjson.loads(form) is not None else None  # Any: JSON
    except orjson.JSONDecodeError:
        value = form.decode(errors="backslashreplace")
    text = key.decode(errors="backslashreplace")
    return orjson.dumps({"partition": partition, "key": text, "value": value}) + b"\n"


# -- differences -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that two snapshots don't have alike. `fields`: (name, here, there); empty when only one has the row.

    `at_ns` and `record` say where in the log the row comes from, the earlier of the two."""

    table: str
    partition: int
    key: str
    only_in: str
    fields: tuple[tuple[str, Json, Json], ...]
    at_ns: int
    record: str


@dataclass(slots=True)
class Comparison:
    """Two snapshots, row by row. `first` is the difference with the earliest record; `kept` the first ones found."""

    differences: int = 0
    first: RowDifference | None = None
    kept: list[RowDifference] = field(default_factory=list)

    def add(self, difference: RowDifference, keep: int) -> None:
        """Count it."""
        self.differences += 1
        if self.first is None or (difference.at_ns, difference.key) < (self.first.at_ns, self.first.key):
            self.first = difference
        if len(self.kept) < keep:
            self.kept.append(difference)


def compare_snapshots(one: Path, other: Path, *, names: tuple[str, str], keep: int = 1_000) -> Comparison:
    """Every row of both; `names` is what they are called in the differences. Raises `CannotCompare`."""
    read_snapshot(one), read_snapshot(other)
    found = Comparison()
    for table in TABLES:
        for here, there in _side_by_side(_lines(one / f"{table}.jsonl"), _lines(other / f"{table}.jsonl")):
            if here is None or there is None or here["value"] != there["value"]:
                found.add(_difference(table, here, there, names), keep)
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for line in file:
                yield orjson.loads(line)
    except (OSError, orjson.JSONDecodeError) as error:
        raise CannotCompare("NO_SNAPSHOT", f"{path}: {error}") from error


_Pair = tuple[dict[str, Any] | None, dict[str, Any] | None]


def _side_by_side(ones: Iterator[dict[str, Any]], others: Iterator[dict[str, Any]]) -> Iterator[_Pair]:
    """Rows of equal place in pairs; None where one of them has none."""
    one, other = next(ones, None), next(others, None)
    while one is not None or other is not None:
        if other is None or (one is not None and _place(one) < _place(other)):
            yield one, None
            one = next(ones, None)
        elif one is None or _place(other) < _place(one):
            yield None, other
            other = next(others, None)
        else:
            yield one, other
            one, other = next(ones, None), next(others, None)


def _place(line: dict[str, Any]) -> tuple[int, bytes]:
    return line["partition"], line["key"].encode()


def _difference(
    table: str, here: dict[str, Any] | None, there: dict[str, Any] | None, names: tuple[str, str]
) -> RowDifference:
    line: dict[str, Any] = here or there or {}
    only_in = ""
    fields: tuple[tuple[str, Json, Json], ...] = ()
    if here is None or there is None:
        only_in = names[1] if here is None else names[0]
        causes = [cause(table, line["key"], line["value"])]
    else:
        fields = tuple(field_differences(here["value"], there["value"]))
        causes = [cause(table, line["key"], each["value"]) for each in (here, there)]
    at_ns, record = min((each for each in causes if each[1]), default=(0, ""))
    return RowDifference(table, line["partition"], line["key"], only_in, fields, at_ns, record)
