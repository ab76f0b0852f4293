"""The Bybit adapter keeps the contract, against the paper exchange on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest
from trading_contract import StreamContract, TradingContract
from venue_under_test import Fault

from domain.instruments import Instrument
from exchanges.bybit.options import BybitOptions, RateLimits, StreamTimings
from exchanges.bybit.stream import BybitPrivateStream
from exchanges.bybit.trading import BybitTrading
from exchanges.http import Timeouts
from exchanges.paper import PaperExchange, PaperOptions
from exchanges.paper import options as paper
from exchanges.rate_limit import Rate

D = Decimal
FREE = Rate(per_s=10_000, burst=10_000)
NO_LIMITS = RateLimits(create=FREE, amend=FREE, cancel=FREE, query=FREE, address=FREE)

FAULTS: dict[Fault, dict[str, object]] = {
    Fault.NO_REPLY_AFTER: {"kind": "timeout_after_accept"},
    Fault.NO_REPLY_BEFORE: {"kind": "timeout_before_accept"},
    Fault.BROKEN_REPLY_AFTER: {"kind": "reset_mid_reply"},
    Fault.THROTTLED: {"kind": "rate_limited", "retry_after_ms": 1500},
}


class PaperVenue:
    """The paper exchange as the contract wants it."""

    account = "desk"
    instrument = Instrument("bybit", "linear", "BTCUSDT")
    bid, ask, tick = D("64990"), D("65010"), D("0.1")

    def __init__(self, exchange: PaperExchange, http: aiohttp.ClientSession) -> None:
        self._exchange = exchange
        self._http = http
        options = self._options("paper-secret")
        self.trading = BybitTrading(options)
        self.stream = BybitPrivateStream(options)

    def _options(self, secret: str) -> BybitOptions:
        return BybitOptions(
            key="paper-key",
            secret=secret,
            account=self.account,
            rest_url=self._exchange.url,
            stream_url=f"{self._exchange.stream_url}/v5/private",
            timeouts=Timeouts(connect_s=0.5, read_s=0.7, total_s=0.7),
            rate_limits=NO_LIMITS,
            stream=StreamTimings(backoff_base_s=0.05, backoff_cap_s=0.5),
        )

    def stranger(self) -> BybitTrading:
        return BybitTrading(self._options("a wrong secret"))

    async def move(self, *, bid: Decimal, ask: Decimal) -> None:
        step = 100 * self.tick
        levels = {
            "bids": [[str(bid), "1"], [str(bid - step), "2"]],
            "asks": [[str(ask), "1"], [str(ask + step), "2"]],
        }
        await self._control("market", {"symbol": self.instrument.symbol, **levels})

    async def fail_next_create(self, fault: Fault) -> None:
        await self._control("faults", {"endpoint": "order/create", "count": 1, **FAULTS[fault]})

    async def cut_stream(self, *, refuse_s: float = 0.0) -> None:
        await self._control("faults", {"kind": "disconnect", "refuse_ms": round(refuse_s * 1000)})

    async def repeat_and_shuffle_stream(self) -> None:
        await self._control("faults", {"kind": "duplicate_stream", "times": 1})
        await self._control("faults", {"kind": "reorder_stream", "probability": 0.5, "seed": 3, "delay_ms": 50})

    async def _control(self, call: str, wish: dict[str, object]) -> None:
        async with self._http.post(f"{self._exchange.url}/paper/{call}", json=wish) as reply:
            assert reply.status == 200, await reply.text()


@pytest.fixture
async def venue() -> AsyncIterator[PaperVenue]:
    limits = paper.RateLimits(orders_per_s=10_000, queries_per_s=10_000)
    options = PaperOptions(port=0, market_interval_s=0, ack_delay_s=0.001, rate_limits=limits)
    async with PaperExchange(options) as exchange, aiohttp.ClientSession() as http:
        own = PaperVenue(exchange, http)
        await own.move(bid=own.bid, ask=own.ask)
        yield own
        await own.stream.close()
        await own.trading.close()


class TestBybitTrading(TradingContract):
    """Orders and questions."""


class TestBybitPrivateStream(StreamContract):
    """The account's stream."""
