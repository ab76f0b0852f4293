"""The consumer group: whose partitions are whose, and how they go from one process to another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from simulation.broker import Broker
from simulation.effects import Effects
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.receipt import Receipt
from tables.signals import SignalTable

if TYPE_CHECKING:
    from simulation.surroundings import Surroundings
    from simulation.worker import Worker


class Group:
    """Members and their partitions. A rebalance takes all partitions from all members, waits until each has let go of
    its own, and gives them out again; who is dead by then gets none."""

    def __init__(self, broker: Broker, effects: Effects, chance: random.Random) -> None:
        self._broker = broker
        self._effects = effects
        self._chance = chance
        self.members: list[Worker] = []
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def join(self, worker: Worker) -> None:
        """A process that has started."""
        self.members.append(worker)
        self.rebalance()

    def miss(self, worker: Worker) -> None:
        """The session of a dead process has ended: others get its partitions."""
        if worker in self.members:
            self.members.remove(worker)
            self.rebalance()

    def rebalance(self) -> None:
        """Begin a rebalance, or another one behind the one that is under way."""
        self._wanted.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._rebalance())

    def owner(self, partition: int) -> Worker | None:
        """Whose the partition is now."""
        owners = [each for each in self.members if each.life.alive and partition in each.partitions]
        return owners[0] if owners else None

    async def _rebalance(self) -> None:
        while self._wanted.is_set():
            self._wanted.clear()
            leaving = [each.let_go() for each in self.members if each.life.alive and each.partitions]
            if leaving:
                await asyncio.wait(leaving)
                await asyncio.sleep(self._chance.uniform(0.01, 3.0))
            self.members = [each for each in self.members if each.life.alive]
            if self._wanted.is_set() or not self.members:
                continue
            for worker, partitions in zip(self.members, self._drawn(), strict=True):
                self._effects.note(f"{worker.life.name} owns {partitions}")
                worker.own(partitions)

    def _drawn(self) -> Iterator[list[int]]:
        """Partitions for each member, as even as can be."""
        partitions = list(range(self._broker.partitions))
        count = len(self.members)
        if count > 1:
            self._chance.shuffle(partitions)
        for number in range(count):
            yield sorted(partitions[number::count])


class OwnedRows:
    """The rows of a table as the owners of their partitions have them (the port `Rows`)."""

    def __init__(self, group: Group, table: str) -> None:
        self._group = group
        self._table = table

    def _of(self, partition: int):  # type: ignore[no-untyped-def]
        owner = self._group.owner(partition)
        if owner is None:
            raise LookupError(f"partition {partition} is nobody's")
        return owner.rows[self._table]

    def partitions(self) -> frozenset[int]:
        """All that somebody has."""
        return frozenset().union(*(each.partitions for each in self._group.members))

    def get(self, partition: int, key: bytes) -> bytes | None:
        """As its owner's."""
        found: bytes | None = self._of(partition).get(partition, key)
        return found

    def put(self, partition: int, key: bytes, value: bytes | None, receipt: Receipt) -> None:
        """Nobody writes here."""
        raise NotImplementedError

    def scan(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """As its owner's."""
        yield from self._of(partition).scan(partition, prefix, after=after, reverse=reverse)

    def scan_index(
        self, partition: int, prefix: bytes, *, after: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """As its owner's."""
        yield from self._of(partition).scan_index(partition, prefix, after=after, reverse=reverse)

    def as_written(self, partition: int) -> dict[bytes, bytes]:
        """All rows of a partition, as its owner sees them."""
        rows: dict[bytes, bytes] = self._of(partition).as_written(partition)
        return rows

    def folded(self, partition: int) -> dict[bytes, bytes]:
        """What the changelog of the partition says."""
        rows: dict[bytes, bytes] = self._of(partition).folded(partition).rows
        return rows


class Owners:
    """The tables of all processes together."""

    def __init__(self, group: Group, around: Surroundings) -> None:
        self.group = group
        self.around = around
        self.rows = {name: OwnedRows(group, name) for name in ("orders", "signals", "positions")}
        self.orders = OrderTable(self.rows["orders"])
        self.signals = SignalTable(self.rows["signals"])
        self.positions = PositionTable(self.rows["positions"])

    @property
    def workers(self) -> list[Worker]:
        """Every process that is alive."""
        return [each for each in self.group.members if each.life.alive]

    def partition_of(self, symbol: str) -> int:
        """The partition of a symbol."""
        return self.around.broker.partition_of(symbol.encode())
