"""A producer of sample signals, as a user's own program would be: it knows the topic, the schema and public prices."""

from __future__ import annotations

import random
import time
from decimal import Decimal
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaProducer

from app.settings import Settings
from app.topics import topics_of
from domain.instruments import label

_SYMBOLS = 12
_STRATEGIES = ("momentum", "mean-reversion", "breakout")


class SampleProducer:
    """Buys and sells a dozen symbols in small amounts. The same seed gives the same wishes; prices are the market's."""

    def __init__(self, settings: Settings, seed: int, *, prefix: str = "sample") -> None:
        self._settings = settings
        self._random = random.Random(seed)  # noqa: S311 -- sample data
        self._prefix = f"{prefix}-{seed}"
        self._number = 0
        self._topic = topics_of(settings).signals
        self._producer: Any = None  # aiokafka is untyped
        self._http = httpx.AsyncClient(base_url=settings.rest_url, timeout=5.0)
        self._tickers: dict[str, dict[str, str]] = {}
        self._read_at_s = 0.0

    async def start(self) -> None:
        """Connect."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap, acks="all", enable_idempotence=True
        )
        await self._producer.start()

    async def stop(self) -> None:
        """Send what is under way and disconnect."""
        if self._producer is not None:
            await self._producer.stop()
        await self._http.aclose()

    async def send_one(self) -> dict[str, Any]:
        """Make one signal, send it, wait until the broker has it; returns the signal."""
        signal = self._signal(await self._market())
        await self._producer.send_and_wait(self._topic, orjson.dumps(signal), key=signal["symbol"].encode())
        return signal

    async def _market(self) -> dict[str, dict[str, str]]:
        """Tickers of the symbols that are traded here, at most a second old."""
        if time.monotonic() - self._read_at_s > 1.0:
            self._tickers = {}
            for category in self._settings.traded_categories:
                reply = await self._http.get("/v5/market/tickers", params={"category": category})
                rows = orjson.loads(reply.content)["result"]["list"]
                self._tickers |= {
                    label(category, row["symbol"]): row | {"category": category} for row in rows[:_SYMBOLS]
                }
            self._read_at_s = time.monotonic()
        return self._tickers

    def _signal(self, tickers: dict[str, dict[str, str]]) -> dict[str, Any]:
        draw = self._random
        ticker = tickers[draw.choice(sorted(tickers))]
        symbol = ticker["symbol"]
        bid, ask = Decimal(ticker["bid1Price"]), Decimal(ticker["ask1Price"])
        self._number += 1
        return {
            "signal_id": f"{self._prefix}-{self._number:06d}",
            "signal_type": "buy" if draw.random() < 0.6 else "sell",
            "symbol": symbol,
            "category": ticker["category"],
            "amount": str(draw.randrange(100, 2_000)),
            "confidence": str(round(draw.uniform(0.4, 1.0), 2)),
            "timestamp": time.time_ns(),
            "strategy_id": draw.choice(_STRATEGIES),
            "model_version": "sample-1",
            "market_data_snapshot": {"price": str((bid + ask) / 2), "spread": str(ask - bid)},
        }
