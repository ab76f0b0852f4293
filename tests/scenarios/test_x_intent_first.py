"""The intent is the broker's before the first byte goes to the venue (requirement X01)."""

from __future__ import annotations

import time
from pathlib import Path

from scenario_set import Desk, running_set, wish

from app.kafka.broker import LocalKafka

SYMBOL = "BTCUSDT"
WATCHED_S = 1.0


async def test_x01_nothing_is_sent_while_the_broker_has_not_acknowledged_the_intent(
    broker: LocalKafka, tmp_path: Path
) -> None:
    # Prices are asked for at the venue, as those of the topic are always too old: a place to stop the time at.
    async with running_set(broker.bootstrap, tmp_path / "set", max_quote_age_s=0.001) as desk:
        asked = await desk.arrived("market/tickers")
        hold = await desk.fault("latency", endpoint="market/tickers", symbol=SYMBOL, delay_ms=600, count=1)
        signal = wish(SYMBOL, order_type="market")
        await desk.send(signal)
        await desk.until(lambda: struck(desk, hold), 10, "the worker's question for the price")
        broker.pause()
        try:
            sent = await creates_within(desk, 0.6 + WATCHED_S)
        finally:
            broker.resume()

        assert sent == 0
        assert await desk.arrived("market/tickers") > asked
        row = await desk.end_of(signal["signal_id"], within_s=30)
        order = await desk.order_in(row["order_ids"][0], "filled")
        assert order["times"]["created_ns"] < order["times"]["sent_ns"]
        await desk.agrees()


async def struck(desk: Desk, fault: int) -> bool | None:
    return await desk.fired(fault) > 0 or None


async def creates_within(desk: Desk, seconds: float) -> int:
    """How many creates come to the venue while we look: that nothing happens takes time to see."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s and not await desk.arrived("order/create"):
        continue
    return await desk.arrived("order/create")
