"""The paper exchange under load: orders a second on one core, with 10,000 orders in the book.

The exchange is a process of its own, with its books on disk and all of its markets running; an account's private
stream is read all the time. Saturated, each of some connections places its next order when the last one is answered;
paced, orders come evenly at 1,000 a second. Half of the orders rest deep in the book and are cancelled again by a call
that is not counted as an order; half are market orders, which fill at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import websockets

from bench.harness.children import Child, running
from bench.harness.command import main, progress
from bench.harness.measuring import cpu_s, memory_mib, percentile
from bench.harness.report import AT_LEAST, AT_MOST, Report, Table, Target
from bench.paper.calls import Connection
from bench.paper.exchange import keys
from exchanges.paper import ApiKey

SYMBOL = "BTCUSDT"
ACCOUNTS = 20
CONNECTIONS = 40
PACE_PER_S = 1000.0
DEEPEST = 30_000  # the resting orders stand from here upwards, a tick apart, far below the market
ORDER = {"category": "linear", "symbol": SYMBOL, "qty": "0.001"}


async def measure(quick: bool) -> Report:
    """Fill the book, then take turns: saturated, paced."""
    resting, turns, seconds = (1_000, 1, 3) if quick else (10_000, 3, 15)
    report = Report(
        "paper_load",
        "The paper exchange under load",
        quick,
        parameters={
            "resting orders": resting,
            "accounts": ACCOUNTS,
            "connections": CONNECTIONS,
            "seconds a turn": seconds,
        },
    )
    pairs = keys(ACCOUNTS)
    with tempfile.TemporaryDirectory(prefix="paper-load-") as scratch:
        config = {"directory": scratch, "accounts": ACCOUNTS}
        with running("bench.paper.exchange", config, Path(scratch) / "child") as child:
            port = await _port_of(child)
            async with _connections(port, pairs) as connections, _stream(port, pairs[0]) as told:
                await _fill_book(connections, resting)
                for turn in range(turns):
                    for manner, pace in (("saturated", None), ("paced", PACE_PER_S)):
                        run = await _turn(child, connections, seconds, pace)
                        report.runs.append({"manner": manner, "turn": turn, **run})
                        progress(f"{manner}: {run['creates_per_s']:,.0f} orders/s, {run['cpu_ms']:.2f} ms CPU an order")
                report.parameters["stream messages"] = told.total()
    _conclude(report)
    return report


async def _port_of(child: Child) -> int:
    while "port " not in child.output.read_text():
        child.check()
        await asyncio.sleep(0.05)
    return int(child.output.read_text().partition("port ")[2].split()[0])


@contextlib.asynccontextmanager
async def _connections(port: int, pairs: tuple[ApiKey, ...]) -> AsyncIterator[list[Connection]]:
    opened = [await Connection.open(port, pair) for _, pair in zip(range(CONNECTIONS), itertools.cycle(pairs))]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()


@contextlib.asynccontextmanager
async def _stream(port: int, pair: ApiKey) -> AsyncIterator[Counter[str]]:
    """How many messages of each topic one account's private stream has brought."""
    told: Counter[str] = Counter()
    async with websockets.connect(f"ws://127.0.0.1:{port}/v5/private", max_queue=None) as socket:
        expires = int(time.time() * 1000) + 10_000
        sign = hmac.new(pair.secret.encode(), f"GET/realtime{expires}".encode(), "sha256").hexdigest()
        await socket.send(orjson.dumps({"op": "auth", "args": [pair.key, expires, sign]}).decode())
        topics = ["order", "execution", "position", "wallet"]
        await socket.send(orjson.dumps({"op": "subscribe", "args": topics}).decode())

        async def read() -> None:
            async for message in socket:
                told[orjson.loads(message).get("topic", "")] += 1

        reading = asyncio.create_task(read())
        try:
            yield told
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _fill_book(connections: list[Connection], resting: int) -> None:
    """`resting` orders to buy on as many prices, none of which the market comes near."""
    places = iter(range(resting))

    async def work(connection: Connection) -> None:
        for place in places:
            wish = {"side": "Buy", "orderType": "Limit", "price": f"{DEEPEST + place / 10:.1f}"}
            await connection.post("order/create", ORDER | wish)

    await asyncio.gather(*map(work, connections))


async def _turn(
    child: Child, connections: list[Connection], seconds: float, pace_per_s: float | None
) -> dict[str, Any]:
    """Orders for some seconds; the figures of the turn."""
    took: list[float] = []
    began_s, used_s = time.perf_counter(), cpu_s(child.pid)
    ends_s = began_s + seconds
    numbers = itertools.count()

    async def work(connection: Connection) -> None:
        while True:
            number = next(numbers)
            if pace_per_s is not None:
                await asyncio.sleep(max(0.0, began_s + number / pace_per_s - time.perf_counter()))
            if time.perf_counter() >= ends_s:
                return
            took.append(await _one_order(connection, number))

    await asyncio.gather(*map(work, connections))
    wall_s, cpu = time.perf_counter() - began_s, cpu_s(child.pid) - used_s
    child.check()
    return {
        "creates": len(took),
        "creates_per_s": len(took) / wall_s,
        "cpu_ms": cpu / len(took) * 1000,
        "core_share": cpu / wall_s,
        "p50_ms": percentile(took, 0.5) * 1000,
        "p99_ms": percentile(took, 0.99) * 1000,
        "memory_mib": memory_mib(child.pid)[0],
    }


async def _one_order(connection: Connection, number: int) -> float:
    """Place one order; cancel it if it rests. The seconds that the placing took."""
    if number % 2:
        side = "Buy" if number % 4 == 1 else "Sell"
        _, took_s = await connection.post("order/create", ORDER | {"side": side, "orderType": "Market"})
        return took_s
    wish = {"side": "Buy", "orderType": "Limit", "price": f"{DEEPEST + number % 10_000 / 10:.1f}"}
    reply, took_s = await connection.post("order/create", ORDER | wish)
    order_id = reply["result"]["orderId"]
    await connection.post("order/cancel", {"category": "linear", "symbol": SYMBOL, "orderId": order_id})
    return took_s


def _conclude(report: Report) -> None:
    columns = ["creates_per_s", "cpu_ms", "core_share", "p50_ms", "p99_ms", "memory_mib"]
    names = ["", "orders/s", "CPU ms an order", "share of a core", "p50 ms", "p99 ms", "memory MiB"]
    table = Table("", names)
    medians: dict[str, dict[str, float]] = {}
    for manner in ("saturated", "paced"):
        runs = [run for run in report.runs if run["manner"] == manner]
        medians[manner] = {column: statistics.median(run[column] for run in runs) for column in columns}
        table.rows.append([manner, *medians[manner].values()])
    report.tables.append(table)
    per_core = 1000 / medians["saturated"]["cpu_ms"]
    report.targets += [
        Target("orders a second that one core carries", per_core, 1000.0, AT_LEAST, "orders/s"),
        Target("p99 at 1,000 orders a second", medians["paced"]["p99_ms"], 50.0, AT_MOST, "ms"),
    ]
    report.notes.append(
        "Every second order is followed by its cancel: the processor time of an order contains half a cancel, the "
        "running of all markets, the commits and the stream's messages."
    )


if __name__ == "__main__":
    main(measure)
