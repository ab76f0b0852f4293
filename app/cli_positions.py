"""Positions, and what they were, from the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from app.settings import load_settings
from domain.errors import InvalidInput


def positions(
    symbol: Annotated[str, typer.Option(help="Only this symbol.")] = "",
    category: Annotated[str, typer.Option(help="Only linear, spot or inverse.")] = "",
    history: Annotated[bool, typer.Option("--history", help="The symbol's fills, newest first.")] = False,
    snapshots: Annotated[bool, typer.Option("--snapshots", help="What it was at regular moments.")] = False,
    since: Annotated[str, typer.Option(help="With --snapshots: from this moment, ISO 8601.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Rows of a history.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")] = False,
) -> None:
    """Positions, with unrealised profit at the newest mark price; or the history of one."""
    from app.asking import LEDGER_COLUMNS, POSITION_COLUMNS, SNAPSHOT_COLUMNS, Asker, show

    if (history or snapshots) and not symbol:
        raise InvalidInput("NO_SYMBOL", ["--symbol: a history is asked for by symbol"])
    asker, symbol = Asker(load_settings()), symbol.upper()
    columns: Sequence[tuple[str, str]]
    kind = {"category": category} if category else {}
    if snapshots:
        filters = {"of": "snapshots"} | ({"from": since} if since else {}) | kind
        title, columns = f"snapshots of {symbol}", SNAPSHOT_COLUMNS
        rows = list(asker.items(f"/positions/{symbol}/history", filters, limit))
    elif history:
        title, columns = f"fills of {symbol}", LEDGER_COLUMNS
        rows = list(asker.items(f"/positions/{symbol}/history", kind, limit))
    else:
        rows = list(asker.items("/positions", ({"symbol": symbol} if symbol else {}) | kind, 100_000))
        title, columns = f"{len(rows)} positions", POSITION_COLUMNS
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        show(title, columns, rows)
