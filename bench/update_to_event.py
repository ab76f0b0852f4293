"""An update becomes an event: one get, two table writes, one event. At saturation, and when there is little to do.

Every run is a fresh worker process on topics of its own that reads the same preproduced updates. The broker's end
offsets say how many events there are, `/proc` what the workers used; both are looked at from outside, alike for all.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from bench import event_work, order_rows
from bench.harness import command
from bench.harness.broker import Ends, broker, create_topics, delete_topics, fill, unique
from bench.harness.measuring import cpu_s, memory_mib, percentile, ratio, spread
from bench.harness.report import AT_LEAST, AT_MOST, Report, Table, Target
from bench.variants import (
    AGENT,
    FAUST,
    OURS,
    PARTITIONS,
    QUIX_AS_OFTEN,
    QUIX_STREAMS,
    RAW,
    TWO,
    UNSAFE,
    Scene,
    Variant,
    quix_python,
)

POLL_S = 0.03
WARM_EVENTS = 3_000
"""Events before the window opens: connections, caches and the compiler of nobody are warm by then."""

START_S = 40.0
JOIN_SETTLE_S = 1.0
RATE = 100
WARM_UPDATES = 200
"""At that rate, before any counts: connections, caches and the broker's own compiler."""

READER_WAIT_MS = 5
"""Our own reader must not be what takes long: a partition that is not in a fetch waits for that fetch to come back."""

Runs = dict[str, list[dict[str, Any]]]


class Plan:
    """How much of everything."""

    def __init__(self, *, quick: bool) -> None:
        self.rounds = 1 if quick else 5
        self.rounds_beside = 2
        self.window_s = 1.5 if quick else 11.0
        """Two of Quix Streams' own commits lie in it: it stands still for a second at each."""
        self.plain_updates = 60_000 if quick else 420_000
        self.real_orders = 4_000 if quick else 20_000
        self.idle_s = 1.5 if quick else 8.0
        self.idle_rounds = 1
        with_quix = quix_python(install=not quick) is not None
        quix = [QUIX_STREAMS, QUIX_AS_OFTEN] if with_quix else []
        self.saturated = [OURS, RAW] if quick else [RAW, OURS, *quix]
        self.beside = [] if quick else [UNSAFE, AGENT, TWO]
        """No target speaks of these: fewer rounds are enough."""
        self.idle = [OURS] if quick else [RAW, OURS, *quix[:1], AGENT]
        self.once = [] if quick else [FAUST]
        """It is ten times slower."""


async def measure(quick: bool) -> Report:
    """The whole benchmark."""
    plan = Plan(quick=quick)
    report = Report("update_to_event", "Update → event", quick)
    report.parameters = {
        "update": f"{event_work.UPDATE_BYTES} B",
        "rows": f"{event_work.ROW_BYTES} and {event_work.LEDGER_BYTES} B",
        "event": f"{event_work.EVENT_BYTES} B",
        "orders": event_work.ORDERS,
        "partitions": PARTITIONS,
        "rounds": plan.rounds,
    }
    saturated: Runs = {}
    idle: Runs = {}
    async with broker() as bootstrap, _inputs(bootstrap, plan) as inputs:
        for turn in range(plan.rounds):
            beside = [*(plan.beside if turn < plan.rounds_beside else []), *(plan.once if turn == 0 else [])]
            for variant in [*plan.saturated, *beside]:
                run = await _saturation(bootstrap, variant, inputs[variant.inputs], plan)
                saturated.setdefault(variant.name, []).append(run)
                command.progress(f"{variant.name}: {run['events_per_s']:,.0f} events/s, {run['cpu_us']:.0f} µs CPU")
        for _ in range(plan.idle_rounds):
            for variant in plan.idle:
                run = await _idle(bootstrap, variant, plan)
                idle.setdefault(variant.name, []).append(run)
                command.progress(f"{variant.name}: idle p50 {run['p50_ms']:.1f} ms, p99 {run['p99_ms']:.1f} ms")
    _tell(report, saturated, idle)
    return report


