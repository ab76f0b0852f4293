"""The variants that `update_to_event` compares: how to start one, what it reads, where its events go."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from app.engine_options import COMMIT_INTERVAL_S
from bench import event_work, order_rows
from bench.harness.broker import commit_start, create_topics, delete_topics, fill, unique
from bench.harness.children import PROJECT, Child, start
from bench.harness.command import progress
from streams.topics import Topics

PARTITIONS = 8
SEEDED_ORDERS = 20_000
QUIX = PROJECT / ".run" / "bench" / "quix"
QUIX_LOCK = PROJECT / "bench" / "quix.lock"

Load = Callable[[int], tuple[int, bytes, bytes]]
"""Number of an update → (partition, key, update sent now)."""


def quix_python(*, install: bool) -> str | None:
    """The Python of the environment that has Quix Streams; made on the first call, from a hashed lock. None without."""
    python, stamp = QUIX / "bin" / "python", QUIX / "installed"
    lock = QUIX_LOCK.read_text("utf-8")
    if stamp.exists() and stamp.read_text("utf-8") == lock:
        return str(python)
    if not install:
        return None
    progress("making the environment of Quix Streams")
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(QUIX)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(QUIX_LOCK)], check=True)
    except subprocess.CalledProcessError as error:
        progress(f"no Quix Streams: {error}")
        return None
    stamp.write_text(lock, "utf-8")
    return str(python)


def _plain_load(number: int) -> tuple[int, bytes, bytes]:
    order = number % event_work.ORDERS
    value = event_work.update(order, number // event_work.ORDERS + 1, time.time_ns())
    return event_work.partition_of(order), event_work.symbol_of(order), value


def _order_load(number: int) -> tuple[int, bytes, bytes]:
    """Every order is acknowledged, then filled in part: one order event each."""
    order, step = divmod(number, 2)
    symbol = order_rows.symbol_of(order)
    return (
        order_rows.partition_of(symbol.encode(), PARTITIONS),
        symbol.encode(),
        order_rows.update(order, step, time.time_ns()),
    )


class _At(msgspec.Struct):
    at_ns: int


_at = msgspec.json.Decoder(_At)


@dataclass(frozen=True, slots=True)
class Variant:
    """`module` is what is started; `workers` how many of it share the partitions."""

    name: str
    module: str
    settings: dict[str, Any] = field(default_factory=dict)
    workers: int = 1
    real: bool = False
    """The order agent: its inputs are real updates of orders that its table has."""
    quix: bool = False

    @property
    def inputs(self) -> str:
        """Which of the two preproduced topics it reads."""
        return "real" if self.real else "plain"

    @property
    def load(self) -> Load:
        """Updates for the idle case."""
        return _order_load if self.real else _plain_load

    def sent_ns(self, event: bytes) -> int:
        """When the update behind an event was sent, ns UTC."""
        return _at.decode(event).at_ns if self.real else event_work.sent_ns_of(event)


FAUST = Variant("stock Faust", "stock_faust")
QUIX_STREAMS = Variant("Quix Streams", "quix", quix=True)
QUIX_AS_OFTEN = Variant(
    "Quix Streams, committing as often as ours",
    "quix",
    {"commit_interval_s": COMMIT_INTERVAL_S},
    quix=True,
)
"""Its rows are durable, and its offsets committed, at our own interval: as it comes it does that every 5 s, and writes
only the last row of each key."""
RAW = Variant("raw lean loop", "raw_lean")
OURS = Variant("ours", "engine")
UNSAFE = Variant("ours, safety off", "engine", {"safety": False})
TWO = Variant("ours, two workers", "engine", workers=2)
AGENT = Variant("ours, with the order agent", "order_agent", real=True)


class Scene:
    """One run of one variant: topics and directories of its own, its workers, and all of it gone afterwards."""

    def __init__(self, bootstrap: str, variant: Variant, inputs: str) -> None:
        self.bootstrap, self.variant, self.inputs = bootstrap, variant, inputs
        self.app_id = unique("bench")
        self._topics = Topics(prefix=f"{self.app_id}-", partitions=PARTITIONS)
        self._directory = tempfile.TemporaryDirectory(prefix="bench-")
        self.workers: list[Child] = []

    @property
    def events(self) -> list[str]:
        """Where events are counted."""
        topics = self._topics
        return [topics.order_events, topics.position_events] if self.variant.real else [f"{self.app_id}-events"]

    async def __aenter__(self) -> Scene:  # noqa: PYI034 -- no class is derived
        topics, changelogs = self._all_topics()
        await create_topics(self.bootstrap, topics, PARTITIONS, changelogs)
        if self.variant.real:
            await fill(self.bootstrap, changelogs[0], order_rows.resting_rows(SEEDED_ORDERS))
            await commit_start(self.bootstrap, self.app_id, self.inputs, PARTITIONS)
        python = quix_python(install=False) if self.variant.quix else None
        for number in range(self.variant.workers):
            directory = Path(self._directory.name) / str(number)
            config = {
                "app_id": self.app_id,
                "prefix": f"{self.app_id}-",
                "bootstrap": self.bootstrap,
                "inputs": self.inputs,
                "events": self.events[0],
                "directory": str(directory / "state"),
                "partitions": PARTITIONS,
                **self.variant.settings,
            }
            self.workers.append(start(f"bench.workers.{self.variant.module}", config, directory, python=python))
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for worker in self.workers:
            worker.end()
        topics, changelogs = self._all_topics()
        await delete_topics(self.bootstrap, [*topics, *changelogs])
        self._directory.cleanup()

    def check(self) -> None:
        """Raises `RuntimeError` if a worker has ended."""
        for worker in self.workers:
            worker.check()

    def _all_topics(self) -> tuple[list[str], list[str]]:
        tables = ("orders", "signals", "positions") if self.variant.real else ("orders", "ledger")
        changelogs = [f"{self.app_id}-{table}-changelog" for table in tables]
        if not self.variant.real:
            return self.events, ([] if self.variant.quix else changelogs)
        topics = self._topics
        return [*self.events, topics.order_updates, topics.order_updates_dead, topics.alerts], changelogs
