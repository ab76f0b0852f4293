"""Resting orders that take up further signals, at an exchange that refuses, times out, and whose clock is put back:
afterwards books, ledgers and the tables that are made again say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_set import FaultSet

from app.replay.folded import Until
from app.replay.report import replay

pytestmark = pytest.mark.timeout(180)


async def ended(hurt: FaultSet, signal_id: str) -> str:
    """The signal's code, once everything has come to rest."""
    verdict = await hurt.verdict()
    verdict.assert_agreed()
    return next(row["code"] for row in verdict.books.signals if row["signal_id"] == signal_id)


async def test_amendments_that_fail_and_clocks_that_go_back_leave_everything_equal(kafka: str, tmp_path: Path) -> None:
    async with FaultSet(kafka, tmp_path, paper_market_interval_s=0.0, scale_in_mode="amend") as hurt:
        await hurt.send_resting("BTCUSDT")
        await hurt.rest()
        await hurt.fault("error_code_before", endpoint="order/amend", code=10001, count=1)
        refused = await hurt.send_resting("BTCUSDT")
        assert await ended(hurt, refused) == "AMEND_NOT_CONFIRMED"
        await hurt.fault("timeout_after_accept", endpoint="order/amend", count=1)
        unheard = await hurt.send_resting("BTCUSDT")
        assert await ended(hurt, unheard) == ""

        await hurt.fault("clock_skew", skew_ms=10_000)
        await hurt.send_resting("ETHUSDT")
        await hurt.rest()
        await hurt.heal()
        await hurt.send("SOLUSDT", order_type="market")  # refused for its time, so that the clocks are compared
        await hurt.rest()
        amended = await hurt.send_resting("ETHUSDT")
        assert await ended(hurt, amended) == ""

        made = await replay(hurt.settings, directory=None, until=Until(), settle_s=30.0)

    assert made["equal"] is True, made["first_difference"]
