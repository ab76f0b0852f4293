"""The faults that the set must survive, by number, and the table of what became of each in one run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

FAULTS = {
    1: "killed before the intent",
    2: "killed after the intent, before the call",
    3: "killed after the call, before the reply",
    4: "killed after the reply, before the event",
    5: "killed after the event, before the commit",
    6: "killed in recovery",
    7: "killed at random under load",
    8: "SIGTERM under load",
    9: "zombie: stopped past its session, then continued",
    10: "broker killed",
    11: "broker stopped for seconds",
    12: "broker absent at the start",
    13: "leader lost, of three brokers",
    14: "too few copies in sync",
    15: "a worker joins or leaves in mid-submit",
    16: "topic missing, or with another partition count",
    17: "time-out after the exchange accepted",
    18: "time-out before it accepted",
    19: "connection reset in mid-reply",
    20: "5xx, HTML, cut JSON",
    21: "seconds of 429 and 10006",
    22: "a reply at 1 byte a second",
    23: "updates doubled",
    24: "updates shuffled",
    25: "updates lost with a disconnect",
    26: "fill before the reply",
    27: "foreign order",
    28: "clock 10 s off, or jumping",
    29: "disk full",
    30: "state corrupted",
    31: "state deleted, or an old copy put back",
    32: "poison bytes",
    33: "bug in a handler, before and after the plan is durable",
    34: "giant record",
    35: "newer schema",
    36: "1e400, NaN, 40 digits",
    37: "canary secret",
    38: "1,000 wrong keys",
    39: "odd paths",
    40: "1,200 half-open connections",
    41: "9 KB queries",
    42: "broker dies after acceptance, before the outcome is durable",
}

_NAME = re.compile(r"test_fault_(\d\d)(?:_to_(\d\d))?_(\w+)")
_WORST_FIRST = ("failed", "passed", "skipped")


def rows_of(test: str) -> range:
    """The numbers in a test's name; none if it has no number."""
    named = _NAME.match(test)
    if named is None:
        return range(0)
    first, last = int(named[1]), int(named[2] or named[1])
    return range(first, last + 1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case of a test."""

    test: str
    """Name without parameters."""
    file: str
    outcome: str
    """passed, failed or skipped."""
    seconds: float
    seed: str


def table(outcomes: Iterable[Outcome]) -> str:
    """A line of markdown for each test with a number, in the order of the numbers; its cases are one line."""
    by_test: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if rows_of(outcome.test):
            by_test.setdefault(outcome.test, []).append(outcome)
    lines = ["| # | fault | test | outcome | s | seed |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(_line(by_test[name]) for name in sorted(by_test))]) + "\n"


def summary(outcomes: Iterable[Outcome], seed: str, took_s: float) -> str:
    """The run in a sentence: how many cases came to what, how long they took side by side, and what repeats it."""
    cases = [outcome for outcome in outcomes if rows_of(outcome.test)]
    done = {row for case in cases if case.outcome != "skipped" for row in rows_of(case.test)}
    missing = [str(row) for row in FAULTS if row not in done]
    of = f"{len(done)} of {len(FAULTS)} faults" + (f" (not {', '.join(missing)})" if missing else "")
    return f"One run, {of}: {_counted(cases)} in {took_s / 60:.0f} minutes; `make faults SEED={seed}` repeats it.\n"


def _counted(cases: Iterable[Outcome]) -> str:
    counted = Counter(case.outcome for case in cases)
    return ", ".join(f"{counted[kind]} {kind}" for kind in _WORST_FIRST if counted[kind])


def _line(cases: list[Outcome]) -> str:
    first, rows = cases[0], rows_of(cases[0].test)
    number = f"{rows[0]}" if len(rows) == 1 else f"{rows[0]}–{rows[-1]}"  # noqa: RUF001 -- a range, as printed
    faults = "; ".join(FAULTS[row] for row in rows)
    sentence = _NAME.sub(r"\3", first.test).replace("_", " ")
    test = f"`{first.file.removeprefix('tests/faults/')}` {sentence}"
    took_s = sum(case.seconds for case in cases)
    return f"| {number} | {faults} | {test} | {_counted(cases)} | {took_s:.1f} | {first.seed} |"


START, END = "<!-- faults: written by `make faults TABLE=README.md` -->", "<!-- end of faults -->"


def write_table(file: Path, outcomes: Sequence[Outcome], seed: str, took_s: float) -> None:
    """Between the two marks, where the file has them; else the table is all of the file."""
    made = f"{summary(outcomes, seed, took_s)}\n{table(outcomes)}"
    before, start, rest = (file.read_text() if file.exists() else "").partition(START)
    _, end, after = rest.partition(END)
    file.write_text(f"{before}{start}\n{made}{end}{after}" if end else made)
