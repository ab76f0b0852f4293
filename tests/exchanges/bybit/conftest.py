"""Adapters for venues on free ports of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from domain.instruments import Instrument
from exchanges.bybit.options import BybitOptions
from exchanges.bybit.trading import BybitTrading
from exchanges.http import Timeouts

QUICK = Timeouts(connect_s=0.35, read_s=0.3, total_s=0.4)

ETH = Instrument("bybit", "linear", "ETHUSDT")


@pytest.fixture
async def adapter() -> AsyncIterator[Callable[..., BybitTrading]]:
    """Makes adapters for a URL, with keyword options, and closes them."""
    async with AsyncExitStack() as stack:

        def make(url: str, **options: Any) -> BybitTrading:
            tools = {name: options.pop(name) for name in ("clock", "hooks", "server_time") if name in options}
            chosen = {"key": "desk-key", "secret": "desk-secret", "timeouts": QUICK, "rest_url": url} | options
            trading = BybitTrading(BybitOptions(**chosen), **tools)
            stack.push_async_callback(trading.close)
            return trading

        yield make
