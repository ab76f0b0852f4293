"""The gateway: what one venue account says, onto our topics (requirement J07).

It listens to the account's private stream and publishes every update in the order of arrival; it fills what the
stream may have missed over REST; it shows balances, quotes and instrument rules, throttled. It decides nothing, so
two gateways for one account do no harm: the join knows a repeated update when it sees one.

What may be missing is known by one figure, `complete_until_ns`: everything the venue said before that time has been
published. It goes forward while the stream is up and its last gap is filled, stands still otherwise, and travels
with every update, so that a gateway that starts, wherever, reads from the topic how far back it must ask. The time
of the topic's last record would not do: workers write there too, and a gateway may die with a gap unfilled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from domain.errors import VenueError
from domain.instruments import InstrumentRules, Quote
from domain.money import ZERO
from domain.updates import Update
from exchanges.venue import Balance, PrivateStream, Trading
from streams.boards import AHEAD_NS
from streams.gap_fill import GapFill, Position, retry_delay_s, said_at_ns
from streams.in_flight import InFlight
from streams.ports import Clock

log = logging.getLogger(__name__)

NS = 1_000_000_000


async def _nothing_told() -> Sequence[Balance]:
    return ()


class UpdatePublisher(Protocol):
    """The way to `order-updates`. What cannot be made durable is raised and ends the process."""

    async def publish(self, update: Update, *, complete_until_ns: int) -> Awaitable[object]:
        """Hand the update to the producer, keyed by its canonical symbol; what is returned is awaited for the
        broker's acknowledgement. Calls are made one after another, and their order must be kept."""


