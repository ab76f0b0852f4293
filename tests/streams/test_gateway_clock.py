"""A gateway whose clock was ahead for a moment: gaps are filled all the same, and balances shown (requirement J07)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest
from gateway_desk import Shown, Topic
from quiet_venue import QuietVenue
from trading_desk import BTC
from virtual_clock import NS, VirtualClock, settle

from domain.orders import OrderType, Side, Sums, VenueState
from domain.updates import OrderReport, Origin
from exchanges.venue import Balance, StreamEvent
from streams.gap_fill import Position
from streams.gateway import Gateway, GatewayOptions

HOUR_NS = 3_600 * NS
OPTIONS = GatewayOptions(settle_s=1.0, balance_interval_s=1.0, balance_poll_s=5.0)


class AskedVenue(QuietVenue):
    """Remembers since when closed orders were asked for; has the balance that a test gives it."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.free, self.ahead_ns = Decimal(1_000), 0
        self.since_ns: list[int] = []

    async def closed_orders(self, category: str, *, since_ns: int, **_scope: object) -> Sequence[OrderReport]:
        self.since_ns.append(since_ns)
        return []

    async def balances(self) -> Sequence[Balance]:
        at_ns = self.clock.now_ns() + self.ahead_ns
        return [Balance(account="main", currency="USDT", total=self.free, available=self.free, at_ns=at_ns)]

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
            options=OPTIONS,
        )

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


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    """With a gateway that has filled its first gap, and settled."""
    room = Room()
    running = asyncio.create_task(room.gateway.run())
    await settle()
    await room.wire.say(StreamEvent(connected=True))
    await room.clock.advance(2.0)
    yield room
    await room.gateway.stop()
    for _ in range(10):
        await room.clock.advance(1.0)
    await running


async def test_j07_an_update_heard_while_the_clock_was_ahead_leaves_no_hole_before_the_next_gap(room: Room) -> None:
    heard_ns = room.clock.now_ns()
    await room.wire.say(room.report(ahead_ns=HOUR_NS))
    await room.wire.say(StreamEvent(connected=False, reason="gone"))
    await room.clock.advance(20.0)

    await room.wire.say(StreamEvent(connected=True))

    assert room.venue.since_ns[-1] <= heard_ns - int(OPTIONS.overlap_s * NS)
    assert max(room.topic.complete_until_ns) <= heard_ns


def test_j07_a_figure_from_a_clock_that_was_ahead_is_never_believed_again() -> None:
    clock = VirtualClock()
    position = Position(clock, OPTIONS)
    began_ns = clock.now_ns()
    position.start_at(began_ns - NS)
    position.connection_gained()
    position.filled(1)
    position.settled(1, began_ns + HOUR_NS)

    seen_ns = position.complete_until_ns
    position.connection_lost()
    clock.jump(7_200.0)  # the venue is away for as long
    after_ns = position.complete_until_ns

    assert seen_ns == after_ns == began_ns - int(OPTIONS.look_back_s * NS)


async def test_j07_the_figure_follows_what_is_heard_once_the_clock_is_right_again() -> None:
    clock = VirtualClock()
    position = Position(clock, OPTIONS)
    position.connection_gained()
    position.filled(1)
    position.settled(1, clock.now_ns() + HOUR_NS)
    position.heard(clock.now_ns())

    assert position.complete_until_ns == clock.now_ns()


async def test_a_balance_of_a_clock_that_was_ahead_keeps_no_later_one_away(room: Room) -> None:
    room.venue.free, room.venue.ahead_ns = Decimal(500), HOUR_NS
    await room.clock.advance(6.0)
    ahead = room.shown.balances[-1].available
    room.venue.free, room.venue.ahead_ns = Decimal(100), 0

    await room.clock.advance(7.0)

    assert (ahead, room.shown.balances[-1].available) == (500, 100)


async def test_j07_rest_stands_in_for_a_stream_that_goes_down_after_the_clock_was_ahead(room: Room) -> None:
    room.clock.jump(3_600.0)
    await room.wire.say(StreamEvent(connected=False, reason="gone"))
    room.clock.jump(-3_600.0)
    passes = len(room.venue.since_ns)

    await room.wire.say(StreamEvent(connected=False, reason="still gone"))

    assert len(room.venue.since_ns) > passes
