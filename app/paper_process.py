"""The paper exchange as a process, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from decimal import Decimal

from app.allocator import give_back_large_blocks
from app.process_logs import configure_process_logs
from app.settings import Settings
from domain.errors import InvalidInput
from exchanges.paper.options import FIRST_UID, ApiKey, PaperOptions, RateLimits
from exchanges.paper.server import PaperExchange


def paper_options(settings: Settings, accounts: Sequence[str] = (), *, in_memory: bool = False) -> PaperOptions:
    """The paper exchange of the settings; its books lie in the data directory and survive.

    `accounts` are KEY:SECRET of further accounts. Raises `InvalidInput` for one that is written otherwise.
    """
    directory = settings.data_dir / "paper"
    if not in_memory:
        directory.mkdir(parents=True, exist_ok=True)
    keys = [ApiKey(settings.paper_key, settings.paper_secret.get_secret_value())]
    for number, account in enumerate(accounts, start=1):
        key, separator, secret = account.partition(":")
        if not (key and separator and secret):
            raise InvalidInput("BAD_OPTION", ["--account needs KEY:SECRET"])
        keys.append(ApiKey(key, secret, FIRST_UID + number))
    return PaperOptions(
        host=settings.paper_host,
        port=settings.paper_port,
        database=None if in_memory else directory / "books.sqlite",
        cache_mib=settings.paper_cache_mib,
        keys=tuple(keys),
        seed=settings.paper_seed,
        market_interval_s=settings.paper_market_interval_s,
        deposit=settings.paper_deposit,
        coins=tuple(coins_of(settings.paper_coins)),
        latency_s=settings.paper_latency_s,
        replay=settings.paper_replay,
        replay_speed=settings.paper_replay_speed,
        replay_loops=settings.paper_replay_loops,
        ack_delay_s=settings.paper_ack_delay_s,
        rate_limits=RateLimits.of_the_venue() if settings.paper_rate_limits else RateLimits(),
    )


def coins_of(written: str) -> Iterator[tuple[str, Decimal]]:
    """The coins and amounts of `BTC=1,ETH=10`."""
    for part in filter(None, written.split(",")):
        coin, _, amount = part.partition("=")
        yield coin, Decimal(amount)


async def run_paper(settings: Settings, *, accounts: Sequence[str] = (), in_memory: bool = False) -> None:
    """Run until SIGTERM or SIGINT."""
    give_back_large_blocks()
    configure_process_logs(settings, "paper")
    exchange = PaperExchange(paper_options(settings, accounts, in_memory=in_memory))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await exchange.start()
    try:
        await stopping.wait()
    finally:
        await exchange.stop()
