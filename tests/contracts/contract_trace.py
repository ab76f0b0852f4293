"""The trace that worker processes leave, and what can be said of it afterwards.

A line is one write in append mode, so lines of several processes stand in the order they happened:
`<monotonic seconds> <worker> <event> <details…>`. Events of a record begin with its partition and offset:

    TAKEN p o generation · BEGIN p o key number · EFFECT p o key number · END p o key number · APPLIED p o
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Place = tuple[int, int]
"""(partition, offset) of an input record."""

Produced = Mapping[Place, tuple[str, int]]
"""(key, number) of every input record, by its place."""


class Trace:
    """Written by a worker."""

    def __init__(self, path: str, worker: str) -> None:
        self._path = path
        self._worker = worker
        self._file: int | None = None

    def write(self, event: str, *details: Any) -> None:
        line = " ".join(str(part) for part in (f"{time.monotonic():.6f}", self._worker, event, *details))
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(self._file, f"{line}\n".encode())


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the trace."""

    at_s: float
    worker: str
    event: str
    details: tuple[str, ...]

    @property
    def place(self) -> Place:
        return int(self.details[0]), int(self.details[1])

    @property
    def key(self) -> str:
        return self.details[2]


@dataclass(slots=True)
class Verdict:
    """What became of the produced records."""

    lost: list[Place]
    done_twice: list[Place]
    out_of_order: list[Place]
    """Began before an earlier one of their key had ended."""
    overlapping: list[Place]
    """Effects that began while one of the same key was under way in another process that lived."""

    def figures(self) -> str:
        return (
            f"{len(self.lost)} lost, {len(self.done_twice)} done twice, {len(self.out_of_order)} out of order, "
            f"{len(self.overlapping)} side by side"
        )

    def is_clean(self) -> bool:
        return not (self.lost or self.done_twice or self.out_of_order or self.overlapping)


def read_trace(path: Path) -> list[Line]:
    """All whole lines."""
    if not path.exists():
        return []
    whole, _, _unfinished = path.read_text().rpartition("\n")
    split = (line.split() for line in whole.splitlines())
    return [Line(float(at), worker, event, tuple(details)) for at, worker, event, *details in split]


def judge(lines: list[Line], produced: Produced) -> Verdict:
    """What the trace says of the produced records."""
    ended: dict[Place, int] = defaultdict(int)
    for line in lines:
        if line.event == "END":
            ended[line.place] += 1
    return Verdict(
        lost=[place for place in produced if not ended[place]],
        done_twice=[place for place, times in ended.items() if times > 1],
        out_of_order=_out_of_order(lines, produced),
        overlapping=_overlapping(lines),
    )


def _out_of_order(lines: list[Line], produced: Produced) -> list[Place]:
    before: dict[Place, Place] = {}
    newest: dict[tuple[int, str], Place] = {}
    for place, (key, _) in sorted(produced.items()):
        if (place[0], key) in newest:
            before[place] = newest[place[0], key]
        newest[place[0], key] = place
    ended: set[Place] = set()
    wrong = []
    for line in lines:
        if line.event == "BEGIN" and line.place in before and before[line.place] not in ended:
            wrong.append(line.place)
        elif line.event == "END":
            ended.add(line.place)
    return wrong


def _overlapping(lines: list[Line]) -> list[Place]:
    under_way: dict[str, Line] = {}
    wrong = []
    for line in lines:
        if line.event in {"BOOT", "GONE"}:
            under_way = {key: other for key, other in under_way.items() if other.worker != line.worker}
        elif line.event == "EFFECT":
            if line.key in under_way and under_way[line.key].worker != line.worker:
                wrong.append(line.place)
            under_way[line.key] = line
        elif line.event == "END":
            under_way.pop(line.key, None)
    return wrong


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Offsets that agents took, by process, generation and partition: each must follow the one before."""

    skipped: int
    repeated: int
    taken: int


def deliveries(lines: Iterable[Line]) -> Deliveries:
    """Skipped and repeated offsets within a generation (`TAKEN` lines)."""
    expected: dict[tuple[str, str, int], int] = {}
    skipped = repeated = taken = 0
    for line in lines:
        if line.event != "TAKEN":
            continue
        taken += 1
        partition, offset = line.place
        where = (line.worker, line.details[2], partition)
        if where in expected:
            skipped += max(0, offset - expected[where])
            repeated += offset < expected[where]
        expected[where] = max(expected.get(where, 0), offset + 1)
    return Deliveries(skipped, repeated, taken)
