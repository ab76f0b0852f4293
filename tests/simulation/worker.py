"""One process of the order manager from its start to its end, and how its records flow."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from simulation.broker import TopicPartition
from simulation.effects import Crashed, Refused
from simulation.handlers import Handlers
from streams.record import Record


class Worker(Handlers):
    """A process. It owns the partitions that the group gives it."""

    partitions: frozenset[int] = frozenset()
    """Those whose tables are open here."""

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """What runs for as long as the process; the group is joined by whoever started it."""
        if self.around.weather.heard:
            for following in self.airwaves.catch_up():
                self._spawn(following, self._tasks)
            self.airwaves.write_again_by(self.log)
        self._spawn(self.timers.run(), self._tasks)
        self._spawn(self.waiting_parts.run(0.5), self._tasks)
        self._spawn(self._commit_now_and_then(), self._tasks)
        if self.account is not None:
            self._spawn(self.loss_watch.run(), self._tasks)
        if self.auto_stop is not None:
            self._spawn(self.auto_stop.run(), self._tasks)

    def own(self, partitions: Sequence[int]) -> None:
        """Recover the tables of these partitions, ask the venue, let records flow."""
        self.own_rows(partitions)
        if not self.around.weather.heard:
            self._begin()
            return
        self._spawn(self._begin_when_told(), self._pumps)

    async def _begin_when_told(self) -> None:
        """What has to be known before records flow may have to be read first."""
        try:
            if self.around.weather.dry_run:
                await self.modes.assigned(self.partitions)
            if self.account is not None:
                await self.board.catch_up()
            self._begin()
        except Refused as refusal:
            self.on_refusal(str(refusal))
        except Crashed:
            return

    def _begin(self) -> None:
        broker, topics = self.around.broker, self.around.topics
        for partition in sorted(self.partitions):
            self.recovery.assigned(partition)
            if self.account is not None:
                self.taken_before.assigned(partition)
                self.board.assigned(partition)
                self.taken_before.let_go(partition)
        inputs = [(topic, partition) for topic in topics.inputs for partition in sorted(self.partitions)]
        starts = {at: broker.committed.get(at, 0) for at in inputs}
        self.inbox.open(starts)
        self.caught_up_at = {at[1]: broker.end(at) for at in inputs if at[0] == topics.order_updates}
        self.signal_lanes.resume()
        self.command_lanes.resume()
        for at in inputs:
            self._spawn(self._deliver(at, starts[at]), self._pumps)

    def on_refusal(self, sentence: str) -> None:
        """Told of a process that does not want to start like this; replaced by whoever starts processes."""

    def own_rows(self, partitions: Sequence[int]) -> None:
        """Recover the tables."""
        self.partitions = frozenset(partitions)
        for rows in self.rows.values():
            rows.recover(self.log, partitions)

    def died(self) -> None:
        """The process is gone, wherever it was; called by whoever noticed."""
        self.life.alive = False
        self.log.lost()
        for partition in sorted(self.partitions):
            self.recovery.revoked(partition)
        # A dead process runs nothing any more: nothing of it may come to life by being cancelled.
        lanes = (*self.signal_lanes._tasks, *self.command_lanes._tasks)  # private: nobody else kills a process
        for task in (*self._tasks, *self._pumps, *lanes):
            task.cancel()

    def let_go(self) -> asyncio.Task[None]:
        """A rebalance takes the partitions away: let go of them in order."""
        return self._spawn(self._let_go(), self._tasks)

    async def _let_go(self) -> None:
        self.around.effects.note(f"{self.life.name} HAND OVER")
        self.inbox.close()
        for pump in self._pumps:
            pump.cancel()
        self._pumps.clear()
        self.signal_lanes.stop_taking()
        self.command_lanes.stop_taking()
        await self.signal_lanes.drained()
        await self.command_lanes.drained()
        await self.inbox.idle()
        await self.log.flushed()
        try:
            self._commit()
        except Crashed:
            return
        partitions, self.partitions = self.partitions, frozenset()
        for rows in self.rows.values():
            rows.withdraw()
        for partition in sorted(partitions):
            self.recovery.revoked(partition)
            self.order_agent.forget(partition)
        if self.account is not None:
            try:
                await self.board.parting(partitions)
            except Crashed:
                return

    def _spawn(self, work: Coroutine[Any, Any, None], into: dict[asyncio.Task[None], None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        into[task] = None
        task.add_done_callback(lambda ended: self._ended(ended, into))
        return task

    def _ended(self, task: asyncio.Task[None], tasks: dict[asyncio.Task[None], None]) -> None:
        tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed("a task", error)

    # -- records flow --------------------------------------------------------------------------------------------

    async def _deliver(self, at: TopicPartition, position: int) -> None:
        """Deliver one partition from its committed offset on, in small runs."""
        broker, chance, topics = self.around.broker, self.around.chance, self.around.topics
        generation = self.inbox.generation
        while True:
            await broker.beyond(at, position)
            slow = chance.random() < self.around.weather.slow_delivery
            await asyncio.sleep(chance.uniform(0.5, 4.0) if slow else chance.uniform(0.0, 0.01))
            run = []
            for _ in range(chance.randint(1, broker.end(at) - position)):
                record = self._record(at, position, generation)
                self.inbox.take(record)
                run.append(record)
                position += 1
            try:
                if at[0] == topics.order_updates:
                    self.order_agent.handle(run)
                    continue
                lanes = self.signal_lanes if at[0] == topics.signals else self.command_lanes
                for record in run:
                    await lanes.submit(record)
            except Crashed:
                return

    def record_at(self, at: TopicPartition, offset: int, value: bytes) -> Record:
        """A record of the current generation."""
        return Record(*at, offset, None, value, (), self.clock.now_ns(), self.inbox.generation)

    def _record(self, at: TopicPartition, offset: int, generation: int) -> Record:
        stored = self.around.broker.logs[at][offset]
        return Record(*at, offset, stored.key, stored.value, stored.headers, stored.timestamp_ns, generation)

    async def _commit_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self.around.chance.uniform(0.05, 3.0))
            try:
                self._commit()
            except Crashed:
                return

    def _commit(self) -> None:
        for at, offset in self.inbox.watermarks().items():
            if offset > self.around.broker.committed.get(at, 0):
                self.around.effects.happens(self.life, f"commit {at[0]}-{at[1]} at {offset}")
                self.around.broker.committed[at] = offset
