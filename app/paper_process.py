"""The paper exchange as a process, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from decimal import Decimal

from app.process_logs import configure_process_logs
from app.settings import Settings
from exchanges.paper.options import ApiKey, PaperOptions
from exchanges.paper.server import PaperExchange


def paper_options(settings: Settings) -> PaperOptions:
    """The paper exchange of the settings; its books lie in the data directory and survive."""
    directory = settings.data_dir / "paper"
    directory.mkdir(parents=True, exist_ok=True)
    return PaperOptions(
        host=settings.paper_host,
        port=settings.paper_port,
        database=directory / "books.sqlite",
        keys=(ApiKey(settings.paper_key, settings.paper_secret.get_secret_value()),),
        seed=settings.paper_seed,
        market_interval_s=settings.paper_market_interval_s,
        deposit=settings.paper_deposit,
        coins=tuple(coins_of(settings.paper_coins)),
        latency_s=settings.paper_latency_s,
        replay=settings.paper_replay,
        replay_speed=settings.paper_replay_speed,
        replay_loops=settings.paper_replay_loops,
    )


def coins_of(written: str) -> Iterator[tuple[str, Decimal]]:
    """The coins and amounts of `BTC=1,ETH=10`."""
    for part in filter(None, written.split(",")):
        coin, _, amount = part.partition("=")
        yield coin, Decimal(amount)


async def run_paper(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    configure_process_logs(settings, "paper")
    exchange = PaperExchange(paper_options(settings))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await exchange.start()
    try:
        await stopping.wait()
    finally:
        await exchange.stop()
