"""The venue's private stream and the gateway that appends it to `order-updates`: late, repeated, reordered, gappy."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import msgspec

from domain.updates import FillReport, OrderReport, encode_update
from simulation.books import Books
from simulation.broker import Broker
from simulation.effects import Effects
from simulation.venue_orders import ACCOUNT
from simulation.virtual_time import SimulatedClock
from simulation.weather import Weather
from streams import boards


class Gateway:
    """Runs apart from the order manager: its crashes and ours have nothing to do with each other."""

    def __init__(
        self,
        books: Books,
        broker: Broker,
        topic: str,
        clock: SimulatedClock,
        chance: random.Random,
        weather: Weather,
        effects: Effects,
    ) -> None:
        self._books = books
        self._broker = broker
        self._topic = topic
        self._clock = clock
        self._chance = chance
        self._weather = weather
        self._effects = effects
        self._missed: set[str] = set()
        self._missed_funding: list[FillReport] = []
        self.calm = False
        self.under_way = 0
        books.tell = self.hear

    def hear(self, update: OrderReport | FillReport) -> None:
        """A message of the stream leaves the venue."""
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

    # -- balances ------------------------------------------------------------------------------------------------

    async def show_balances(self, topic: str) -> None:
        """Ask for the balance now and then, and show it when it is another one, or was not shown for a while."""
        shown: dict[str, Decimal] = {}
        young = 0
        while True:
            asked_ns = self._clock.now_ns()
            await asyncio.sleep(self._chance.uniform(0.001, 0.1))
            balances = [msgspec.structs.replace(each, at_ns=asked_ns) for each in self._books.wallet.balances()]
            await asyncio.sleep(self._chance.uniform(0.001, 0.1))
            young -= 1
            available = {each.currency: each.available for each in balances}
            if available != shown or young < 0:
                shown, young = available, 5
                for each in balances:
                    self._broker.append((topic, 0), boards.balance_key(ACCOUNT, each.currency), boards.encode(each))
                self._effects.note(f"gateway shows balances of {', '.join(f'{n} {c}' for c, n in shown.items())}")
            slow = self._happens(self._weather.delayed / 4)
            await asyncio.sleep(self._chance.uniform(3.0, 15.0) if slow else 1.0)

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
        return self._chance.random() < odds and not self.calm
