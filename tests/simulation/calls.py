"""The `Trading` port of one process: requests travel, arrive (or not), and are answered (or not)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import TypeVar

import msgspec

from domain.errors import NotAccepted, RateLimited, Uncertain, VenueError
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.money import ZERO
from domain.orders import PositionSide
from domain.positions import PositionState, after_fill
from domain.protection import TriggerBy
from domain.updates import Call, FillReport, OrderReport, Origin
from exchanges.venue import Balance, NewOrder, OrderRef, VenuePosition, VenueTraits
from simulation.books import Books, as_read
from simulation.effects import Effects, Life
from simulation.virtual_time import SimulatedClock
from simulation.weather import Weather

T = TypeVar("T")

_NS = 1_000_000_000
_TIMEOUT_S = 0.8


class Road:
    """The way to the venue, shared by all processes: what goes wrong on it, and when the venue is away."""

    def __init__(self, chance: random.Random, weather: Weather) -> None:
        self.chance = chance
        self.weather = weather
        self.away_until_s = 0.0
        self.calm = False
        self.creates_under_way: Counter[str] = Counter()
        """By client order id: requests that have left and will arrive within the window."""

    def happens(self, odds: float) -> bool:
        """Whether a fault with these odds happens now."""
        return self.chance.random() < odds and not self.calm


class SimulatedTrading:
    """Makes one attempt per call, like every adapter, and says what is known of it by the class of the error."""

    def __init__(self, books: Books, road: Road, clock: SimulatedClock, life: Life, effects: Effects) -> None:
        self._books = books
        self._road = road
        self._clock = clock
        self._life = life
        self._effects = effects
        self.before_create: Callable[[NewOrder], None] = lambda _order: None
        self.before_amend: Callable[[OrderRef, Decimal | None, Decimal | None], None] = lambda *_terms: None
        self.before_cancel: Callable[[OrderRef], None] = lambda _ref: None
        self.before_stop: Callable[[Instrument, PositionSide, Decimal], None] = lambda *_stop: None
        weather = road.weather
        self.traits = VenueTraits(
            name="paper",
            unique_client_ids=weather.unique_client_ids,
            receive_window_s=weather.receive_window_s,
            history_lag_s=weather.history_lag_s,
            unfilled_history_s=86_400.0,
            protects=True,
            batch_sizes=dict.fromkeys(weather.categories, 3),
        )

    async def admit(self, call: Call, wanted: int = 1) -> int:
        """Tokens of the rate limit: one, and some more for a batch."""
        await asyncio.sleep(self._road.chance.choice((0.0, 0.0, 0.01, 0.3)))
        return self._road.chance.randint(1, wanted) if wanted > 1 else 1

    async def create(self, order: NewOrder) -> str:
        """Ask for an order."""
        self._leaves(order)
        order_id = order.client_order_id
        return await self._travel(f"create {order_id}", lambda: self._books.create(order), counted_as=(order_id,))

    async def create_batch(self, orders: Sequence[NewOrder]) -> Sequence[str | VenueError]:
        """Ask for several orders in one request, as `cancel_batch` does."""
        for order in orders:
            self._leaves(order)
        order_ids = [order.client_order_id for order in orders]
        arrivals = [partial(self._books.create, order) for order in orders]
        return await self._travel_together(f"create {', '.join(order_ids)}", arrivals, counted_as=order_ids)

    def _leaves(self, order: NewOrder) -> None:
        self.before_create(order)
        if self._road.creates_under_way[order.client_order_id] > 0:
            self._effects.violate(f"{order.client_order_id} is sent again while an earlier request may still arrive")

    async def cancel(self, ref: OrderRef) -> None:
        """Ask for an order's end."""
        self.before_cancel(ref)
        await self._travel(f"cancel {ref.client_order_id or ref.venue_order_id}", lambda: self._cancel(ref))

    async def cancel_batch(self, refs: Sequence[OrderRef]) -> Sequence[VenueError | None]:
        """Ask for the ends of several orders in one request, which arrives, or is answered, as a whole or not at all;
        now and then the answer leaves an order out."""
        for ref in refs:
            self.before_cancel(ref)
        return await self._travel_together(
            f"cancel {len(refs)}: {', '.join(ref.client_order_id or ref.venue_order_id for ref in refs)}",
            [partial(self._cancel, ref) for ref in refs],
        )

    def _cancel(self, ref: OrderRef) -> None:
        self._books.cancel(self._books.find(ref.client_order_id, ref.venue_order_id))

    async def amend(self, ref: OrderRef, *, quantity: Decimal | None = None, price: Decimal | None = None) -> None:
        """Ask for other terms of an order."""
        self.before_amend(ref, quantity, price)
        await self._travel(
            f"amend {ref.client_order_id or ref.venue_order_id} {quantity} {price}",
            lambda: self._books.ask_to_amend(
                self._books.find(ref.client_order_id, ref.venue_order_id), price, quantity
            ),
        )

    async def set_stop_loss(self, instrument: Instrument, side: PositionSide, price: Decimal, by: TriggerBy) -> None:
        """Ask for the stop-loss of a position."""
        self.before_stop(instrument, side, price)
        await self._travel(
            f"stop {instrument.symbol} {side} at {price} by {by}",
            lambda: self._books.protections.set_stop(instrument, side, price),
        )

    # -- reading: eventually consistent --------------------------------------------------------------------------

    async def order(self, ref: OrderRef, *, origin: Origin = Origin.REST) -> OrderReport | None:
        """The order as some replica of the venue knows it."""
        return await self._travel(f"order {ref.client_order_id}", lambda: self._row(ref, origin), reading=True)

    def _row(self, ref: OrderRef, origin: Origin) -> OrderReport | None:
        order = self._books.find(ref.client_order_id, ref.venue_order_id)
        seen_until_ns = self._seen_until_ns()
        known = [report for report in order.shown if report.updated_ns <= seen_until_ns] if order else []
        return as_read(known[-1], self._clock.now_ns(), origin) if known else None

    async def executions(
        self,
        category: str,
        *,
        since_ns: int,
        symbol: str | None = None,
        ref: OrderRef | None = None,
        origin: Origin = Origin.REST,
    ) -> Sequence[FillReport]:
        """The executions that some replica knows."""
        return await self._travel(
            f"executions {symbol}", lambda: self._executions(category, symbol, ref, since_ns, origin), reading=True
        )

    async def payments(self, category: str, *, since_ns: int, origin: Origin = Origin.REST) -> Sequence[FillReport]:
        """The funding that some replica knows."""
        return await self._travel("payments", lambda: self._payments(category, since_ns, origin), reading=True)

    def _payments(self, category: str, since_ns: int, origin: Origin) -> list[FillReport]:
        funding = [payment for payment in self._books.funding if payment.instrument.category == category]
        return self._seen(funding, since_ns, origin)

    def _executions(
        self, category: str, symbol: str | None, ref: OrderRef | None, since_ns: int, origin: Origin
    ) -> list[FillReport]:
        if ref is None:
            fills = self._books.fills_of(category, symbol)
        else:
            order = self._books.find(ref.client_order_id, ref.venue_order_id)
            fills = order.fills if order else []
        return self._seen(fills, since_ns, origin)

    def _seen(self, fills: Sequence[FillReport], since_ns: int, origin: Origin) -> list[FillReport]:
        seen_until_ns = self._seen_until_ns()
        return [
            msgspec.structs.replace(fill, received_ns=self._clock.now_ns(), origin=origin)
            for fill in fills
            if since_ns <= fill.executed_ns <= seen_until_ns
        ]

    async def open_orders(
        self, category: str, symbol: str | None = None, *, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """The open orders that some replica knows."""
        return await self._travel("open orders", lambda: self._listed(category, origin, ended=False), reading=True)

    async def closed_orders(
        self, category: str, *, since_ns: int, symbol: str | None = None, origin: Origin = Origin.REST
    ) -> Sequence[OrderReport]:
        """The orders that ended, as some replica knows them; some have left the list already."""
        return await self._travel("closed orders", lambda: self._listed(category, origin, ended=True), reading=True)

    def _listed(self, category: str, origin: Origin, *, ended: bool) -> list[OrderReport]:
        seen_until_ns = self._seen_until_ns()
        found = []
        for order in self._books.orders.values():
            known = [report for report in order.shown if report.updated_ns <= seen_until_ns]
            if (
                known
                and order.new.instrument.category == category
                and known[-1].state.terminal is ended
                and not self._road.happens(self._road.weather.stale_read / 4)
            ):
                found.append(as_read(known[-1], self._clock.now_ns(), origin))
        return found

    async def positions(self, category: str, symbol: str | None = None) -> Sequence[VenuePosition]:
        """The positions that some replica knows."""
        return await self._travel(f"positions {symbol or ''}", lambda: self._positions(category, symbol), reading=True)

    def _positions(self, category: str, symbol: str | None) -> list[VenuePosition]:
        seen_until_ns = self._seen_until_ns()
        shown = [
            self._position(instrument, side, seen_until_ns)
            for instrument in self._books.instruments()
            if instrument.category == category and symbol in {None, instrument.symbol} and not instrument.spot
            for side in self._books.sides.names
        ]
        return [position for position in shown if symbol is not None or position.size]

    def _position(self, instrument: Instrument, side: PositionSide, seen_until_ns: int) -> VenuePosition:
        state, at_ns, sequence = PositionState(), 0, 0
        for fill in self._books.fills_of_side(instrument, side):
            if fill.executed_ns <= seen_until_ns:
                state, at_ns, sequence = after_fill(state, fill), fill.executed_ns, fill.venue_sequence
        return VenuePosition(
            instrument=instrument,
            side=side,
            size=state.size,
            average_entry=state.average_entry,
            mark=state.average_entry,
            unrealised=ZERO,
            updated_ns=at_ns,
            venue_sequence=sequence,
        )

    async def balances(self) -> Sequence[Balance]:
        """The coins that some replica knows."""
        return await self._travel("balances", lambda: self._books.wallet.balances(self._seen_until_ns()), reading=True)

    def _seen_until_ns(self) -> int:
        """Up to which moment the replica that answers has followed."""
        lag_s = self._road.weather.history_lag_s
        behind_s = self._road.chance.uniform(0.0, lag_s) if self._road.happens(self._road.weather.stale_read) else 0.0
        return self._books.clock.now_ns() - int(behind_s * _NS)

    # -- the road ------------------------------------------------------------------------------------------------

    async def _travel(
        self, what: str, arrive: Callable[[], T], *, reading: bool = False, counted_as: Sequence[str] = ()
    ) -> T:
        """One request: it may die here, on the way, there, or on the way back."""
        self._effects.happens(self._life, f"call {what}")
        try:
            answer = await self._sent(arrive, counted_as, reading=reading)
        except VenueError as error:
            self._effects.happens(self._life, f"raised {what}: {error}")
            raise
        self._effects.happens(self._life, f"answered {what}: {answer}"[:160])
        return answer

    async def _travel_together(
        self, what: str, arrivals: Sequence[Callable[[], T]], counted_as: Sequence[str] = ()
    ) -> list[T | VenueError]:
        """A batch: one request, an outcome for each of its orders."""
        try:
            outcomes = await self._travel(
                what, lambda: [self._one(arrive) for arrive in arrivals], counted_as=counted_as
            )
        except VenueError as error:
            return [error] * len(arrivals)
        left_out = Uncertain("UNREADABLE_REPLY", "no verdict on the order")
        odds = self._road.weather.lost_reply
        return [left_out if self._road.happens(odds) else outcome for outcome in outcomes]

    def _one(self, arrive: Callable[[], T]) -> T | VenueError:
        """One order of a batch; those that are too many for the venue's rate fall alone."""
        if self._road.happens(self._road.weather.rate_limited):
            return RateLimited("RATE_LIMITED", "too many orders", retry_after_s=1.0)
        return _outcome(arrive)

    async def _sent(self, arrive: Callable[[], T], counted_as: Sequence[str], *, reading: bool) -> T:
        road, weather = self._road, self._road.weather
        self._fail_before_sending(reading=reading)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T | VenueError] = loop.create_future()
        timeout_s = _TIMEOUT_S
        way_s = road.chance.uniform(0.001, 0.1)
        if not reading and road.happens(weather.lost_request):
            await asyncio.sleep(timeout_s)
            raise Uncertain("TIMEOUT", "no reply in time")
        if not reading and road.happens(weather.late_request):
            way_s = road.chance.uniform(timeout_s, 2 * weather.receive_window_s)
        silent = road.happens(weather.lost_reply)
        stamped_ns = self._clock.now_ns()

        late_ns = self._books.clock.now_ns() + int(way_s * _NS) - stamped_ns
        in_time = late_ns <= weather.receive_window_s * _NS

        def arrives() -> None:
            road.creates_under_way.subtract(counted_as if in_time else ())
            if not in_time:
                self._effects.note("venue refuses a request that is too late")
                return
            result = _outcome(arrive)
            if silent:
                self._effects.note("the venue's reply is lost")
                return
            loop.call_later(road.chance.uniform(0.001, 0.1), _answer, answer, result)

        road.creates_under_way.update(counted_as if in_time else ())
        loop.call_later(way_s, arrives)
        await asyncio.wait((answer,), timeout=timeout_s)
        if not answer.done():
            answer.cancel()
            raise Uncertain("TIMEOUT", "no reply in time")
        if not reading and road.happens(weather.server_error):
            raise Uncertain("SERVER_ERROR", "the venue failed after it had the request")
        result = answer.result()
        if isinstance(result, VenueError):
            raise result
        return result

    def _fail_before_sending(self, *, reading: bool) -> None:
        road, weather = self._road, self._road.weather
        away = asyncio.get_running_loop().time() < road.away_until_s
        if away or road.happens(weather.no_connection):
            raise NotAccepted("NO_CONNECTION", "the connection never opened")
        if road.happens(weather.rate_limited):
            raise RateLimited("RATE_LIMITED", "too many requests", retry_after_s=road.chance.uniform(0.1, 2.0))
        if reading and road.happens(weather.failed_read):
            raise Uncertain("READ_FAILED", "the venue could not read")

    # -- what the handlers under test don't ask ------------------------------------------------------------------

    async def instruments(self, category: str) -> Sequence[InstrumentRules]:
        """Not used by the handlers."""
        raise NotImplementedError

    async def quote(self, instrument: Instrument) -> Quote:
        """Not used by the handlers."""
        raise NotImplementedError

    async def quotes(self, category: str) -> dict[str, Quote]:
        """Not used by the handlers."""
        raise NotImplementedError

    async def close(self) -> None:
        """There is no connection."""


def _outcome(arrive: Callable[[], T]) -> T | VenueError:
    try:
        return arrive()
    except VenueError as error:
        return error


def _answer(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)
