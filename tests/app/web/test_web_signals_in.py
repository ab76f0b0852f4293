"""Signals handed in by the views: published as a producer would, and their outcome awaited (requirement Q06)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from table_cases import plan, signal_row, store_signals
from web_cases import READ, TRADE, Worker

from tables.signals import Repeat, SignalResult, SignalState

WISH = {"signal_id": "s1", "signal_type": "buy", "symbol": "BTCUSDT", "amount": "1000.10"}
SOURCE = "signals-0-7"
"""Where the tests' log puts the first one."""


async def test_a_signal_is_published_as_it_came_under_its_symbol(worker: Worker) -> None:
    content = b'{"signal_id": "s1", "signal_type": "BUY", "asset": "btcusdt", "amount": 1000.10, "extra": [1]}'
    headers = {**TRADE, "Content-Type": "application/json"}

    reply = await worker.client.post("/signals", headers=headers, content=content)

    assert reply.status_code == 202
    [(topic, key, value, _)] = worker.log.published
    assert (topic, key, value) == ("signals", b"BTCUSDT", content)
    told = reply.json()
    assert (told["signal_id"], told["symbol"], told["source"]) == ("s1", "BTCUSDT", SOURCE)
    assert (told["outcome"], told["signal"]) == (None, None)
    assert reply.headers["Location"] == told["result_at"] == f"/signals/s1?symbol=BTCUSDT&source={SOURCE}"
    assert len(told["trace_id"]) == 32


async def test_a_signal_belongs_to_the_trace_of_its_request_unless_it_has_its_own(worker: Worker) -> None:
    trace, own = "ab" * 16, "cd" * 16
    headers = {**TRADE, "traceparent": f"00-{trace}-{'12' * 8}-01"}

    first = await worker.post("/signals", WISH, headers)
    second = await worker.post("/signals", {**WISH, "trace_id": own}, headers)

    assert (first.json()["trace_id"], second.json()["trace_id"]) == (trace, own)
    assert worker.log.published[0][3]["traceparent"].split(b"-")[1] == trace.encode()


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({"amount": "-1", "signal_type": "hold"}, 2),
        ({"signal_id": ""}, 1),
        ({"venue": "elsewhere", "category": "inverse"}, 2),
        ({"confidence": 1.2}, 1),
    ],
    ids=str,
)
async def test_what_is_no_signal_for_us_is_refused_with_every_reason_and_not_published(
    worker: Worker, changed: dict[str, Any], reasons: int
) -> None:
    reply = await worker.post("/signals", WISH | changed)

    error = reply.json()["error"]
    assert (reply.status_code, error["code"], len(error["details"]["reasons"])) == (400, "BAD_SIGNAL", reasons)
    assert worker.log.published == []


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"[" * 5_000], ids=repr)
async def test_what_is_no_json_object_is_refused(worker: Worker, content: bytes) -> None:
    headers = {**TRADE, "Content-Type": "application/json"}
    reply = await worker.client.post("/signals", headers=headers, content=content)
    assert (reply.status_code, worker.log.published) == (400, [])


async def test_a_key_for_reading_sends_no_signal(worker: Worker) -> None:
    reply = await worker.post("/signals", WISH, READ)
    assert (reply.status_code, worker.log.published) == (403, [])


async def test_a_signal_that_the_broker_does_not_acknowledge_is_told_so(start_worker: Any) -> None:
    worker = await start_worker(settings={"publish_timeout_s": 0.05})
    worker.log.acknowledges = False
    reply = await worker.post("/signals", WISH)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "NOT_ACKNOWLEDGED")


async def test_the_outcome_of_a_signal_can_be_waited_for(worker: Worker) -> None:
    waiting = asyncio.create_task(worker.post("/signals?wait_s=5", WISH))
    await worker.log.arrived.wait()
    store_signals(worker.signals, row(state=SignalState.PLANNED, result=SignalResult.NONE))
    await worker.get("/health/live")
    assert not waiting.done()

    store_signals(worker.signals, row(result=SignalResult.REJECTED, code="INSUFFICIENT_BALANCE"))
    reply = await waiting

    told = reply.json()
    assert (reply.status_code, told["outcome"], told["signal"]["code"]) == (200, "rejected", "INSUFFICIENT_BALANCE")
    assert told["signal"]["plans"][0]["verdicts"]


async def test_a_signal_without_an_outcome_in_time_is_accepted_all_the_same(worker: Worker) -> None:
    reply = await worker.post("/signals?wait_s=1", WISH)
    assert (reply.status_code, reply.json()["outcome"]) == (202, None)


@pytest.mark.parametrize("verdict", ["duplicate", "conflict"])
async def test_a_signal_sent_again_is_told_to_be_what_it_is(worker: Worker, verdict: str) -> None:
    store_signals(worker.signals, row(source="signals-0-3", repeats=(Repeat(SOURCE, verdict),)))

    reply = await worker.post("/signals?wait_s=5", WISH)

    told = reply.json()
    assert (reply.status_code, told["outcome"], told["signal"]["source"]) == (200, verdict, "signals-0-3")


async def test_an_earlier_end_of_the_same_id_is_not_taken_for_the_new_one(worker: Worker) -> None:
    store_signals(worker.signals, row(source="signals-0-3", result=SignalResult.FAILED))

    reply = await worker.post("/signals?wait_s=1", WISH)

    assert (reply.status_code, reply.json()["outcome"]) == (202, None)


async def test_another_symbols_signal_of_the_same_id_is_not_taken_for_it(worker: Worker) -> None:
    store_signals(worker.signals, signal_row("s1", "ETHUSDT", source=SOURCE, plan=plan("s1", "ETHUSDT")))

    reply = await worker.post("/signals?wait_s=1", WISH)

    assert (reply.status_code, reply.json()["outcome"]) == (202, None)


async def test_where_a_signals_result_is_said_to_be_it_can_be_waited_for(worker: Worker) -> None:
    place = (await worker.post("/signals", WISH)).json()["result_at"]
    missing = await worker.get(place)
    waiting = asyncio.create_task(worker.get(place + "&wait_s=5"))
    await worker.get("/health/live")
    store_signals(worker.signals, row())

    found = (await waiting).json()

    assert missing.status_code == 404
    assert (found["outcome"], [each["result"] for each in found["items"]]) == ("executed", ["executed"])


async def test_a_signal_whose_id_cannot_stand_in_a_path_says_where_it_is(worker: Worker) -> None:
    odd = "strategy/1 & größer?"
    place = (await worker.post("/signals", WISH | {"signal_id": odd})).json()["result_at"]
    store_signals(worker.signals, signal_row(odd))
    assert (await worker.get(place)).json()["items"][0]["signal_id"] == odd


@pytest.mark.parametrize("wait", ["-1", "11", "soon", "1&wait_s=2"])
async def test_a_wait_out_of_range_is_refused_before_anything_is_published(worker: Worker, wait: str) -> None:
    reply = await worker.client.post(f"/signals?wait_s={wait}", headers=TRADE, content=json.dumps(WISH))
    assert (reply.status_code, worker.log.published) == (400, [])


def row(**changed: Any) -> Any:
    return signal_row("s1", **{"source": SOURCE, **changed})
