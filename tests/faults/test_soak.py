"""The set under load, hurt at random, for as long as is asked for: `make soak` (an hour), two minutes in every run.

At the end: every promise holds (`verify`, `replay`, the exchange's books), no process has grown by more than its caches
may hold, no record is left, and every alert is one that the faults explain. ORDERMANAGER_SOAK_S says how long,
ORDERMANAGER_FAULTS_SEED what.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import defaultdict
from pathlib import Path
from statistics import quantiles

import pytest
from fault_set import SEED, FaultSet, hurt_under_load
from test_everything_at_once import hurt_something

from app.local_set import LocalSet
from app.replay.folded import Until
from app.replay.report import replay

SOAK_S = float(os.environ.get("ORDERMANAGER_SOAK_S", "120"))
RATE_PER_S = 6.0
LOOK_EVERY_S = 2.0
GROWTH_LIMIT_MIB = 96.0
"""Between the second quarter and the last: a worker's block cache (64 MiB) and write buffers (4 MiB for each table and
partition), and the page cache of the exchange's books (64 MiB), fill up with what they hold."""
MEMORY_LIMIT_MIB = 500.0

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
    """Resident memory of the set's processes, looked at while they run. One that was killed begins anew with cold
    caches, so what is compared is how large those of a name become in one part of the soak and in another."""

    def __init__(self, local: LocalSet) -> None:
        self._children = [keeper.child for keeper in (*local.workers, local.gateway, local.paper)]
        self.seen_mib: dict[str, list[float]] = defaultdict(list)

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            for child in self._children:
                if (pid := child.pid) is not None and (size_mib := _resident_mib(pid)) is not None:
                    self.seen_mib[child.name].append(size_mib)
            await asyncio.sleep(LOOK_EVERY_S)

    def complaints(self) -> list[str]:
        """Processes that are too large, or became larger in the last quarter of the soak than in the second."""
        found = []
        for name, sizes in self.seen_mib.items():
            quarter = len(sizes) // 4
            if max(sizes) > MEMORY_LIMIT_MIB:
                found.append(f"{name} had {max(sizes):.0f} MiB")
            if quarter >= 5:
                before, after = _large(sizes[quarter : 2 * quarter]), _large(sizes[-quarter:])
                log.info("%s: %.0f MiB in the second quarter, %.0f in the last", name, before, after)
                if after - before > GROWTH_LIMIT_MIB:
                    found.append(f"{name} grew from {before:.0f} to {after:.0f} MiB")
        return found


def _large(sizes_mib: list[float]) -> float:
    """What nine tenths stay below."""
    return quantiles(sizes_mib, n=10)[-1]


def _resident_mib(pid: int) -> float | None:
    """Of the process, or of the one it became the parent of."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just died
        return None
    sizes = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]
    return sizes[0] if sizes else None


async def hurt_for(hurt: FaultSet, seconds: float, draw: random.Random) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        await asyncio.sleep(draw.uniform(2.0, 8.0))  # a random moment is what is wanted
        log.info("%s", await hurt_something(hurt, draw))


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


async def test_a_soak_under_load_and_faults_leaves_everything_equal(busy: FaultSet) -> None:
    memory = Memory(busy.local)
    watching = asyncio.create_task(memory.watch())

    verdict = await hurt_under_load(
        busy,
        SEED + 7,
        lambda draw: hurt_for(busy, SOAK_S, draw),
        count=None,
        rate_per_s=RATE_PER_S,
        settle_limit_s=busy.settings.signal_max_age_s + 60.0,  # by then what still waits has expired
    )
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)

    verdict.assert_agreed()
    replayed = await replay(busy.settings, directory=None, until=Until(), settle_s=60.0)
    assert replayed["equal"], replayed
    assert await unexplained_alerts(busy.local) == []
    assert memory.complaints() == []
