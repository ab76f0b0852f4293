"""Bringing tables to the end of their changelogs after each rebalance, before any record flows.

Takes the place of Faust's recovery, which swallows errors, can apply a record to another table and lets records in
before it has set their positions. Changelogs are read by position outside the group, so that compaction's holes and
markers can't keep recovery waiting.
"""

# Faust and aiokafka carry no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition
from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery as FaustRecovery
from mode import Service

from app.allocator import give_back_free_pages
from app.transport.topic_reader import offsets_of, read_topics
from streams.waiting_for_brokers import once_there
from tables.durable_rows import DurableRows
from tables.shard import ChangelogRecord, Position, fingerprint
from tables.store_errors import is_locked

if TYPE_CHECKING:
    from app.transport.wiring import Wiring

LOCK_TRIES = 50
LOCK_WAIT_S = 0.1
"""A worker that leaves gives its files free within moments; beyond 5 s somebody else works in our directory."""

TAIL_CHECK_S = 10.0
"""How often a changelog without writes of ours is looked at for somebody else's."""

LEASE_LOOK_S = 0.05

NS_PER_S = 1_000_000_000


class Recovery(FaustRecovery):
    """One recovery per generation, in steps:

    1. close the files of partitions that went, open those that came
    2. follow each changelog from the disk's position to its end
    3. admit the partitions: rows can be read and written
    4. tell the application, which reconciles what was in doubt; errors end the process
    5. set the inputs' positions from the group's offsets and let records flow
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._running: asyncio.Future[Any] | None = None
        self._repairs: set[asyncio.Task[None]] = set()
        self._cluster_id: str | None = None
        self.granted: frozenset[int] | None = None
        """The partitions that `on_recovered` was called with, until `on_revoked` is."""
        self.recovered_records = 0
        self.recovered_s = 0.0

    @property
    def wiring(self) -> Wiring:
        """The parts of the engine around this service."""
        wiring: Wiring = self.app.wiring
        return wiring

    # -- Faust's hooks -------------------------------------------------------------------------------------------

    async def on_rebalance(
        self,
        assigned: Any,
        revoked: Any,  # noqa: ARG002 -- Faust's signature
        newly_assigned: Any,  # noqa: ARG002 -- Faust's signature
        generation_id: int = 0,
    ) -> None:
        """The group gave us `assigned`: recover in the background, as no heartbeats are sent during this call."""
        await self.interrupt()
        if generation_id == self.app.consumer_generation_id:
            self.completed.clear()
            self._running = self.add_future(self._recover(set(assigned), generation_id))

    async def interrupt(self) -> None:
        """Another rebalance begins: stop where we are. What is on disk already is right."""
        running, self._running = self._running, None
        if running is not None and not running.done():
            running.cancel()
            await asyncio.wait([running])

    async def repaired(self) -> None:
        """Wait for the repairs under way: the next owner must not find somebody else's row on top."""
        while self._repairs:
            await asyncio.wait(list(self._repairs))

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing is buffered here."""

    def flush_buffers(self) -> None:
        """Nothing is buffered here."""

    async def on_stop(self) -> None:
        """Stop recovering."""
        await self.interrupt()

    @Service.task
    async def _restart_recovery(self) -> None:
        """Faust's own recovery is not used."""

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Faust's own recovery is not used."""

    @Service.task
    async def _publish_stats(self) -> None:
        """Faust's own recovery is not used."""

    # -- recovering ----------------------------------------------------------------------------------------------

    async def _recover(self, assigned: set[Any], generation_id: int) -> None:
        app = self.app
        self.in_recovery = app.in_recovery = True
        try:
            await app.on_rebalance_complete.send()
            tables: dict[str, DurableRows] = {rows.changelog_topic: rows for rows in self.wiring.tables}
            ours = [TopicPartition(*tp) for tp in sorted(assigned) if tp.topic in tables]
            inputs = frozenset(tp.partition for tp in assigned if tp.topic in self.wiring.readers)
            self._check_copartitioned(tables, ours, inputs)
            await self._open_files(tables, ours)
            ends = await self._follow(tables, ours)
            for tp, end in ends.items():
                tables[tp.topic].admit(tp.partition, end)
            self.granted = inputs
            await self._lease_is_good()
            for recovered in self.wiring.on_recovered:
                await recovered(inputs)
            await self._lease_is_good()
            self.in_recovery = app.in_recovery = False
            if app.consumer_generation_id != generation_id or app.should_stop:
                return
            await app._fetcher.maybe_start()  # private: as Faust's recovery does
            await app.consumer.begin()
            self.completed.set()
            app.tables.on_actives_ready()
            app.tables.on_standbys_ready()
            app.on_rebalance_end()
            self.log.info("generation %s: %s partitions, records flow", generation_id, len(assigned))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 -- no state is safer than one that is half recovered
            if not app.should_stop:
                self.wiring.stop(f"RECOVERY_FAILED: {error!r}")

    async def _lease_is_good(self) -> None:
        """A worker that slept while it recovered must not go on with what may be somebody else's: its next heartbeat is
        refused and the rebalance that follows cancels us, or accepted and we go on."""
        while not self.wiring.lease.good():  # noqa: ASYNC110 -- the lease ends by the clock, which tells nobody
            await asyncio.sleep(LEASE_LOOK_S)

    def _check_copartitioned(
        self, tables: dict[str, DurableRows], ours: list[TopicPartition], inputs: frozenset[int]
    ) -> None:
        """The assignor must have given us each input's tables too."""
        for topic in tables:
            partitions = {tp.partition for tp in ours if tp.topic == topic}
            if not inputs <= partitions:
                raise RuntimeError(f"NOT_COPARTITIONED: inputs {sorted(inputs)}, {topic} {sorted(partitions)}")

    async def _open_files(self, tables: dict[str, DurableRows], ours: list[TopicPartition]) -> None:
        cluster_id = await self._cluster()
        for topic, rows in tables.items():
            wanted = {tp.partition for tp in ours if tp.topic == topic}
            for partition in rows.opened() - wanted:
                rows.close(partition)
            for partition in sorted(wanted):
                await self._open(rows, partition, cluster_id)
                await asyncio.sleep(0)

    async def _open(self, rows: DurableRows, partition: int, cluster_id: str) -> None:
        for attempt in range(LOCK_TRIES):
            try:
                rows.open(partition, cluster_id)
            except Exception as error:
                if not is_locked(error) or attempt == LOCK_TRIES - 1:
                    raise
                await asyncio.sleep(LOCK_WAIT_S)
            else:
                return

    async def _cluster(self) -> str:
        if self._cluster_id is None:
            self._cluster_id = await once_there("recovery", self._ask_for_cluster)
        return self._cluster_id

    async def _ask_for_cluster(self) -> str:
        admin = AIOKafkaAdminClient(**self.wiring.connection())
        try:
            await admin.start()
            return str((await admin.describe_cluster())["cluster_id"])
        finally:
            await admin.close()

    async def _follow(self, tables: dict[str, DurableRows], ours: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Bring every partition to its changelog's end; returns the ends."""
        if not ours:
            return {}
        began_s, began_with = time.monotonic(), self.recovered_records
        bounds = await offsets_of(self.wiring.connection(), ours)
        ends = {tp: end for tp, (_, end) in bounds.items()}
        starts: dict[TopicPartition, int] = {}
        to_compare: dict[TopicPartition, Position] = {}
        for tp in ours:
            starts[tp] = await self._start(tables[tp.topic], tp, *bounds[tp], to_compare)
        misfits: set[TopicPartition] = set()

        def follow(tp: TopicPartition, records: list[Any]) -> None:
            position = to_compare.pop(tp, None)
            if position is not None and records[0].offset == position.tip_offset:
                if fingerprint(records[0].key, records[0].value) != position.tip_crc:
                    misfits.add(tp)
                records = records[1:]
            if tp not in misfits and records:
                self.recovered_records += len(records)
                tables[tp.topic].apply(tp.partition, _changelog_records(records), records[-1].offset + 1)

        await read_topics(self.wiring.connection(), starts, ends, follow)
        if misfits:
            anew, cluster_id = sorted(misfits), await self._cluster()
            for tp in anew:
                self.log.warning("%s: the local store is not of this changelog: built anew", tp)
                tables[tp.topic].reset(tp.partition, cluster_id)
            misfits.clear()
            await read_topics(
                self.wiring.connection(), {tp: bounds[tp][0] for tp in anew}, {tp: ends[tp] for tp in anew}, follow
            )
        if self.recovered_records > began_with:
            give_back_free_pages()  # those of the records, a few thousand at a time
        self.recovered_s = time.monotonic() - began_s
        self.log.info("tables recovered: %s records in %.2f s", self.recovered_records, self.recovered_s)
        return ends

    async def _start(
        self, rows: DurableRows, tp: TopicPartition, low: int, end: int, to_compare: dict[TopicPartition, Position]
    ) -> int:
        """Where to read a changelog from: the last record on disk, to compare it, or the beginning."""
        position = rows.position(tp.partition)
        if position is None:
            return low
        too_old = time.time_ns() - position.written_at_ns > self.wiring.tombstones_kept_s * NS_PER_S
        if position.next_offset > end or (too_old and position.next_offset < end) or position.next_offset < low:
            self.log.warning(
                "%s: the local store stands at %s, the changelog has %s to %s: built anew",
                tp, position.next_offset, low, end,
            )  # fmt: skip
            rows.reset(tp.partition, await self._cluster())
            return low
        to_compare[tp] = position
        return max(low, position.tip_offset)

    # -- somebody else's writes ----------------------------------------------------------------------------------

    def on_hole(self, rows: DurableRows, partition: int, start: int, end: int) -> None:
        """Offsets between two writes of ours: read them, put our rows back."""
        repair = asyncio.get_running_loop().create_task(self._repair(rows, partition, start, end))
        self._repairs.add(repair)
        repair.add_done_callback(self._repaired)

    def _repaired(self, repair: asyncio.Task[None]) -> None:
        self._repairs.discard(repair)
        if not repair.cancelled() and repair.exception() is not None:
            self.wiring.stop(f"FOREIGN_WRITE_UNREAD: {repair.exception()!r}")

    async def _repair(self, rows: DurableRows, partition: int, start: int, end: int) -> None:
        tp = TopicPartition(rows.changelog_topic, partition)
        foreign: list[ChangelogRecord] = []

        def collect(_tp: TopicPartition, records: list[Any]) -> None:
            foreign.extend(_changelog_records(records))

        await read_topics(self.wiring.connection(), {tp: start}, {tp: end}, collect)
        rewritten = rows.fill_hole(partition, foreign)
        self.wiring.alert(
            "FOREIGN_WRITE",
            f"{rows.changelog_topic}-{partition}: {len(foreign)} records from {start} to {end - 1} are not ours; "
            f"{rewritten} rows written again",
        )

    @Service.task
    async def _watch_tails(self) -> None:
        """A foreign write behind our last one leaves no hole until we write again: look for it."""
        while not self.should_stop:
            await self.sleep(TAIL_CHECK_S)
            await self.check_tails()

    async def check_tails(self) -> None:
        """Compare the ends of quiet changelogs with what we wrote."""
        if not self.wiring.inbox.is_open or not self.wiring.lease.good():
            return
        quiet = [
            (rows, TopicPartition(rows.changelog_topic, partition))
            for rows in self.wiring.tables
            for partition in rows.partitions()
            if not rows.unacknowledged(partition)
        ]
        if not quiet:
            return
        generation = self.wiring.inbox.generation
        bounds = await offsets_of(self.wiring.connection(), [tp for _, tp in quiet])
        if not self.wiring.inbox.is_open or generation != self.wiring.inbox.generation:
            return
        for rows, tp in quiet:
            start_end = (rows.next_offset(tp.partition), bounds[tp][1])
            if rows.note_foreign_tail(tp.partition, start_end[1]):
                self.on_hole(rows, tp.partition, *start_end)


class TableManager(FaustTableManager):
    """Faust's, with our recovery and without its second of sleep."""

    _our_recovery: Recovery | None = None

    @property
    def recovery(self) -> Recovery:
        """The recovery service."""
        if self._our_recovery is None:
            self._our_recovery = self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._our_recovery

    async def on_start(self) -> None:
        """Register the changelogs' topics and start."""
        await self._update_channels()
        await self.recovery.start()


def _changelog_records(records: list[Any]) -> list[ChangelogRecord]:
    return [ChangelogRecord(record.offset, record.key, record.value) for record in records]
