"""The venue's private stream and the gateway that appends it to `order-updates`: late, repeated, reordered, gappy."""

from __future__ import annotations

import asyncio
import random

import msgspec

from domain.updates import FillReport, OrderReport, encode_update
from simulation.balances import BalanceDesk
from simulation.books import Books
from simulation.broker import Broker
from simulation.effects import Effects
from simulation.virtual_time import SimulatedClock
from simulation.weather import Weather


class Gateway:
    """Runs apart from the order manager: its crashes and ours have nothing to do with each other."""

    def __init__(
        self,
        books: Books,
        broker: Broker,
        topic: str,
        balances: str,
        clock: SimulatedClock,
        chance: random.Random,
        weather: Weather,
        effects: Effects,
    ) -> None:
        """`topic`, `balances`: where updates and balances go. `clock`: its own."""
        self._books = books
        self._broker = broker
        self._topic = topic
        self._clock = clock
        self._chance = chance
        self._weather = weather
        self._effects = effects
        self._missed: set[str] = set()
        self._missed_funding: list[FillReport] = []
        self._calm = False
        self.under_way = 0
        self.balances = BalanceDesk(books.wallet, broker, balances, clock, chance, weather, effects)
        books.tell = self.hear

    def hear(self, update: OrderReport | FillReport) -> None:
        """A message of the stream leaves the venue."""
        self.balances.changed()
        if self._happens(self._weather.dropped):
            self._effects.note(f"stream drops a message about {update.venue_order_id}")
            self._miss(update)
            return
        if self._happens(self._weather.nameless):
            update = msgspec.structs.replace(update, client_order_id="")
        times = 1 + (self._chance.randint(1, 3) if self._happens(self._weather.repeated) else 0)
        for _ in range(times):
            late = self._happens(self._weather.delayed)
            delay_s = self._chance.uniform(0.5, 20.0) if late else self._chance.uniform(0.001, 0.2)
            self.under_way += 1
            asyncio.get_running_loop().call_later(delay_s, self._append, update)

    def calm_down(self) -> None:
        """Nothing goes wrong from here on."""
        self._calm = self.balances.calm = True

    def fill_gap(self) -> None:
        """Ask the venue for what was missed, and append it."""
        missed, self._missed = sorted(self._missed), set()
        for venue_id in missed:
            order = self._books.orders[venue_id]
            told: list[OrderReport | FillReport] = [*order.shown[-1:], *order.fills]
            for update in told:
                self.under_way += 1
                self._append(update)
        payments, self._missed_funding = self._missed_funding, []
        for payment in payments:
            self.under_way += 1
            self._append(payment)

    def _miss(self, update: OrderReport | FillReport) -> None:
        if update.venue_order_id in self._books.orders:
            self._missed.add(update.venue_order_id)
        elif isinstance(update, FillReport):
            self._missed_funding.append(update)

    def _append(self, update: OrderReport | FillReport) -> None:
        self.under_way -= 1
        key = update.instrument.symbol.encode()
        record = msgspec.structs.replace(update, received_ns=self._clock.now_ns())
        offset = self._broker.append((self._topic, self._broker.partition_of(key)), key, encode_update(record))
        what = update.state if isinstance(update, OrderReport) else f"fill {update.execution_id}"
        self._effects.note(f"gateway appends {update.venue_order_id} {what} at {offset}")

    def _happens(self, odds: float) -> bool:
        return self._chance.random() < odds and not self._calm
