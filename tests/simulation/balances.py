"""What the gateway shows of the account's coins: it asks now and then, and the stream tells of every change, late and
in no order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import msgspec

from exchanges.venue import Balance
from simulation.broker import Broker
from simulation.effects import Effects
from simulation.venue_orders import ACCOUNT
from simulation.virtual_time import SimulatedClock
from simulation.wallet import Wallet
from simulation.weather import Weather
from streams import boards

_MS = 1_000_000


class BalanceDesk:
    """Keeps the newest balance of each coin, by the time that it bears, and shows it."""

    def __init__(
        self,
        wallet: Wallet,
        broker: Broker,
        topic: str,
        clock: SimulatedClock,
        chance: random.Random,
        weather: Weather,
        effects: Effects,
    ) -> None:
        """`clock`: the gateway's own."""
        self._wallet = wallet
        self._broker = broker
        self._topic = topic
        self._clock = clock
        self._chance = chance
        self._weather = weather
        self._effects = effects
        self._newest: dict[str, Balance] = {}
        self.calm = False

    async def run(self) -> None:
        """Ask for the balances now and then, and show them when they are others, or were not shown for a while."""
        shown: dict[str, Balance] = {}
        young = 0
        while True:
            asked_ns = self._clock.now_ns()
            await asyncio.sleep(self._chance.uniform(0.001, 0.1))
            balances = self._wallet.balances()
            await asyncio.sleep(self._chance.uniform(0.001, 0.1))
            self._take([msgspec.structs.replace(each, at_ns=asked_ns) for each in balances])
            young -= 1
            if young < 0 or _figures(self._newest) != _figures(shown):
                shown, young = dict(self._newest), 5
                self._show()
            slow = self._happens(self._weather.delayed / 4)
            await asyncio.sleep(self._chance.uniform(3.0, 15.0) if slow else 1.0)

    def changed(self) -> None:
        """Something happened to an order: the stream tells what the account has now."""
        if not self._weather.told_balances or self._happens(self._weather.dropped):
            return
        late = self._happens(self._weather.delayed)
        delay_s = self._chance.uniform(0.5, 10.0) if late else self._chance.uniform(0.001, 0.2)
        told_ns = self._wallet.now_ns() // _MS * _MS
        asyncio.get_running_loop().call_later(delay_s, self._arrive, self._wallet.balances(), told_ns)

    def _arrive(self, balances: Sequence[Balance], told_ns: int) -> None:
        """A balance of the stream is as old as the venue says, and no younger than its arrival."""
        arrived_ns = self._clock.now_ns()
        at_ns = arrived_ns if self._weather.stamped_on_arrival else min(arrived_ns, told_ns)
        if self._take([msgspec.structs.replace(each, at_ns=at_ns) for each in balances]):
            self._show()

    def _take(self, balances: Sequence[Balance]) -> bool:
        """Keep what is newer; returns whether anything is."""
        newer = [
            each
            for each in balances
            if each.currency not in self._newest or each.at_ns >= self._newest[each.currency].at_ns
        ]
        self._newest |= {each.currency: each for each in newer}
        return bool(newer)

    def _show(self) -> None:
        for coin, each in self._newest.items():
            self._broker.append((self._topic, 0), boards.balance_key(ACCOUNT, coin), boards.encode(each))
        told = ", ".join(f"{each.available} {coin} of {each.at_ns}" for coin, each in self._newest.items())
        self._effects.note(f"gateway shows {told}")

    def _happens(self, odds: float) -> bool:
        return self._chance.random() < odds and not self.calm


def _figures(balances: dict[str, Balance]) -> list[tuple[str, object]]:
    return [(coin, each.available) for coin, each in balances.items()]
