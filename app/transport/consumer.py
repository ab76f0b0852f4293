"""Faust's consumer with our books: what is delivered, what may be committed, and how partitions are let go."""

# Faust and aiokafka carry no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, NoReturn

from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError
from faust import Event
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from app.transport.group_member import GroupMember
from app.transport.ledger import Commit
from app.transport.topic_reader import read_topics
from streams.record import Record

if TYPE_CHECKING:
    from app.transport.wiring import Wiring

POLL_S = 1.0
"""Longest wait of one poll; it ends early when records arrive or a topic can be fetched from again."""

NS_PER_MS = 1_000_000


class Run(ConsumerMessage):
    """What Faust carries to an agent: a run of records of one partition. Its value is the list of `Record`s."""

    __slots__ = ("follows",)
    follows: int
    """The position the first record was read at."""


class Wanted:
    """The partitions to return records of, as aiokafka's fetcher asks while it waits: one generation's.

    Always true: an empty set means "no filter" to the fetcher, which would then hand out records of any partition and
    move on from them. Closed with its generation: a poll may outlive a rebalance, and what it took from the next
    generation's positions would be dropped as the old one's.
    """

    __slots__ = ("_flowing", "_readers", "generation")

    def __init__(self, generation: int, flowing: AbstractSet[Any], readers: Mapping[str, Any]) -> None:
        self.generation = generation
        self._flowing = flowing
        self._readers = readers

    def close(self) -> None:
        """Want nothing any more."""
        self._flowing = frozenset()

    def __bool__(self) -> bool:
        return True

    def __contains__(self, tp: Any) -> bool:
        if tp not in self._flowing:
            return False
        reader = self._readers.get(tp.topic)
        return reader is not None and not reader.full


