"""A run: the world of a seed, from its first signal until everything is quiet, and what was found."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from simulation.books import Books
from simulation.broker import Broker
from simulation.calls import Road
from simulation.coin_watch import CoinWatch
from simulation.effects import Crashed, Effects, Life
from simulation.gateway import Gateway
from simulation.group import Group, Owners
from simulation.limit_watch import LimitWatch
from simulation.market import SimulatedMarket
from simulation.people import People
from simulation.surroundings import Surroundings
from simulation.verdict import findings, unsettled
from simulation.virtual_time import NothingLeft, SimulatedClock, VirtualLoop
from simulation.weather import Weather, drawn
from simulation.worker import Worker
from streams.topics import Topics

QUIET_S = 15.0
"""Nothing under way for so long: it is over. Longer than the timers' period of doubt."""

PATIENCE_S = 600.0
"""After so long without faults whatever is still under way is stuck."""

Mutate = Callable[[Worker], None]


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a seed."""

    seed: int
    weather: Weather
    violations: list[str]
    trace: list[str]
    effects: int
    figures: dict[str, int]

    def told(self, lines: int = 400) -> str:
        """For people: what was violated, and how it came to it."""
        shown = self.trace[-lines:]
        left_out = len(self.trace) - len(shown)
        return "\n".join(
            [
                f"seed {self.seed}: {len(self.violations)} violations",
                *(f"  * {sentence}" for sentence in self.violations[:20]),
                f"replay: ORDERMANAGER_SIMULATION_SEEDS={self.seed}:1 pytest tests/simulation",
                f"{self.weather}",
                f"trace ({left_out} earlier lines left out; ORDERMANAGER_SIMULATION_TRACE=<file> writes all):",
                *shown,
            ]
        )


class World:
    """Everything there is in a run."""

    def __init__(self, seed: int, weather: Weather, loop: VirtualLoop, mutate: Mutate | None) -> None:
        self.seed = seed
        self.weather = weather
        self.loop = loop
        self._mutate = mutate
        self._chance = self._stream_of("world")
        self._drifts = self._stream_of("drifts")
        self.effects = Effects(loop, self._stream_of("crash"), weather.crashes, weather.effects_between_crashes)
        self.effects.on_crash = self._crashed
        clock = SimulatedClock(loop)
        self.broker = Broker(weather.partitions, clock)
        self.topics = Topics(partitions=weather.partitions)
        self.books = Books(loop, clock, self._stream_of("books"), weather, self.effects)
        self.road = Road(self._stream_of("road"), weather)
        self.market = SimulatedMarket(clock, self._stream_of("market"), self.road)
        self.gateway = Gateway(
            self.books,
            self.broker,
            self.topics.order_updates,
            self.topics.balances,
            SimulatedClock(loop, self._drift()),
            self._stream_of("gateway"),
            weather,
            self.effects,
        )
        self.around = Surroundings(
            loop=loop,
            clock=clock,
            broker=self.broker,
            topics=self.topics,
            books=self.books,
            road=self.road,
            market=self.market,
            effects=self.effects,
            weather=weather,
            chance=self._stream_of("worker"),
        )
        self.limit_watch = LimitWatch(self.around)
        self.books.before_taking = self.limit_watch.before_taking
        self.people = People(self.around, self._stream_of("people"))
        self._lives = 0
        self.group = Group(self.broker, self.effects, self.around.chance)
        self.owners = Owners(self.group, self.around)
        if weather.coins:
            coins = CoinWatch(self.around, self.owners)
            self.books.before_taking, self.books.before_amending = coins.before_taking, coins.before_amending
        self._drift_of = {f"w{number + 1}": self._drift() for number in range(weather.workers)}
        """By seat: a machine keeps its clock."""
        self.workers = [self._new_worker(f"w{number + 1}") for number in range(weather.workers)]
        """One process, alive or dead, for each seat."""

    @property
    def worker(self) -> Worker:
        """The only one, or the first."""
        return self.workers[0]

    def _drift(self) -> float:
        """How far a clock is from the world's, seconds."""
        apart_s = self.weather.clocks_apart_s
        return self._drifts.uniform(-apart_s / 2, apart_s / 2) if apart_s else 0.0

    def _stream_of(self, name: str) -> random.Random:
        return random.Random(f"{name} {self.seed}")  # noqa: S311 -- a simulation, not a secret

    # -- processes -----------------------------------------------------------------------------------------------

    def _new_worker(self, seat: str, *, with_open: bool = False) -> Worker:
        self._lives += 1
        dry_run = self._chance.random() < self.weather.dry_run if self.weather.dry_run else False
        worker = Worker(
            f"p{self._lives}", self.around, seat, dry_run=dry_run, with_open=with_open, drift_s=self._drift_of[seat]
        )
        worker.on_refusal = lambda sentence: self._refused(worker, sentence)  # type: ignore[method-assign]
        if self._mutate is not None:
            self._mutate(worker)
        return worker

    def _crashed(self, life: Life) -> None:
        """Called in the midst of the effect at which the process ends."""
        dead = next(each for each in self.workers if each.life is life)
        dead.died()
        down_s = self._chance.uniform(0.1, self.weather.down_s)
        self.loop.call_later(down_s, self._start_next, dead)
        if self.weather.workers > 1:
            self.loop.call_later(self._chance.uniform(0.5, 3.0), self.group.miss, dead)

    def _refused(self, worker: Worker, sentence: str) -> None:
        """A process that does not start like this is started as an operator would: with leave."""
        self.effects.note(f"{worker.life.name} does not start: {sentence}")
        worker.died()
        self.loop.call_later(1.0, lambda: self._start_next(worker, with_open=True))

    def _start_next(self, dead: Worker, *, with_open: bool = False) -> None:
        worker = self._new_worker(dead.seat, with_open=with_open)
        self.workers[self.workers.index(dead)] = worker
        self.effects.note(f"{worker.life.name} starts")
        worker.start()
        self.group.join(worker)

    # -- the run -------------------------------------------------------------------------------------------------

    async def run(self) -> list[str]:
        """From the first signal until everything is quiet; returns what was violated."""
        self.effects.note(f"{self.weather}")
        for worker in self.workers:
            worker.start()
            self.group.join(worker)
        faults = [
            self._every(0.1, 2.0, self.books.trade),
            self._every(3.0, 15.0, self.gateway.fill_gap),
            *(self._at_times(self.weather.handovers, self._hand_over)),
            *(self._at_times(self.weather.lease_doubts, self._doubt_lease)),
            *(self._at_times(self.weather.maintenance, self._maintain)),
            *(self._at_times(self.weather.halts, self._halt)),
        ]
        tasks = [asyncio.create_task(work) for work in (*faults, self.people.send())]
        if self.weather.balance or self.weather.coins:
            self._balances = asyncio.create_task(self.gateway.balances.run())
        await self._for(self.weather.busy_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._calm_down()
        await self._until_quiet()
        if not self.effects.violations:
            for sentence in findings(self.owners, self.people.instruments):
                self.effects.violate(sentence)
        return self.effects.violations

    async def _for(self, seconds: float) -> None:
        """Wait so long, or until something was violated."""
        await asyncio.wait((asyncio.ensure_future(self.effects.violated.wait()),), timeout=seconds)

    def _calm_down(self) -> None:
        self.effects.note("CALM from here on")
        self.effects.crashing = False
        self.road.calm = self.books.calm = True
        self.gateway.calm_down()
        self.road.away_until_s = 0.0
        self.market.halted.clear()
        self.around.orders_grow_stale = False
        for worker in self.workers:
            worker.inbox.lease_good = True
            worker.calm_down()

    async def _until_quiet(self) -> None:
        quiet_s, end_s = 0.0, self.loop.time() + PATIENCE_S
        busy: list[str] = []
        while quiet_s < QUIET_S and not self.effects.violations:
            if self.loop.time() > end_s:
                self.effects.violate(f"stuck: {'; '.join(busy[:10])}")
                return
            await self._for(1.0)
            self.gateway.fill_gap()
            busy = unsettled(self.owners, self.weather.workers)
            if self.gateway.under_way:
                busy.append("the stream has messages under way")
            quiet_s = 0.0 if busy else quiet_s + 1.0

    # -- what goes on meanwhile ----------------------------------------------------------------------------------

    async def _every(self, least_s: float, most_s: float, deed: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(least_s, most_s))
            deed()

    def _at_times(self, count: int, deed: Callable[[], Coroutine[Any, Any, None]]) -> list[Coroutine[Any, Any, None]]:
        """`deed` at so many moments of the busy time."""

        async def later(delay_s: float) -> None:
            await asyncio.sleep(delay_s)
            await deed()

        return [later(self._chance.uniform(0, self.weather.busy_s)) for _ in range(count)]

    async def _hand_over(self) -> None:
        if any(each.life.alive and each.inbox.is_open for each in self.workers):
            self.group.rebalance()

    async def _doubt_lease(self) -> None:
        inbox = self._some_worker().inbox
        self.effects.note("the lease is in doubt")
        inbox.lease_good = False
        await asyncio.sleep(self._chance.uniform(0.1, 4.0))
        inbox.lease_good = True

    def _some_worker(self) -> Worker:
        return self.workers[0] if len(self.workers) == 1 else self._chance.choice(self.workers)

    async def _maintain(self) -> None:
        self.effects.note("the venue is away")
        self.road.away_until_s = self.loop.time() + self._chance.uniform(1.0, 30.0)

    async def _halt(self) -> None:
        symbol = self._chance.choice(self.people.symbols)
        self.effects.note(f"{symbol} is halted")
        self.market.halted.add(symbol)
        await asyncio.sleep(self._chance.uniform(0.5, 10.0))
        self.market.halted.discard(symbol)


def simulate(seed: int, weather: Weather | None = None, mutate: Mutate | None = None) -> Run:
    """Run a seed. `weather` replaces the one that is drawn from it; `mutate` changes every process made."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        world = World(seed, weather or drawn(seed), loop, mutate)
        loop.set_exception_handler(lambda _loop, context: _unforeseen(world, context))
        try:
            loop.run_until_complete(world.run())
        except NothingLeft as error:
            world.effects.violate(f"nothing will ever happen again: {error}")
        for worker in world.workers:
            worker.died()
        _end_all(loop)
        books = world.books
        figures = {
            "effects": world.effects.count,
            "lives": world._lives,
            "orders": len(books.orders),
            "fills": sum(len(order.fills) for order in books.orders.values()),
            "updates": sum(world.broker.end((world.topics.order_updates, p)) for p in range(world.weather.partitions)),
        }
        return Run(seed, world.weather, world.effects.violations, world.effects.trace, world.effects.count, figures)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _end_all(loop: VirtualLoop) -> None:
    """Nothing of this world may reach into the next."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def _unforeseen(world: World, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if _is_a_crash(error) or not all(each.life.alive for each in world.workers):
        return
    world.effects.violate(f"unforeseen: {context.get('message')}: {error!r}")


def _is_a_crash(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_a_crash(each) for each in error.exceptions)
    return isinstance(error, Crashed)