@dataclass(frozen=True, slots=True)
class Boards:
    """Where the throttled small state goes: by category, or one balance at a time. Awaited; errors end the process."""

    balance: Callable[[Balance], Awaitable[object]]
    quotes: Callable[[str, Mapping[str, Quote]], Awaitable[object]]
    instruments: Callable[[str, Sequence[InstrumentRules]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How often, how far back, how much at once; durations in seconds.

    `overlap_s` is asked for again before every gap: it covers the difference of the clocks, and acknowledgements
    lost in a crash. `look_back_s` is the gap of a gateway that finds no trace of an earlier one. `settle_s` is when
    the venue's history, which lags, is asked a second time. `poll_s` is how often REST stands in for a stream that
    stays down, and how long a message that could not be read waits to be looked up. `max_in_flight` bounds the
    updates that the broker has not acknowledged.
    """

    categories: tuple[str, ...] = ("linear",)
    overlap_s: float = 60.0
    look_back_s: float = 24 * 3600.0
    settle_s: float = 15.0
    poll_s: float = 10.0
    retry_base_s: float = 0.5
    retry_cap_s: float = 15.0
    balance_interval_s: float = 1.0
    balance_poll_s: float = 5.0
    quote_interval_s: float = 1.0
    instrument_lifetime_s: float = 3600.0
    max_in_flight: int = 1000
    drain_s: float = 5.0


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """What a probe may know. `reasons` says why it is not ready, and what else is wrong."""

    connected: bool
    gap_filled: bool
    last_message_ns: int
    complete_until_ns: int
    in_flight: int
    reasons: tuple[str, ...]
    connections: int = 0

    @property
    def ready(self) -> bool:
        """Whether updates flow and nothing is known to be missing."""
        return self.connected and self.gap_filled


class Gateway:
    """One venue account's gateway. `run` works until `stop`, or raises what ended it."""

    def __init__(
        self,
        trading: Trading,
        stream: PrivateStream,
        publisher: UpdatePublisher,
        boards: Boards,
        clock: Clock,
        *,
        complete_until: Callable[[], Awaitable[int | None]],
        told_balances: Callable[[], Awaitable[Sequence[Balance]]] = _nothing_told,
        options: GatewayOptions | None = None,
    ) -> None:
        """`complete_until` reads the figure of that name from the end of `order-updates`; None: there is none.
        `told_balances` reads what stands of balances on their topic."""
        self._trading = trading
        self._stream = stream
        self._publisher = publisher
        self._boards = boards
        self._clock = clock
        self._options = options or GatewayOptions()
        self._read_complete_until = complete_until
        self._read_told_balances = told_balances
        self._position = Position(clock, self._options)
        self._in_flight = InFlight(self._options.max_in_flight)
        self._gap_fill = GapFill(
            trading, self._position, self._options, clock, self._publish, self._in_flight.after_all
        )
        self._stopping = asyncio.Event()
        self._balances: dict[tuple[str, str], Balance] = {}
        self._published_balances: dict[tuple[str, str], Balance] = {}
        self._last_message_ns = 0
        self._connection_reason = "the stream has not been connected yet"
        self._troubles: dict[str, str] = {}

    async def run(self) -> None:
        """Work until `stop`. Raises what ended it otherwise: an update that could not be published, say."""
        self._position.start_at(await self._where_to_start_ns())
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen(), name="gateway-stream")
                acknowledging = group.create_task(self._in_flight.acknowledge(), name="gateway-acknowledgements")
                polling = [
                    group.create_task(work(), name=f"gateway-{name}")
                    for name, work in (
                        ("gap-fill", self._gap_fill.run),
                        ("doubts", self._gap_fill.serve_doubts),
                        ("balances", self._show_balances),
                        ("balance-poll", self._poll_balances),
                        ("quotes", self._show_quotes),
                        ("instruments", self._show_instruments),
                    )
                ]
                await self._stopping.wait()
                for task in polling:
                    task.cancel()
                await self._stream.close()
                await listening
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._options.drain_s):
                        await self._in_flight.drained()
                acknowledging.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def stop(self) -> None:
        """End `run`: no more is taken, what was taken is waited for up to `drain_s`. What remains unacknowledged is
        asked for again by the next gateway."""
        self._stopping.set()

    def health(self) -> GatewayHealth:
        """How things are now."""
        position = self._position
        reasons = [] if position.connected else [f"stream: {self._connection_reason}"]
        if not position.gap_filled:
            reasons.append(f"gap: {self._gap_fill.trouble or 'not filled since the last connection'}")
        reasons += [f"{what}: {trouble}" for what, trouble in sorted(self._troubles.items())]
        return GatewayHealth(
            connected=position.connected,
            gap_filled=position.gap_filled,
            last_message_ns=self._last_message_ns,
            complete_until_ns=position.complete_until_ns,
            in_flight=len(self._in_flight),
            reasons=tuple(reasons),
            connections=position.connections,
        )

    async def _where_to_start_ns(self) -> int:
        """Where the last gateway left off; a look back when there was none, or when its clock was ahead of ours, for
        then its figure says nothing about our time."""
        now_ns = self._clock.now_ns()
        stored_ns = await self._read_complete_until()
        if stored_ns is None or stored_ns > now_ns:
            return now_ns - round(self._options.look_back_s * NS)
        return stored_ns

    # -- updates -----------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        async for event in self._stream.events():
            self._last_message_ns = self._clock.now_ns()
            if event.connected is not None:
                self._connection_reason = event.reason
                if event.connected:
                    self._position.connection_gained()
                    self._gap_fill.wanted()
                else:
                    self._position.connection_lost()
                    self._gap_fill.wanted_while_down()
            elif event.reason:
                self._gap_fill.doubted()
            for update in event.updates:
                await self._publish(update, partial(self._position.heard, said_at_ns(update)))
            for balance in event.balances:
                self._take_balance(balance)
        if not self._stopping.is_set():
            raise RuntimeError("STREAM_ENDED: the private stream ended although nobody closed it")

    async def _publish(self, update: Update, on_ack: Callable[[], None] = lambda: None) -> None:
        """Hand over one update once there is room in what is in flight; does not wait for its acknowledgement."""
        await self._in_flight.send(
            lambda: self._publisher.publish(update, complete_until_ns=self._position.complete_until_ns), on_ack
        )

    # -- small state -------------------------------------------------------------------------------------------------

    def _take_balance(self, balance: Balance) -> None:
        """Keep the newest: REST and stream tell of the same coins. One from the future is from a moment at which our
        clock was ahead, and keeps no other away."""
        key = (balance.account, balance.currency)
        known = self._balances.get(key)
        if known is None or balance.at_ns >= known.at_ns or known.at_ns > self._clock.now_ns() + AHEAD_NS:
            self._balances[key] = balance

    async def _show_balances(self) -> None:
        """Publish what is newer than what was published, at most once per interval."""
        while True:
            for key, balance in list(self._balances.items()):
                if balance != self._published_balances.get(key):
                    await self._boards.balance(balance)
                    self._published_balances[key] = balance
            await self._clock.sleep(self._options.balance_interval_s)

    async def _poll_balances(self) -> None:
        """Ask for the balances, so that unchanged ones stay young, and those of coins that are gone don't stand."""
        for balance in await self._read_told_balances():  # by a gateway before this one
            key = (balance.account, balance.currency)
            if key not in self._balances:
                self._balances[key] = self._published_balances[key] = balance

        async def ask() -> None:
            listed = await self._trading.balances()
            for balance in (*listed, *self._gone(listed)):
                self._take_balance(balance)

        await self._repeat("balances", ask, self._options.balance_poll_s)

    def _gone(self, listed: Sequence[Balance]) -> list[Balance]:
        """Nothing, of each coin of the account that was told of and is not `listed`, which is all that the venue has:
        it leaves out a coin of which nothing is there, so no reply would ever take its last figure back. Told at each
        question, as the others are. One without any coin says nothing, as the account itself may be missing from it.
        Where nothing is known to be available of the others, it isn't of these: else an account would seem known."""
        if not listed:
            return []
        account, at_ns = listed[0].account, min(balance.at_ns for balance in listed)
        known = any(balance.available_known for balance in listed)
        missing = self._balances.keys() - {(balance.account, balance.currency) for balance in listed}
        return [
            Balance(
                account=account,
                currency=currency,
                total=ZERO,
                available=ZERO,
                at_ns=at_ns,
                available_known=known,
            )
            for owner, currency in sorted(missing)
            if owner == account
        ]

    async def _show_quotes(self) -> None:
        async def ask() -> None:
            for category in self._options.categories:
                await self._boards.quotes(category, await self._trading.quotes(category))

        await self._repeat("quotes", ask, self._options.quote_interval_s)

    async def _show_instruments(self) -> None:
        async def ask() -> None:
            for category in self._options.categories:
                await self._boards.instruments(category, await self._trading.instruments(category))

        await self._repeat("instruments", ask, self._options.instrument_lifetime_s)

    async def _repeat(self, what: str, ask: Callable[[], Awaitable[None]], interval_s: float) -> None:
        """Ask at intervals; while the venue can't be reached, again and again with growing waits."""
        failures = 0
        while True:
            try:
                await ask()
            except VenueError as error:
                failures += 1
                self._troubles[what] = str(error)
                log.warning("%s of the venue could not be read: %s", what, error)
                await self._clock.sleep(retry_delay_s(self._options, failures, error))
            else:
                failures = 0
                self._troubles.pop(what, None)
                await self._clock.sleep(interval_s)
