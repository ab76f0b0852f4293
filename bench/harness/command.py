"""The command line that every benchmark has: `python -m bench.NAME [--quick] [--json]`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop

from bench.harness.machine import load_average, machine
from bench.harness.report import Report, markdown

Measure = Callable[[bool], Awaitable[Report]]
BUSY_LOAD = 1.0


def main(measure: Measure) -> None:
    """Run `measure(quick)` and print its report: as tables, or with `--json` as one object in the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small figures, at most 20 s: does it work?")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    load = load_average()
    began_s = time.monotonic()
    report = uvloop.run(measure(wanted.quick))
    report.took_s = time.monotonic() - began_s
    report.machine = machine()
    if load > BUSY_LOAD:
        report.notes.append(f"The machine was not quiet: load average {load:.1f} when it began.")
    whole = report.as_json()
    print(json.dumps(whole) if wanted.json else markdown(whole))


def progress(sentence: str) -> None:
    """Say what is going on, beside the figures."""
    print(sentence, file=sys.stderr, flush=True)
