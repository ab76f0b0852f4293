"""The command line: every part alone, and the whole set together."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app.settings import Settings, load_settings
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

Json = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]


def main() -> None:
    """Entry point: errors of ours are one line and exit code 1, never a traceback."""
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

    status = asyncio.run(start_detached(kafka_options(load_settings())))
    typer.echo(str(status))


@kafka.command("stop")
def kafka_stop() -> None:
    """Stop the local broker."""
    from app.kafka.broker import stop_detached

    stopped = asyncio.run(stop_detached(kafka_options(load_settings()).directory))
    typer.echo("stopped" if stopped else "was not running")


@kafka.command("status")
def kafka_status_command() -> None:
    """Whether the local broker runs and answers; exit code 1 when it does not."""
    from app.kafka.broker import kafka_status

    status = asyncio.run(kafka_status(kafka_options(load_settings()).directory))
    typer.echo(str(status))
    if not status.ready:
        raise typer.Exit(1)


def kafka_options(settings: Settings, *, with_parent: bool = False) -> Any:  # Any: imported where it is needed
    """The local broker of the settings."""
    from app.kafka.options import KafkaOptions

    return KafkaOptions(
        directory=settings.data_dir / "kafka",
        host=settings.kafka_host,
        port=settings.kafka_port,
        controller_port=settings.kafka_controller_port,
        max_heap_mib=settings.kafka_max_heap_mib,
        with_parent=with_parent,
    )


@topics.command("create")
def topics_create() -> None:
    """Create the topics that are missing; refuse those that are there with another shape."""
    from app.topic_creation import create_topics
    from app.topics import topics_of

    settings = load_settings()
    report = asyncio.run(create_topics(settings.bootstrap, topics_of(settings)))
    typer.echo(str(report))


# -- parts ---------------------------------------------------------------------------------------------------------


@app.command()
def paper(
    port: Annotated[int | None, typer.Option(help="Port of REST, WebSockets and control.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the market.")] = None,
) -> None:
    """The paper exchange: Bybit v5 over real sockets, with books of its own."""
    from app.paper_process import run_paper

    changes = {"paper_port": port, "paper_seed": seed}
    asyncio.run(run_paper(load_settings(**{name: value for name, value in changes.items() if value is not None})))


@app.command()
def gateway() -> None:
    """The venue's private stream, onto `order-updates`."""
    from app.gateway_process import run_gateway
    from app.logs import configure_logs

    settings = load_settings()
    configure_logs(settings)
    asyncio.run(run_gateway(settings))


@app.command()
def worker() -> None:
    """One worker: signals become orders, updates become events."""
    from app.worker_process import run_worker

    raise typer.Exit(run_worker(load_settings()))


@app.command()
def send(
    symbol: Annotated[str, typer.Option(help="Such as BTCUSDT.")] = "",
    side: Annotated[str, typer.Option(help="buy or sell.")] = "buy",
    amount: Annotated[str, typer.Option(help="In quote currency.")] = "",
    signal_id: Annotated[str, typer.Option("--id", help="Made if not given.")] = "",
    field: Annotated[list[str] | None, typer.Option(help="Further fields, name=value; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option(help="JSON lines; - or no symbol: standard input.")] = None,
) -> None:
    """Send one signal by options, or many as JSON lines."""
    from app.sending import one_signal, send_signals

    settings = load_settings()
    if symbol:
        lines = [one_signal(symbol, side, amount, signal_id, field or [])]
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


if __name__ == "__main__":
    main()
