"""A gateway on a clock that a test moves, with a venue and a stream that say what the test gives them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

from gateway_desk import Shown, Topic
from quiet_venue import QuietVenue
from trading_desk import BTC
from virtual_clock import VirtualClock, settle

from domain.errors import VenueError
from domain.orders import OrderType, Side, Sums, VenueState
from domain.updates import OrderReport, Origin
from exchanges.venue import Balance, StreamEvent
from streams.gateway import Gateway, GatewayOptions

OPTIONS = GatewayOptions(settle_s=1.0, balance_interval_s=1.0, balance_poll_s=5.0)


class AskedVenue(QuietVenue):
    """Remembers since when closed orders were asked for; has the coins that a test gives it."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.coins, self.ahead_ns = {"USDT": Decimal(1_000)}, 0
        self.tells_available = True
        self.away_now: VenueError | None = None
        self.since_ns: list[int] = []

    async def closed_orders(self, category: str, *, since_ns: int, **_scope: object) -> Sequence[OrderReport]:
        self.since_ns.append(since_ns)
        return []

    async def balances(self) -> Sequence[Balance]:
        if self.away_now is not None:
            raise self.away_now
        return [self.balance(currency, total) for currency, total in self.coins.items()]

    def balance(self, currency: str, total: Decimal) -> Balance:
        """So much of a coin, now."""
        at_ns = self.clock.now_ns() + self.ahead_ns
        return Balance(
            account="main",
            currency=currency,
            total=total,
            available=total,
            at_ns=at_ns,
            available_known=self.tells_available,
        )

    async def quotes(self, category: str) -> dict[str, object]:
        return {}

    async def instruments(self, category: str) -> list[object]:
        return []


class Wire:
    """A private stream that says what a test puts in."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[StreamEvent | None] = asyncio.Queue()

    async def say(self, event: StreamEvent | None) -> None:
        await self._said.put(event)
        await settle()

    async def events(self) -> AsyncIterator[StreamEvent]:
        while (event := await self._said.get()) is not None:
            yield event

    async def close(self) -> None:
        await self._said.put(None)


class Room:
    """A gateway on a clock that a test moves."""

    def __init__(self) -> None:
        self.told: list[Balance] = []
        """What stands on the topic of balances when the gateway starts."""
        self.clock, self.wire, self.shown, self.topic = VirtualClock(), Wire(), Shown(), Topic()
        self.venue = AskedVenue(self.clock)

        async def nothing_before() -> int | None:
            return None

        self.gateway = Gateway(
            self.venue,  # type: ignore[arg-type]  # what the gateway asks for it has
            self.wire,
            self.topic,
            self.shown.boards(),
            self.clock,
            complete_until=nothing_before,
            told_balances=self._told,
            options=OPTIONS,
        )

    async def _told(self) -> list[Balance]:
        return self.told

    def report(self, *, ahead_ns: int = 0) -> StreamEvent:
        """An update that the venue dates now, heard by a clock that is so much ahead."""
        now_ns = self.clock.now_ns()
        update = OrderReport(
            instrument=BTC,
            account="main",
            origin=Origin.STREAM,
            received_ns=now_ns + ahead_ns,
            client_order_id="om1",
            venue_order_id="v1",
            state=VenueState.LIVE,
            raw_status="New",
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            quantity=Decimal(1),
            price=Decimal(100),
            cumulative=Sums(),
            updated_ns=now_ns,
        )
        return StreamEvent(updates=(update,))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Room]:
        """With the gateway running, its first gap filled and settled."""
        running = asyncio.create_task(self.gateway.run())
        await settle()
        await self.wire.say(StreamEvent(connected=True))
        await self.clock.advance(2.0)
        yield self
        await self.gateway.stop()
        for _ in range(10):
            await self.clock.advance(1.0)
        await running
