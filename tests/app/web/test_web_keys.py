"""Who is let in, and what is refused before a view is reached."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from table_cases import order, store_orders
from web_cases import INTERNAL, READ, TRADE, Worker

from app.web import ApiKey, Scope, WebSettings, key_hash
from app.web.auth import MAX_ADDRESSES, WrongKeys

OPEN = {"/health/live", "/health/ready", "/metrics"}


def routes(worker: Worker) -> list[tuple[str, str]]:
    """(method, path) of everything that the server answers, ids filled in."""
    found = []
    for route in worker.app.web.web_app.router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        for name in ("order_id", "signal_id", "command_id", "symbol"):
            path = path.replace(f"{{{name}}}", "x1")
        found.append((route.method, path))
    return found


async def test_every_route_but_probes_and_metrics_asks_for_a_key(worker: Worker) -> None:
    asked = routes(worker)
    assert len(asked) > 20
    for method, path in asked:
        reply = await worker.client.request(method, path)
        assert (reply.status_code == 401) is (path not in OPEN), (method, path, reply.status_code)


async def test_fausts_own_pages_are_not_there(worker: Worker) -> None:
    paths = {path for _, path in routes(worker)}
    assert not {path for path in paths if path == "/" or path.startswith(("/table", "/router", "/graph", "/perf"))}
    for path in ("/", "/table/", "/table/orders/", "/router/", "/router/orders/x/", "/stats", "/graph", "/performance"):
        assert (await worker.get(path, READ)).status_code == 404, path
        assert (await worker.client.get(path)).status_code == 401, path


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": ""}, {"X-API-Key": "no"}, {"Authorization": "Bearer x"}], ids=str
)
async def test_without_a_right_key_nothing_is_told(worker: Worker, headers: dict[str, str]) -> None:
    store_orders(worker.orders, order(1))
    reply = await worker.client.get("/orders", headers=headers)
    assert reply.status_code == 401
    assert "om1" not in reply.text
    assert set(reply.json()["error"]) == {"code", "message", "details"}


async def test_a_key_in_the_address_is_no_key(worker: Worker) -> None:
    assert (await worker.client.get("/orders?api_key=trade-key-of-the-tests")).status_code == 401


async def test_a_read_key_cannot_trade_and_a_trade_key_can_read(worker: Worker) -> None:
    refused = await worker.post("/controls", {"scope": "all", "state": "armed", "reason": "x"}, READ)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "SCOPE_MISSING")
    assert worker.controls == []
    assert (await worker.get("/orders", TRADE)).status_code == 200


async def test_keys_rotate_without_restart(worker: Worker) -> None:
    new = {"X-API-Key": "a-new-key"}
    assert (await worker.get("/orders", new)).status_code == 401
    worker.keys.append(ApiKey("new", key_hash("a-new-key"), Scope.READ))
    del worker.keys[0]
    assert (await worker.get("/orders", new)).status_code == 200
    assert (await worker.get("/orders", READ)).status_code == 401


async def test_the_eleventh_wrong_key_of_a_minute_is_told_to_wait(worker: Worker) -> None:
    statuses = [(await worker.get("/orders", {"X-API-Key": f"guess-{n}"})).status_code for n in range(12)]
    last = await worker.get("/orders", {"X-API-Key": "guess"})
    assert statuses == [401] * 10 + [429] * 2
    assert 1 <= int(last.headers["Retry-After"]) <= 61
    assert b'ordermanager_web_keys_refused_total{cause="wrong"} 13.0' in worker.metrics.render()


async def test_an_operator_with_the_right_key_passes_while_wrong_ones_are_slowed(worker: Worker) -> None:
    for number in range(15):
        await worker.get("/orders", {"X-API-Key": f"guess-{number}"})
    reply = await worker.post("/controls", {"scope": "all", "state": "halted", "reason": "stop"})
    assert reply.status_code == 200


async def test_a_thousand_wrong_keys_leave_the_worker_answering(worker: Worker) -> None:
    async def guess(session: aiohttp.ClientSession, number: int) -> int:
        async with session.get(f"{worker.url}/orders", headers={"X-API-Key": f"guess-{number}"}) as reply:
            return reply.status

    async with aiohttp.ClientSession() as session:
        statuses = await asyncio.gather(*(guess(session, number) for number in range(1_000)))

    assert sorted(statuses) == [401] * 10 + [429] * 990
    assert (await worker.client.get("/health/live")).status_code == 200


def test_a_minute_later_an_address_may_try_again() -> None:
    now = [0]
    wrong = WrongKeys(2, lambda: now[0])
    assert [wrong.wrong("a") for _ in range(3)] == [0, 0, 60.0]
    now[0] = 59 * 10**9
    assert wrong.wrong("a") == 1.0
    now[0] = 60 * 10**9
    assert wrong.wrong("a") == 0
    assert wrong.wrong("b") == 0


def test_the_memory_of_wrong_keys_is_bounded() -> None:
    wrong = WrongKeys(1, lambda: 0)
    for number in range(MAX_ADDRESSES + 100):
        wrong.wrong(str(number))
    assert len(wrong) == MAX_ADDRESSES
    assert wrong.wrong(str(MAX_ADDRESSES + 99)) > 0


# -- between workers -------------------------------------------------------------------------------------------------


async def test_the_workers_door_opens_for_the_workers_key_only(worker: Worker) -> None:
    ask = {"question": {"ask": "order", "any_id": "om1"}, "partitions": [0]}
    assert (await worker.post("/internal/ask", ask, INTERNAL)).status_code == 200
    assert (await worker.post("/internal/ask", ask, TRADE)).status_code == 401
    assert (await worker.post("/internal/ask", ask, {"X-Internal-Key": "guess"})).status_code == 401
    assert (await worker.get("/orders", INTERNAL)).status_code == 401


async def test_without_a_workers_key_that_door_stays_shut(start_worker: Any) -> None:
    worker = await start_worker(settings={"internal_key": ""})
    for headers in ({}, {"X-Internal-Key": ""}, {"X-Internal-Key": "guess"}):
        assert (await worker.post("/internal/ask", {}, headers)).status_code == 401


# -- bounds ----------------------------------------------------------------------------------------------------------


async def test_a_query_over_4_kilobytes_is_refused(worker: Worker) -> None:
    reply = await worker.get("/orders", symbol="B" * 4_096)
    assert (reply.status_code, reply.json()["error"]["code"]) == (414, "QUERY_TOO_LONG")


async def test_a_line_of_9_kilobytes_is_refused(worker: Worker) -> None:
    assert (await worker.get("/orders", symbol="B" * 9_000)).status_code in {400, 414}


async def test_a_body_over_64_kilobytes_is_refused(worker: Worker) -> None:
    reply = await worker.post("/commands", {"action": "sync", "symbol": "BTCUSDT", "reason": "x" * 70_000})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "BODY_TOO_LARGE")


async def test_a_body_that_does_not_say_its_length_is_refused_when_it_gets_too_long(worker: Worker) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 4_096

    headers = {**TRADE, "Content-Type": "application/json"}
    reply = await worker.client.post("/commands", headers=headers, content=endless())
    assert reply.status_code == 413
    assert worker.commands == []


@pytest.mark.parametrize("path", ["/orders", "/nowhere", "/health/live", "/metrics"])
async def test_every_reply_has_headers_that_browsers_obey(worker: Worker, path: str) -> None:
    reply = await worker.get(path)
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["X-Frame-Options"] == "DENY"
    assert reply.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert reply.headers["Server"] == "ordermanager"


async def test_a_method_that_a_path_does_not_have_is_refused_as_json(worker: Worker) -> None:
    reply = await worker.client.delete("/orders", headers=TRADE)
    assert (reply.status_code, reply.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in reply.headers["Allow"]


async def test_a_view_that_fails_tells_nothing_of_why(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    worker.orders.scan_index = lambda *_args, **_kwargs: 1 / 0  # type: ignore[method-assign]
    reply = await worker.get("/orders")
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert "division" not in reply.text
    assert "ZeroDivisionError" in caplog.text


def test_everything_cannot_be_opened() -> None:
    with pytest.raises(ValueError, match="OPEN_PATHS"):
        WebSettings(partitions=1, open_paths=("/*",))


async def test_a_folder_may_be_opened_and_nothing_beside_it(start_worker: Any) -> None:
    worker: Worker = Worker(settings={"open_paths": ("/", "/page/*")})

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="page")

    for path in ("/", "/page/{file}", "/pages", "/page"):
        worker.app.web.web_app.router.add_get(path, page)
    await worker.start()
    try:
        statuses = {
            path: (await worker.client.get(path)).status_code
            for path in ("/", "/page/a.js", "/page/..%2forders", "/pages", "/page", "/orders")
        }
    finally:
        await worker.stop()
    assert statuses == {
        "/": 200,
        "/page/a.js": 200,
        "/page/..%2forders": 401,
        "/pages": 401,
        "/page": 401,
        "/orders": 401,
    }
