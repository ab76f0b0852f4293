"""Signals of producers that write them in transactions: what was taken back was never said (requirement S01)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from command_line import ordermanager
from scenario_set import Desk, Row, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_s01_signals_of_an_aborted_transaction_are_not_traded_and_its_marker_is_no_unfinished_record(
    desk: Desk, symbol: str
) -> None:
    taken_back, meant = wish(symbol, order_type="market"), wish(symbol, order_type="market")
    producer: Any = AIOKafkaProducer(  # Any: aiokafka is untyped
        bootstrap_servers=desk.settings.bootstrap, transactional_id=f"{desk.settings.topic_prefix}producer"
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        await put(desk, producer, taken_back)
        await producer.abort_transaction()
        async with producer.transaction():
            await put(desk, producer, meant)
    finally:
        await producer.stop()

    row = await desk.end_of(meant["signal_id"])
    code, verdict = await ordermanager(desk.settings, "verify", "--json")

    assert row["result"] == "executed"
    assert len(await desk.at_venue(symbol)) == 1
    assert [each["signal_id"] for each in (await desk.ask("/signals", symbol=symbol))["items"]] == [meant["signal_id"]]
    assert (code, verdict["equal"], verdict["unfinished"]) == (0, True, 0)


async def put(desk: Desk, producer: Any, signal: Row) -> None:
    await producer.send_and_wait(desk.topics.signals, orjson.dumps(signal), key=signal["symbol"].encode())
