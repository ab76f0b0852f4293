"""The exchange answers late, in part, wrongly or never, tells updates twice, in another order or not at all.

Each time the signal ends in exactly one order there, under the id that was drawn from it, and both books agree.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest
from fault_set import FaultSet
from fault_verdict import Verdict

from app.venue import bybit_options
from domain.instruments import Instrument
from domain.orders import OrderType, Side, TimeInForce
from exchanges.bybit.trading import BybitTrading
from exchanges.venue import NewOrder

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


def assert_one_filled(verdict: Verdict, signal: str) -> None:
    verdict.assert_agreed()
    (order,) = verdict.orders_of(signal)
    assert order["state"] == "filled"
    assert len(verdict.at_venue(order["order_id"])) == 1


async def filled_in_spite_of(calm: FaultSet, symbol: str, kind: str, **rule: Any) -> int:
    """A market signal on a symbol whose first create meets the fault is filled; returns how many creates arrived."""
    before = await calm.creates()
    await calm.fault(kind, endpoint="order/create", symbol=symbol, count=1, **rule)
    signal = await calm.send(symbol, order_type="market")
    verdict = await calm.verdict(symbols={symbol})
    await calm.heal()
    assert_one_filled(verdict, signal)
    return await calm.creates() - before


async def test_fault_17_an_order_whose_acceptance_nobody_heard_is_found_by_its_id(calm: FaultSet, symbol: str) -> None:
    assert await filled_in_spite_of(calm, symbol, "timeout_after_accept") == 1


async def test_fault_18_an_order_that_never_arrived_is_sent_again_under_its_id(calm: FaultSet, symbol: str) -> None:
    assert await filled_in_spite_of(calm, symbol, "timeout_before_accept") == 2


@pytest.mark.parametrize(
    ("kind", "creates"), [("reset_mid_reply", 1), pytest.param("reset_before", 2, marks=pytest.mark.slow)]
)
async def test_fault_19_a_broken_connection_leaves_one_order(
    calm: FaultSet, symbol: str, kind: str, creates: int
) -> None:
    assert await filled_in_spite_of(calm, symbol, kind) == creates


@pytest.mark.parametrize(
    ("kind", "creates"),
    [("error_5xx_after", 1), ("cut_json", 1), pytest.param("error_5xx_before", 2, marks=pytest.mark.slow)],
)
async def test_fault_20_a_reply_that_says_nothing_leaves_one_order(
    calm: FaultSet, symbol: str, kind: str, creates: int
) -> None:
    assert await filled_in_spite_of(calm, symbol, kind) == creates


@pytest.mark.parametrize(
    "limit", [{"kind": "rate_limited", "retry_after_ms": 1_000}, {"kind": "error_5xx_before", "status": 429}],
    ids=["10006", "429"],
)  # fmt: skip
async def test_fault_21_a_rate_limit_is_obeyed_and_cancels_pass_it(
    calm: FaultSet, symbol: str, limit: dict[str, Any]
) -> None:
    limited_s = 4.0
    resting = await calm.send_resting(symbol)
    (order,) = (await calm.rest(symbols={symbol})).orders_of(resting)
    before = await calm.creates()
    await calm.fault(**limit, endpoint="order/create")
    signal = await calm.send("BTCUSDT", order_type="market")
    await calm.until_creates(before + 1)
    began_s = time.monotonic()
    await cancelled(calm, order["order_id"])
    cancelled_s = time.monotonic() - began_s
    await asyncio.sleep(max(0.0, limited_s - cancelled_s))
    tried = await calm.creates() - before
    await calm.heal()

    verdict = await calm.verdict(symbols={symbol, "BTCUSDT"})
    verdict.assert_agreed()
    (wanted,) = verdict.orders_of(signal)
    assert wanted["state"] in {"filled", "failed"}  # failed: surely not accepted, each of the allowed times
    assert len(verdict.at_venue(wanted["order_id"])) == (wanted["state"] == "filled")
    assert verdict.orders_of(resting)[0]["state"] == "cancelled"
    assert cancelled_s < limited_s
    assert tried <= 5, "one a second was allowed"


async def cancelled(calm: FaultSet, order_id: str) -> None:
    """Have an order cancelled as an operator does, and wait for the command's end."""
    async with calm.client() as client:
        reply = await client.post("/commands", json={"action": "cancel", "order_id": order_id, "reason": "a test"})
        command_id = reply.raise_for_status().json()["command_id"]
        (await client.get(f"/commands/{command_id}", params={"wait_s": 5})).raise_for_status()


