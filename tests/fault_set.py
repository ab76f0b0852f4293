"""The whole set as real processes, to be hurt: paper exchange, gateway, workers on a broker that the test owns.

Everything that waits is set short, so that a death heals within seconds: sessions of 3 s, small windows and lags.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import httpx
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from fault_verdict import Verdict, dead_letters, verdict_on
from pydantic import SecretStr

from app.children import Child
from app.crash_points import WISH_FILE
from app.kafka.broker import free_ports
from app.local_set import LocalSet
from app.sample_producer import SampleProducer
from app.settings import Settings, api_key
from app.settling import settled_books, unread_records
from app.verify.report import VerifyOptions, verify

log = logging.getLogger(__name__)
Headers = Iterable[tuple[str, bytes]]

PARTITIONS = 4
SETTLE_LIMIT_S = 60.0
VERIFY_LIMIT_S = 30.0
SEED = int(os.environ.get("ORDERMANAGER_FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
"""Of what is drawn at random in this run; `tests/conftest.py` gives all processes of a run the same."""
LATENCY_S = 0.1
"""Of the exchange's replies under load: what dies then dies in the middle of calls."""

MOVING: dict[str, Any] = {"paper_market_interval_s": 0.1, "paper_latency_s": LATENCY_S}  # Any: settings, as below
"""Settings of sets under load."""

CANARY = "canary-5b1e7d"
"""Part of each secret of a set: nothing that anybody writes may have it."""

SHORT: dict[str, Any] = {  # Any: settings have many types
    "partitions": PARTITIONS,
    "session_timeout_s": 3.0,
    "drain_limit_s": 10.0,
    "receive_window_ms": 1_000,
    "venue_timeout_s": 3.0,
    "history_lag_s": 0.5,
    "clock_error_s": 0.2,
    "api_retry_base_s": 0.2,
    "doubt_s": 1.5,
    "timer_interval_s": 0.5,
    "gateway_interval_s": 0.5,
    "venue_orders_per_s": 1_000.0,
    "venue_queries_per_s": 1_000.0,
    "venue_address_per_s": 5_000.0,
    "signal_max_age_s": 120.0,
    "max_snapshot_age_s": 300.0,
    "allow_short": True,
    "crash_at": "file",
    "api_key": SecretStr(f"{CANARY}-web"),
    "paper_key": f"{CANARY}-key",
    "paper_secret": SecretStr(f"{CANARY}-secret"),
}


