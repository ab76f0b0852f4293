"""What contract tests are made of: topics, load from a seed, and worker processes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition
from contract_trace import Deliveries, Line, Place, Trace, Verdict, deliveries, judge, read_trace

PARTITIONS = 4
SESSION_S = 3.0
PROJECT = Path(__file__).parents[2]

SEED = int(os.environ.get("ORDERMANAGER_CONTRACT_SEED", "1"))
"""All load follows from it: keys, durations, moments of kills. The same seed gives the same load, not the same run."""


@dataclass(slots=True)
class Worker:
    """A worker process."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path
    trace: Trace

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.trace.write("GONE")

    def terminate(self, limit_s: float = 30.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)

    def stop_for_now(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake_up(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def last_line(self) -> str:
        lines = [line for line in self.output.read_text().splitlines() if line.strip()]
        return lines[-1] if lines else ""


@dataclass(slots=True)
class Scene:
    """One application on topics of its own."""

    bootstrap: str
    directory: Path
    prefix: str = field(default_factory=lambda: f"c{uuid.uuid4().hex[:10]}-")
    workers: list[Worker] = field(default_factory=list)
    rnd: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 -- a load, no secret
    produced: dict[Place, tuple[str, int]] = field(default_factory=dict)
    """(key, number) of every input record, by its place."""
    updated: dict[Place, tuple[str, int]] = field(default_factory=dict)
    """The same of every update."""
    commanded: set[Place] = field(default_factory=set)
    _numbers: int = 0

    @property
    def inputs(self) -> str:
        return f"{self.prefix}inputs"

    @property
    def updates(self) -> str:
        return f"{self.prefix}updates"

    @property
    def commands(self) -> str:
        return f"{self.prefix}commands"

    @property
    def events(self) -> str:
        return f"{self.prefix}events"

    @property
    def app_id(self) -> str:
        return f"{self.prefix}app"

    @property
    def changelog(self) -> str:
        return f"{self.app_id}-t-changelog"

    @property
    def trace(self) -> Path:
        return self.directory / "trace"

    async def create_topics(self, replicas: Sequence[int] = ()) -> None:
        """Make the topics, on the broker of the scene or on these nodes of a cluster, all of which must have a
        record before it is acknowledged."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        compacted = {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"}
        in_sync = {"min.insync.replicas": str(min(2, max(1, len(replicas))))}

        def topic(name: str, **policy: str) -> NewTopic:
            if not replicas:
                return NewTopic(name, PARTITIONS, 1, topic_configs=policy)
            turns = {p: [replicas[(p + n) % len(replicas)] for n in range(len(replicas))] for p in range(PARTITIONS)}
            return NewTopic(name, -1, -1, replica_assignments=turns, topic_configs=in_sync | policy)

        names = (self.inputs, self.commands, self.updates, self.events)
        await admin.create_topics([*(topic(name) for name in names), topic(self.changelog, **compacted)])
        await admin.close()

    # -- workers -------------------------------------------------------------------------------------------------

    def start(self, name: str, *, stock: bool = False, program: str = "contract_worker.py", **config: Any) -> Worker:
        """Start a worker, of ours or of stock Faust; `config` goes to its program."""
        program = "stock_worker.py" if stock else program
        options = {
            "partitions": PARTITIONS,
            "session_timeout_s": SESSION_S,
            "heartbeat_s": 0.3,
            "lease_margin_s": 1.0,
            "drain_limit_s": 10.0,
            "rebalance_timeout_s": 15.0,
            "commit_interval_s": 0.2,
        } | config.pop("options", {})
        whole = {
            "worker": name,
            "seed": self.rnd.random(),
            "app_id": self.app_id,
            "prefix": self.prefix,
            "bootstrap": self.bootstrap,
            "data_directory": str(self.directory / f"data-{name}"),
            "trace": str(self.trace),
            "inputs": self.inputs,
            "commands": self.commands,
            "updates": self.updates,
            "events": self.events,
            "options": options,
        } | config
        output = self.directory / f"{name}.out"
        with output.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name(program)), json.dumps(whole)],
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=PROJECT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(PROJECT)},
                start_new_session=True,
            )
        worker = Worker(name, process, output, Trace(str(self.trace), name))
        self.workers.append(worker)
        return worker

    async def started(self, name: str, **config: Any) -> Worker:
        """Start a worker and wait until records flow to it."""
        before = self.count("FLOW", name)
        worker = self.start(name, **config)
        await self.until(lambda: self.count("FLOW", name) > before, "records to flow", worker=worker)
        return worker

    def end_workers(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGCONT)
                worker.kill()

    async def until(
        self, condition: Callable[[], bool], what: str, limit_s: float = 30.0, worker: Worker | None = None
    ) -> None:
        deadline_s = time.monotonic() + limit_s
        while not condition():
            if worker is not None and worker.process.poll() is not None:
                raise AssertionError(f"{worker.name} ended ({worker.process.returncode}): {worker.last_line()}")
            if time.monotonic() > deadline_s:
                raise AssertionError(f"waited {limit_s} s for {what}")
            await asyncio.sleep(0.05)

    # -- records -------------------------------------------------------------------------------------------------

    async def produce(
        self,
        n: int,
        *,
        keys: int = 20,
        rate: float | None = None,
        updates: bool = False,
        commands: bool = False,
        stop: asyncio.Event | None = None,
    ) -> None:
        """`n` records of keys drawn by the seed, at `rate` a second, until `stop`; `updates` and `commands` produce as
        many of those as well."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, enable_idempotence=True)
        await producer.start()
        sent = []
        began_s = time.monotonic()
        topics = [self.inputs, *([self.updates] if updates else []), *([self.commands] if commands else [])]
        for _ in range(n):
            key, number, value = self._next_record(keys)
            sent += [(topic, key, number, await producer.send(topic, value, key=key.encode())) for topic in topics]
            if rate is not None:
                await asyncio.sleep(max(0.0, began_s + len(sent) / len(topics) / rate - time.monotonic()))
            if stop is not None and stop.is_set():
                break
        await producer.flush()
        await producer.stop()
        for topic, key, number, future in sent:
            at = await future
            self._note_produced(topic, (at.partition, at.offset), key, number)

    def _next_record(self, keys: int) -> tuple[str, int, bytes]:
        number, self._numbers = self._numbers, self._numbers + 1
        key = f"S{self.rnd.randrange(keys)}"
        return key, number, json.dumps({"k": key, "i": number}).encode()

    def _note_produced(self, topic: str, place: Place, key: str, number: int) -> None:
        if topic == self.inputs:
            self.produced[place] = (key, number)
        elif topic == self.updates:
            self.updated[place] = (key, number)
        else:
            self.commanded.add(place)

    async def produce_to_every_partition(self, n: int = 5) -> None:
        """`n` records of a key of its own for each partition: when they are done, nothing before them is still on its
        way."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, enable_idempotence=True)
        await producer.start()
        for partition in range(PARTITIONS):
            for _ in range(n):
                _, number, _ = self._next_record(1)
                key = f"M{partition}"
                value = json.dumps({"k": key, "i": number}).encode()
                at = await producer.send_and_wait(self.inputs, value, key=key.encode(), partition=partition)
                self.produced[at.partition, at.offset] = (key, number)
        await producer.stop()

    async def produce_in_transactions(self, n: int, *, keys: int = 20, each: int = 5) -> None:
        """`n` records, some in a transaction of their own: each leaves a marker that is no record."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=f"{self.prefix}tx")
        await producer.start()
        sent = []
        for first in range(0, n, each):
            async with producer.transaction():
                for _ in range(first, min(first + each, n)):
                    key, number, value = self._next_record(keys)
                    sent.append((key, number, await producer.send(self.inputs, value, key=key.encode())))
        await producer.stop()
        for key, number, future in sent:
            place = await future
            self.produced[place.partition, place.offset] = (key, number)

    async def append_foreign(self, partition: int, key: bytes, value: bytes) -> None:
        """Write to the changelog as a worker that no longer owns the partition would."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        await producer.send_and_wait(self.changelog, value, key=key, partition=partition)
        await producer.stop()

    async def _gone(self, admin: AIOKafkaAdminClient, topic: str) -> None:
        deadline_s = time.monotonic() + 10
        while topic in await admin.list_topics():
            assert time.monotonic() < deadline_s, f"{topic} is still there"
            await asyncio.sleep(0.1)

    async def make_anew(self, topic: str) -> None:
        """Delete a topic, and with it what groups have committed of it, and create it again."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        await admin.delete_topics([topic])
        await self._gone(admin, topic)
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        await admin.close()

    async def read(self, topic: str, partitions: int = PARTITIONS) -> list[Any]:
        """All records of a topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            tps = [TopicPartition(topic, partition) for partition in range(partitions)]
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            for tp, offset in (await consumer.beginning_offsets(tps)).items():
                consumer.seek(tp, offset)
            records: list[Any] = []
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records += batch
            return records
        finally:
            await consumer.stop()

    async def committed(self, topic: str) -> dict[int, int]:
        """The group's offsets."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=self.app_id, enable_auto_commit=False)
        await consumer.start()
        try:
            return {
                partition: await consumer.committed(TopicPartition(topic, partition)) or 0
                for partition in range(PARTITIONS)
            }
        finally:
            await consumer.stop()

    async def all_done(self, limit_s: float = 60.0) -> None:
        """Wait until every produced record has ended once."""
        await self.until(lambda: not self.verdict().lost, "all records to be done", limit_s)

    async def all_applied(self, limit_s: float = 60.0) -> None:
        """Wait until every update has been applied."""
        await self.until(
            lambda: self.updated.keys() <= set(self.places("APPLIED")), "all updates to be applied", limit_s
        )

    async def given_time(self, limit_s: float = 2.0) -> Verdict:
        """The verdict when every record is done, or when what is missing had all the time it needs: records produced
        after it, on every partition, are done."""
        await self.produce_to_every_partition()
        markers = {place for place, (key, _) in self.produced.items() if key.startswith("M")}
        deadline_s = time.monotonic() + limit_s
        while self.verdict().lost and (time.monotonic() < deadline_s or not markers <= set(self.places("END"))):
            if time.monotonic() > deadline_s + 20.0:
                break
            await asyncio.sleep(0.1)
        return self.verdict()

    # -- the trace -----------------------------------------------------------------------------------------------

    def lines(self) -> list[Line]:
        return read_trace(self.trace)

    def count(self, event: str, worker: str | None = None) -> int:
        return sum(1 for line in self.lines() if line.event == event and worker in (None, line.worker))

    def places(self, event: str, lines: Iterable[Line] | None = None) -> list[Place]:
        return [line.place for line in (self.lines() if lines is None else lines) if line.event == event]

    def commits(self, topic: str) -> dict[int, int]:
        """The offsets that workers were told are committed."""
        committed = {}
        for line in self.lines():
            for detail in line.details if line.event == "COMMIT" else ():
                where, _, offset = detail.rpartition(":")
                name, _, partition = where.rpartition("-")
                if name == topic:
                    committed[int(partition)] = int(offset)
        return committed

    def verdict(self) -> Verdict:
        return judge(self.lines(), self.produced)

    def deliveries(self) -> Deliveries:
        return deliveries(self.lines())
