"""The set under load, hurt at random, for as long as is asked for: `make soak` (an hour), two minutes in every run.

At the end: every promise holds (`verify`, `replay`, the exchange's books), memory is flat, no record is left, no money
was counted twice, and every alert is one that the faults explain. ORDERMANAGER_SOAK_S says how long,
ORDERMANAGER_FAULTS_SEED what.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from statistics import quantiles

import pytest
from fault_set import MOVING, SEED, FaultSet, hurt_under_load
from test_everything_at_once import hurt_something

from app.children import Child
from app.local_set import LocalSet
from app.replay.folded import Until
from app.replay.report import replay

SOAK_S = float(os.environ.get("ORDERMANAGER_SOAK_S", "120"))
RATE_PER_S = 6.0
LOOK_EVERY_S = 2.0
SMALL_CACHES = {"store_memory_mib": 8, "paper_cache_mib": 2}
"""Full within minutes: what grows after that is not a cache."""
DEPOSIT = Decimal(200_000 + 300 * round(SOAK_S))
"""Some 30 s of orders, and three times what positions need: as six signals in ten buy, they bind 90 USDT more with
every second (at the venue's leverage of ten). All orders together take twenty times as much."""
GROWTH_LIMIT_MIB = 16.0
"""From the third quarter to the last."""
MEMORY_LIMIT_MIB = 250.0

EXPLAINED = {
    "BREAKER_OPEN": "the exchange was killed, or failed one call after another",
    "STREAM_DOWN": "the gateway or the exchange was killed",
    "BALANCE_UNKNOWN": "as STREAM_DOWN",
    "QUEUE_TOO_DEEP": "signals or commands waited while the exchange or the workers were away",
    "ORDER_CORRECTED": "a fill was told after its order's end: streams were reordered",
    "ORDER_FAILED": "surely not accepted, several times: the exchange was away",
    "FOREIGN_WRITE": "a worker that had slept wrote rows of a partition that another had by then",
}
PASSING = ("BREAKER_OPEN", "STREAM_DOWN", "BALANCE_UNKNOWN", "QUEUE_TOO_DEEP")
"""What resolves itself once nothing is hurt any more."""
PASSES_WITHIN_S = 60.0

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(SOAK_S * 2 + 600)]


class Memory:
    """Resident memory of the set's processes while they are hurt: each look has a size for each that runs.

    One that was killed begins anew; those that nobody kills in the second half show what hours would.
    """

    def __init__(self, local: LocalSet) -> None:
        self._children = [keeper.child for keeper in (*local.workers, local.gateway, local.paper)]
        self._looks: list[dict[str, float]] = []

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            sizes = {child.name: _resident_mib(child.pid) for child in self._children if child.pid is not None}
            self._looks.append({name: size_mib for name, size_mib in sizes.items() if size_mib is not None})
            await asyncio.sleep(LOOK_EVERY_S)

    def complaints(self) -> list[str]:
        """Processes that are too large, or larger in the last quarter of the time than in the third."""
        found, quarter = [], len(self._looks) // 4
        for name in (child.name for child in self._children):
            quarters = [self._large(name, self._looks[i * quarter : (i + 1) * quarter]) for i in range(4)]
            log.info("%s: %s MiB in the four quarters", name, ", ".join(f"{size:.1f}" for size in quarters))
            if quarters[3] - quarters[2] > GROWTH_LIMIT_MIB or max(quarters) > MEMORY_LIMIT_MIB:
                found.append(f"{name}: {quarters} MiB; {GROWTH_LIMIT_MIB} more, or {MEMORY_LIMIT_MIB}, is too much")
        return found

    def _large(self, name: str, looks: list[dict[str, float]]) -> float:
        """What nine tenths of the sizes stay below."""
        return quantiles([look[name] for look in looks if name in look], n=10)[-1]


def _resident_mib(pid: int) -> float | None:
    """Of the process, or of the one it became the parent of."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just died
        return None
    sizes = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]
    return sizes[0] if sizes else None


async def hurt_for(hurt: FaultSet, seconds: float, draw: random.Random, spared: Collection[Child] = ()) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        await asyncio.sleep(draw.uniform(2.0, 8.0))  # a random moment is what is wanted
        log.info("%s", await hurt_something(hurt, draw, spared))


async def hurt_and_watched(hurt: FaultSet, memory: Memory, draw: random.Random) -> None:
    """Anything may die in the first half; in the second one process of each kind lives, to be seen growing."""
    local = hurt.local
    watching = asyncio.create_task(memory.watch())
    try:
        await hurt_for(hurt, SOAK_S / 2, draw)
        await hurt_for(hurt, SOAK_S / 2, draw, [each.child for each in (local.workers[-1], local.gateway, local.paper)])
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def unexplained_alerts(local: LocalSet) -> list[str]:
    """Alerts that no fault explains, or that go on though nothing is hurt any more."""
    end_s = time.monotonic() + PASSES_WITHIN_S
    while True:
        alerts = (await local.get("/alerts", state="all"))["items"]
        going_on = [each for each in alerts if each["code"] in PASSING and each["state"] != "resolved"]
        if not going_on or time.monotonic() > end_s:
            break
        await asyncio.sleep(0.5)
    log.info("alerts: %s", {alert["alert"]: alert["count"] for alert in alerts})
    unexplained = [alert for alert in alerts if alert["code"] not in EXPLAINED]
    return [f"{alert['alert']} ({alert['state']}): {alert['sentence']}" for alert in (*unexplained, *going_on)]


async def test_a_soak_under_load_and_faults_leaves_everything_equal(kafka: str, tmp_path: Path) -> None:
    async with FaultSet(kafka, tmp_path, workers=2, paper_deposit=DEPOSIT, **MOVING, **SMALL_CACHES) as soaked:
        memory = Memory(soaked.local)
        verdict = await hurt_under_load(
            soaked,
            SEED + 7,
            lambda draw: hurt_and_watched(soaked, memory, draw),
            count=None,
            rate_per_s=RATE_PER_S,
            settle_limit_s=soaked.settings.signal_max_age_s + 60.0,  # by then what still waits has expired
        )
        verdict.assert_agreed()
        poor = [row["reason"] for row in verdict.books.signals if row["code"] == "INSUFFICIENT_BALANCE"]
        assert poor == [], "money is counted as taken that is not"
        replayed = await replay(soaked.settings, directory=None, until=Until(), settle_s=60.0)
        assert replayed["equal"], replayed
        assert await unexplained_alerts(soaked.local) == []
        assert memory.complaints() == []
