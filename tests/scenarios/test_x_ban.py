"""A venue that bans our address (requirements X07, A01): nobody calls it, and somebody is told."""

from __future__ import annotations

import pytest
from scenario_set import Desk, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_x07_a_banned_address_is_told_of_and_left_alone_until_the_ban_is_over(desk: Desk) -> None:
    banned, other = desk.symbols(2)
    await desk.fault("ip_banned", endpoint="order/create", count=1)
    first = wish(banned, order_type="market")
    await desk.send(first)
    alert = await desk.alert("ADDRESS_BANNED")
    arrived = await desk.arrived("order/create")

    second = wish(other, order_type="market")
    await desk.send(second)
    assert await desk.at_venue(banned) == await desk.at_venue(other) == []
    assert "has banned our address (HTTP 403)" in alert["sentence"]

    async with desk.worker_away():  # the ban is not remembered: who starts again, tries again
        assert await desk.arrived("order/create") == arrived
    rows = [await desk.end_of(each["signal_id"]) for each in (first, second)]

    assert [row["result"] for row in rows] == ["executed", "executed"]
    assert [len(await desk.at_venue(each)) for each in (banned, other)] == [1, 1]
