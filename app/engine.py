"""The engine: one Faust application with our transport, tables and lanes, and the loop that runs it."""

# Faust and aiokafka carry no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import faust
import faust.streams
import uvloop
from aiokafka.structs import TopicPartition

from app.application import Application, new_application, quiet_logs
from app.engine_options import EngineOptions
from app.inbox import GroupInbox
from app.transport.fail_stop import EXIT_CODE, FailStop, fail_stop
from app.transport.lease import Lease
from app.transport.ledger import Ledger, OutOfOrder
from app.transport.log import AppendLog
from app.transport.wiring import Reader, Wiring
from app.watchdog import Watch
from streams.lanes import Handler, Lanes, by_record_key
from streams.record import Record, RecordFailed
from tables.durable_rows import DurableRows
from tables.index_entries import IndexFunction
from tables.rows import Rows
from tables.store import DurableTable
from tables.store_memory import StoreMemory

log = logging.getLogger(__name__)

HandleRun = Callable[[list[Record]], Awaitable[None] | None]
OnPartitions = Callable[[frozenset[int]], Awaitable[None]]

READY_POLL_S = LEASE_POLL_S = 0.02

CLOSING_LIMIT_S = 8.0
"""Once all is finished and committed, connections may take so long to close: a broker that went away answers none."""
STOP_GRACE_S = 15.0
"""Beyond the drain limit: for services and connections to close."""


class Progress(NamedTuple):
    """Offsets of an input partition, each of the first record that is not: taken, finished, written (None: unknown)."""

    taken: int
    finished: int
    end: int | None