class Consumer(driver.Consumer):
    """Delivers runs of records to agents and commits what the ledger says.

    Replaces Faust's acknowledgements altogether: agents take records un-acknowledged (`stream.noack()`) and tell the
    inbox when one is finished.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.wiring: Wiring = self.app.wiring
        self._positions: dict[TP, int] = {}
        self._wanted = Wanted(0, frozenset(), self.wiring.readers)

    def _new_consumer_thread(self) -> GroupMember:
        return GroupMember(self, loop=self.loop, beacon=self.beacon)

    # -- deliver -------------------------------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        """Poll and deliver until the service stops: Faust's fetcher runs this."""
        stopped, fetcher_stopped = self._stopped.is_set, fetcher._stopped.is_set
        try:
            while not stopped() and not fetcher_stopped():
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)
                    continue
                wanted = self._wanted
                generation = wanted.generation
                records = await self._thread.poll(wanted, POLL_S)
                for tp, batch in records.items():
                    if not self._may_deliver(generation):
                        break  # the position is set again from the committed offset when the partitions come back
                    await self._deliver(TP(tp.topic, tp.partition), batch, generation)
                await asyncio.sleep(0)
        except (ConsumerStoppedError, asyncio.CancelledError):
            # Faust takes a cancelled fetcher for a rebalance's, and crashes it. Stopping in the middle of a rebalance
            # is no crash.
            if not self.app.should_stop:
                raise

    def _may_deliver(self, generation: int) -> bool:
        inbox = self.wiring.inbox
        return self.flow_active and inbox.is_open and inbox.generation == generation

    async def _deliver(self, tp: TP, batch: list[Any], generation: int) -> None:
        follows = self._positions[tp]
        if batch[0].offset > follows:
            await self._account_for_gap(tp, follows, batch[0].offset)
            if not self._may_deliver(generation):
                return
        self._positions[tp] = max(follows, batch[-1].offset + 1)
        reader = self.wiring.readers[tp.topic]
        (channel,) = self.app.topics._tp_index[tp]  # private: Faust's conductor keeps one channel per agent
        for start in range(0, len(batch), reader.max_run):
            records = [_record(raw, generation) for raw in batch[start : start + reader.max_run]]
            run = self._run(tp, records, follows)
            channel.queue.put_nowait(Event(self.app, None, records, {}, run))
            reader.delivered(len(records))
            follows = records[-1].offset + 1

    def _run(self, tp: TP, records: list[Record], follows: int) -> Run:
        first = records[0]
        run = Run(
            tp.topic, tp.partition, first.offset, first.timestamp_ns / 1e9, 0, [], None, None, None,
            tp=tp, generation_id=self.app.consumer_generation_id,
        )  # fmt: skip
        run.follows = follows
        run.tracked = True  # Faust's own set of unacknowledged messages stays empty
        return run

    async def _account_for_gap(self, tp: TP, expected: int, got: int) -> None:
        """A fetch skipped offsets. Right for markers of a producer's transactions and for a topic cut by retention;
        never right if there are records in between: those would be lost."""
        found = 0

        def count(_tp: Any, records: list[Any]) -> None:
            nonlocal found
            found += len(records)

        low = (await self._thread.starts([tp]))[tp].low
        if low > expected:
            self._alert_cut(tp, expected, low)
        await read_topics(self.wiring.connection(), {tp: max(low, expected)}, {tp: got}, count)
        if found:
            self.wiring.stop(f"RECORDS_SKIPPED: {found} records of {tp.topic}-{tp.partition} from {expected} to {got}")
        self.log.info("no records in %s-%s from %s to %s", tp.topic, tp.partition, expected, got)

    def wake(self) -> None:
        """A full topic can be fetched from again: look at what is there already."""
        self._thread.wake()

    # -- begin ---------------------------------------------------------------------------------------------------

    def assigned_inputs(self) -> set[TP]:
        """The partitions of input topics that the group gave us."""
        return {TP(*tp) for tp in self.assignment() if tp.topic in self.wiring.readers}

    async def begin(self) -> None:
        """Recovery is done: set positions to the group's offsets, open the books, let records flow."""
        wiring = self.wiring
        partitions = self.assigned_inputs()
        starts = await self._thread.starts(sorted(partitions))
        missing = {tp: Commit(start.position) for tp, start in starts.items() if start.committed is None}
        if missing:
            self._check_state_has_offsets(missing)
            # From here on "no offset" means "lost", not "new": a crash before the first commit leaves these.
            if not await self._commit(missing):
                return
        for tp, start in starts.items():
            if start.committed is not None and start.committed < start.low:
                self._alert_cut(tp, start.committed, start.low)
        generation = wiring.inbox.open()
        for tp, start in starts.items():
            ahead = tuple(sorted(offset for offset in start.ahead if offset > start.position))
            wiring.ledger.start(tp, start.position, Commit(start.position, ahead), generation)
            self._positions[tp] = start.position
        for resume in wiring.resuming:
            resume()
        self._wanted = Wanted(generation, frozenset(partitions), wiring.readers)
        self.app.flow_control.resume()
        self.resume_flow()
        await self._thread.seek_and_resume({tp: start.position for tp, start in starts.items()})

    def _alert_cut(self, tp: TP, first: int, low: int) -> None:
        self.wiring.alert(
            "UNREAD_RECORDS_CUT", f"{tp.topic}-{tp.partition}: retention cut offsets {first} to {low - 1} unread"
        )

    def _check_state_has_offsets(self, missing: Iterable[TP]) -> None:
        for table in self.wiring.tables:
            for tp in missing:
                if table.has_rows(tp.partition):
                    self.wiring.stop(
                        f"OFFSETS_LOST: table {table.name} has rows in partition {tp.partition}, but the group has no "
                        f"committed offset for {tp.topic}-{tp.partition}: reading it all again would act again"
                    )

    # -- commit --------------------------------------------------------------------------------------------------

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        """Commit what is finished: first the offsets are taken, then everything appended before is made durable, and
        only then are they committed. They move in the ledger only when the coordinator has accepted them."""
        committable = self.wiring.ledger.committable()
        if not committable:
            return (
                False  # before all: Faust commits by the clock, also while the consumer is still waiting for a broker
            )
        mine = self.assignment()
        commits = {TP(*tp): commit for tp, commit in committable.items() if TP(*tp) in mine}
        if not commits:
            return False
        generation = self.wiring.inbox.generation
        await self.wiring.log.flush()
        if self.wiring.inbox.generation != generation:
            return False  # the partitions were with somebody else meanwhile: these offsets may be behind
        if not await self._commit(commits):
            return False
        self.wiring.ledger.committed(commits)
        return True

    async def _commit(self, commits: Mapping[TP, Commit]) -> bool:
        try:
            await self._thread.commit_offsets(commits)
        except (CommitFailedError, IllegalStateError) as error:
            # The group has moved on: the next owner starts at the last offset that was committed.
            self.log.info("offsets not committed, the group has moved on: %r", error)
            return False
        return True

    # -- let go --------------------------------------------------------------------------------------------------

    async def let_go(self) -> None:
        """Before partitions go away: take nothing more, let what has begun come to its end, commit all of it.

        Ends the process if that takes longer than the drain limit: the group would give the partitions away with our
        calls still under way.
        """
        try:
            await self._let_go()
        except Exception as error:  # noqa: BLE001 -- aiokafka would log it and give the partitions up all the same
            self.wiring.stop(f"LET_GO_FAILED: {error!r}")

    async def _let_go(self) -> None:
        wiring = self.wiring
        wiring.inbox.close()
        self._wanted.close()
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        for reader in wiring.readers.values():
            reader.clear()
        for stop in wiring.letting_go:
            stop()
        try:
            async with asyncio.timeout(wiring.drain_limit_s):
                await self._finish_begun_work()
        except TimeoutError:
            self._drained_too_long(", ".join(str(source) for source in wiring.ledger.unfinished()))
        for table in wiring.tables:
            table.withdraw()
        wiring.ledger.revoke()
        recovery = self.app.tables.recovery
        granted, recovery.granted = recovery.granted, None
        if granted is not None:
            for notify in wiring.on_revoked:
                await notify(granted)

    def _drained_too_long(self, late: str) -> NoReturn:
        wiring = self.wiring
        left = f"{late or 'nothing'}; unacknowledged records: {wiring.log.unacknowledged()}"
        silent_s = wiring.lease.age_s()
        if wiring.told_to_end and (silent_s is None or silent_s > wiring.drain_limit_s / 2):
            wiring.leave(f"BROKER_AWAY: told to end, and no broker answered for {wiring.drain_limit_s} s: {left}")
        wiring.stop(f"DRAIN_LIMIT: not finished within {wiring.drain_limit_s} s of losing partitions: {left}")

    async def _finish_begun_work(self) -> None:
        wiring = self.wiring
        evicted = self._thread.is_evicted()
        if evicted and wiring.log.unacknowledged(frozenset(wiring.changelog_topics)):
            # Another worker may own the tables and have recovered them; rows sent now could undo its newer ones.
            wiring.stop("EVICTED: the group gave our partitions away while table rows were not acknowledged")
        await wiring.ledger.idle()
        await self.app.tables.recovery.repaired()
        await wiring.log.flush()
        if evicted:
            return
        while wiring.ledger.committable() and await self._commit_once_more():
            pass

    async def _commit_once_more(self) -> bool:
        """True if it was worth it: a commit under way makes `commit` return without one of its own."""
        if self._commit_fut is not None:
            await self.maybe_wait_for_commit_to_finish()
            return True
        return bool(await self.force_commit())

    async def wait_empty(self) -> None:
        """Faust asks for this before it hands partitions over: `let_go` has done it."""

    async def on_stop(self) -> None:
        """Stopping: everything was let go by the application before."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let go first: Faust drops its books before it waits."""
        if not self.app.should_stop:
            await self.app.tables.recovery.interrupt()
            await self.let_go()
        await super().on_partitions_revoked(revoked)

    async def verify_all_partitions_active(self) -> None:
        """Faust's detector only writes log lines, mostly false ones; `app/engine.py` has a watchdog that acts."""


def _record(raw: Any, generation: int) -> Record:
    return Record(
        raw.topic,
        raw.partition,
        raw.offset,
        raw.key,
        raw.value,
        tuple((name, content or b"") for name, content in raw.headers) if raw.headers else (),
        raw.timestamp * NS_PER_MS,
        generation,
    )


class Transport(driver.Transport):
    """The pair of consumer and producer that the application makes."""

    from app.transport.producer import Producer  # noqa: PLC0415 -- a class attribute that Faust looks up

    Consumer = Consumer
