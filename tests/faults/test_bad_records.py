"""Records that nobody can read, or that the code fails on: they are put aside with their reason, loudly, and the
partition goes on. Nothing of them reaches the exchange."""

from __future__ import annotations

import time
from typing import Any

import httpx
import orjson
import pytest
from fault_set import FaultSet
from fault_verdict import Verdict

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

FORTY_DIGITS = "500." + "0" * 36 + "1"


async def goes_on_after(calm: FaultSet, symbol: str, letters: int) -> Verdict:
    """So many more dead letters came, the next signal of the symbol is filled, and the exchange has orders of good ones
    only: of this one, and of tests that had the symbol before."""
    calm.letters += letters
    await calm.until_letters(calm.letters)
    signal = await calm.send(symbol, order_type="market")
    verdict = await calm.verdict(symbols={symbol})
    verdict.assert_agreed()
    (order,) = verdict.orders_of(signal)
    assert order["state"] == "filled"
    good = {order["order_id"] for sent in calm.sent for order in verdict.orders_of(sent)}
    assert {row["orderLinkId"] for row in verdict.books.account["orders"]} <= good
    return verdict


def signal_of(symbol: str, **fields: Any) -> bytes:
    """A signal that can be read but for what `fields` says."""
    signal = {
        "signal_id": f"bad-{symbol}-{time.time_ns()}",
        "signal_type": "buy",
        "symbol": symbol,
        "amount": "500",
        "timestamp": time.time_ns(),
        "order_type": "market",
    }
    return orjson.dumps(signal | fields)


async def test_fault_32_poison_on_every_input_is_put_aside(calm: FaultSet, symbol: str) -> None:
    topics = calm.local.topics
    poison = (b"\xff\xfe\x00", b"[" * 5_000, b'{"kind": ')
    for topic in (topics.signals, topics.order_updates, topics.order_commands):
        for value in poison:
            await calm.publish(topic, value, symbol)
    await goes_on_after(calm, symbol, 9)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("taken", id="before-the-plan", marks=pytest.mark.slow),
        pytest.param("intended", id="after-the-plan"),
    ],
)
async def test_fault_33_a_signal_that_meets_a_bug_is_put_aside_and_its_symbol_halted(
    calm: FaultSet, symbol: str, place: str
) -> None:
    restarts = calm.local.workers[0].child.restarts
    calm.crash_at(f"{place}!")
    signal = await calm.send(symbol, order_type="market")
    calm.letters += 1
    await calm.until_letters(calm.letters, limit_s=120.0)  # three starts of a worker
    calm.without_bug()
    del calm.sent[signal]  # it has no end but its letter
    assert calm.local.workers[0].child.restarts - restarts == 2
    assert await state_of(calm, symbol) == "halted"

    async with calm.client() as client:
        armed = {"scope": symbol, "state": "armed", "reason": "a test has looked"}
        (await client.post("/controls", json=armed)).raise_for_status()
    verdict = await goes_on_after(calm, symbol, 0)
    ends = [(row["state"], row["code"]) for row in verdict.books.signals if row["signal_id"] == signal]
    assert ends == ([("done", "QUARANTINED")] if place == "intended" else [])
    intents = verdict.orders_of(signal)
    assert all(not verdict.at_venue(order["order_id"]) for order in intents)
    assert [order["state"] for order in intents] == (["expired"] if place == "intended" else [])


async def test_fault_33_an_update_that_meets_a_bug_is_put_aside_and_the_venue_tells_of_it_again(
    calm: FaultSet, symbol: str
) -> None:
    restarts = calm.local.workers[0].child.restarts
    calm.crash_at("merging!")
    signal = await calm.send(symbol, order_type="market")
    calm.letters += 1
    await calm.until_letters(calm.letters, limit_s=120.0)  # three starts of a worker
    calm.without_bug()
    assert calm.local.workers[0].child.restarts - restarts >= 2
    assert await state_of(calm, symbol) == "halted"

    async with calm.client() as client:
        armed = {"scope": symbol, "state": "armed", "reason": "a test has looked"}
        (await client.post("/controls", json=armed)).raise_for_status()
    calm.letters = await calm.count_letters()  # another update may have met the bug before it was gone
    verdict = await goes_on_after(calm, symbol, 0)
    assert [order["state"] for order in verdict.orders_of(signal)] == ["filled"]


async def state_of(calm: FaultSet, symbol: str) -> str:
    """The symbol's trading state, as the worker shows it, once it has heard of one."""
    async with calm.client() as client:
        await calm.until_ready()
        reply = await client.get("/controls")
        assert reply.status_code == httpx.codes.OK
        return str(next(row["state"] for row in reply.json()["items"] if row["scope"] == symbol))


async def test_fault_34_a_giant_record_is_put_aside(calm: FaultSet, symbol: str) -> None:
    topics = calm.local.topics
    await calm.publish(topics.signals, signal_of(symbol, metadata={"pad": "x" * 900_000}), symbol)
    await calm.publish(topics.order_updates, b'{"kind": "fill", "pad": "' + b"x" * 900_000 + b'"}', symbol)
    await goes_on_after(calm, symbol, 2)


async def test_fault_35_a_newer_schema_is_read_where_it_can_be_and_put_aside_where_not(
    calm: FaultSet, symbol: str
) -> None:
    topics, newer = calm.local.topics, (("schema", b"order-update/9"),)
    later = {"kind": "from_the_future", "instrument": {"venue": "paper", "category": "linear", "symbol": symbol}}
    await calm.publish(topics.order_updates, orjson.dumps(later), symbol, newer)
    await calm.publish(topics.order_commands, orjson.dumps({"action": "levitate", "symbol": symbol}), symbol)
    more = await calm.send(symbol, order_type="market", field_of_version_9={"nested": [1, 2]})
    verdict = await goes_on_after(calm, symbol, 2)
    assert verdict.orders_of(more)[0]["state"] == "filled"


@pytest.mark.parametrize("amount", ["1e400", "NaN", "-Infinity", "1e-400", 1e308, FORTY_DIGITS])
async def test_fault_36_a_figure_that_is_none_or_has_forty_digits_is_refused(
    calm: FaultSet, symbol: str, amount: object
) -> None:
    await calm.publish(calm.local.topics.signals, signal_of(symbol, amount=amount), symbol)
    await goes_on_after(calm, symbol, 1)
