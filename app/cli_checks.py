"""Commands that check: whether ledgers agree, whether tables can be made again, what the records look like."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from app.settings import load_settings
from domain.errors import OrderManagerError

checks = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]
Settle = Annotated[float, typer.Option("--settle-s", min=0, help="How long the workers may take to finish.")]


def end_with(verdict: Callable[[], int], *, as_json: bool) -> None:
    """End with its exit code. An error, in the settings too, is 2, as for all of which nobody can tell; 1 would say
    that something differs."""
    from app.check_printing import tell_nobody_can_tell

    try:
        code = verdict()
    except OrderManagerError as error:
        code = tell_nobody_can_tell(error, as_json=as_json)
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is no difference
        typer.echo(traceback.format_exc(), err=True)
        unexpected = OrderManagerError("CHECK_FAILED", f"{type(error).__name__}: {error}")
        code = tell_nobody_can_tell(unexpected, as_json=as_json)
    raise typer.Exit(code)


@checks.command()
def replay(
    directory: Annotated[Path | None, typer.Option(help="Where both sets of tables stay.")] = None,
    until_offset: Annotated[
        list[str] | None, typer.Option(help="First offset of order-updates not folded: N, or PARTITION:N; repeatable.")
    ] = None,
    until_time: Annotated[str, typer.Option(help="Fold records up to this time: ISO-8601, or epoch seconds.")] = "",
    against: Annotated[Path | None, typer.Option(help="Compare with this one, not with the live tables.")] = None,
    settle_s: Settle = 10.0,
    as_json: Json = False,
) -> None:
    """Make the tables again from the topics; exit code 1 if they differ from the live ones, 2 if nobody can tell."""
    from app.check_printing import replay_command

    def verdict() -> int:
        offsets = until_offset or []
        return replay_command(load_settings(), directory, offsets, until_time, against, settle_s, as_json=as_json)

    end_with(verdict, as_json=as_json)


@checks.command()
def verify(
    settle_s: Settle = 15.0,
    days: Annotated[float, typer.Option(min=0, help="How far back the venue is asked for what has ended.")] = 7.0,
    venue: Annotated[bool, typer.Option(help="Without it, only our own ledgers: for a set that is stopped.")] = True,
    as_json: Json = False,
) -> None:
    """Tables, topics and venue, order by order and fill by fill; exit code 1 if they differ, 2 if nobody can tell."""
    from app.check_printing import verify_command

    end_with(lambda: verify_command(load_settings(), settle_s, days, venue=venue, as_json=as_json), as_json=as_json)


@checks.command()
def compare(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE]…", help="`this` (default), the address of another set's worker, or a file."),
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write what they tell to this file, and compare nothing.")] = None,
    tolerance: Annotated[str, typer.Option(help="Part by which prices and quantities may differ: 0.001.")] = "0",
    as_json: Json = False,
) -> None:
    """A dry run and a real one on the same signals, plan by plan; exit code 1 if they differ, 2 if nobody can tell."""
    from app.check_printing import compare_command

    def verdict() -> int:
        return compare_command(load_settings(), sources or ["this"], save, tolerance, as_json=as_json)

    end_with(verdict, as_json=as_json)


@checks.command()
def diff(
    one: Annotated[Path, typer.Argument(metavar="A", help="A directory that replay wrote, or its live or replayed.")],
    other: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
    as_json: Json = False,
) -> None:
    """The rows, and the first record of the log, at which two sets of tables differ; exit code 1 if they do."""
    from app.check_printing import diff_command

    end_with(lambda: diff_command(one, other, as_json=as_json), as_json=as_json)


@checks.command()
def schemas(
    directory: Annotated[Path, typer.Argument(help="Where they go.")] = Path("docs/schemas"),
) -> None:
    """Write the JSON Schema of every topic's records, and the AsyncAPI document."""
    from app.schema_files import write_schemas

    for path in write_schemas(directory):
        typer.echo(str(path))
