"""The command line: every part alone, and the whole set together."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from app.cli_alerts import alerts
from app.cli_checks import checks
from app.cli_commands import BEYOND_CANCELLING_S, commands, with_what_was_passed_on
from app.cli_decisions import dry_run, limits, plan
from app.cli_positions import positions
from app.logs import configure_logs
from app.settings import load_settings
from domain.errors import OrderManagerError

app = typer.Typer(
    name="ordermanager",
    help="Trading signals in, exchange orders out: never twice, never lost. Settings: ORDERMANAGER_… (env.example).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
kafka = typer.Typer(help="The local Kafka broker.", no_args_is_help=True)
topics = typer.Typer(help="The topics.", no_args_is_help=True)
app.add_typer(kafka, name="kafka")
app.add_typer(topics, name="topics")
app.add_typer(alerts, name="alerts")
app.add_typer(limits, name="limits")
app.command()(plan)
app.command()(positions)
app.command("dry-run")(dry_run)

app.add_typer(checks)  # without a name: they stand beside the others
app.add_typer(commands)

Json = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]


def main() -> None:
    """Entry point: errors of ours are one line and exit code 1, never a traceback. What libraries log goes to standard
    error: standard output is the command's answer, JSON for programs."""
    configure_logs(level="WARNING", renderer="console")
    try:
        app()
    except OrderManagerError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None


# -- local Kafka and topics ----------------------------------------------------------------------------------------


@kafka.command("start")
def kafka_start() -> None:
    """Start the local broker; it goes on after this command."""
    from app.kafka.broker import start_detached
    from app.local_set import kafka_options

    status = asyncio.run(start_detached(kafka_options(load_settings(), with_parent=False)))
    typer.echo(str(status))


@kafka.command("stop")
def kafka_stop() -> None:
    """Stop the local broker."""
    from app.kafka.broker import stop_detached
    from app.local_set import kafka_options

    stopped = asyncio.run(stop_detached(kafka_options(load_settings(), with_parent=False).directory))
    typer.echo("stopped" if stopped else "was not running")


@kafka.command("status")
def kafka_status_command() -> None:
    """Whether the local broker runs and answers; exit code 1 when it does not."""
    from app.kafka.broker import kafka_status
    from app.local_set import kafka_options

    status = asyncio.run(kafka_status(kafka_options(load_settings(), with_parent=False).directory))
    typer.echo(str(status))
    if not status.ready:
        raise typer.Exit(1)


@topics.command("create")
def topics_create() -> None:
    """Create the topics that are missing; refuse those that are there with another shape."""
    from app.topic_creation import create_topics
    from app.topics import topics_of

    settings = load_settings()
    report = asyncio.run(create_topics(settings.bootstrap, topics_of(settings)))
    typer.echo(str(report))


# -- the whole set -------------------------------------------------------------------------------------------------


@app.command()
def run(workers: Annotated[int, typer.Option(min=1, max=16, help="How many workers.")] = 1) -> None:
    """Everything at once, with sample signals, shown as it happens. Ctrl-C stops it; the next run goes on."""
    from app.run import run_all

    asyncio.run(run_all(load_settings(), workers))


@app.command()
def demo(
    signals: Annotated[int, typer.Option(min=1, max=100_000, help="How many signals.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the signals and the market.")] = 1,
    rate: Annotated[float, typer.Option(min=0.1, max=1_000, help="Signals per second.")] = 25.0,
    as_json: Json = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch directory.")] = False,
    then: Annotated[str, typer.Option(help="Checks at the end: verify, replay, or both with a comma.")] = "",
) -> None:
    """The whole set in a scratch directory until it is settled; then what happened, and whether the books agree."""
    from app.demo import all_well, checks_named, run_demo

    account = asyncio.run(
        run_demo(
            load_settings(),
            signals=signals,
            seed=seed,
            rate_per_s=rate,
            keep=keep,
            then=checks_named(then),
            say=lambda line: typer.echo(line, err=True),
        )
    )
    if as_json:
        typer.echo(json.dumps(account))
    else:
        for name, value in account.items():
            typer.echo(f"{name:18} {json.dumps(value)}")
    if not all_well(account):
        raise typer.Exit(1)