@asynccontextmanager
async def _inputs(bootstrap: str, plan: Plan) -> AsyncIterator[dict[str, str]]:
    """The two topics of updates that all runs read."""
    topics = {"plain": unique("bench-updates"), "real": unique("bench-order-updates")}
    await create_topics(bootstrap, topics.values(), PARTITIONS)
    await fill(bootstrap, topics["plain"], event_work.updates(plan.plain_updates))
    if AGENT in plan.beside:
        await fill(bootstrap, topics["real"], order_rows.updates(plan.real_orders))
    try:
        yield topics
    finally:
        await delete_topics(bootstrap, topics.values())


# -- saturation ----------------------------------------------------------------------------------------------------


async def _saturation(bootstrap: str, variant: Variant, inputs: str, plan: Plan) -> dict[str, Any]:
    """Events per second and processor per event in a window of a run through a backlog."""
    total = plan.real_orders * order_rows.STEPS if variant.real else plan.plain_updates
    async with Scene(bootstrap, variant, inputs) as scene, Ends(bootstrap, scene.events, PARTITIONS) as ends:
        await _until(scene, ends, WARM_EVENTS)
        if variant.workers > 1:
            await _joined(bootstrap, scene)
        began_s, first, cpu = time.monotonic(), await ends.count(), _cpu(scene)
        ended_s, last = began_s, first
        while ended_s - began_s < plan.window_s and last < total * 0.98:
            await asyncio.sleep(POLL_S)
            last, ended_s = await ends.count(), time.monotonic()
            scene.check()
        used_s = _cpu(scene) - cpu
        peak = sum(memory_mib(worker.pid)[1] for worker in scene.workers)
        return {
            "variant": variant.name,
            "kind": "saturation",
            "events": last - first,
            "events_per_s": (last - first) / (ended_s - began_s),
            "cpu_us": used_s / max(1, last - first) * 1e6,
            "memory_mib": peak,
        }


def _cpu(scene: Scene) -> float:
    return sum(cpu_s(worker.pid) for worker in scene.workers)


async def _until(scene: Scene, ends: Ends, events: int) -> None:
    deadline_s = time.monotonic() + START_S
    while await ends.count() < events:
        scene.check()
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{scene.variant.name}: less than {events} events after {START_S} s")
        await asyncio.sleep(POLL_S)


