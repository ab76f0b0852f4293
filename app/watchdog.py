"""The watchdog: ends the process when it goes on without getting on, so that the records come again to another."""

# mode carries no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from mode import Service

from streams.record import Source

if TYPE_CHECKING:
    from app.engine import Engine

COLLECT_AFTER = (20_000, 20, 20)
"""Objects made before a look at the young ones (about 1 ms), and how many looks before the older ones have theirs."""
LOOK_S = 1.0


class Work(NamedTuple):
    """A record that is being handled, in the generation that delivered it."""

    source: Source
    generation: int


class LongestWork:
    """How long each record has been handled, as far as was looked: time in which nobody looked, because the process
    slept, doesn't count, nor does what came before a look that did not find it."""

    def __init__(self) -> None:
        self._looked_s: dict[Work, float] = {}

    def look(self, works: Iterable[Work], since_s: float) -> tuple[float, Source | None]:
        """The longest of `works` and its seconds. `since_s`: the time since the last look."""
        before = self._looked_s
        self._looked_s = {work: before[work] + since_s if work in before else 0.0 for work in works}
        return max(((looked_s, work.source) for work, looked_s in self._looked_s.items()), default=(0.0, None))


class Watch(Service):
    """Looks after the process once a second: overdue records, no progress."""

    engine: Engine

    def __init__(self, **kwargs: Any) -> None:
        self._idle_s = 0.0
        self._finished = 0
        self._longest = LongestWork()
        super().__init__(**kwargs)

    async def on_start(self) -> None:
        """Everything is made: take it out of the collector's sight, whose full passes would stop the loop for 0.1 s.
        Rows and events on their way are many and form no cycles: looking after every 700 of them costs a seventh of
        the processor under load."""
        if self.engine.app.in_worker:
            gc.collect()
            gc.freeze()
            gc.set_threshold(*COLLECT_AFTER)

    @Service.task
    async def _look(self) -> None:
        while not self.should_stop:
            await self.sleep(LOOK_S)
            self.engine.log.check_deadline()
            self.check_progress()

    def check_progress(self) -> None:
        """One look, a second after the last."""
        self._check_all()
        self._check_each()

    def _check_all(self) -> None:
        """Whether anything is finished, of whatever topic."""
        ledger, limit_s = self.engine.wiring.ledger, self.engine.options.progress_limit_s
        finished = ledger.finished_total
        if finished != self._finished or not len(ledger) or not self.engine.inbox.is_open:
            self._finished, self._idle_s = finished, 0.0
            return
        self._idle_s += LOOK_S
        if limit_s and self._idle_s >= limit_s and not (self.engine.explains_waiting() or self._each_waits()):
            oldest = ", ".join(str(source) for source in ledger.unfinished(5))
            self.engine.wiring.stop(f"NO_PROGRESS: nothing finished for {limit_s} s; oldest: {oldest}")

    def _each_waits(self) -> bool:
        """Whether all that is begun has a reason of its own to wait: the rest waits behind it."""
        begun = any(True for lanes in self.engine.all_lanes.values() for _ in lanes.begun())
        return begun and next(self._works(), None) is None

    def _check_each(self) -> None:
        """Whether each record that is being handled comes to its end: others that do would hide one that never will,
        and that holds up its symbol, and what may be committed of its partition."""
        engine, limit_s = self.engine, self.engine.options.turn_limit_s
        looked_s, source = self._longest.look(self._works() if engine.inbox.is_certain else (), LOOK_S)
        if limit_s and looked_s >= limit_s:
            engine.wiring.stop(f"NO_PROGRESS: {source} has been handled for {looked_s:g} s and comes to no end")

    def _works(self) -> Iterator[Work]:
        """What is begun and has no reason to wait: a lane's first record; of a topic without lanes, the oldest of each
        partition. What waits for its turn behind another is not the one that is stuck."""
        engine = self.engine
        for lanes in engine.all_lanes.values():
            for record in lanes.begun():
                if not engine.explains_turn(record):
                    yield Work(record.source, record.generation)
        for source, generation in engine.wiring.ledger.oldest():
            if source.topic not in engine.all_lanes:
                yield Work(source, generation)
