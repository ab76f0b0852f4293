"""Whatever happened to the process, its tables are what replay makes of the topics."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from app.replay.fold import Fold, PutOff
from app.replay.folded import IntentMaker
from app.replay.inputs import Inputs
from app.replay.live import LiveTables
from app.replay.report import row_difference
from app.replay.scratch import Scratch, scratch_tables
from app.replay.signal_rows import SignalRows
from app.replay.snapshot import Comparison, compare_snapshots, write_snapshot
from simulation.broker import Broker
from simulation.listing import CATEGORY, VENUE
from simulation.surroundings import Surroundings
from simulation.venue_orders import INSTANCE
from simulation.worker import Worker
from simulation.world import simulate
from streams.record import Record
from streams.topics import TABLES, Topics
from tables.orders import order_index
from tables.positions import position_index
from tables.rows import Rows
from tables.signals import SignalTable, signal_index

SEEDS = range(int(os.environ.get("ORDERMANAGER_REPLAY_SEEDS", "30")))


def records(broker: Broker, topic: str, name: str) -> Iterator[Record]:
    """The records of the simulated log `topic`, as if the topic had the real `name`."""
    for source, stored in broker.all(topic):
        yield Record(
            name, source.partition, source.offset, stored.key, stored.value, stored.headers, stored.timestamp_ns
        )


def make_again(scratch: Scratch, around: Surroundings) -> tuple[Mapping[str, Rows], Mapping[str, Rows], Fold]:
    """(live tables, tables made again, the fold) of a run's logs."""
    broker, topics = around.broker, Topics(partitions=around.broker.partitions)
    until = {partition: broker.end((topics.order_updates, partition)) for partition in range(broker.partitions)}
    updates = list(records(broker, topics.order_updates, topics.order_updates))
    put_off = PutOff(until)
    for record in updates:
        put_off.note(record)
    live = LiveTables(scratch, topics, until, copied_at=put_off.copied_at)
    for table in TABLES:
        for record in records(broker, f"{table}-changelog", topics.changelog(table)):
            live.take(record)
    live.settle()
    inputs = Inputs(scratch, topics, venue=VENUE, categories=(CATEGORY,), max_bytes=262_144)
    for topic in (topics.signals, topics.order_commands):
        for record in records(broker, topic, topic):
            inputs.take(record)
    inputs.settle()
    made = {
        "orders": scratch.table("made-orders", order_index),
        "signals": scratch.table("made-signals", signal_index),
        "positions": scratch.table("made-positions", position_index),
    }
    maker = IntentMaker(live, inputs)
    fold = Fold(made, scratch.log, topics, INSTANCE, intents=live.intents, make_intent=maker.make, put_off=put_off)
    for record in updates:
        fold.take(record)
    fold.finish()
    rows = SignalRows(live.rows["signals"], SignalTable(made["signals"]), inputs, fold.orders)
    for partition in until:
        rows.make(partition, complete=True)
    return live.rows, made, fold


def compared(around: Surroundings, directory: Path) -> Comparison:
    """The live tables of a run against those made again."""
    with scratch_tables(directory / "scratch", around.broker.partitions) as scratch:
        live, made, _ = make_again(scratch, around)
        for name, tables in (("live", live), ("made", made)):
            write_snapshot(directory / name, tables, {})
    return compare_snapshots(directory / "live", directory / "made", names=("live", "made"))


async def run(seed: int) -> Surroundings:
    """What a seed leaves behind."""
    seen: list[Surroundings] = []

    def note(worker: Worker) -> None:
        seen.append(worker.around)

    found = await asyncio.to_thread(simulate, seed, None, note)
    assert not found.violations
    return seen[-1]


async def test_replay_makes_the_tables_that_crashes_and_parked_updates_left(tmp_path: Path) -> None:
    for seed in SEEDS:
        around = await run(seed)

        comparison = compared(around, tmp_path / str(seed))

        assert comparison.first is None, f"seed {seed}: {[row_difference(each) for each in comparison.kept[:3]]}"
