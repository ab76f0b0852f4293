"""A gateway between a paper exchange on real sockets and a topic that is a list, with everything a test may move."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp

from domain.instruments import Instrument, InstrumentRules, Quote
from domain.orders import OrderType, Side, TimeInForce
from domain.updates import FillReport, OrderReport, Update
from exchanges.bybit.options import BybitOptions, RateLimits, StreamTimings
from exchanges.bybit.stream import BybitPrivateStream
from exchanges.bybit.trading import BybitTrading
from exchanges.clock import SystemClock
from exchanges.http import Timeouts
from exchanges.paper import PaperExchange, PaperOptions
from exchanges.paper import options as paper
from exchanges.rate_limit import Rate
from exchanges.venue import Balance, NewOrder, OrderRef, PrivateStream
from streams.gateway import Boards, Gateway, GatewayOptions, UpdatePublisher

D = Decimal
BTC = Instrument("bybit", "linear", "BTCUSDT")
FREE = Rate(per_s=10_000, burst=10_000)
DEADLINE_S = 10.0
PROMPT = GatewayOptions(
    settle_s=0.1,
    poll_s=0.1,
    retry_base_s=0.05,
    retry_cap_s=0.2,
    balance_interval_s=0.05,
    balance_poll_s=0.1,
    quote_interval_s=0.05,
    drain_s=0.5,
)


class Topic:
    """`order-updates` as a list. `acknowledge` decides what becomes of each record."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.complete_until_ns: list[int] = []
        self.acknowledge: Callable[[Update], Awaitable[object]] = _at_once

    async def publish(self, update: Update, *, complete_until_ns: int) -> Awaitable[object]:
        self.updates.append(update)
        self.complete_until_ns.append(complete_until_ns)
        return asyncio.ensure_future(self.acknowledge(update))

    def fills(self) -> list[FillReport]:
        return [update for update in self.updates if isinstance(update, FillReport)]

    def orders(self) -> list[OrderReport]:
        return [update for update in self.updates if isinstance(update, OrderReport)]


async def _at_once(_update: Update) -> object:
    return None


class Shown:
    """What the boards were shown."""

    def __init__(self) -> None:
        self.balances: list[Balance] = []
        self.quotes: list[Mapping[str, Quote]] = []
        self.instruments: list[Sequence[InstrumentRules]] = []

    def boards(self) -> Boards:
        async def balance(told: Balance) -> None:
            self.balances.append(told)

        async def quotes(_category: str, told: Mapping[str, Quote]) -> None:
            self.quotes.append(told)

        async def instruments(_category: str, told: Sequence[InstrumentRules]) -> None:
            self.instruments.append(told)

        return Boards(balance, quotes, instruments)


class Desk:
    """The exchange, somebody who trades there, and gateways."""

    def __init__(self, exchange: PaperExchange, http: aiohttp.ClientSession) -> None:
        self._exchange = exchange
        self._http = http
        self.options = BybitOptions(
            key="paper-key",
            secret="paper-secret",
            account="desk",
            rest_url=exchange.url,
            stream_url=f"{exchange.stream_url}/v5/private",
            timeouts=Timeouts(connect_s=0.5, read_s=1.0, total_s=1.0),
            rate_limits=RateLimits(create=FREE, amend=FREE, cancel=FREE, query=FREE, address=FREE),
            stream=StreamTimings(backoff_base_s=0.05, backoff_cap_s=0.2),
        )
        self.trader = BybitTrading(self.options)

    async def control(self, call: str, **wish: object) -> None:
        async with self._http.post(f"{self._exchange.url}/paper/{call}", json=wish) as reply:
            assert reply.status == 200, await reply.text()

    async def heal(self) -> None:
        """Take back every fault."""
        async with self._http.delete(f"{self._exchange.url}/paper/faults") as reply:
            assert reply.status == 200, await reply.text()

    async def buy(self, quantity: str = "0.1", price: Decimal | None = None) -> OrderRef:
        """A market buy, or one that rests at `price`."""
        order_id = f"gw{uuid.uuid4().hex[:20]}"
        kind, tif = (OrderType.MARKET, TimeInForce.IOC) if price is None else (OrderType.LIMIT, TimeInForce.GTC)
        order = NewOrder(BTC, order_id, Side.BUY, kind, D(quantity), price, tif)
        return OrderRef(BTC, order_id, await self.trader.create(order))

    @asynccontextmanager
    async def gateway(
        self,
        topic: UpdatePublisher,
        *,
        shown: Shown | None = None,
        complete_until_ns: int | None = None,
        read_complete_until: Callable[[], Awaitable[int | None]] | None = None,
        stream: PrivateStream | None = None,
        **options: Any,
    ) -> AsyncIterator[Gateway]:
        """A gateway that runs. What ended it is raised when the block ends."""
        trading = BybitTrading(self.options)

        async def given() -> int | None:
            return complete_until_ns

        values = {name: getattr(PROMPT, name) for name in PROMPT.__dataclass_fields__} | options
        gateway = Gateway(
            trading,
            stream or BybitPrivateStream(self.options, server_time=trading.server_time),
            topic,
            (shown or Shown()).boards(),
            SystemClock(),
            complete_until=read_complete_until or given,
            options=GatewayOptions(**values),
        )
        running = asyncio.ensure_future(gateway.run())
        try:
            yield gateway
        finally:
            await gateway.stop()
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await running
            finally:
                await trading.close()


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """A desk at an exchange whose market stands still: 1 and 2 BTC on each side of 65000."""
    limits = paper.RateLimits(orders_per_s=10_000, queries_per_s=10_000)
    options = PaperOptions(port=0, market_interval_s=0, ack_delay_s=0.001, rate_limits=limits)
    async with PaperExchange(options) as exchange, aiohttp.ClientSession() as http:
        own = Desk(exchange, http)
        await own.control(
            "market",
            symbol="BTCUSDT",
            bids=[["64990", "1"], ["64980", "2"]],
            asks=[["65010", "1"], ["65020", "2"]],
        )
        yield own
        await own.trader.close()


async def until(holds: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 -- the condition is of others' making and has no event
            await asyncio.sleep(0.005)
