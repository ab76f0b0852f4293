"""The signals of a benchmark: symbols in turn, at an even pace, each with the time at which it was made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaProducer


def symbol_name(number: int) -> str:
    """The symbol of that number."""
    return f"S{number:04d}USDT"


def signal(number: int, symbol: str, made_ns: int, **changes: object) -> dict[str, Any]:
    """A signal that becomes one market order."""
    return {
        "signal_id": f"bench-{number:08d}",
        "signal_type": "buy",
        "symbol": symbol,
        "amount": "100",
        "confidence": "0.95",
        "timestamp": made_ns,
        "strategy_id": "bench",
        "model_version": "bench-1",
        "market_data_snapshot": {"price": "100", "spread": "0.02"},
        **changes,
    }


def resting(number: int, symbol: str, made_ns: int) -> dict[str, Any]:
    """A signal that becomes one limit order below the market, which makes way for nothing."""
    return signal(number, symbol, made_ns, confidence="0.5", order_type="limit", limit_price="90")


class Load:
    """Sends signals through one producer, and remembers when each was made: {signal id: (symbol, made at, ns)}."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: Any = None  # aiokafka is untyped
        self._numbers: Iterator[int] = iter(range(10**8))
        self.made: dict[str, tuple[str, int]] = {}

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True)
        await self._producer.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._producer.stop()

    async def send(self, topic: str, symbol: str, make: Any = signal) -> str:
        """Send one signal; returns its id once the producer has taken it."""
        made_ns = time.time_ns()
        record = make(next(self._numbers), symbol, made_ns)
        self.made[record["signal_id"]] = (symbol, made_ns)
        await self._producer.send(topic, orjson.dumps(record), symbol.encode())
        return str(record["signal_id"])

    async def flush(self) -> None:
        """Wait until the broker has everything."""
        await self._producer.flush()

    async def paced(self, topic: str, symbols: list[str], per_s: float, count: int) -> list[str]:
        """Send `count` signals at an even pace, symbols in turn; returns their ids."""
        begin_s = time.perf_counter()
        sent = []
        for number in range(count):
            wait_s = begin_s + number / per_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            sent.append(await self.send(topic, symbols[number % len(symbols)]))
        await self.flush()
        return sent

    async def all_at_once(self, topic: str, symbols: list[str], count: int, make: Any = signal) -> list[str]:
        """Send `count` signals as fast as the broker takes them; returns their ids."""
        sent = [await self.send(topic, symbols[number % len(symbols)], make) for number in range(count)]
        await self.flush()
        return sent