# -- parts ---------------------------------------------------------------------------------------------------------


@app.command()
def paper(
    host: Annotated[str | None, typer.Option(help="Address that it listens on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of REST, WebSockets and control.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the market.")] = None,
    replay: Annotated[Path | None, typer.Option(help="CSV or JSON lines with recorded prices.")] = None,
    speed: Annotated[float | None, typer.Option(help="Times as fast as recorded; 0 = as fast as it goes.")] = None,
    loop: Annotated[bool | None, typer.Option(help="At its end the recording begins again.")] = None,
    interval: Annotated[float | None, typer.Option(help="Seconds between the market's steps; 0: it stands.")] = None,
    deposit: Annotated[str | None, typer.Option(help="USDT of each account, when its books are opened.")] = None,
    latency: Annotated[float | None, typer.Option(help="Seconds that every REST call takes longer.")] = None,
    ack_delay: Annotated[float | None, typer.Option(help="Seconds that WebSocket acknowledgements take.")] = None,
    rate_limits: Annotated[bool | None, typer.Option(help="Enforce the limits that the venue documents.")] = None,
    account: Annotated[list[str] | None, typer.Option(help="KEY:SECRET of one more account; may be repeated.")] = None,
    memory: Annotated[bool, typer.Option("--memory", help="Keep the books in memory only.")] = False,
) -> None:
    """The paper exchange: Bybit v5 over real sockets, with books of its own.

    REST is at http://HOST:PORT/v5/, the WebSockets at ws://HOST:PORT/v5/private, /v5/trade and /v5/public/{spot,linear,
    inverse,option}, the control interface (market, faults, books, orders by hand) at http://HOST:PORT/paper/. Its first
    account has the key and secret of the settings, `paper-key` and `paper-secret` by default.
    """
    from app.paper_process import run_paper

    changes = {
        "paper_host": host, "paper_port": port, "paper_seed": seed, "paper_market_interval_s": interval,
        "paper_deposit": deposit, "paper_latency_s": latency, "paper_ack_delay_s": ack_delay,
        "paper_rate_limits": rate_limits, "paper_replay": replay, "paper_replay_speed": speed,
        "paper_replay_loops": loop,
    }  # fmt: skip
    settings = load_settings(**{name: value for name, value in changes.items() if value is not None})
    asyncio.run(run_paper(settings, accounts=account or [], in_memory=memory))


@app.command()
def gateway() -> None:
    """The venue's private stream, onto `order-updates`."""
    from app.gateway_process import run_gateway

    settings = load_settings()
    asyncio.run(run_gateway(settings))


@app.command()
def worker() -> None:
    """One worker: signals become orders, updates become events."""
    from app.worker_process import run_worker

    raise typer.Exit(run_worker(load_settings()))


@app.command()
def notify() -> None:
    """Alerts, sent on to the channels of ORDERMANAGER_NOTIFY_URLS (the extra `notify`)."""
    from app.notifying import main as run

    run(load_settings())


