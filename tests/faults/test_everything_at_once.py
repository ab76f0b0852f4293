"""Parts die and sleep while the exchange times out, answers late, breaks off, and its stream drops and repeats."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Collection
from typing import Any

import httpx
import pytest
from fault_set import SEED, FaultSet, hurt_under_load

from app.children import Child

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

log = logging.getLogger(__name__)


VENUE_FAULTS: tuple[dict[str, Any], ...] = (  # Any: JSON
    {"kind": "timeout_after_accept", "endpoint": "order/create", "count": 2},
    {"kind": "timeout_before_accept", "endpoint": "order/create", "count": 2},
    {"kind": "error_5xx_after", "endpoint": "order/create", "count": 2},
    {"kind": "error_5xx_before", "endpoint": "order/create", "count": 2},
    {"kind": "reset_mid_reply", "endpoint": "order/create", "count": 2},
    {"kind": "reset_before", "endpoint": "order/create", "count": 2},
    {"kind": "late_reply", "endpoint": "order/create", "count": 4, "delay_ms": 1_500},
    {"kind": "cut_json", "endpoint": "order/create", "count": 2},
    {"kind": "rate_limited", "endpoint": "order/create", "count": 3, "retry_after_ms": 300},
    {"kind": "timeout_after_accept", "endpoint": "order/cancel", "count": 2},
    {"kind": "error_5xx_after", "endpoint": "order/cancel", "count": 2},
    {"kind": "error_5xx_before", "endpoint": "order/realtime", "count": 5},
    {"kind": "latency", "endpoint": "order/realtime", "count": 5, "delay_ms": 1_000},
    {"kind": "duplicate_stream", "count": 20, "times": 2},
    {"kind": "reorder_stream", "count": 20, "times": 3, "delay_ms": 500},
    {"kind": "delay_stream", "count": 20, "delay_ms": 1_000},
    {"kind": "disconnect", "refuse_ms": 1_000},
)


async def hurt_something(hurt: FaultSet, draw: random.Random, spared: Collection[Child] = ()) -> str:
    """One thing at random; returns what it was. Processes that are `spared` neither die nor sleep."""
    local = hurt.local
    workers = [keeper.child for keeper in local.workers if keeper.child not in spared]
    choice = draw.random()
    if choice < 0.42:
        victim = draw.choice(workers) if choice < 0.25 else (local.gateway if choice < 0.35 else local.paper).child
        if victim not in spared:
            victim.signal(signal.SIGKILL)
            return f"{victim.name} killed"
    elif choice < 0.5:
        sleeper, sleep_s = draw.choice(workers), draw.uniform(0.5, 5.0)
        sleeper.signal(signal.SIGSTOP)
        await asyncio.sleep(sleep_s)
        sleeper.signal(signal.SIGCONT)
        return f"{sleeper.name} slept {sleep_s:.1f} s"
    rule = draw.choice(VENUE_FAULTS)
    try:
        await local.paper_post("/paper/faults", rule)
    except httpx.HTTPError:
        return "exchange away"
    return str(rule)


async def hurt_many_times(hurt: FaultSet, times: int, draw: random.Random) -> None:
    for _ in range(times):
        await asyncio.sleep(draw.uniform(0.5, 3.0))  # a random moment is what is wanted
        log.info("%s", await hurt_something(hurt, draw))


async def test_everything_at_once(busy: FaultSet) -> None:
    verdict = await hurt_under_load(busy, SEED, lambda draw: hurt_many_times(busy, 10, draw), count=120, rate_per_s=7.0)
    verdict.assert_agreed()


@pytest.mark.slow
async def test_everything_at_once_for_minutes(busy: FaultSet) -> None:
    verdict = await hurt_under_load(
        busy, SEED + 1, lambda draw: hurt_many_times(busy, 120, draw), count=1_500, rate_per_s=6.0
    )
    verdict.assert_agreed()
