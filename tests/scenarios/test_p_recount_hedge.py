"""The same in hedge mode: linear contracts have a long and a short position (requirements P01, D11)."""

from __future__ import annotations

import os

import pytest
from position_verdict import recounted
from random_session import Session
from scenario_set import Desk

from app.verify.report import VerifyOptions, verify
from domain.plans import PositionMode

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "categories": "linear,spot,inverse",
    "paper_coins": "BTC=50,ETH=1000,XRP=500000",
    "position_mode": PositionMode.HEDGE,
    "allow_short": True,
    "position_snapshot_interval_s": 1.0,
    "max_slippage": "0.05",
    "enable_balance_check": False,
}
SEEDS = range(20) if os.environ.get("ORDERMANAGER_FAULTS") == "all" else range(2)
MARKETS = (("linear", "BTCUSDT"), ("linear", "ETHUSDT"), ("linear", "DOGEUSDT"), ("inverse", "XRPUSD"))


@pytest.mark.parametrize("seed", SEEDS)
async def test_p01_both_sides_of_a_random_session_are_those_of_another_program(desk: Desk, seed: int) -> None:
    session = Session(desk, 1_000 + seed, MARKETS, hedge=True)

    await session.play(deeds=60)

    await recounted(desk)


async def test_y05_all_ledgers_agree_on_both_sides(desk: Desk) -> None:
    positions = await recounted(desk)
    verified = await verify(desk.settings, VerifyOptions(settle_s=30.0))

    sides = {place[2] for place in positions if place[0] == "linear"}
    assert sides == {"long", "short"}
    assert verified["equal"] is True, verified