@dataclass(slots=True)
class Engine:
    """Everything that handlers, views and metrics need of the process. Made by `build_engine`."""

    options: EngineOptions
    app: Application
    wiring: Wiring
    memory: StoreMemory
    tables: dict[str, Rows] = field(default_factory=dict)
    all_lanes: dict[str, Lanes] = field(default_factory=dict)
    explains_waiting: Callable[[], bool] = bool
    """Asked by the watchdog before it ends the process: True while a venue's outage is the reason."""
    explains_turn: Callable[[Record], bool] = field(default=lambda _record: False)
    """The same of a record whose turn it is. Asked once a second: the time in which it is True doesn't count."""

    @property
    def log(self) -> AppendLog:
        """The `Log` port."""
        return self.wiring.log

    @property
    def inbox(self) -> GroupInbox:
        """The `Inbox` port."""
        return self.wiring.inbox

    # -- what there is -------------------------------------------------------------------------------------------

    def table(
        self, name: str, *, index: IndexFunction | None = None, live: tuple[bytes, ...] = (), version: int = 1
    ) -> Rows:
        """Make a table; call before the engine runs. Another `index` needs another `version`: stores are built anew.
        `live`: beginnings of index keys whose entries are held in memory, for scans of what is under way."""
        if name in self.tables:
            raise ValueError(f"TABLE_EXISTS: {name}")
        rows = DurableRows(
            name,
            changelog_topic(self.options.app_id, name),
            self.options.data_directory / "tables",
            self.wiring.log.append,
            index=index,
            live=live,
            version=version,
            memory=self.memory,
        )
        rows.on_hole = self._on_hole
        rows.on_failure = lambda error: self.wiring.stop(f"STORE_FAILED: {name}: {error!r}")
        self.app.tables.add(DurableTable(self.app, name=name, rows=rows, partitions=self.options.partitions))
        self.wiring.tables.append(rows)
        self.wiring.changelog_topics.add(rows.changelog_topic)
        self.tables[name] = rows
        return rows

    def lanes(
        self,
        topic: str,
        handler: Handler,
        *,
        max_running: int = 64,
        max_queued: int = 2_000,
        key: Callable[[Record], Hashable] = by_record_key,
    ) -> Lanes:
        """Handle the records of `topic` in lanes, one per key. An error that `handler` lets out ends the process."""
        lanes = Lanes(
            handler,
            self.inbox,
            max_running=max_running,
            max_queued=max_queued,
            key=key,
            on_error=lambda record, error: self._handler_failed(record.source, error),
        )
        self.all_lanes[topic] = lanes
        self.wiring.letting_go.append(lanes.stop_taking)
        self.wiring.resuming.append(lanes.resume)

        async def take(run: list[Record]) -> None:
            for record in run:
                await lanes.submit(record)

        self._agent(topic, take)
        return lanes

    def runs(self, topic: str, handle: HandleRun, *, max_run: int = 100) -> None:
        """Handle the records of `topic` in runs of one partition. `handle` tells the inbox when each is finished."""

        async def take(run: list[Record]) -> None:
            await self.log.room()
            await self._until_certainly_ours(run[0])
            if not self.inbox.is_current(run[0]):  # a run is of one partition and one generation
                for record in run:
                    self.inbox.forgotten(record)
            elif (waiting := handle(run)) is not None:
                await waiting

        self._agent(topic, take, max_run=max_run)

    def writes_to(self, *topics: str) -> None:
        """Topics that will be appended to: known before the first append, and refused at start if missing."""
        self.wiring.output_topics.update(topics)

    def on_recovered(self, callback: OnPartitions) -> None:
        """`callback(partitions)` is awaited after recovery, before records flow; an error ends the process, another
        rebalance cancels it."""
        self.wiring.on_recovered.append(callback)

    def on_revoked(self, callback: OnPartitions) -> None:
        """`callback(partitions)` is awaited when all begun work is finished and committed and tables are closed; once
        for each time that `on_recovered` was called, even if another rebalance cut that short."""
        self.wiring.on_revoked.append(callback)

    def on_alert(self, alert: Callable[[str, str], None]) -> None:
        """`alert(code, sentence)` is told of what an operator has to know."""
        self.wiring.alert = alert

    def _on_hole(self, rows: DurableRows, partition: int, start: int, end: int) -> None:
        self.app.tables.recovery.on_hole(rows, partition, start, end)

    def _agent(self, topic: str, take: Callable[[list[Record]], Awaitable[None]], *, max_run: int = 100) -> None:
        if topic in self.wiring.readers:
            raise ValueError(f"TOPIC_TAKEN: {topic} has a handler already")
        reader = self.wiring.readers[topic] = Reader(topic, self.options.reader_waiting, max_run)
        source = self.app.topic(
            topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", internal=False
        )
        ledger = self.wiring.ledger

        async def agent(stream: Any) -> None:
            async for event in stream.noack().events():
                try:
                    run: list[Record] = event.value
                    if reader.taken(len(run)):
                        self.app.consumer.wake()
                    follows, taken = event.message.follows, list[Record]()
                    for record in run:
                        if ledger.take(record, follows):
                            taken.append(record)
                        follows = record.offset + 1
                    if taken:
                        await self._until_certainly_ours(taken[0])
                        await take(taken)
                except asyncio.CancelledError:
                    raise
                except RecordFailed as failed:
                    self._handler_failed(failed.record.source, failed.error)
                except BaseException as error:  # noqa: BLE001 -- Faust would skip the records and go on
                    self._handler_failed(run[0].source if run else topic, error)

        agent.__name__ = agent.__qualname__ = f"take_{topic}"  # Faust names agents after their functions
        self.app.agent(source)(agent)

    async def _until_certainly_ours(self, record: Record) -> None:
        """Wait while the lease is in doubt: conclusions from tables that another may be writing would be wrong."""
        while not self.wiring.lease.good() and self.inbox.is_current(record):  # noqa: ASYNC110 -- two ends, no event
            await asyncio.sleep(LEASE_POLL_S)

    def _handler_failed(self, where: object, error: BaseException) -> None:
        log.error("handler failed at %s", where, exc_info=error)
        code = "RECORDS_LOST" if isinstance(error, OutOfOrder) else "HANDLER_FAILED"
        self.wiring.stop(f"{code}: {where}: {error!r}")

    # -- how it is -----------------------------------------------------------------------------------------------

    def ready(self) -> tuple[bool, list[str]]:
        """Whether records flow, and if not, why."""
        reasons = []
        consumer = self.app._consumer  # private: the property would make one
        if consumer is None or not self.inbox.generation:
            reasons.append("NOT_ASSIGNED: the group has not given us partitions yet")
        if self.app.rebalancing:
            reasons.append("REBALANCING: the group is sharing out partitions")
        if self.app.in_recovery:
            reasons.append("RECOVERING: tables follow their changelogs")
        if not self.inbox.is_open and not reasons:
            reasons.append("CLOSED: partitions were let go")
        if not self.wiring.lease.good():
            age_s = self.wiring.lease.age_s()
            accepted = "never" if age_s is None else f"{age_s:.1f} s ago"
            reasons.append(f"LEASE_LAPSED: last heartbeat accepted {accepted}")
        return not reasons, reasons

    def progress(self) -> dict[tuple[str, int], Progress]:
        """How far each input partition is; empty while partitions change hands."""
        ledger, found = self.wiring.ledger, {}
        for topic, partition in ledger.partitions() if self.inbox.is_open else ():
            with suppress(AssertionError):  # aiokafka's answer if the partition goes in this moment
                taken, finished = ledger.position((topic, partition)), ledger.watermark((topic, partition))
                end = self.app.consumer.highwater(TopicPartition(topic, partition))
                found[topic, partition] = Progress(taken or 0, finished or 0, end)
        return found

    def lag(self) -> dict[tuple[str, int], int]:
        """Records of each input partition that are not finished; those whose end is not known yet are left out."""
        return {key: at.end - at.finished for key, at in self.progress().items() if at.end is not None}

    def stop(self) -> None:
        """Stop a process that `run_engine` runs, in order."""
        os.kill(os.getpid(), signal.SIGTERM)


