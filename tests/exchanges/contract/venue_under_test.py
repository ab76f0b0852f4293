"""What the contract needs of a venue: an adapter, a market that stands where it was put, and faults on demand."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from domain.instruments import Instrument
from domain.orders import OrderType, Side, TimeInForce
from domain.updates import Call, FillReport, OrderReport
from exchanges.venue import Balance, NewOrder, OrderRef, PrivateStream, StreamEvent, Trading

D = Decimal
DEADLINE_S = 8.0


class Fault(StrEnum):
    """What the venue is asked to do wrong, once, to the next create."""

    NO_REPLY_AFTER = "accepts it and never replies"
    NO_REPLY_BEFORE = "loses it and never replies"
    BROKEN_REPLY_AFTER = "accepts it and breaks the reply"
    THROTTLED = "refuses it for its rate"


class VenueUnderTest(Protocol):
    """Supplied by each adapter's tests. The market of `instrument` has levels of 1 and 2 units on each side, bids at
    `bid` and one hundred ticks lower, asks at `ask` and one hundred ticks higher, and moves only by `move`."""

    trading: Trading
    stream: PrivateStream
    instrument: Instrument
    account: str
    bid: Decimal
    ask: Decimal
    tick: Decimal

    def stranger(self) -> Trading:
        """An adapter whose secret is wrong."""

    async def move(self, *, bid: Decimal, ask: Decimal) -> None:
        """Put the market elsewhere; resting orders that it crosses are filled."""

    async def fail_next_create(self, fault: Fault) -> None:
        """Misbehave at the next create."""

    async def cut_stream(self, *, refuse_s: float = 0.0) -> None:
        """End the private connections now, and refuse new ones for so long."""

    async def repeat_and_shuffle_stream(self) -> None:
        """From now on, private messages come twice and out of order."""


@dataclass
class Desk:
    """Trades at a venue in the fewest words."""

    venue: VenueUnderTest
    ids: list[str] = field(default_factory=list)

    def new(self, side: Side, quantity: str, price: Decimal | None = None, **changes: Any) -> NewOrder:
        """An order with an id that no other test has used."""
        order_id = f"ct{uuid.uuid4().hex[:24]}"
        self.ids.append(order_id)
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        tif = TimeInForce.IOC if price is None else TimeInForce.GTC
        fields: dict[str, Any] = {"time_in_force": tif} | changes
        return NewOrder(self.venue.instrument, order_id, side, kind, D(quantity), price, **fields)

    async def place(self, side: Side, quantity: str, price: Decimal | None = None, **changes: Any) -> OrderRef:
        """Send an order that must be accepted."""
        order = self.new(side, quantity, price, **changes)
        await self.venue.trading.admit(Call.CREATE)
        venue_order_id = await self.venue.trading.create(order)
        return OrderRef(self.venue.instrument, order.client_order_id, venue_order_id)

    async def row(self, ref: OrderRef, holds: Callable[[OrderReport], bool] = lambda _: True) -> OrderReport:
        """The order's row once it satisfies `holds`."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                report = await self.venue.trading.order(ref)
                if report is not None and holds(report):
                    return report
                await asyncio.sleep(0.01)

    async def cancel(self, ref: OrderRef) -> None:
        """Ask for a cancel that must be accepted."""
        await self.venue.trading.admit(Call.CANCEL)
        await self.venue.trading.cancel(ref)


class Ear:
    """What a stream has said so far."""

    def __init__(self, events: AsyncIterator[StreamEvent]) -> None:
        self._events = events
        self.orders: list[OrderReport] = []
        self.fills: list[FillReport] = []
        self.balances: list[Balance] = []
        self.connections: list[bool] = []

    async def until(self, holds: Callable[[Ear], object], within_s: float = DEADLINE_S) -> None:
        """Listen until `holds`."""
        async with asyncio.timeout(within_s):
            while not holds(self):
                event = await anext(self._events)
                if event.connected is not None:
                    self.connections.append(event.connected)
                self.orders += [update for update in event.updates if isinstance(update, OrderReport)]
                self.fills += [update for update in event.updates if isinstance(update, FillReport)]
                self.balances += event.balances

    def last(self, ref: OrderRef) -> OrderReport | None:
        """The newest row of an order."""
        rows = [report for report in self.orders if report.client_order_id == ref.client_order_id]
        return rows[-1] if rows else None


@asynccontextmanager
async def listening(stream: PrivateStream) -> AsyncIterator[Ear]:
    """An ear on the stream, once it is subscribed."""
    events = stream.events()
    ear = Ear(events)
    try:
        await ear.until(lambda heard: True in heard.connections)
        yield ear
    finally:
        await stream.close()
        await events.aclose()  # type: ignore[attr-defined]  # our streams are generators
