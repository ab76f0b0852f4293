"""The paper exchange as a process of its own: `python -m bench.paper.exchange '<json>'`.

Everything as in `ordermanager paper`, with books on disk and the market running, but many accounts and no bound on
their open orders, so that a book can be filled.
"""

from __future__ import annotations

import asyncio
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvloop

from exchanges.paper import ApiKey, PaperExchange, PaperOptions

FIRST_UID = 1


def keys(count: int) -> tuple[ApiKey, ...]:
    """One key for each of `count` accounts."""
    return tuple(ApiKey(f"key-{number}", f"secret-{number}", FIRST_UID + number) for number in range(count))


async def _run(config: dict[str, Any]) -> None:
    directory = Path(config["directory"])
    options = PaperOptions(
        port=0,
        database=directory / "books.sqlite",
        keys=keys(config["accounts"]),
        deposit=Decimal(10**12),
        max_open_orders_per_symbol=0,
    )
    async with PaperExchange(options) as exchange:
        print(f"port {exchange.port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_run(json.loads(sys.argv[1])))
