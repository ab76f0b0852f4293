"""A broker's topics, the noting venue and worker processes, for as long as a benchmark needs them."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from app.kafka.broker import free_ports
from app.settings import Settings
from app.topic_creation import create_topics
from app.topics import topics_of
from bench.harness.broker import delete_topics, unique
from bench.harness.children import Child, start
from bench.trading.load import symbol_name

READY_S = 30.0
LOOK_S = 0.05
KEY = "bench-key"

Create = tuple[str, str, int]
"""A create as the venue noted it: symbol, client order id, first byte at (ns UTC)."""


@dataclass
class Stage:
    """Where the plays are given: one venue, any number of workers over the same topics."""

    bootstrap: str
    directory: Path
    symbols: int
    changes: dict[str, Any] = field(default_factory=dict)
    """Settings beside the stage's own."""

    def __post_init__(self) -> None:
        (self.venue_port,) = free_ports(1)
        self._prefix = unique("bench") + "-"
        self.settings = Settings(**self.plain("worker-1"))
        self.topics = topics_of(self.settings)
        self.names = [symbol_name(number) for number in range(self.symbols)]
        self.venue: Child | None = None
        self.workers: dict[str, tuple[Child, str]] = {}
        self.others: list[Child] = []
        """Further processes, ended with the stage."""
        self.http = httpx.AsyncClient(timeout=20.0)

    def plain(self, worker_id: str, web_port: int = 6066) -> dict[str, Any]:
        """The settings of a process, as another process reads them."""
        return {
            "topic_prefix": self._prefix,
            "kafka_bootstrap": self.bootstrap,
            "data_dir": str(self.directory),
            "venue_rest_url": f"http://127.0.0.1:{self.venue_port}",
            "worker_id": worker_id,
            "web_port": web_port,
            "api_key": KEY,
            "venue_orders_per_s": 10_000,
            "venue_queries_per_s": 10_000,
            "venue_address_per_s": 100_000,
            "history_lag_s": 1.0,
            "signal_max_age_s": 600,
            "session_timeout_s": 6,
            **self.changes,
        }

    async def open(self) -> None:
        """Topics, then the venue, which shows the market."""
        await create_topics(self.bootstrap, self.topics)
        config = {"settings": self.plain("venue"), "symbols": self.symbols, "port": self.venue_port}
        self.venue = start("bench.trading.venue", config, self.directory / "venue")
        await self._until(self._venue_answers, "the venue")

    async def close(self) -> None:
        """End every process, then the topics go."""
        for child in (*(child for child, _ in self.workers.values()), *self.others):
            child.end()
        if self.venue is not None:
            self.venue.end()
        await self.http.aclose()
        with suppress(Exception):  # a broker that is going away takes its topics along
            await delete_topics(self.bootstrap, [spec.name for spec in self.topics.specs()])

    # -- workers -------------------------------------------------------------------------------------------------

    async def add_worker(self, name: str = "worker-1", *, ready: bool = True, **options: Any) -> Child:
        """Start a worker; `options` are those of `bench.trading.worker_process`. Waits until records flow."""
        (port,) = free_ports(1)
        config = {"settings": self.plain(name, port), **options}
        child = start("bench.trading.worker_process", config, self.directory / f"{name}-output")
        self.workers[name] = (child, f"http://127.0.0.1:{port}")
        if ready:
            await self.until_ready(name)
        return child

    async def until_ready(self, name: str) -> None:
        """Wait until the worker says that it trades."""
        await self._until(lambda: self.is_ready(name), f"worker {name}")

    async def stop_worker(self, name: str = "worker-1", *, kill: bool = False) -> None:
        """End a worker in order, or as a power cut would."""
        child, _ = self.workers.pop(name)
        if not kill:
            child.process.send_signal(signal.SIGTERM)
            with suppress(Exception):
                await asyncio.to_thread(child.process.wait, 30)
        child.end()

    async def is_ready(self, name: str) -> bool:
        """Whether the worker says that it trades."""
        child, url = self.workers[name]
        child.check()
        with suppress(httpx.TransportError):
            return (await self.http.get(url + "/health/ready")).status_code == httpx.codes.OK
        return False

    async def ask(self, path: str, name: str = "worker-1") -> Any:
        """A view of a worker."""
        reply = await self.http.get(self.workers[name][1] + path, headers={"X-API-Key": KEY})
        reply.raise_for_status()
        return orjson.loads(reply.content)

    # -- the venue -----------------------------------------------------------------------------------------------

    async def wish(self, **wishes: Any) -> None:
        """Tell the venue how to behave (`bench.trading.venue.Wishes`)."""
        reply = await self.http.post(self._venue_url("/bench/wishes"), content=orjson.dumps(wishes))
        reply.raise_for_status()

    async def creates(self, since: int = 0) -> list[Create]:
        """What the venue has been sent, from the `since`-th on."""
        reply = await self.http.get(self._venue_url(f"/bench/creates?since={since}"))
        return [(symbol, link_id, at_ns) for symbol, link_id, at_ns in orjson.loads(reply.content)]

    async def asked(self) -> dict[str, int]:
        """How often each endpoint was asked."""
        found: dict[str, int] = orjson.loads((await self.http.get(self._venue_url("/bench/asked"))).content)
        return found

    async def sent(self, count: int, *, since: int = 0, within_s: float = 120.0) -> list[Create]:
        """The creates from the `since`-th on, once there are `count`. Raises `TimeoutError` with how many came."""
        end_s = time.monotonic() + within_s
        while True:
            found = await self.creates(since)
            if len(found) >= count:
                return found
            self.check()
            if time.monotonic() > end_s:
                raise TimeoutError(f"{len(found)} of {count} orders reached the venue within {within_s} s")
            await asyncio.sleep(LOOK_S * 4)

    def check(self) -> None:
        """Raises when a process has ended."""
        for child in (self.venue, *(worker for worker, _ in self.workers.values())):
            if child is not None:
                child.check()

    def _last_words(self) -> str:
        children = [self.venue, *(worker for worker, _ in self.workers.values())]
        return "\n".join(child.output.read_text()[-2_000:] for child in children if child is not None)

    def _venue_url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.venue_port}{path}"

    async def _venue_answers(self) -> bool:
        if self.venue is not None:
            self.venue.check()
        with suppress(httpx.TransportError):
            await self.asked()
            return True
        return False

    async def _until(self, condition: Callable[[], Any], what: str) -> None:
        end_s = time.monotonic() + READY_S
        while not await condition():
            if time.monotonic() > end_s:
                raise TimeoutError(f"{what} is not ready after {READY_S} s: {self._last_words()}")
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def stage(bootstrap: str, symbols: int, **changes: Any) -> AsyncIterator[Stage]:
    """A stage in a scratch directory; `changes` are settings of its workers."""
    with tempfile.TemporaryDirectory(prefix="bench-trading-") as directory:
        found = Stage(bootstrap, Path(directory), symbols, changes)
        try:
            await found.open()
            yield found
        finally:
            await found.close()


def delays_ms(made: dict[str, tuple[str, int]], wanted: Collection[str], creates: list[Create]) -> list[float]:
    """Milliseconds from each signal to the first byte of its order. A symbol's signals are executed in order and each
    once, so the n-th create of a symbol is that of its n-th signal. Raises `ValueError` if the counts differ."""
    arrived: dict[str, list[int]] = {}
    for symbol, _, at_ns in creates:
        arrived.setdefault(symbol, []).append(at_ns)
    by_symbol: dict[str, list[int]] = {}
    for signal_id in wanted:
        symbol, made_ns = made[signal_id]
        by_symbol.setdefault(symbol, []).append(made_ns)
    found = []
    for symbol, moments in by_symbol.items():
        came = arrived.get(symbol, [])
        if len(came) != len(moments):
            raise ValueError(f"{symbol}: {len(moments)} signals, {len(came)} orders")
        found += [(came_ns - made_ns) / 1e6 for made_ns, came_ns in zip(moments, came, strict=True)]
    return found
