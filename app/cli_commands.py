"""Cancelling and asking the venue by hand, from the command line."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from app.settings import load_settings
from domain.commands import EVERY_SYMBOL, Action
from domain.errors import InvalidInput

if TYPE_CHECKING:
    from app.asking import Asker, Row

commands = typer.Typer()

BEYOND_CANCELLING_S = 5.0
"""How much longer than a worker that waits for the venue's evidence we wait for its word."""

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
    target = {"order_id": order_id} if order_id else {"symbol": EVERY_SYMBOL if every else symbol.upper()}
    result = asker.command({"action": action, "reason": reason, **target}, until_s)
    results = with_what_was_passed_on(asker, result, until_s)
    if as_json:
        typer.echo(json.dumps(results))
    else:
        for each in results:
            typer.echo(f"{each['symbol']}: {'' if each['ok'] else each['code'] + ': '}{each['sentence']}")
    if not all(each["ok"] for each in results):
        raise typer.Exit(1)


def with_what_was_passed_on(asker: Asker, result: Row, until_s: float) -> list[Row]:
    """A command's result; behind that of a cancel of everything what became of each symbol it was passed on to."""
    if result.get("action") != Action.CANCEL or result.get("symbol") != EVERY_SYMBOL:
        return [result]
    places = {symbol: f"/commands/{result['command_id']}:{symbol}?symbol={symbol}" for symbol in result["details"]}
    return [result, *({"symbol": each} | asker.result_at(place, until_s) for each, place in sorted(places.items()))]