async def _joined(bootstrap: str, scene: Scene) -> None:
    """Wait until every worker has its share of the partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            for described in await admin.describe_consumer_groups([scene.app_id]):
                for _error, _group, state, _type, _protocol, members, *_rest in described.groups:
                    if state == "Stable" and len(members) == scene.variant.workers:
                        await asyncio.sleep(JOIN_SETTLE_S)
                        return
            await asyncio.sleep(POLL_S)
        raise TimeoutError("the second worker did not join")
    finally:
        await admin.close()


# -- little to do --------------------------------------------------------------------------------------------------


async def _idle(bootstrap: str, variant: Variant, plan: Plan) -> dict[str, Any]:
    """Milliseconds from the sending of an update to the arrival of its event, at 100 updates a second."""
    inputs = unique("bench-idle")
    await create_topics(bootstrap, [inputs], PARTITIONS)
    count = int(plan.idle_s * RATE)
    async with Scene(bootstrap, variant, inputs) as scene:
        reader = AIOKafkaConsumer(
            scene.events[0], bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=READER_WAIT_MS
        )
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await reader.start()
        await producer.start()
        latencies_ms: list[float] = []
        try:
            sent = await _first_event(scene, producer, reader, inputs)
            reading = asyncio.create_task(_read(variant, reader, latencies_ms, WARM_UPDATES + count))
            began_s = time.monotonic()
            for number in range(WARM_UPDATES + count):
                await asyncio.sleep(max(0.0, began_s + number / RATE - time.monotonic()))
                partition, key, value = variant.load(sent + number)
                await producer.send(inputs, value, key=key, partition=partition)
            with suppress(TimeoutError):
                async with asyncio.timeout(START_S / 4):
                    await reading
        finally:
            await reader.stop()
            await producer.stop()
    await delete_topics(bootstrap, [inputs])
    del latencies_ms[:WARM_UPDATES]
    return {
        "variant": variant.name,
        "kind": "idle",
        "p50_ms": percentile(latencies_ms, 0.5),
        "p99_ms": percentile(latencies_ms, 0.99),
        "events": len(latencies_ms),
        "lost": count - len(latencies_ms),
    }


async def _first_event(scene: Scene, producer: AIOKafkaProducer, reader: AIOKafkaConsumer, inputs: str) -> int:
    """Wait until updates come out as events again and none is on its way; returns how many were sent."""
    deadline_s, sent, back = time.monotonic() + START_S, 0, 0
    while back == 0 or back < sent:
        scene.check()
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{scene.variant.name}: no event after {START_S} s")
        if back == 0:
            for _ in range(PARTITIONS * 2):
                partition, key, value = scene.variant.load(sent)
                await producer.send(inputs, value, key=key, partition=partition)
                sent += 1
        found = await reader.getmany(timeout_ms=500)
        back += sum(len(records) for records in found.values())
    return sent


async def _read(variant: Variant, reader: AIOKafkaConsumer, latencies_ms: list[float], count: int) -> None:
    while len(latencies_ms) < count:
        found = await reader.getmany(timeout_ms=200)
        now_ns = time.time_ns()
        for records in found.values():
            latencies_ms.extend((now_ns - variant.sent_ns(record.value)) / 1e6 for record in records)


# -- what it says --------------------------------------------------------------------------------------------------


def _tell(report: Report, saturated: Runs, idle: Runs) -> None:
    report.runs = [run for runs in (*saturated.values(), *idle.values()) for run in runs]
    rates = {name: [run["events_per_s"] for run in runs] for name, runs in saturated.items()}
    baseline = rates[RAW.name]
    table = Table(
        "At saturation, median of the rounds",
        ["variant", "events/s", "lowest to highest", "CPU µs/event", "of raw lean loop", "memory MiB"],
    )
    for name, runs in sorted(saturated.items(), key=lambda each: statistics.median(rates[each[0]])):
        table.rows.append(
            [
                name,
                statistics.median(rates[name]),
                spread(rates[name]),
                statistics.median(run["cpu_us"] for run in runs),
                ratio(rates[name], baseline),
                max(run["memory_mib"] for run in runs),
            ]
        )
    report.tables.append(table)
    resting = Table(f"At {RATE} updates a second", ["variant", "p50 ms", "p99 ms", "not seen again"])
    for name, runs in idle.items():
        resting.rows.append(
            [
                name,
                statistics.median(run["p50_ms"] for run in runs),
                statistics.median(run["p99_ms"] for run in runs),
                sum(run["lost"] for run in runs),
            ]
        )
    report.tables.append(resting)
    ours = rates[OURS.name]
    report.targets.append(Target("ours ÷ raw lean loop, events/s", ratio(ours, baseline), 0.6, AT_LEAST))
    for quix in (QUIX_STREAMS, QUIX_AS_OFTEN):
        times = ratio(ours, rates[quix.name]) if quix.name in rates else None
        report.targets.append(Target(f"ours ÷ {quix.name}, events/s", times, 1.5, AT_LEAST))
    if FAUST.name in rates:
        report.targets.append(Target("ours ÷ stock Faust, events/s", ratio(ours, rates[FAUST.name]), 2.0, AT_LEAST))
    p50_ms = statistics.median(run["p50_ms"] for run in idle[OURS.name])
    report.targets.append(Target(f"ours, p50 at {RATE}/s", p50_ms, 10.0, AT_MOST, "ms"))
    if UNSAFE.name in rates:
        cost = 1 - ratio(ours, rates[UNSAFE.name])
        report.notes.append(
            f"The cost of safety (events after their rows, offsets after everything, lease): {cost:.0%} of events/s."
        )
    if QUIX_STREAMS.name in rates:
        report.notes.append(
            "Quix Streams as it comes makes state durable and commits every 5 s, so most rows never get into its "
            "changelog, and a crash repeats up to 5 s of events. Rows of ours are there, each of them, before their "
            "event leaves."
        )
    if TWO.name in rates:
        scaled = ratio(rates[TWO.name], ours)
        report.notes.append(f"Two workers do {scaled:.2f} times what one does; the broker runs on the same cores.")
    if AGENT.name in rates:
        report.notes.append(
            "With the order agent: real rows (1.4 kB, seven indexes), reports and fills merged, positions and history "
            "kept; an update leads to 2.4 rows and one event on average."
        )


if __name__ == "__main__":
    command.main(measure)
