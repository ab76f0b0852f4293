"""What contract tests are made of: topics, load, worker processes, and the trace they leave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

PARTITIONS = 4
SESSION_S = 3.0
PROJECT = Path(__file__).parents[2]

Place = tuple[int, int]
"""(partition, offset) of an input record."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the trace."""

    at_s: float
    worker: str
    event: str
    details: tuple[str, ...]

    @property
    def place(self) -> Place:
        return int(self.details[0]), int(self.details[1])

    @property
    def key(self) -> str:
        return self.details[2]


@dataclass(slots=True)
class Verdict:
    """What became of the produced records."""

    lost: list[Place]
    done_twice: list[Place]
    out_of_order: list[Place]
    overlapping: list[Place]


@dataclass(slots=True)
class Worker:
    """A worker process."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

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
    produced: dict[Place, tuple[str, int]] = field(default_factory=dict)
    """(key, number) of every input record, by its place."""
    _numbers: int = 0

    @property
    def inputs(self) -> str:
        return f"{self.prefix}inputs"

    @property
    def updates(self) -> str:
        return f"{self.prefix}updates"

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

    async def create_topics(self, replication: int = 1) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        compacted = {"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"}
        await admin.create_topics(
            [
                *(NewTopic(name, PARTITIONS, replication) for name in (self.inputs, self.updates, self.events)),
                NewTopic(self.changelog, PARTITIONS, replication, topic_configs=compacted),
            ]
        )
        await admin.close()

    # -- workers -------------------------------------------------------------------------------------------------

    def start(self, name: str, **config: Any) -> Worker:
        """Start a worker; `config` goes to `contract_worker.py`."""
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
            "app_id": self.app_id,
            "bootstrap": self.bootstrap,
            "data_directory": str(self.directory / f"data-{name}"),
            "trace": str(self.trace),
            "inputs": self.inputs,
            "updates": self.updates,
            "events": self.events,
            "options": options,
        } | config
        output = self.directory / f"{name}.out"
        with output.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("contract_worker.py")), json.dumps(whole)],
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=PROJECT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(PROJECT)},
                start_new_session=True,
            )
        worker = Worker(name, process, output)
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

    async def produce(self, n: int, *, keys: int = 20, rate: float | None = None, updates: bool = False) -> None:
        """`n` records round the keys, at `rate` a second; `updates` produces as many of those as well."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, enable_idempotence=True)
        await producer.start()
        sent = []
        began_s = time.monotonic()
        for _ in range(n):
            number, self._numbers = self._numbers, self._numbers + 1
            key = f"S{number % keys}"
            value = json.dumps({"k": key, "i": number}).encode()
            sent.append((key, number, await producer.send(self.inputs, value, key=key.encode())))
            if updates:
                await producer.send(self.updates, value, key=key.encode())
            if rate is not None:
                await asyncio.sleep(max(0.0, began_s + len(sent) / rate - time.monotonic()))
        await producer.flush()
        await producer.stop()
        for key, number, future in sent:
            place = await future
            self.produced[place.partition, place.offset] = (key, number)

    async def produce_in_transactions(self, n: int, *, keys: int = 20, each: int = 5) -> None:
        """`n` records, some in a transaction of their own: each leaves a marker that is no record."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=f"{self.prefix}tx")
        await producer.start()
        sent = []
        for first in range(0, n, each):
            async with producer.transaction():
                for _ in range(first, min(first + each, n)):
                    number, self._numbers = self._numbers, self._numbers + 1
                    key = f"S{number % keys}"
                    value = json.dumps({"k": key, "i": number}).encode()
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

    async def read(self, topic: str) -> list[Any]:
        """All records of a topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            tps = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
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

    # -- the trace -----------------------------------------------------------------------------------------------

    def lines(self) -> list[Line]:
        if not self.trace.exists():
            return []
        split = (line.split() for line in self.trace.read_text().splitlines())
        return [Line(float(at), worker, event, tuple(details)) for at, worker, event, *details in split]

    def count(self, event: str, worker: str | None = None) -> int:
        return sum(1 for line in self.lines() if line.event == event and worker in (None, line.worker))

    def places(self, event: str, lines: Iterable[Line] | None = None) -> list[Place]:
        return [line.place for line in (self.lines() if lines is None else lines) if line.event == event]

    def verdict(self) -> Verdict:
        lines = self.lines()
        ended = defaultdict(int)
        for place in self.places("END", lines):
            ended[place] += 1
        return Verdict(
            lost=[place for place in self.produced if not ended[place]],
            done_twice=[place for place, times in ended.items() if times > 1],
            out_of_order=self._out_of_order(lines),
            overlapping=_overlapping(lines),
        )

    def _out_of_order(self, lines: list[Line]) -> list[Place]:
        """Records that began before an earlier one of their key had ended."""
        earlier: dict[Place, list[Place]] = {}
        seen: dict[str, list[Place]] = defaultdict(list)
        for place, (key, _) in sorted(self.produced.items()):
            earlier[place] = seen[key][-1:]
            seen[key].append(place)
        ended: set[Place] = set()
        wrong = []
        for line in lines:
            if line.event == "BEGIN" and any(place not in ended for place in earlier.get(line.place, ())):
                wrong.append(line.place)
            elif line.event == "END":
                ended.add(line.place)
        return wrong


def _overlapping(lines: list[Line]) -> list[Place]:
    """Effects that began while another effect of the same key was under way in a process that lived."""
    under_way: dict[str, Line] = {}
    wrong = []
    for line in lines:
        if line.event == "BOOT":
            under_way = {key: other for key, other in under_way.items() if other.worker != line.worker}
        elif line.event == "EFFECT":
            if line.key in under_way and under_way[line.key].worker != line.worker:
                wrong.append(line.place)
            under_way[line.key] = line
        elif line.event == "END":
            under_way.pop(line.key, None)
    return wrong