@app.command()
def send(
    symbol: Annotated[str, typer.Option(help="Such as BTCUSDT.")] = "",
    side: Annotated[str, typer.Option(help="buy or sell.")] = "buy",
    amount: Annotated[str, typer.Option(help="In quote currency.")] = "",
    category: Annotated[str, typer.Option(help="linear, spot or inverse; the set's own if not given.")] = "",
    signal_id: Annotated[str, typer.Option("--id", help="Made if not given.")] = "",
    field: Annotated[list[str] | None, typer.Option(help="Further fields, name=value; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option(help="JSON lines; - or no symbol: standard input.")] = None,
) -> None:
    """Send one signal by options, or many as JSON lines."""
    from app.sending import one_signal, send_signals

    settings = load_settings()
    if symbol:
        lines = [one_signal(symbol, side, amount, signal_id, field or [], category)]
    elif file is not None and str(file) != "-":
        lines = file.read_bytes().splitlines()
    else:
        lines = sys.stdin.buffer.read().splitlines()
    report = asyncio.run(send_signals(settings, lines))
    for refusal in report.refused:
        typer.echo(refusal, err=True)
    typer.echo(json.dumps({"sent": report.sent, "refused": len(report.refused)}))
    if report.refused:
        raise typer.Exit(1)


# -- asking --------------------------------------------------------------------------------------------------------


@app.command()
def orders(
    symbol: Annotated[str, typer.Option(help="Only this symbol.")] = "",
    status: Annotated[str, typer.Option(help="pending, partially_filled, filled, cancelled, rejected, failed.")] = "",
    category: Annotated[str, typer.Option(help="Only linear, spot or inverse.")] = "",
    signal_id: Annotated[str, typer.Option("--signal", help="Only this signal's.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """Orders, newest first."""
    from app.asking import ORDER_COLUMNS, Asker, show

    wanted = {"symbol": symbol.upper(), "status": status, "category": category, "signal_id": signal_id}
    filters = {name: value for name, value in wanted.items() if value}
    rows = list(Asker(load_settings()).items("/orders", filters, limit))
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        show(f"{len(rows)} orders", ORDER_COLUMNS, rows)


@app.command()
def order(
    order_id: Annotated[str, typer.Argument(metavar="ID", help="Ours or the venue's.")], as_json: Json = False
) -> None:
    """One order with everything that explains it: signal, gates with figures, history, fills."""
    from app.asking import FILL_COLUMNS, HISTORY_COLUMNS, ORDER_COLUMNS, VERDICT_COLUMNS, Asker, show

    found = Asker(load_settings()).get(f"/orders/{order_id}")
    if as_json:
        typer.echo(json.dumps(found))
        return
    show("order", ORDER_COLUMNS, [found["order"]])
    for made in (found["signal"] or {}).get("plans", []):
        show(f"signal {found['signal']['signal_id']}, plan {made['phase']}", VERDICT_COLUMNS, made["verdicts"])
    show("history", HISTORY_COLUMNS, found["history"])
    show("fills", FILL_COLUMNS, found["fills"])


# -- trading states ------------------------------------------------------------------------------------------------

Scope = Annotated[str, typer.Option(help="all, a venue, or a symbol.")]


@app.command()
def halt(
    reason: Annotated[str, typer.Option(help="Why.")],
    scope: Scope = "all",
    cancel_open: Annotated[bool, typer.Option("--cancel-open", help="Cancel its open orders too.")] = False,
) -> None:
    """Stop creating orders, at once and on every worker; cancels go on. Exit code 1 with --cancel-open: halted, but
    some orders may still be open."""
    _control("halted", scope, reason, cancel_open=cancel_open)


@app.command("reduce-only")
def reduce_only(reason: Annotated[str, typer.Option(help="Why.")], scope: Scope = "all") -> None:
    """Only let positions shrink."""
    _control("reduce_only", scope, reason)


@app.command()
def arm(reason: Annotated[str, typer.Option(help="Why.")], scope: Scope = "all") -> None:
    """Trade (again)."""
    _control("armed", scope, reason)


def _control(state: str, scope: str, reason: str, *, cancel_open: bool = False) -> None:
    from app.asking import Asker

    body = {"scope": scope, "state": state, "reason": reason, "cancel_open": cancel_open}
    settings = load_settings()
    asker = Asker(settings)
    answer = asker.post("/controls", body)
    if place := answer["cancel_result_at"]:
        until_s = time.monotonic() + settings.cancel_timeout_s + BEYOND_CANCELLING_S
        answer["cancel_results"] = with_what_was_passed_on(asker, asker.result_at(place, until_s), until_s)
    typer.echo(json.dumps(answer))
    if not all(result["ok"] for result in answer.get("cancel_results", ())):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
