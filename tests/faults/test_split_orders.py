"""Orders that are split, at an exchange that leaves a part in doubt: the others wait for the evidence, not for ever."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from fault_set import FaultSet

pytestmark = pytest.mark.timeout(120)


async def until_uncertain(hurt: FaultSet, limit_s: float = 20.0) -> None:
    """Wait until the time bound of a part is over."""
    end_s = time.monotonic() + limit_s
    while not await hurt.local.pages("/orders", state="uncertain"):
        assert time.monotonic() < end_s, "no order is uncertain"
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(("endpoint", "together"), [("order/create", 1), ("order/create-batch", 10)])
async def test_a_part_in_doubt_beyond_its_time_bound_holds_its_symbol_until_there_is_evidence(
    kafka: str, tmp_path: Path, endpoint: str, together: int
) -> None:
    split = {
        "enable_order_splitting": True,
        "max_single_order_size": "200",
        "order_execution_timeout_s": 2.0,
        "create_batch_size": together,
    }
    async with FaultSet(kafka, tmp_path, paper_market_interval_s=0.0, venue_timeout_s=1.0, **split) as hurt:
        before = await hurt.send("BTCUSDT", order_type="market")  # the symbol trades: nothing is asked for its start
        (await hurt.rest(limit_s=30.0)).assert_agreed()
        await hurt.fault("timeout_before_accept", endpoint=endpoint, count=1)
        await hurt.fault("error_5xx_before", endpoint="order/realtime")
        await hurt.send("BTCUSDT", order_type="market")
        await until_uncertain(hurt)
        await hurt.heal()
        after = await hurt.send("BTCUSDT", order_type="market")

        verdict = await hurt.verdict(limit_s=30.0)

    verdict.assert_agreed()
    assert [order["state"] for sent in (before, after) for order in verdict.orders_of(sent)] == ["filled"] * 6
    assert len(verdict.books.account["orders"]) == 9
