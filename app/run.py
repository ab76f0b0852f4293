"""`ordermanager run`: the whole set, a sample producer, and what happens as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from app.asking import short
from app.local_set import LocalSet
from app.sample_producer import SampleProducer
from app.settings import Settings, api_key
from domain.instruments import label

_LINES = 14


class Board:
    """What is shown: counts, the latest events, positions."""

    def __init__(self, local: LocalSet) -> None:
        self._local = local
        self._latest: deque[dict[str, Any]] = deque(maxlen=_LINES)
        self._counts: Counter[str] = Counter()
        self._positions: dict[str, dict[str, Any]] = {}
        self.signals = 0
        self.trouble = ""

    def take(self, event: dict[str, Any]) -> None:
        """One record of `order-events` or `position-events`."""
        if "after_fill" in event:
            where = event["instrument"]
            self._positions[label(where["category"], where["symbol"])] = event
            self._counts["fills" if event["type"] == "changed" else event["type"]] += 1
        else:
            self._counts[event["type"]] += 1
            self._latest.append(event)

    def line(self) -> str:
        """Everything in one line, for output that is no terminal."""
        counts = " ".join(f"{name}={count}" for name, count in sorted(self._counts.items()))
        return f"signals={self.signals} {counts}{' ' + self.trouble if self.trouble else ''}"

    def __rich__(self) -> Group:
        settings = self._local.settings
        head = Table.grid(padding=(0, 2))
        head.add_row("[b]ordermanager[/b]", f"web {self._local.worker_urls[0]}", f"paper {self._local.paper_url}")
        head.add_row("", f"X-API-Key: in {settings.data_dir / 'api-key'}", f"logs {settings.data_dir / 'logs'}")
        return Group(
            head, f"[b]{self.line()}[/b]", self._event_table(), self._position_table(), "[dim]Ctrl-C stops all[/]"
        )

    def _event_table(self) -> Table:
        table = Table(title="latest events", title_justify="left", expand=True)
        for name in ("time", "symbol", "side", "type", "quantity", "price", "executed", "state", "reason"):
            table.add_column(name, no_wrap=True)
        for event in self._latest:
            moment = datetime.fromtimestamp(event["at_ns"] / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
            where = event.get("instrument")
            symbol = label(where["category"], where["symbol"]) if where else event["symbol"]
            table.add_row(
                moment,
                symbol,
                event.get("side", ""),
                event["type"],
                event.get("quantity", ""),
                event.get("price") or "",
                event.get("cumulative_quantity", ""),
                event.get("state", ""),
                event.get("reason", "")[:60],
            )
        return table

    def _position_table(self) -> Table:
        table = Table(title="positions", title_justify="left", expand=True)
        for name in ("symbol", "size", "average entry", "realised", "fees", "fills"):
            table.add_column(name, no_wrap=True)
        for symbol, event in sorted(self._positions.items()):
            state = event["state"]
            fees = " ".join(f"{short(fee)} {currency}" for currency, fee in state["fees"].items())
            average, realised = short(state["average_entry"]), short(state["realised"])
            table.add_row(symbol, state["size"], average, realised, fees, str(state["fills"]))
        return table


async def run_all(settings: Settings, workers: int) -> None:
    """Run until Ctrl-C or SIGTERM; then stop everything in order."""
    console = Console()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    local = LocalSet(settings, workers=workers)
    starting = loop.create_task(local.start(console.print))
    told = loop.create_task(stopping.wait())
    await asyncio.wait((starting, told), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        console.print("stopping")
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return
    told.cancel()
    starting.result()
    try:
        await _show(local, console, stopping)
    finally:
        console.print("stopping: the worker finishes what is at the venue")
        await local.stop()
        console.print(f"stopped; the next run goes on from {settings.data_dir}")


async def _show(local: LocalSet, console: Console, stopping: asyncio.Event) -> None:
    board = Board(local)
    console.print(f"web views: {local.worker_urls[0]}   X-API-Key: {_where_key(local.settings)}")
    tasks = [
        asyncio.create_task(_produce(local.settings, board)),
        asyncio.create_task(_follow(local, board)),
    ]
    try:
        if console.is_terminal:
            with Live(board, console=console, refresh_per_second=4, screen=False):
                await _until_stopped(stopping, tasks)
        else:
            while not stopping.is_set():
                await _until_stopped(stopping, tasks, limit_s=2.0)
                console.print(board.line())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_stopped(
    stopping: asyncio.Event, tasks: list[asyncio.Task[None]], limit_s: float | None = None
) -> None:
    """Wait for the end, or for a part of the show that failed."""
    told = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait((told, *tasks), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    for task in done:
        task.result()


async def _produce(settings: Settings, board: Board) -> None:
    """Send sample signals; what is wrong meanwhile (a broker that restarts, say) is shown and tried again."""
    if not settings.sample_signals_per_s:
        await asyncio.Event().wait()
    producer = SampleProducer(settings, settings.sample_seed, prefix=f"run-{int(time.time())}")
    await producer.start()
    try:
        while True:
            try:
                await producer.send_one()
                board.signals += 1
                board.trouble = ""
            except Exception as error:  # noqa: BLE001 -- shown; the show goes on
                board.trouble = f"[producer: {type(error).__name__}]"
            await asyncio.sleep(1 / settings.sample_signals_per_s)
    finally:
        await producer.stop()


async def _follow(local: LocalSet, board: Board) -> None:
    """Read the events from now on."""
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=local.settings.bootstrap, group_id=None)
    await consumer.start()
    try:
        topics = (local.topics.order_events, local.topics.position_events)
        partitions = [TopicPartition(topic, number) for topic in topics for number in range(local.topics.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        async for record in consumer:
            board.take(orjson.loads(record.value))
    finally:
        await consumer.stop()


def _where_key(settings: Settings) -> str:
    configured = bool(settings.api_key.get_secret_value())
    return "the configured one" if configured else f"in {settings.data_dir / 'api-key'}" if api_key(settings) else ""
