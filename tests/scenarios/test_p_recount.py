"""Positions of random sessions, recomputed from the exchange's executions by a program that shares no code with the
manager (requirements P01, P02, P06)."""

from __future__ import annotations

import os
from fractions import Fraction

import pytest
from position_verdict import recounted
from random_session import Session
from scenario_set import Desk

from app.replay.folded import Until
from app.replay.report import replay
from app.verify.report import VerifyOptions, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "categories": "linear,spot,inverse",
    "paper_coins": "BTC=50,ETH=1000,XRP=500000,SOL=5000",
    "allow_short": True,
    "position_snapshot_interval_s": 1.0,
    "max_slippage": "0.05",
    "enable_balance_check": False,
}
SEEDS = range(20) if os.environ.get("ORDERMANAGER_FAULTS") == "all" else range(3)
MARKETS = (
    *(("linear", "BTCUSDT"), ("linear", "SUIUSDT")),
    *(("inverse", "BTCUSD"), ("inverse", "XRPUSD")),
    *(("spot", "BTCUSDT"), ("spot", "ETHBTC")),
)


@pytest.mark.parametrize("seed", SEEDS)
async def test_p01_positions_of_a_random_session_are_those_of_another_program(desk: Desk, seed: int) -> None:
    session = Session(desk, seed, MARKETS)

    await session.play(deeds=60)

    await recounted(desk)


async def test_p01_the_sessions_had_everything_in_them(desk: Desk) -> None:
    positions = await recounted(desk)

    assert {place[:2] for place in positions} == set(MARKETS)
    assert sum(position.reversals for position in positions.values()) > 3
    assert all(position.realised for position in positions.values())
    assert sum(bool(position.funding) for position in positions.values()) >= 3
    assert {coin for position in positions.values() for coin in position.fees} == {"BTC", "ETH", "USDT", "XRP"}
    for position in positions.values():
        # rounding has cost no more than half a last place for each closing
        assert abs(position.precise - Fraction(position.realised)) * 10**18 <= position.fills


async def test_y05_all_ledgers_agree_on_the_sessions(desk: Desk) -> None:
    verified = await verify(desk.settings, VerifyOptions(settle_s=30.0))
    replayed = await replay(desk.settings, directory=None, until=Until(), settle_s=30.0)

    assert verified["equal"] is True, verified
    assert replayed["equal"] is True, replayed