async def test_fault_22_a_reply_that_trickles_is_given_up_at_the_total_deadline(calm: FaultSet, symbol: str) -> None:
    before = await calm.creates()
    await calm.fault("slow_reply", endpoint="order/create", symbol=symbol, count=1, bytes_per_s=1)
    began_s = time.monotonic()
    signal = await calm.send(symbol, order_type="market")
    await calm.rest(symbols={symbol})
    took_s = time.monotonic() - began_s
    await calm.heal()
    assert_one_filled(await calm.verdict(symbols={symbol}), signal)
    assert await calm.creates() == before + 1
    assert took_s < 4 * calm.settings.venue_timeout_s


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"kind": "duplicate_stream", "times": 3}, id="doubled"),
        pytest.param({"kind": "reorder_stream", "times": 3, "delay_ms": 400}, id="shuffled"),
    ],
)
async def test_fault_23_to_24_updates_doubled_and_shuffled_are_merged(
    calm: FaultSet, symbol: str, rule: dict[str, Any]
) -> None:
    await calm.fault(**rule, symbol=symbol, probability=0.7, seed=5)
    signals = [await calm.send(symbol, order_type="market", signal_type=side) for side in ("buy", "sell", "buy")]
    resting = await calm.send_resting(symbol)
    verdict = await calm.verdict(symbols={symbol})
    await calm.heal()
    for signal in signals:
        assert_one_filled(verdict, signal)
    assert verdict.orders_of(resting)[0]["state"] == "acknowledged"


async def test_fault_25_what_was_lost_with_the_stream_is_filled_in(calm: FaultSet, symbol: str) -> None:
    await calm.fault("drop_stream", symbol=symbol)
    await calm.fault("disconnect", refuse_ms=1_500)
    signals = [await calm.send(symbol, order_type="market") for _ in range(2)]
    verdict = await calm.verdict(symbols={symbol})
    await calm.heal()
    for signal in signals:
        assert_one_filled(verdict, signal)


async def test_fault_26_a_fill_that_is_told_before_the_reply_is_counted_once(calm: FaultSet, symbol: str) -> None:
    assert await filled_in_spite_of(calm, symbol, "late_reply", delay_ms=1_500) == 1


async def test_fault_27_an_order_that_somebody_else_placed_is_adopted(calm: FaultSet, symbol: str) -> None:
    stranger = BybitTrading(bybit_options(calm.settings))
    instrument = Instrument(calm.settings.venue.value, calm.settings.category, symbol)
    (rules,) = [each for each in await stranger.instruments(calm.settings.category) if each.instrument == instrument]
    bid, ask = await calm.quotes(symbol)
    quantity = max(rules.min_quantity, (Decimal(100) / bid) // rules.lot * rules.lot)
    order = NewOrder(instrument, "by-hand-1", Side.BUY, OrderType.LIMIT, quantity, ask, TimeInForce.GTC)
    await stranger.create(order)
    await stranger.close()
    signal = await calm.send(symbol, order_type="market")

    verdict = await calm.verdict(symbols={symbol})
    assert_one_filled(verdict, signal)
    (adopted,) = [row for row in verdict.books.orders if row["external"]]
    assert (adopted["client_order_id"], adopted["state"]) == ("by-hand-1", "filled")


@pytest.mark.parametrize("skew_ms", [10_000, -10_000])
async def test_fault_28_a_venue_clock_that_jumps_by_ten_seconds_costs_no_order(calm: FaultSet, skew_ms: int) -> None:
    calm.clock_behind_ms = max(0, -skew_ms)
    await calm.fault("clock_skew", skew_ms=skew_ms)
    during = await calm.send("TRXUSDT", order_type="market")
    await calm.rest(symbols={"TRXUSDT"})
    await calm.heal()  # and back
    bid, ask = await calm.quotes("TRXUSDT")
    dearer = {"bids": [[str(bid * 2), "1000000"]], "asks": [[str(ask * 2), "1000000"]]}
    await calm.local.paper_post("/paper/market", {"symbol": "TRXUSDT", **dearer})
    less = await calm.send("TRXUSDT", signal_type="sell", order_type="market", amount="300")
    await calm.rest(symbols={"TRXUSDT"})
    more = await calm.send("TRXUSDT", order_type="market")
    verdict = await calm.verdict(symbols={"TRXUSDT"})  # average entries too: what was sold was bought before
    calm.clock_behind_ms = 0
    for signal in (during, less, more):
        assert_one_filled(verdict, signal)
