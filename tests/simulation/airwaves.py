"""The broadcasts as one process hears them: every record in the order of the log, at a pace of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from simulation.broker import Broker
from streams import boards
from streams.broadcast import Broadcasts
from streams.ports import Clock
from streams.topics import Topics
from tables.receipt import Receipt

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Heard:
    """A record as a consumer delivers it."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    offset: int


class Airwaves(Broadcasts):
    """The real reading of records; only where they come from is simulated."""

    def __init__(self, broker: Broker, topics: Topics, chance: random.Random, slow: float, clock: Clock) -> None:
        """`slow`: how often the topics are heard seconds late. `clock`: the process's own."""
        followed = (topics.controls, topics.balances, topics.order_exposure, topics.marks)
        super().__init__("nowhere", followed)
        self._broker = broker
        self._chance = chance
        self._slow = slow
        self._controls = topics.controls
        self.overtaken = boards.too_late(topics, clock.now_ns)

    def silent_s(self, topic: str) -> float:
        """Never."""
        return 0.0

    def unanswered_s(self, topic: str) -> float:
        """Never."""
        return 0.0

    def write_again_by(self, log: Any) -> None:  # Any: the process's `Log`
        """What stands in spite of a later record is written once more, as the application does."""

        def write_again(topic: str, key: bytes, standing: bytes) -> None:
            if topic == self._controls:
                log.append(topic, 0, key, standing, Receipt())

        self.on_overtaken = write_again

    def catch_up(self) -> list[Coroutine[Any, Any, None]]:
        """Read every topic to its present end; returns what goes on following them."""
        for topic in self._tables:
            self._take_all(topic)
        return [self._follow_topic(topic) for topic in self._tables]

    async def _follow_topic(self, topic: str) -> None:
        while True:
            await self._broker.beyond((topic, 0), self._positions[topic])
            late = self._chance.random() < self._slow
            await asyncio.sleep(self._chance.uniform(0.2, 3.0) if late else self._chance.uniform(0.001, 0.02))
            self._take_all(topic)
            self._reading = [waiting for waiting in self._reading if not self._released(waiting)]

    def _take_all(self, topic: str) -> None:
        log = self._broker.logs[topic, 0]
        while self._positions[topic] < len(log):
            offset = self._positions[topic]
            stored = log[offset]
            self._take(topic, _Heard(stored.key, stored.value, stored.timestamp_ns // _NS_PER_MS, offset))
