"""The broker goes away under load, in order and as by a power cut: the set waits and goes on.

While it is away nothing reaches the exchange whose intent is not durable, so nothing new does.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest
from fault_set import FaultSet, hurt_under_load

from app.kafka.broker import LocalKafka

pytestmark = pytest.mark.timeout(300)

IN_FLIGHT_MS = 500
"""What had passed its last check when the broker went may still arrive at the exchange."""


async def test_the_set_waits_for_a_broker_that_stops_and_one_that_is_killed(broker: LocalKafka, tmp_path: Path) -> None:
    away_ms: list[tuple[float, float]] = []

    async def stop_then_kill(draw: random.Random) -> None:
        for end in (broker.stop, broker.kill):
            await asyncio.sleep(draw.uniform(2.0, 4.0))
            await end()
            gone_ms = time.time() * 1000
            await asyncio.sleep(draw.uniform(5.0, 8.0))
            away_ms.append((gone_ms + IN_FLIGHT_MS, time.time() * 1000))
            await broker.start()

    async with FaultSet(broker.bootstrap, tmp_path / "set", paper_market_interval_s=0.1) as hurt:
        verdict = await hurt_under_load(hurt, 4_711, stop_then_kill, count=120)
        verdict.assert_agreed()
        placed_ms = [int(row["createdTime"]) for row in verdict.books.account["orders"]]
        assert not [at for at in placed_ms for start, end in away_ms if start < at < end]
        assert hurt.worker.restarts == 0
