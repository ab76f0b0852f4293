"""Any worker answers for all partitions, and says so when it cannot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from table_cases import PARTITIONS, filled, order, partition_of, signal_row, store_orders, store_signals
from web_cases import INTERNAL, READ, Worker

from app.web.questions import Answer, Item
from app.web.scatter import merged

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOTUSDT")
LEFT = frozenset({0, 1})
RIGHT = frozenset(range(PARTITIONS)) - LEFT


@pytest.fixture
async def pair(start_worker: Any) -> tuple[Worker, Worker]:
    """Two workers that share the partitions and hold twenty orders."""
    left, right = await start_worker(held=LEFT), await start_worker(held=RIGHT)
    left.peers, right.peers = {right.url: RIGHT}, {left.url: LEFT}
    for number in range(20):
        symbol = SYMBOLS[number % len(SYMBOLS)]
        holder = left if partition_of(symbol) in LEFT else right
        store_orders(holder.orders, order(number, symbol=symbol))
    assert {partition_of(symbol) in LEFT for symbol in SYMBOLS} == {True, False}
    return left, right


async def all_ids(worker: Worker, **parameters: Any) -> list[str]:
    found: list[str] = []
    while True:
        body = (await worker.get("/orders", **parameters)).json()
        assert body["partial"] is False
        found += [item["order_id"] for item in body["items"]]
        if body["cursor"] is None:
            return found
        parameters["cursor"] = body["cursor"]


@pytest.mark.parametrize("limit", [1, 3, 20, 500])
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_either_worker_lists_all_orders_in_order(pair: tuple[Worker, Worker], limit: int, direction: str) -> None:
    expected = [f"om{number}" for number in range(20)]
    if direction == "desc":
        expected.reverse()
    for worker in pair:
        assert await all_ids(worker, limit=limit, order=direction) == expected


async def test_scan_bounds_of_one_worker_lose_nothing_of_the_other(start_worker: Any) -> None:
    left = await start_worker(held=LEFT, settings={"max_scanned": 3})
    right = await start_worker(held=RIGHT, settings={"max_scanned": 7})
    left.peers = {right.url: RIGHT}
    stored = [(number, SYMBOLS[number % len(SYMBOLS)], ("buy", "sell")[number % 3 == 0]) for number in range(60)]
    for number, symbol, side in stored:
        holder = left if partition_of(symbol) in LEFT else right
        store_orders(holder.orders, order(number, symbol=symbol, side=side))

    found = await all_ids(left, limit=4, side="sell", order="asc")

    assert found == [f"om{number}" for number, _, side in stored if side == "sell"]


async def test_an_order_of_the_other_worker_is_found_by_either_id(pair: tuple[Worker, Worker]) -> None:
    left, right = pair
    symbol = next(symbol for symbol in SYMBOLS if partition_of(symbol) in RIGHT)
    store_orders(right.orders, filled(77, symbol=symbol))
    for any_id in ("om77", "v77"):
        assert (await left.get(f"/orders/{any_id}")).json()["order"]["order_id"] == "om77"


async def test_a_question_about_one_symbol_is_asked_of_its_worker_only(pair: tuple[Worker, Worker]) -> None:
    left, right = pair
    await right.stop()
    ours = next(symbol for symbol in SYMBOLS if partition_of(symbol) in LEFT)
    theirs = next(symbol for symbol in SYMBOLS if partition_of(symbol) in RIGHT)

    assert (await left.get("/orders", symbol=ours)).json()["partial"] is False
    body = (await left.get("/orders", symbol=theirs)).json()
    assert (body["partial"], body["missing_partitions"]) == (True, [partition_of(theirs)])


async def test_a_worker_that_is_gone_makes_the_answer_partial(pair: tuple[Worker, Worker]) -> None:
    left, right = pair
    await right.stop()

    body = (await left.get("/orders")).json()

    assert body["partial"] is True
    assert body["missing_partitions"] == sorted(RIGHT)
    assert body["items"]
    assert b"ordermanager_web_peer_failures_total 1.0" in left.metrics.render()


async def test_a_partition_that_nobody_has_is_named(start_worker: Any) -> None:
    worker = await start_worker(held=frozenset({0, 2, 3}))
    assert (await worker.get("/orders")).json()["missing_partitions"] == [1]


async def test_what_may_be_in_a_missing_partition_is_not_called_unknown(start_worker: Any) -> None:
    worker = await start_worker(held=LEFT)
    for path in ("/orders/om1", "/orders/om1/history", "/signals/s1", "/commands/c1"):
        reply = await worker.get(path)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "PARTITIONS_MISSING"), path


async def test_a_worker_that_has_lost_partitions_answers_for_what_it_has(pair: tuple[Worker, Worker]) -> None:
    left, right = pair
    lost = max(RIGHT)
    for rows in (right.orders, right.signals, right.positions):
        rows.held.discard(lost)
    assert (await left.get("/orders")).json()["missing_partitions"] == [lost]


async def test_orders_in_two_workers_during_a_change_of_hands_are_listed_once(pair: tuple[Worker, Worker]) -> None:
    left, right = pair
    everything = frozenset(range(PARTITIONS))
    left.peers = {right.url: everything, left.url: everything}
    for rows in (right.orders, right.signals, right.positions):
        rows.held |= LEFT
    symbol = next(symbol for symbol in SYMBOLS if partition_of(symbol) in LEFT)
    store_orders(right.orders, order(0, symbol=symbol))
    assert len(await all_ids(left)) == 20


async def test_a_partition_that_two_workers_claim_is_found_at_the_one_that_has_it(start_worker: Any) -> None:
    workers = [await start_worker(held=held) for held in (LEFT, RIGHT, frozenset())]
    first = workers[0]
    first.peers = {worker.url: RIGHT for worker in workers[1:]}
    assert (await first.get("/orders")).json()["missing_partitions"] == []


async def test_workers_with_different_keys_do_not_talk(start_worker: Any) -> None:
    left = await start_worker(held=LEFT)
    right = await start_worker(held=RIGHT, settings={"internal_key": "another"})
    left.peers = {right.url: RIGHT}
    assert (await left.get("/orders")).json()["missing_partitions"] == sorted(RIGHT)


@pytest.fixture
async def odd_worker() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The URL of a worker that answers as the test says."""
    says: dict[str, Any] = {}
    gone = asyncio.Event()

    async def ask(_request: web.Request) -> web.Response:
        if says["body"] is None:
            await gone.wait()
        return web.Response(body=says["body"], status=says.get("status", 200), content_type="application/json")

    application = web.Application()
    application.router.add_post("/internal/ask", ask)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", says
    gone.set()
    await runner.cleanup()


