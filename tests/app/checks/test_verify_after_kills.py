"""After workers, gateway and exchange were killed under load, all ledgers say the same, and the tables can be made
again: what crashes leave in the changelogs (rows of a transition without its order, updates put off) is no difference.
"""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest
from fault_set import MOVING, FaultSet, hurt_under_load

from app.replay.folded import Until
from app.replay.report import replay

pytestmark = pytest.mark.timeout(300)


async def test_ledgers_agree_and_tables_can_be_made_again_after_kills(kafka: str, tmp_path: Path) -> None:
    async with FaultSet(kafka, tmp_path, workers=2, **MOVING) as hurt:

        async def kill(draw: random.Random) -> None:
            for victim in (*hurt.local.workers, hurt.local.gateway, hurt.local.paper, *hurt.local.workers):
                await asyncio.sleep(draw.uniform(0.5, 2.0))
                victim.child.signal(signal.SIGKILL)

        verdict = await hurt_under_load(hurt, 23, kill)
        made = await replay(hurt.settings, directory=None, until=Until(), settle_s=30.0)

    verdict.assert_agreed()  # by all ledgers
    assert made["equal"] is True, made["first_difference"]
