"""The worker dies (SIGKILL) at each step of a signal and of an update; whoever comes after it makes it whole.

Afterwards, for each place: the signal has its end, there is exactly one order at the exchange for each intent, both
books agree to the last digit, and the events of each order count from 1 without a gap, each told in one way.
"""

from __future__ import annotations

import pytest
from fault_set import FaultSet
from fault_verdict import Verdict

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

STEPS = (
    "taken", "intended", "before-call", "after-call", "outcome-published", "done", "applied", "told",
)  # fmt: skip
CANCELLING = ("before-cancel", "after-cancel", "outcome-published:2", "cancelled", "before-call")
MORE_STEPS = ("planned", "cancelled", "submitted", "applied:2", "applied:3", "told:2", "told:3")
MORE_CANCELLING = (
    "planned", "outcome-published", "intended", "after-call", "outcome-published:3", "submitted", "applied",
    "applied:2", "told:3",
)  # fmt: skip


def assert_whole(verdict: Verdict, *signals: str) -> None:
    verdict.assert_agreed()
    for signal_id in signals:
        orders = verdict.orders_of(signal_id)
        assert len(orders) == 1
        assert len(verdict.at_venue(orders[0]["order_id"])) == 1


async def test_before_anything_is_hurt_a_signal_has_one_order(still: FaultSet) -> None:
    signal = await still.send("BTCUSDT", order_type="market")
    assert_whole(await still.verdict(symbols={"BTCUSDT"}), signal)


@pytest.mark.parametrize("place", [*STEPS, *MORE_STEPS])
async def test_fault_01_to_05_a_market_signal_whose_worker_dies_has_one_order(
    still: FaultSet, place: str, symbol: str
) -> None:
    await still.until_ready()
    still.crash_at(place)
    signal = await still.send(symbol, order_type="market")
    await still.until_crashed()
    verdict = await still.verdict(symbols={symbol})
    assert_whole(verdict, signal)
    assert verdict.orders_of(signal)[0]["state"] == "filled"


@pytest.mark.parametrize("place", [*CANCELLING, *MORE_CANCELLING])
async def test_fault_01_to_05_a_signal_that_cancels_first_leaves_one_order_resting(
    still: FaultSet, place: str, symbol: str
) -> None:
    await still.until_ready()
    first = await still.send_resting(symbol, "0.90")
    await still.rest(symbols={symbol})
    still.crash_at(place)
    second = await still.send_resting(symbol, "0.91")
    await still.until_crashed()
    verdict = await still.verdict(symbols={symbol})
    assert_whole(verdict, first, second)
    assert verdict.orders_of(first)[0]["state"] == "cancelled"
    assert verdict.orders_of(second)[0]["state"] == "acknowledged"
