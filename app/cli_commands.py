"""Cancelling and asking the venue by hand, from the command line."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from app.settings import load_settings
from domain.errors import InvalidInput

if TYPE_CHECKING:
    from app.asking import Asker, Row

commands = typer.Typer()

BEYOND_CANCELLING_S = 5.0
"""How much longer than a worker that waits for the venue's evidence we wait for its word."""
LIST_AGAIN_S = 1.0

Reason = Annotated[str, typer.Option(help="Why; it is kept with the order.")]
OneOrder = Annotated[str, typer.Option("--order", help="This order, by our id or the venue's.")]
OneSymbol = Annotated[str, typer.Option("--symbol", help="Every open order of this symbol.")]
Every = Annotated[bool, typer.Option("--all", help="Every open order.")]
Json = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a line each.")]


@commands.command()
def cancel(
    order_id: OneOrder = "", symbol: OneSymbol = "", every: Every = False, reason: Reason = "", as_json: Json = False
) -> None:
    """Cancel one order, a symbol's, or all, and wait for the venue's evidence; exit code 1 if some may be open."""
    _command("cancel", order_id, symbol, every, reason, as_json)


@commands.command()
def sync(
    order_id: OneOrder = "", symbol: OneSymbol = "", every: Every = False, reason: Reason = "", as_json: Json = False
) -> None:
    """Ask the venue for one order, a symbol's, or all, and apply what it says; exit code 1 if it told not of all."""
    _command("sync", order_id, symbol, every, reason, as_json)


def _command(action: str, order_id: str, symbol: str, every: bool, reason: str, as_json: bool) -> None:
    from app.asking import Asker

    if sum((bool(order_id), bool(symbol), every)) != 1:
        raise InvalidInput("BAD_OPTION", ["exactly one of --order, --symbol and --all must be given"])
    settings = load_settings()
    asker = Asker(settings)
    until_s = time.monotonic() + settings.cancel_timeout_s + BEYOND_CANCELLING_S
    if order_id:
        targets = [{"order_id": order_id}]
    else:
        targets = [{"symbol": name} for name in ([symbol.upper()] if symbol else _symbols(asker, until_s))]
    # All are given before the first is waited for: one that the venue leaves unanswered holds up no other.
    results = asker.commands([{"action": action, "reason": reason, **target} for target in targets], until_s)
    if every and asker.missing:
        results.append(_not_listed(asker.missing))
    if as_json:
        typer.echo(json.dumps(results))
    else:
        for result in results:
            typer.echo(f"{result['symbol']}: {'' if result['ok'] else result['code'] + ': '}{result['sentence']}")
        if not results:
            typer.echo("no open orders")
    if not all(result["ok"] for result in results):
        raise typer.Exit(1)


def _symbols(asker: Asker, until_s: float) -> list[str]:
    """All that have open orders: of every partition, if all answer in time."""
    while True:
        asker.missing = frozenset()
        rows = [
            row
            for status in ("pending", "partially_filled")
            for row in asker.items("/orders", {"status": status}, limit=1_000_000)
        ]
        if not asker.missing or time.monotonic() > until_s:
            return sorted({row["instrument"]["symbol"] for row in rows})
        time.sleep(LIST_AGAIN_S)


def _not_listed(missing: frozenset[int]) -> Row:
    sentence = (
        f"nobody answered for partitions {', '.join(map(str, sorted(missing)))}: nothing was asked of their orders"
    )
    return {"symbol": "*", "ok": False, "code": "PARTITIONS_MISSING", "sentence": sentence}