class EngineWorker(faust.Worker):
    """Faust's worker; a stop by signal that takes too long ends the process instead of hanging on."""

    def __init__(self, *args: Any, engine: Engine, **kwargs: Any) -> None:
        self._engine = engine
        super().__init__(*args, **kwargs)

    def _schedule_shutdown(self, signal: Any) -> None:  # Faust's name for the argument
        if not self._signal_stop_time:
            limit_s = self._engine.options.drain_limit_s + STOP_GRACE_S
            self._watch_the_end(f"not stopped {limit_s} s after signal {signal}", self.loop.time() + limit_s)
        super()._schedule_shutdown(signal)

    def _watch_the_end(self, late: str, end_s: float) -> None:
        wiring, now_s = self._engine.wiring, self.loop.time()
        if wiring.at_rest_s is not None and now_s > wiring.at_rest_s + CLOSING_LIMIT_S:
            wiring.leave("CONNECTIONS_OPEN: everything was finished and committed, and connections do not close")
        if now_s > end_s:
            wiring.stop(f"STOP_OVERDUE: {late}")
        self.loop.call_later(1.0, self._watch_the_end, late, end_s)


def changelog_topic(app_id: str, table: str) -> str:
    """Name of a table's changelog."""
    return f"{app_id}-{table}-changelog"


def build_engine(options: EngineOptions, *, stop: FailStop = fail_stop) -> Engine:
    """Make an engine; register tables, handlers and callbacks on it, then `run_engine`.

    Raises `RuntimeError` if Faust's compiled stream iterator is missing: the Python one acknowledges records that it
    skips.
    """
    if faust.streams._CStreamIterator is None:  # private: the only way to know
        raise RuntimeError("FAUST_NOT_COMPILED: faust's compiled stream iterator is not there (NO_CYTHON set?)")
    options.data_directory.mkdir(parents=True, exist_ok=True)
    ledger = Ledger()
    lease = Lease(options.session_timeout_s, options.lease_margin_s)
    wiring = Wiring(
        ledger=ledger,
        lease=lease,
        inbox=GroupInbox(ledger, lease),
        log=AppendLog(
            options.partitions,
            max_record_bytes=options.max_record_bytes,
            max_unacknowledged_records=options.max_unacknowledged_records,
            delivery_limit_s=options.delivery_limit_s,
            stop=stop,
        ),
        bootstrap=options.bootstrap,
        security=options.security,
        partitions=options.partitions,
        drain_limit_s=options.drain_limit_s,
        tombstones_kept_s=options.tombstones_kept_s,
        stop=stop,
    )
    app = new_application(options, wiring)
    engine = Engine(options, app, wiring, StoreMemory(options.store_memory_bytes))
    app.service(type("EngineWatch", (Watch,), {"engine": engine}))
    return engine


def run_engine(engine: Engine, *, logging_config: dict[str, Any] | None = None) -> int:
    """Run until SIGTERM, SIGINT or `Engine.stop`; returns the exit code: 0 when everything was finished in order.

    An error that nobody handled doesn't return: it ends the process with exit code 70.
    """
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = EngineWorker(
        engine.app,
        engine=engine,
        loop=loop,
        loglevel="INFO",
        quiet=False,
        redirect_stdouts=False,
        logging_config=logging_config,
    )
    worker.spinner = None
    quiet_logs()
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else EXIT_CODE
    return 0


@asynccontextmanager
async def engine_running(engine: Engine, *, ready_within_s: float = 30.0) -> AsyncIterator[Engine]:
    """Run the engine in the current loop, without signals or exit code: for tests and tools.

    Enters once records flow; raises `TimeoutError` with the reasons if that takes too long. An engine runs once.
    """
    quiet_logs()
    await engine.app.start()
    try:
        deadline_s = asyncio.get_running_loop().time() + ready_within_s
        while not engine.ready()[0]:
            if asyncio.get_running_loop().time() > deadline_s:
                raise TimeoutError("; ".join(engine.ready()[1]))
            await asyncio.sleep(READY_POLL_S)
        yield engine
    finally:
        await engine.app.stop()