class FaultSet:
    """A set on somebody else's broker, with what a test does to it and what it looks at afterwards."""

    def __init__(self, bootstrap: str, directory: Path, *, workers: int = 1, **changes: Any) -> None:
        paper, web = free_ports(2)
        self.settings = Settings(
            **SHORT
            | {
                "data_dir": directory,
                "topic_prefix": f"f{uuid.uuid4().hex[:8]}-",
                "kafka_bootstrap": bootstrap,
                "paper_port": paper,
                "web_port": web,
            }
            | changes
        )
        self.local = LocalSet(self.settings, broker=False, workers=workers, restart_pause_s=0.0)
        self.sent: dict[str, str] = {}
        """Signal ids and their symbols."""
        self.letters = 0
        """How many dead letters there should be."""
        self.clock_behind_ms = 0
        """How far the exchange's clock is behind ours."""
        self._producer: Any = None  # aiokafka is untyped
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
        await self.local.start()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.bootstrap, acks="all", enable_idempotence=True
        )
        await self._producer.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._producer.stop()
        await self.local.stop()

    @property
    def worker(self) -> Child:
        """The first worker's process."""
        return self.local.workers[0].child

    # -- signals -------------------------------------------------------------------------------------------------

    async def send(self, symbol: str, **wish: Any) -> str:
        """Send a signal of about 500 USDT; returns its id once the broker has it."""
        signal_id = f"fault-{next(self._numbers):04d}"
        bid, ask = await self.quotes(symbol)
        signal = {
            "signal_id": signal_id,
            "signal_type": "buy",
            "symbol": symbol,
            "amount": "500",
            "confidence": "0.9",
            "timestamp": time.time_ns(),
            "market_data_snapshot": {"price": str((bid + ask) / 2), "spread": str(ask - bid)},
        } | wish
        self.sent[signal_id] = symbol
        await self._producer.send_and_wait(self.local.topics.signals, orjson.dumps(signal), key=symbol.encode())
        return signal_id

    async def send_resting(self, symbol: str, discount: str = "0.9") -> str:
        """Send a limit buy far below the market."""
        bid, _ = await self.quotes(symbol)
        price = (bid * Decimal(discount)).normalize()
        return await self.send(symbol, order_type="limit", limit_price=f"{price:f}", post_only=True)

    async def publish(self, topic: str, value: bytes, key: str, headers: Headers = ()) -> None:
        """Send a record just as it is."""
        await self._producer.send_and_wait(topic, value, key=key.encode(), headers=list(headers))

    async def fault(self, kind: str, **rule: Any) -> int:
        """Let the exchange misbehave until `heal`; returns the rule's number."""
        return int((await self.local.paper_post("/paper/faults", {"kind": kind, **rule})).get("id", 0))

    async def heal(self) -> None:
        """Take back every fault of the exchange."""
        async with httpx.AsyncClient() as client:
            (await client.delete(self.local.paper_url + "/paper/faults")).raise_for_status()

    async def quotes(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Best bid and ask of the paper exchange."""
        row = (await self.local.paper_get(f"/paper/market?symbol={symbol}"))["markets"][0]
        return Decimal(row["bid"]), Decimal(row["ask"])

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Asks the first worker, with the right key."""
        headers = {"X-API-Key": api_key(self.settings)}
        return httpx.AsyncClient(base_url=self.local.worker_urls[0], headers=headers, timeout=10.0, **options)

    # -- waiting -------------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
        """Wait for something that can be seen from here."""
        end_s = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end_s, f"{what}: not within {limit_s:g} s; {self.worker.last_lines()}"
            await asyncio.sleep(0.05)

    async def until_ready(self, number: int = 0, limit_s: float = 40.0) -> None:
        """Wait until a worker says that it is ready."""
        end_s = time.monotonic() + limit_s
        url = self.local.worker_urls[number] + "/health/ready"
        async with httpx.AsyncClient(timeout=2.0) as client:
            while True:
                try:
                    reply = await client.get(url)
                    if reply.status_code == httpx.codes.OK:
                        return
                    why = reply.text
                except httpx.TransportError as error:
                    why = repr(error)
                assert time.monotonic() < end_s, f"worker {number} is not ready: {why}"
                await asyncio.sleep(0.1)

    async def until_letters(self, count: int, limit_s: float = 15.0) -> None:
        """Wait until so many dead letters are there."""
        end_s = time.monotonic() + limit_s
        while sum((found := await dead_letters(self.local)).values()) < count:
            assert time.monotonic() < end_s, f"dead letters are {found}, not {count}; {self.worker.last_lines()}"
            await asyncio.sleep(0.1)

    async def count_letters(self) -> int:
        """How many dead letters there are."""
        return sum((await dead_letters(self.local)).values())

    async def until_creates(self, count: int, limit_s: float = 10.0) -> None:
        """Wait until so many creates have reached the exchange since it started."""
        end_s = time.monotonic() + limit_s
        while (arrived := await self.creates()) < count:
            assert time.monotonic() < end_s, f"{arrived} creates arrived, not {count}"
            await asyncio.sleep(0.02)

    # -- deaths --------------------------------------------------------------------------------------------------

    def crash_at(self, place: str) -> None:
        """Have a worker kill itself where it reaches `place` next (`app.crash_points`)."""
        file = self.settings.data_dir / WISH_FILE
        draft = file.with_suffix(".draft")
        draft.write_text(place)
        draft.rename(file)

    def without_bug(self) -> None:
        """Take back a wish of `crash_at` that is for a bug."""
        (self.settings.data_dir / WISH_FILE).unlink()

    async def until_crashed(self, limit_s: float = 15.0) -> None:
        """Wait until the wish of `crash_at` has come true."""
        file = self.settings.data_dir / WISH_FILE
        await self.until(lambda: not file.exists(), "death at the wished place", limit_s)

    # -- the end -------------------------------------------------------------------------------------------------

    async def verdict(self, *, symbols: Collection[str] = (), limit_s: float = SETTLE_LIMIT_S) -> Verdict:
        """What became of everything (or of what concerns `symbols`), once it has come to rest or the time is up; and of
        the whole set, whether all ledgers are equal (`ordermanager verify`) and nobody has written a secret."""
        rested = await self.rest(symbols=symbols, limit_s=limit_s)
        return replace(rested, differences=rested.differences + await self.unequal() + self.leaks())

    async def unequal(self) -> list[str]:
        """What `verify` finds, in words."""
        began_s = time.monotonic()
        found = await verify(await self._answered_settings(), VerifyOptions(settle_s=VERIFY_LIMIT_S))
        log.info("verified in %.1f s: %s", time.monotonic() - began_s, found["compared"])
        told = [f"verify: {each['sentence']}" for each in found["differences"]]
        doubts = {name: found[name] for name in ("moving", "unsettled", "unfinished", "unread") if found[name]}
        return told + [f"verify cannot tell: {name} {what}" for name, what in doubts.items()]

    def leaks(self) -> list[str]:
        """Logs that have a secret."""
        logs = sorted((self.settings.data_dir / "logs").iterdir())
        return [f"{file.name} has a secret" for file in logs if CANARY.encode() in file.read_bytes()]

    async def _answered_settings(self) -> Settings:
        """The settings with the address of a worker that is there, once it is ready: it may have died last."""
        alive = [number for number, keeper in enumerate(self.local.workers) if keeper.child.pid]
        for number in alive[:1]:
            await self.until_ready(number)
        url = self.local.worker_urls[alive[0]] if alive else ""
        return self.settings.model_copy(update={"web_url": url})

    async def rest(self, *, symbols: Collection[str] = (), limit_s: float = SETTLE_LIMIT_S) -> Verdict:
        """Both books and all events, once everything has come to rest or the time is up."""
        end_s = time.monotonic() + limit_s
        sent = [name for name, symbol in self.sent.items() if not symbols or symbol in symbols]
        while True:
            limit_s = max(1.0, end_s - time.monotonic())
            books, trouble = await settled_books(self.local, sent, limit_s, symbols=symbols)
            unread = await self._unread()
            if not unread or time.monotonic() > end_s:
                break
            await asyncio.sleep(0.1)
        lagging = [f"{unread} records were not finished"] if unread else []
        verdict = await verdict_on(
            self.local, books, trouble + lagging, letters=self.letters, clock_behind_ms=self.clock_behind_ms
        )
        log.info("%s, %s creates arrived", verdict.account(), await self.creates())
        return verdict

    async def _unread(self) -> int:
        """Records that no worker has finished: a verdict while they wait would be early."""
        topics = self.local.topics
        inputs = (topics.signals, topics.order_updates, topics.order_commands)
        return await unread_records(self.settings.bootstrap, topics.app_id, inputs)

    async def creates(self) -> int:
        """How many creates reached the exchange since it started."""
        stats = await self.local.paper_get("/paper/stats")
        return int(stats["endpoints"].get("order/create", {}).get("arrived", 0))


class Stage:
    """Keeps a set for several tests, as long as none fails: starting one takes longer than hurting it."""

    def __init__(self, make: Callable[[], FaultSet]) -> None:
        self._make = make
        self._set: FaultSet | None = None

    async def ready_set(self) -> FaultSet:
        """The set, its workers ready; a new one if there is none."""
        if self._set is None:
            made = self._make()
            await made.__aenter__()
            self._set = made
        try:
            for number in range(len(self._set.local.workers)):
                await self._set.until_ready(number)
        except BaseException:
            await self.close()
            raise
        return self._set

    async def close(self) -> None:
        """Stop the set."""
        if self._set is not None:
            leaving, self._set = self._set, None
            await leaving.__aexit__()


async def hurt_under_load(
    hurt: FaultSet,
    seed: int,
    what: Callable[[random.Random], Awaitable[None]],
    *,
    count: int | None = 60,
    rate_per_s: float = 8.0,
    settle_limit_s: float = SETTLE_LIMIT_S,
) -> Verdict:
    """So many sample signals of the seed (without a `count`: for as long as it takes), `what` beside them; then the
    market stands still, and this is the verdict.

    The load waits while the exchange's prices or the broker can't be had.
    """
    log.info("seed %s", seed)  # pytest shows this and what follows where a test fails
    enough = asyncio.Event()
    sending = asyncio.create_task(_load(hurt, seed, count, rate_per_s, enough))
    try:
        await what(random.Random(seed))  # noqa: S311 -- moments to hurt at, repeatable
        if count is None:
            enough.set()
        await sending
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    await _freeze(hurt)
    return await hurt.verdict(limit_s=settle_limit_s)


async def _freeze(hurt: FaultSet, limit_s: float = 20.0) -> None:
    """Stop the market, as soon as the exchange is there: it may have died last."""
    end_s = time.monotonic() + limit_s
    while True:
        try:
            await hurt.local.paper_post("/paper/market", {"frozen": True})
        except httpx.TransportError:
            if time.monotonic() > end_s:
                raise
            await asyncio.sleep(0.1)
        else:
            return


async def _load(hurt: FaultSet, seed: int, count: int | None, rate_per_s: float, enough: asyncio.Event) -> None:
    producer = SampleProducer(hurt.settings, seed, prefix="load")
    await producer.start()
    sent = 0
    try:
        while not enough.is_set() and (count is None or sent < count):
            sent += 1
            signal = await _sent(producer)
            hurt.sent[signal["signal_id"]] = signal["symbol"]
            await asyncio.sleep(1 / rate_per_s)
    finally:
        await producer.stop()


async def _sent(producer: SampleProducer) -> dict[str, Any]:
    while True:
        try:
            return await producer.send_one()
        except (httpx.HTTPError, KafkaError):
            await asyncio.sleep(0.2)
