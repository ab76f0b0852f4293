"""Filling over REST what the private stream may have missed (requirement J07), and knowing what that is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Protocol

from domain.errors import RateLimited, VenueError
from domain.updates import FillReport, OrderReport, Update
from exchanges.venue import Trading
from streams.ports import Clock

log = logging.getLogger(__name__)

_NS = 1_000_000_000


class GapFillOptions(Protocol):
    """What of the gateway's options concerns gaps. Durations in seconds; see `GatewayOptions`."""

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories that are followed."""

    @property
    def overlap_s(self) -> float:
        """What is asked for again before every gap."""

    @property
    def look_back_s(self) -> float:
        """What is asked for where nothing says since when there is a gap."""

    @property
    def settle_s(self) -> float:
        """When the history is asked a second time."""

    @property
    def poll_s(self) -> float:
        """How often REST stands in for a stream that is down."""

    @property
    def retry_base_s(self) -> float:
        """First wait after a failure; it doubles."""

    @property
    def retry_cap_s(self) -> float:
        """Longest wait after a failure, unless the venue asks for more."""


class Position:
    """Up to when everything the venue said has been published.

    A connection is *listening* from the moment it is subscribed. A fill that begins while it listens finds all that
    came before; from then on the stream is enough, and the figure follows what is heard.
    """

    def __init__(self, clock: Clock, options: GapFillOptions) -> None:
        self._clock = clock
        self._options = options
        self._complete_until_ns = 0
        self._settled = False
        self.connections = 0
        self.connected = False
        self.gap_filled = False

    @property
    def complete_until_ns(self) -> int:
        """Everything the venue said before this time (our clock, nanoseconds UTC) has been published.

        A figure beyond now, by more than the overlap makes up for, is from a moment at which our clock was ahead: it
        says nothing, and is given up for good, as it would look true once its time has come."""
        now_ns = self._clock.now_ns()
        if self._complete_until_ns > now_ns + round(self._options.overlap_s * _NS):
            self._complete_until_ns = now_ns - round(self._options.look_back_s * _NS)
        return self._complete_until_ns

    def start_at(self, complete_until_ns: int) -> None:
        """Begin where an earlier gateway left off."""
        self._complete_until_ns = complete_until_ns

    def connection_gained(self) -> None:
        """The stream listens again; what happened before is unknown until it is filled."""
        self.connected = True
        self.connections += 1
        self.gap_filled = self._settled = False

    def connection_lost(self) -> None:
        """From here on, and from an unknown moment before, words may be missing."""
        self.connected = self.gap_filled = self._settled = False

    def filled(self, connection: int) -> None:
        """A pass over REST is published, and acknowledged, that began while `connection` was listening."""
        if self.connected and connection == self.connections:
            self.gap_filled = True

    def settled(self, connection: int, began_ns: int) -> None:
        """A second pass, begun at `began_ns` after the venue's history had time to settle, is published too."""
        if self.gap_filled and connection == self.connections:
            self._settled = True
            self.heard(began_ns)

    def heard(self, at_ns: int) -> None:
        """An update that came over the stream at `at_ns` is published: nothing before it is missing."""
        if self._settled:
            self._complete_until_ns = max(self.complete_until_ns, at_ns)


def said_at_ns(update: Update) -> int:
    """Up to when the stream is complete once the update has come: when it came or, if that is earlier, the venue's own
    time of it. It is the venue that is asked since then, and our clock may be ahead."""
    venue_ns = 0
    if isinstance(update, OrderReport):
        venue_ns = update.updated_ns
    elif isinstance(update, FillReport):
        venue_ns = update.executed_ns
    return min(update.received_ns, venue_ns or update.received_ns)


def retry_delay_s(options: GapFillOptions, failures: int, error: VenueError) -> float:
    """How long to wait after so many failures in a row: doubling up to the cap, or what the venue asks for."""
    asked_s = error.retry_after_s if isinstance(error, RateLimited) else 0.0
    return max(asked_s, min(options.retry_cap_s, options.retry_base_s * 2.0 ** min(failures - 1, 16)))


