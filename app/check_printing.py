"""What the commands `verify`, `replay`, `diff` and `compare` print, and their exit codes: 0 equal, 1 they differ,
2 nobody can tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import typer

from app.replay.folded import Until
from app.replay.report import REPLAYED, compare_directories, in_words, replay
from app.run_comparison import compared, runs_of
from app.settings import Settings
from app.verify.report import VerifyOptions, verify
from domain.errors import InvalidInput, OrderManagerError

EQUAL, DIFFERS, CANNOT_TELL = 0, 1, 2
_SHOWN = 20


def replay_command(
    settings: Settings,
    directory: Path | None,
    until_offsets: Sequence[str],
    until_time: str,
    against: Path | None,
    settle_s: float,
    *,
    as_json: bool,
) -> int:
    """`ordermanager replay`."""
    until = Until(_offsets(until_offsets), _time_ns(until_time))
    if against is not None and directory is None:
        raise InvalidInput("BAD_OPTION", ["--against needs a --directory for what is compared with it"])
    report = asyncio.run(replay(settings, directory=directory, until=until, settle_s=settle_s))
    if against is not None and directory is not None:
        report |= compare_directories(snapshot_in(directory), snapshot_in(against))
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _show_replay(report)
    return CANNOT_TELL if report["equal"] is None else EQUAL if report["equal"] else DIFFERS


def compare_command(
    settings: Settings, sources: Sequence[str], save: Path | None, tolerance: str, *, as_json: bool
) -> int:
    """`ordermanager compare`."""
    try:
        runs = runs_of(settings, sources)
        if save is not None:
            save.write_text(json.dumps(runs.as_json(), indent=1) + "\n")
            typer.echo(f"{len(runs.dry)} rehearsed and {len(runs.live)} real signals are in {save}")
            return EQUAL
        report = compared(runs, _ratio(tolerance), whole=len(sources) > 1)
    except OSError as error:
        raise InvalidInput("BAD_FILE", [str(error)]) from error
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _show_compared(report)
    return CANNOT_TELL if report["equal"] is None else EQUAL if report["equal"] else DIFFERS


def _ratio(text: str) -> Decimal:
    try:
        ratio = Decimal(text)
    except InvalidOperation:
        raise InvalidInput("BAD_OPTION", [f"--tolerance {text!r} is no number"]) from None
    if not (ratio.is_finite() and 0 <= ratio < 1):
        raise InvalidInput("BAD_OPTION", [f"--tolerance {text!r}: from 0, and below 1"])
    return ratio


def _show_compared(report: dict[str, Any]) -> None:
    for signal in report["different"][:_SHOWN]:
        typer.echo(f"{signal['symbol']} {signal['signal_id']}")
        for each in signal["differences"]:
            typer.echo(f"  {each['field']}: dry run {each['dry']}, for real {each['live']}")
    if (more := len(report["different"]) - _SHOWN) > 0:
        typer.echo(f"and {more} signals more: --json has them all")
    typer.echo(
        f"{report['compared']} signals in both runs, {report['same']} of them the same; "
        f"only rehearsed: {len(report['only_dry'])}, only real: {len(report['only_live'])}"
    )


def verify_command(settings: Settings, settle_s: float, days: float, *, venue: bool, as_json: bool) -> int:
    """`ordermanager verify`."""
    report = asyncio.run(verify(settings, VerifyOptions(settle_s=settle_s, days=days, venue=venue)))
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _show_verify(report)
    return CANNOT_TELL if report["equal"] is None else EQUAL if report["equal"] else DIFFERS


def _show_verify(report: dict[str, Any]) -> None:
    for between, counts in report["compared"].items():
        typer.echo(f"{between:18} {', '.join(f'{count} {name}' for name, count in counts.items())}")
    for name, why in report["unread"].items():
        typer.echo(f"{name:18} not read: {why}")
    for title in ("differences", "moving", "unsettled"):
        for difference in report[title][:_SHOWN]:
            typer.echo(f"{title}: {difference['sentence']}")
        if len(report[title]) > _SHOWN:
            typer.echo(f"… {len(report[title]) - _SHOWN} more: --json lists them")
    if report["unfinished"]:
        typer.echo(f"{report['unfinished']} records were not finished by the workers")
    typer.echo({True: "equal", False: "they differ", None: "nobody can tell"}[report["equal"]])


def diff_command(one: Path, other: Path, *, as_json: bool) -> int:
    """`ordermanager diff`."""
    report = compare_directories(snapshot_in(one), snapshot_in(other))
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _show_differences(report)
    return EQUAL if report["equal"] else DIFFERS


def snapshot_in(directory: Path) -> Path:
    """The snapshot itself: the directory, or what a replay made in it."""
    made = directory / REPLAYED
    return made if (made / "snapshot.json").exists() else directory


def tell_nobody_can_tell(error: OrderManagerError, *, as_json: bool) -> int:
    """Why there is no verdict, for people and, with `as_json`, for programs; the exit code."""
    typer.echo(f"error: {error}", err=True)
    if as_json:
        typer.echo(json.dumps({"equal": None, "error": {"code": error.code, "sentence": error.sentence}}))
    return CANNOT_TELL


def _show_replay(report: dict[str, Any]) -> None:
    for name, tables in report["tables"].items():
        for table, digest in tables.items():
            typer.echo(f"{name:9} {table:10} {digest['sha256']} {digest['rows']:>9} rows")
        typer.echo(f"{name:9} {'whole':10} {report['digest'][name]}")
    typer.echo(f"{report['updates']} updates folded, {report['unfinished']} records not finished by the workers")
    _show_differences(report)


def _show_differences(report: dict[str, Any]) -> None:
    if report["equal"] is None:
        typer.echo("not compared: compaction has taken rows, the live tables of that moment are not known")
    elif report["equal"]:
        typer.echo("equal")
    else:
        typer.echo(f"{report['differences']} rows differ; the first: {in_words(report['first_difference'])}")
        for difference in report["differing_rows"][:_SHOWN]:
            typer.echo(f"  {in_words(difference)}")
        if report["differences"] > _SHOWN:
            typer.echo(f"  … {report['differences'] - _SHOWN} more: --json lists them")


def _offsets(texts: Sequence[str]) -> dict[int, int]:
    """`N` for every partition, `PARTITION:N` for one."""
    offsets = {}
    for text in texts:
        partition, _, offset = text.rpartition(":")
        if not offset.isdigit() or (partition and not partition.isdigit()):
            raise InvalidInput("BAD_OPTION", [f"--until-offset {text!r} is neither N nor PARTITION:N"])
        offsets[int(partition) if partition else -1] = int(offset)
    return offsets


def _time_ns(text: str) -> int | None:
    if not text:
        return None
    try:
        if text.isdigit():
            return int(text) * 1_000_000_000
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("BAD_OPTION", [f"--until-time {text!r} is neither ISO-8601 nor epoch seconds"]) from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
