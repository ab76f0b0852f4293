"""Positions against their fills and the venue, where the venue's lists do not explain a difference (P03, P05).

The exchange keeps every trace of a trade by hand from us: only its list of positions shows it. These sets do not agree
order by order in the end, and need not.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio
from scenario_set import Desk, Row, running_set
from scenario_venue import DEADLINE_S

from streams.position_check import PositionSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTS = ("execution/list", "order/realtime", "order/history")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A set that is not compared when the module is through."""
    async with running_set(kafka, tmp_path_factory.mktemp("validation"), allow_short=True) as own:
        yield own


async def trade_in_secret(desk: Desk, symbol: str, side: str, quantity: str) -> None:
    """A trade by hand that neither the stream nor a list of orders or executions tells of."""
    await desk.fault("drop_stream", symbol=symbol)
    for endpoint in LISTS:
        await desk.fault("hide_rows", endpoint=endpoint)
    await desk.by_hand(symbol, side, quantity)


async def sync(desk: Desk, symbol: str) -> Row:
    return await desk.command(action="sync", symbol=symbol)


async def corrected(desk: Desk, symbol: str, size: str) -> Row:
    """Compare until the position is the venue's: what has just changed is not judged."""

    async def agreed() -> Row | None:
        await sync(desk, symbol)
        position = await desk.position(symbol)
        return position if Decimal(position["size"]) == Decimal(size) else None

    return await desk.until(agreed, 40, f"the venue's {size} {symbol}")


async def test_p03_a_difference_that_nothing_explains_is_told_in_three_figures_and_corrected(
    desk: Desk, symbol: str
) -> None:
    await desk.bought(symbol)
    await trade_in_secret(desk, symbol, "buy", "5")

    held = await corrected(desk, symbol, "15")

    told = await desk.alert("POSITION_MISMATCH", symbol=symbol)
    await desk.alert("POSITION_CORRECTED", symbol=symbol)
    over = await desk.record("alerts", alert=f"POSITION_MISMATCH@{symbol}", state="resolved")
    [row] = [row for row in (await desk.ask(f"/positions/{symbol}/history"))["items"] if row["kind"] == "taken_over"]
    assert told["sentence"].endswith("stored 10, from its fills 10, the venue's 15")
    assert over.body["by"] == "manager"
    assert (held["average_entry"], held["realised"]) == ("100.1", "0")
    assert (row["quantity"], row["after"]["size"]) == ("15", "15")


async def test_p03_nothing_is_corrected_while_an_order_is_open(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    resting = await desk.resting(symbol, limit_price="90")
    await desk.fault("drop_stream", symbol=symbol)
    await desk.fault("hide_rows", endpoint="execution/list")
    await desk.fault("hide_rows", endpoint="order/history")
    await desk.by_hand(symbol, "sell", "4")

    async def told() -> bool | None:
        await sync(desk, symbol)
        return bool(desk.told("alerts", code="POSITION_MISMATCH", symbol=symbol)) or None

    await desk.until(told, 40, "the mismatch to be told")
    still = await desk.position(symbol)

    assert still["size"] == "10"
    assert (await desk.order(resting["order_id"]))["state"] == "acknowledged"
    assert not desk.told("alerts", code="POSITION_CORRECTED", symbol=symbol)


async def test_p03_at_the_start_a_position_of_a_symbol_that_we_know_nothing_of_is_found(
    desk: Desk, symbol: str
) -> None:
    async with desk.worker_away():
        await trade_in_secret(desk, symbol, "buy", "3")

    await desk.position_is(symbol, "3")
    await desk.alert("POSITION_OPENED_FROM_VENUE", symbol=symbol)


async def test_p03_at_the_start_a_payment_that_nobody_told_of_is_found(desk: Desk, symbol: str) -> None:
    await desk.bought(symbol)
    async with desk.worker_away():
        await desk.fault("drop_stream", symbol=symbol)
        await desk.set.paper_post("/paper/funding", {"symbol": symbol, "rate": "0.001"})
        settled_s = time.monotonic() + PositionSettings("any").settle_s  # one that has just come may be on its way

        async def settled() -> bool | None:
            return time.monotonic() > settled_s or None

        await desk.until(settled, DEADLINE_S, "the payment to be older than what is not judged")

    async def paid() -> Decimal | None:
        return Decimal((await desk.position(symbol))["funding"]) or None

    assert await desk.until(paid, DEADLINE_S, "the payment, although no interval has passed") == -1


async def test_p05_a_position_from_before_our_time_is_taken_from_the_venue_and_marked(desk: Desk, symbol: str) -> None:
    await trade_in_secret(desk, symbol, "sell", "7")

    held = await corrected(desk, symbol, "-7")

    alert = await desk.alert("POSITION_OPENED_FROM_VENUE", symbol=symbol)
    assert (held["average_entry"], held["realised"], held["fees"]) == ("99.9", "0", {})
    assert held["opened_from_venue_ns"] > 0
    assert "was opened before our time" in alert["sentence"]

    await desk.heal()
    await desk.bought(symbol, "200")
    after = await desk.position(symbol)
    assert (after["size"], Decimal(after["realised"])) == ("-5", 2 * (Decimal("99.9") - Decimal("100.1")))