@pytest.mark.parametrize(
    "body",
    [None, b"", b"<html>", b'{"partitions": [0]}', b'{"partitions": ["x"]}', b'{"partitions": [2], "items": [{}]}'],
    ids=["silent", "empty", "html", "not-asked-for", "wrong-type", "cut"],
)
async def test_a_worker_that_answers_oddly_counts_as_missing(
    start_worker: Any, odd_worker: tuple[str, dict[str, Any]], body: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    url, says = odd_worker
    says["body"] = body
    worker = await start_worker(held=LEFT, peers={url: RIGHT}, settings={"peer_timeout_s": 0.3})
    caplog.set_level(logging.WARNING)

    reply = (await worker.get("/orders")).json()

    assert (reply["partial"], reply["missing_partitions"]) == (True, sorted(RIGHT))
    assert "internal-key" not in caplog.text


async def test_signals_and_their_orders_come_from_the_worker_that_has_them(pair: tuple[Worker, Worker]) -> None:
    left, right = pair
    symbol = next(symbol for symbol in SYMBOLS if partition_of(symbol) in RIGHT)
    store_orders(right.orders, order(1, symbol=symbol))
    store_signals(right.signals, signal_row("s1", symbol))

    body = (await left.get("/signals/s1")).json()

    assert [each["order_id"] for each in body["items"][0]["orders"]] == ["om1"]


def test_a_page_ends_where_the_nearest_answer_stopped() -> None:
    def answered(*places: str, resume: str | None) -> Answer:
        return Answer(partitions=(0,), items=tuple(Item(place=place, body=b"{}") for place in places), resume=resume)

    left = answered("1", "2", resume="2")
    right = answered("1.5", "4", resume=None)

    items, resume = merged([left, right], 10, descending=False)

    assert ([item.place for item in items], resume) == (["1", "1.5", "2"], "2")
    items, resume = merged([left, right], 2, descending=False)
    assert ([item.place for item in items], resume) == (["1", "1.5"], "1.5")


async def test_the_question_between_workers_is_read_strictly(worker: Worker) -> None:
    for body in ({}, {"question": {"ask": "passwords"}, "partitions": [0]}, {"question": {"ask": "order"}}):
        reply = await worker.post("/internal/ask", body, INTERNAL)
        assert reply.status_code == 400
    assert (await worker.get("/internal/ask", READ)).status_code in {401, 405}
