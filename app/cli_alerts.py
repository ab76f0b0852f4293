"""`ordermanager alerts`: what somebody should know, and one's word on it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.settings import load_settings

alerts = typer.Typer(help="What somebody should know: list, acknowledge, resolve.", no_args_is_help=True)

_Id = Annotated[str, typer.Argument(metavar="ID", help="CODE or CODE@SYMBOL, as the list shows it.")]
_Reason = Annotated[str, typer.Option(help="Why; it is kept with the alert.")]


@alerts.command("list")
def list_alerts(
    state: Annotated[str, typer.Option(help="open, acknowledged, resolved or all; else those not resolved.")] = "",
    symbol: Annotated[str, typer.Option(help="Only this symbol.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")] = False,
) -> None:
    """Alerts, the newest occurrence first."""
    from app.asking import ALERT_COLUMNS, Asker, show

    parameters = {name: value for name, value in (("state", state), ("symbol", symbol.upper())) if value}
    rows = Asker(load_settings()).get("/alerts", parameters)["items"]
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        show(f"{len(rows)} alerts", ALERT_COLUMNS, rows)


@alerts.command()
def acknowledge(alert: _Id, reason: _Reason = "") -> None:
    """Somebody is looking at it."""
    _say(alert, "acknowledged", reason)


@alerts.command()
def resolve(alert: _Id, reason: _Reason = "") -> None:
    """It is over; should it occur again, it is open again."""
    _say(alert, "resolved", reason)


def _say(alert: str, state: str, reason: str) -> None:
    from app.asking import Asker

    typer.echo(json.dumps(Asker(load_settings()).post(f"/alerts/{alert}", {"state": state, "reason": reason})))
