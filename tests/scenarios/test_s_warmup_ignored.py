"""Warm-up signals that nobody looks at (requirement S08)."""

from __future__ import annotations

import pytest
from scenario_set import Desk, wish

from domain.plans import WarmupMode

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"warmup_mode": WarmupMode.IGNORE}


async def test_s08_in_mode_ignore_a_warm_up_signal_is_told_of_and_decided_nothing(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="limit", is_warmup=True)

    row = await desk.trade(signal)

    assert (row["result"], row["code"]) == ("ignored", "WARMUP")
    assert row["plans"][0]["intents"] == []
    assert (await desk.record("order_events", signal_id=signal["signal_id"])).body["is_warmup"] is True
    assert not await desk.at_venue(symbol)
