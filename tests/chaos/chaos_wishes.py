"""Signals of every kind that a producer may send, and some that it should not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from chaos_circumstances import SYMBOLS
from chaos_set import ChaosSet

from exchanges.paper.instruments import INSTRUMENTS

log = logging.getLogger(__name__)

Wish = dict[str, Any]  # Any: JSON
_AMOUNTS = (50, 100, 300, 1_000, 1_500)
_CROWD = 20
_STOP_LIMIT_S = 5.0


class Wishes:
    """Sends signals until told to stop. `sent` has each id with the symbol and the time of its first record (ns)."""

    def __init__(self, chaos: ChaosSet, draw: random.Random) -> None:
        self._chaos = chaos
        self._draw = draw
        self._producer: Any = None  # aiokafka is untyped
        self._quotes: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        self._last: list[tuple[str, Wish]] = []
        self.sent: dict[str, str] = {}
        self.told_again: Counter[str] = Counter()

    async def start(self) -> None:
        """Connect past every wire: what is hurt is the set, not its users."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._chaos.settings.bootstrap,
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=20_000,
            retry_backoff_ms=200,
        )
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()

    async def keep_sending(self) -> None:
        """Send at random moments, now and then a crowd, now and then something again."""
        draw, rate_per_s = self._draw, self._chaos.around.rate_per_s
        while True:
            for _ in range(_CROWD if draw.random() < 0.01 else 1):
                await self.send(*draw.choice(self._chaos.around.markets))
            if draw.random() < 0.08:
                await self._send_again()
            await asyncio.sleep(draw.expovariate(rate_per_s))

    async def send(self, symbol: str, category: str = "linear", **wish: Any) -> str:
        """One signal, of a random kind unless `wish` says which; returns its id, empty if no price could be had."""
        quotes = await self.quotes(symbol, category)
        if quotes is None:
            return ""
        bid, ask = quotes
        signal_id = f"chaos-{len(self.sent) + 1:05d}"
        signal = {
            "signal_id": signal_id,
            "signal_type": self._draw.choice(["buy", "buy", "sell"]),
            "symbol": symbol,
            "category": category,
            "amount": str(self._draw.choice(_AMOUNTS)),
            "confidence": str(round(self._draw.uniform(0.3, 1.0), 2)),
            "timestamp": time.time_ns(),
            "strategy_id": self._draw.choice(["momentum", "reversion"]),
            "market_data_snapshot": {"price": str((bid + ask) / 2), "spread": str(ask - bid)},
        } | (wish or self._kind(symbol, category, bid, ask))
        if self._chaos.around.hedges and category == "linear":
            signal["position_side"] = "long" if wish else self._draw.choice(["long", "short"])
        # Before it is there: what is in the topic must never be missing here.
        self.sent[signal_id] = symbol
        # A wrong key is corrected by the manager (S04).
        await self._publish(signal, symbol if self._draw.random() < 0.97 else self._draw.choice(SYMBOLS))
        self._last = [*self._last[-200:], (symbol, signal)]
        return signal_id

    async def quotes(self, symbol: str, category: str = "linear") -> tuple[Decimal, Decimal] | None:
        """Best bid and ask; the last ones known while the exchange is away."""
        url, wanted = self._chaos.local.paper_url + "/v5/market/tickers", {"category": category, "symbol": symbol}
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError, InvalidOperation):
            [row] = orjson.loads((await self._chaos.http.get(url, params=wanted)).content)["result"]["list"]
            self._quotes[symbol, category] = Decimal(row["bid1Price"]), Decimal(row["ask1Price"])
        return self._quotes.get((symbol, category))

    def _kind(self, symbol: str, category: str, bid: Decimal, ask: Decimal) -> Wish:
        """At market or as the confidence says; resting, nearly so, or with its protection."""
        chance = self._draw.random()
        if chance < 0.3:
            return {"order_type": "limit", "limit_price": _text(bid * Decimal("0.95")), "signal_type": "buy"}
        if chance < 0.4:
            return {"order_type": "limit", "limit_price": _text(bid), "signal_type": "buy", "post_only": True}
        if chance < 0.46:
            return {"order_type": "limit", "limit_price": _text(ask), "signal_type": "sell", "post_only": True}
        if chance < 0.54 and category == "linear":
            near, far = self._draw.choice([("0.999", "1.001"), ("0.9", "1.1")])
            tick = INSTRUMENTS[symbol].tick
            take, stop = ask * Decimal(far) // tick * tick, bid * Decimal(near) // tick * tick
            protection = {"take_profit": _text(take), "stop_loss": _text(stop)}
            return {"order_type": "market", "signal_type": "buy", "confidence": "0.95"} | protection
        if 0.54 <= chance < 0.58 and category != "spot":
            return {"order_type": "market", "signal_type": "sell", "reduce_only": True}
        return {}

    async def _send_again(self) -> None:
        """The very same record, or the same id with another wish: a duplicate, and a conflict."""
        if not self._last:
            return
        symbol, signal = self._draw.choice(self._last)
        another = self._draw.random() < 0.3
        self.told_again["conflict" if another else "duplicate"] += 1
        await self._publish(signal | ({"amount": "77"} if another else {}), symbol)

    async def _publish(self, signal: Wish, key: str) -> None:
        await self.publish(self._chaos.local.topics.signals, key, orjson.dumps(signal))

    async def publish(self, topic: str, key: str, value: bytes) -> None:
        """Until the broker has it. One that was in doubt comes twice then."""
        while True:
            try:
                await self._producer.send_and_wait(topic, value, key=key.encode())
            except KafkaError as error:
                log.info("   the producer of signals: %s", type(error).__name__)
                await asyncio.sleep(0.5)
                if not error.retriable:  # it is of no use any more
                    await self._begin_again()
            else:
                return

    async def _begin_again(self) -> None:
        with contextlib.suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(self.stop(), _STOP_LIMIT_S)
        with contextlib.suppress(KafkaError):  # the next attempt shows that it did not start
            await self.start()


def _text(price: Decimal) -> str:
    return f"{price.normalize():f}"
