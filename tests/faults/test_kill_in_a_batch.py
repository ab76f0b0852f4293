"""The worker dies (SIGKILL) around a call about several orders: each of them has its one end all the same (X03)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fault_set import FaultSet
from fault_verdict import Verdict

pytestmark = [pytest.mark.asyncio(loop_scope="module")]

PARTS = 3
CREATING = ("intended", "before-call", "after-call", "outcome-published")
CANCELLING = ("before-cancel", "after-cancel", "outcome-published:2", "cancelled", "before-call", "after-call")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def splitting(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultSet]:
    """One worker that splits what is over 200, and a market that stands still."""
    directory = tmp_path_factory.mktemp("splitting")
    split = {"enable_order_splitting": True, "max_single_order_size": "200"}
    async with FaultSet(kafka, directory, paper_market_interval_s=0.0, **split) as made:
        yield made


def assert_whole(verdict: Verdict, signal_id: str, state: str) -> None:
    """Each part is once at the exchange, and stands as it should."""
    verdict.assert_agreed()
    orders = verdict.orders_of(signal_id)
    assert [order["state"] for order in orders] == [state] * PARTS
    assert [len(verdict.at_venue(order["order_id"])) for order in orders] == [1] * PARTS


@pytest.mark.parametrize("place", CREATING)
async def test_parts_that_go_in_one_call_are_once_at_the_exchange(splitting: FaultSet, place: str, symbol: str) -> None:
    await splitting.until_ready()
    splitting.crash_at(place)
    signal = await splitting.send(symbol, order_type="market")
    await splitting.until_crashed()

    assert_whole(await splitting.verdict(symbols={symbol}), signal, "filled")


@pytest.mark.parametrize("place", CANCELLING)
async def test_orders_that_are_cancelled_in_one_call_make_way_once(
    splitting: FaultSet, place: str, symbol: str
) -> None:
    await splitting.until_ready()
    first = await splitting.send_resting(symbol, "0.90")
    await splitting.rest(symbols={symbol})
    splitting.crash_at(place)
    second = await splitting.send_resting(symbol, "0.91")
    await splitting.until_crashed()

    verdict = await splitting.verdict(symbols={symbol})
    assert_whole(verdict, first, "cancelled")
    assert_whole(verdict, second, "acknowledged")
