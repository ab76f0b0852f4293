"""Pages of orders over HTTP from a worker that applies updates at the same time, with few orders and with many.

The same questions are asked of both workers in turns. What the page costs the rest of the worker shows in the time
from an update to its event.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from app.kafka.broker import free_ports
from bench import order_rows
from bench.harness import command
from bench.harness.broker import broker
from bench.harness.children import Child, running
from bench.harness.measuring import memory_mib, percentile
from bench.harness.report import AT_MOST, Report, Table, Target
from bench.stored_orders import PARTITIONS, ensure_orders, recovered, worker_config
from bench.workers.order_agent import API_KEY
from streams.topics import Topics

LIMIT_S = 180.0
UPDATES_PER_S = 150
MILLION = 1_000_000
Question = dict[str, str]


def questions(orders: int) -> dict[str, list[Question]]:
    """Every filter and both directions, by name; from the newest, the oldest and the middle of what there is."""
    middle_ns = order_rows.created_ns_of(orders // 2)
    one = order_rows.order(orders // 3, is_open=False)
    symbol = one.instrument.symbol
    signal_id = one.signal.signal_id if one.signal else ""
    span = {"created_from": str(middle_ns), "created_to": str(middle_ns + 600 * order_rows.SPACING_NS)}
    return {
        "newest 50": [{}],
        "oldest 50": [{"order": "asc"}],
        "by symbol": [{"symbol": symbol}, {"symbol": symbol, "order": "asc"}],
        "by status": [{"status": status} for status in ("filled", "cancelled", "pending", "rejected")],
        "by symbol and status": [{"symbol": symbol, "status": "filled"}, {"symbol": symbol, "status": "pending"}],
        "by state": [{"state": "acknowledged"}, {"state": "cancelled"}, {"state": "uncertain"}],
        "by time": [span, span | {"order": "asc"}, span | {"symbol": symbol}],
        "by signal": [{"signal_id": signal_id}],
        "by side": [{"side": "sell"}],
        "by strategy": [{"strategy_id": "carry"}, {"strategy_id": "carry", "symbol": symbol}],
        "by venue": [{"venue": "paper"}],
        "no such strategy": [{"strategy_id": "nobody"}],
        "newest 500": [{"limit": "500"}],
        "500 of a status": [{"limit": "500", "status": "filled", "order": "asc"}],
    }


@dataclass(slots=True)
class Asked:
    """One worker under question."""

    orders: int
    url: str
    child: Child
    session: aiohttp.ClientSession
    latencies_ms: dict[str, list[float]] = field(default_factory=dict)

    async def ask(self, name: str, question: Question) -> dict[str, Any]:
        """Ask, and note how long the whole reply took."""
        began_s = time.perf_counter()
        async with self.session.get(f"{self.url}/orders", params=question) as reply:
            body = await reply.read()
        self.latencies_ms.setdefault(name, []).append((time.perf_counter() - began_s) * 1e3)
        if reply.status != 200:
            raise RuntimeError(f"{question}: {reply.status} {body[:300]!r}")
        page: dict[str, Any] = msgspec.json.decode(body)
        return page

    def all_ms(self) -> list[float]:
        """Every reply."""
        return list(itertools.chain.from_iterable(self.latencies_ms.values()))


async def measure(quick: bool) -> Report:
    """Both sizes, one after the other: two such workers side by side would wait for each other."""
    sizes, rounds = ((2_000, 10_000), 3) if quick else ((100_000, MILLION), 40)
    report = Report("query_pages", "Pages of orders", quick)
    report.parameters = {"updates meanwhile": f"{UPDATES_PER_S}/s", "pages of each kind": rounds, "page": "50 orders"}
    asked: list[Asked] = []
    table = Table("Milliseconds from request to the last byte", ["question"])
    events = Table("", ["orders", "update → event p50 ms", "p99 ms", "longest ms", "memory MiB after it"])
    async with broker() as bootstrap:
        for orders in sizes:
            topics = await ensure_orders(bootstrap, orders)
            async with _worker(bootstrap, topics, orders) as worker:
                alone = await _updating(bootstrap, topics, orders, asyncio.sleep(1.0 if quick else 5.0))
                beside = await _updating(bootstrap, topics, orders, _ask_all(worker, rounds))
                memory = memory_mib(worker.child.pid)[1]
            asked.append(worker)
            for what, latencies_ms in ((f"{orders:,}, nothing asked", alone), (f"{orders:,}, asked", beside)):
                p50_ms, p99_ms = percentile(latencies_ms, 0.5), percentile(latencies_ms, 0.99)
                events.rows.append([what, p50_ms, p99_ms, max(latencies_ms), memory])
            command.progress(f"{orders:,}: p99 {percentile(worker.all_ms(), 0.99):.1f} ms, {memory:.0f} MiB")
    _tell(report, asked, table)
    report.tables += [table, events]
    if not quick:
        report.targets.append(Target("memory at 1,000,000 orders, asked", events.rows[-1][-1], 500.0, AT_MOST, "MiB"))
    return report


def _tell(report: Report, asked: list[Asked], table: Table) -> None:
    for worker in asked:
        table.columns += [f"p50 at {worker.orders:,}", f"p99 at {worker.orders:,}"]
        for name, latencies_ms in worker.latencies_ms.items():
            report.runs.append({"orders": worker.orders, "question": name, "latencies_ms": latencies_ms})
    for name in asked[0].latencies_ms:
        cells = [percentile(worker.latencies_ms[name], share) for worker in asked for share in (0.5, 0.99)]
        table.rows.append([name, *cells])
    few, many = asked
    table.rows.append(["all", *(percentile(worker.all_ms(), share) for worker in asked for share in (0.5, 0.99))])
    growth = statistics.median(
        percentile(many.latencies_ms[name], 0.5) / percentile(few.latencies_ms[name], 0.5) for name in few.latencies_ms
    )
    report.targets += [
        Target(f"p99 of all pages at {many.orders:,} orders", percentile(many.all_ms(), 0.99), 50.0, AT_MOST, "ms"),
        Target(f"median at {many.orders:,} ÷ median at {few.orders:,} orders", growth, 1.5, AT_MOST),
    ]


@asynccontextmanager
async def _worker(bootstrap: str, topics: Topics, orders: int) -> AsyncIterator[Asked]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        (port,) = free_ports(1)
        config = worker_config(bootstrap, topics, directory) | {"web_port": port}
        with running("bench.workers.order_agent", config, directory) as child:
            await recovered(child, config, LIMIT_S)
            async with aiohttp.ClientSession(headers={"X-API-Key": API_KEY}) as session:
                worker = Asked(orders, f"http://127.0.0.1:{port}", child, session)
                await _ready(worker)
                yield worker


async def _ready(worker: Asked) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            worker.child.check()
            with suppress(aiohttp.ClientError):
                async with worker.session.get(f"{worker.url}/health/ready") as reply:
                    if reply.status == 200:
                        return
            await asyncio.sleep(0.1)


async def _ask_all(worker: Asked, rounds: int) -> None:
    kinds = questions(worker.orders)
    for name, asked in kinds.items():  # the first of each is not counted
        await worker.ask(name, asked[0])
    worker.latencies_ms.clear()
    for turn in range(rounds):
        for name, asked in kinds.items():
            await worker.ask(name, asked[turn % len(asked)])


class _At(msgspec.Struct):
    at_ns: int


_at = msgspec.json.Decoder(_At)


async def _updating(bootstrap: str, topics: Topics, orders: int, meanwhile: Any) -> list[float]:
    """Do `meanwhile` while updates flow; returns how long each took to become an event, in ms."""
    reader = AIOKafkaConsumer(topics.order_events, bootstrap_servers=bootstrap, fetch_max_wait_ms=5)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await reader.start()
    await producer.start()
    latencies_ms: list[float] = []
    try:
        await reader.seek_to_end()
        sending = asyncio.create_task(_send(producer, topics, orders))
        reading = asyncio.create_task(_read(reader, latencies_ms))
        await meanwhile
        sending.cancel()
        await asyncio.sleep(0.3)
        reading.cancel()
        await asyncio.wait([sending, reading])
    finally:
        await reader.stop()
        await producer.stop()
    return latencies_ms


async def _send(producer: AIOKafkaProducer, topics: Topics, orders: int) -> None:
    """Amendments of orders that rest: each is a row and an event."""
    began_s = time.monotonic()
    for number in itertools.count():
        await asyncio.sleep(max(0.0, began_s + number / UPDATES_PER_S - time.monotonic()))
        order = orders - 1 - number % min(order_rows.OPEN_ORDERS, orders)
        symbol = order_rows.symbol_of(order).encode()
        value = order_rows.amendment(order, time.time_ns())
        await producer.send(
            topics.order_updates, value, key=symbol, partition=order_rows.partition_of(symbol, PARTITIONS)
        )


async def _read(reader: AIOKafkaConsumer, latencies_ms: list[float]) -> None:
    while True:
        found = await reader.getmany(timeout_ms=200)
        now_ns = time.time_ns()
        for records in found.values():
            latencies_ms.extend((now_ns - _at.decode(record.value).at_ns) / 1e6 for record in records)


if __name__ == "__main__":
    command.main(measure)
