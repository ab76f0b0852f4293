"""`ordermanager plan`, `dry-run` and `limits`: what would be decided about a signal, what a dry run would have sent,
and the limits that decisions keep to."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.settings import load_settings

limits = typer.Typer(help="Limits on orders, positions and losses: show, set.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]
_GATES = (("gate", "gate"), ("outcome", "outcome"), ("code", "code"), ("sentence", "sentence"))
_ORDERS = (
    *(("part", "part"), ("side", "side"), ("type", "order_type"), ("quantity", "quantity"), ("price", "price")),
    *(("time in force", "time_in_force"), ("reduce only", "reduce_only"), ("rule", "rule")),
)

_REHEARSED = (
    *(("symbol", "symbol"), ("side", "side"), ("type", "order_type")),
    *(("orders", "orders"), ("quantity", "quantity"), ("notional", "notional")),
)


def plan(
    symbol: Annotated[str, typer.Option(help="Such as BTCUSDT.")],
    amount: Annotated[str, typer.Option(help="In quote currency.")],
    side: Annotated[str, typer.Option(help="buy or sell.")] = "buy",
    category: Annotated[str, typer.Option(help="linear, spot or inverse; the set's own if not given.")] = "",
    signal_id: Annotated[str, typer.Option("--id", help="Made if not given.")] = "",
    field: Annotated[list[str] | None, typer.Option(help="Further fields, name=value; may be repeated.")] = None,
    as_json: _Json = False,
) -> None:
    """What would be decided about a signal now, gate by gate. Nothing is done; exit code 1 if it would be refused."""
    from app.asking import Asker, show
    from app.sending import one_signal

    signal = json.loads(one_signal(symbol, side, amount, signal_id, field or [], category))
    made = Asker(load_settings()).post("/plan", signal)
    if as_json:
        typer.echo(json.dumps(made))
    else:
        show("gates", _GATES, made["verdicts"])
        show("orders", _ORDERS, made["intents"])
        for cancel in made["cancels"]:
            typer.echo(f"cancels first: {cancel['order_id']}")
        for amend in made["amends"]:
            typer.echo(f"amends: {amend['order_id']} to {amend['quantity']} at {amend['price']}")
        typer.echo(f"{made['decision']}" + (f": {made['code']}: {made['reason']}" if made["code"] else ""))
    if made["decision"] not in {"execute", "simulate"}:
        raise typer.Exit(1)


def dry_run(symbol: Annotated[str, typer.Option(help="Only this symbol.")] = "", as_json: _Json = False) -> None:
    """What the dry run would have sent, by symbol, side and type."""
    from app.asking import Asker, show

    told = Asker(load_settings()).get("/dry-run", {"symbol": symbol.upper()} if symbol else {})
    if as_json:
        typer.echo(json.dumps(told))
        return
    show(f"{told['orders']} orders over {told['notional']}", _REHEARSED, told["items"])
    if told["partial"] or told["scan_limited"]:
        typer.echo("there are more: not everything was looked at", err=True)


@limits.command("show")
def show_limits(
    symbol: Annotated[str, typer.Option(help="Those of this symbol.")] = "", as_json: _Json = False
) -> None:
    """The limits in force."""
    from app.asking import Asker, show

    found = Asker(load_settings()).get("/limits", {"symbol": symbol.upper()} if symbol else {})
    if as_json:
        typer.echo(json.dumps(found))
        return
    rows = [{"limit": name, "value": value} for name, value in found["limits"].items()]
    show(symbol.upper() or "all symbols", (("limit", "limit"), ("value", "value")), rows)


@limits.command("set")
def set_limits(
    limit: Annotated[list[str], typer.Argument(metavar="NAME=VALUE…", help="An empty value lifts the limit.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the change.")],
    scope: Annotated[str, typer.Option(help="all, or a symbol.")] = "all",
) -> None:
    """Change limits, at once and on every worker."""
    from app.asking import Asker
    from domain.errors import InvalidInput

    given: dict[str, str | None] = {}
    for each in limit:
        name, equals, value = each.partition("=")
        if not equals:
            raise InvalidInput("BAD_OPTION", [f"{each!r}: write name=value"])
        given[name] = value or None
    place = scope if scope == "all" else scope.upper()
    Asker(load_settings()).post("/limits", {"scope": place, "limits": given, "reason": reason})
    typer.echo(f"limits of {place} changed")