class GapFill:
    """Publishes what REST shows since the position, whenever it is wanted, until it succeeds. `trouble` says why the
    last pass failed."""

    def __init__(
        self,
        trading: Trading,
        position: Position,
        options: GapFillOptions,
        clock: Clock,
        publish: Callable[[Update], Awaitable[None]],
        when_durable: Callable[[Callable[[], None]], None],
    ) -> None:
        """`when_durable` calls back when everything published so far is acknowledged."""
        self._trading = trading
        self._position = position
        self._options = options
        self._clock = clock
        self._publish = publish
        self._when_durable = when_durable
        self._wanted = asyncio.Event()
        self._doubted = asyncio.Event()
        self._last_pass_ns = 0
        self._published: set[Hashable] = set()
        self.trouble = ""

    def wanted(self) -> None:
        """A connection was gained: fill what was missed before it."""
        self._wanted.set()

    def wanted_while_down(self) -> None:
        """A connection was lost or failed: let REST stand in, but not at every failed attempt."""
        if not 0 <= self._clock.now_ns() - self._last_pass_ns < self._options.poll_s * _NS:
            self._wanted.set()

    def doubted(self) -> None:
        """The stream said something that could not be read: look it up over REST, soon."""
        self._doubted.set()

    async def serve_doubts(self) -> None:
        """One pass for all doubts of a while, for ever: a stream that has become unreadable is polled, not chased."""
        while True:
            await self._doubted.wait()
            await self._clock.sleep(self._options.poll_s)
            self._doubted.clear()
            self._wanted.set()

    async def run(self) -> None:
        """Serve wishes for ever."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            connection = self._position.connections
            await self._pass_until_it_succeeds()
            if await self._disturbed(self._filled(connection)):
                continue
            if self._position.gap_filled and not await self._disturbed(self._clock.sleep(self._options.settle_s)):
                await self._settle(connection)

    def _filled(self, connection: int) -> asyncio.Future[None]:
        """The gap counts as filled, and the future is done, when the broker has all that the pass published: who hears
        of it takes what is in the topic by then for everything."""
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def acknowledged() -> None:
            self._position.filled(connection)
            if not durable.done():  # another gap may have come first, and nobody waits
                durable.set_result(None)

        self._when_durable(acknowledged)
        return durable

    async def _settle(self, connection: int) -> None:
        """The second pass, for what the venue's history did not show at once."""
        began_ns = self._clock.now_ns()
        await self._pass_until_it_succeeds()
        self._when_durable(lambda: self._position.settled(connection, began_ns))
        self._published.clear()

    async def _disturbed(self, awaited: Awaitable[None]) -> bool:
        """Wait for something; True if another gap came first."""
        waits = [asyncio.ensure_future(self._wanted.wait()), asyncio.ensure_future(awaited)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self._wanted.is_set()

    async def _pass_until_it_succeeds(self) -> None:
        failures = 0
        while True:
            try:
                count = await self._one_pass()
            except VenueError as error:
                failures += 1
                self.trouble = str(error)
                delay_s = retry_delay_s(self._options, failures, error)
                log.warning("a gap could not be filled, again in %.1f s: %s", delay_s, error)
                await self._clock.sleep(delay_s)
            else:
                self.trouble = ""
                log.info("%d updates of a gap since %d are published", count, self._since_ns)
                return

    @property
    def _since_ns(self) -> int:
        return max(0, self._position.complete_until_ns - round(self._options.overlap_s * _NS))

    async def _one_pass(self) -> int:
        """Publish everything since the position, category by category; returns how many updates.

        What an earlier pass over the same gap has published is left out: a stream that stays down for an hour must
        not have that hour published every few seconds.
        What is open is asked for first, so that an order which ends meanwhile is in a later list. Executions are
        published first, so that an order's end finds its fills.
        """
        self._last_pass_ns = self._clock.now_ns()
        since_ns = self._since_ns
        count = 0
        for category in self._options.categories:
            open_orders = await self._trading.open_orders(category)
            closed_orders = await self._trading.closed_orders(category, since_ns=since_ns)
            executions = await self._trading.executions(category, since_ns=since_ns)
            updates: list[Update] = [*executions, *closed_orders, *open_orders]
            for update in updates:
                if (said := _said(update)) not in self._published:
                    await self._publish(update)
                    self._published.add(said)
                    count += 1
        return count


def _said(update: Update) -> Hashable:
    """What an update says, whenever and however it came."""
    match update:
        case FillReport():
            return update.execution_id
        case OrderReport():
            terms = (update.raw_status, update.price, update.quantity, update.cumulative.quantity)
            return (update.venue_order_id, update.updated_ns, *terms)
        case _:
            return update.received_ns
