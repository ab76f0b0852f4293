"""Cancelling by hand: every order is given its command, whatever becomes of another's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from app.cli import app

pytestmark = pytest.mark.asyncio

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@dataclass
class Views:
    """Stands where a worker's views would: `slow` symbols' commands come to no end, `refused` ones are not taken,
    `away` partitions are nobody's for so many lists."""

    slow: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    away: int = 0
    given: list[str] = field(default_factory=list)
    """Symbols, in the order in which commands came."""

    async def orders(self, _request: web.Request) -> web.Response:
        missing, self.away = ([3] if self.away else []), max(0, self.away - 1)
        symbols = SYMBOLS[1:] if missing else SYMBOLS
        items = [{"instrument": {"symbol": symbol}} for symbol in symbols]
        return web.json_response({"items": items, "cursor": None, "missing_partitions": missing})

    async def give(self, request: web.Request) -> web.Response:
        symbol = (await request.json())["symbol"]
        self.given.append(symbol)
        if symbol in self.refused:
            return web.json_response({"error": {"code": "NOT_DURABLE", "message": "no broker"}}, status=503)
        place = f"/commands/c-{symbol}?symbol={symbol}"
        taken = {"command_id": f"c-{symbol}", "symbol": symbol, "order_id": "", "result_at": place}
        return web.json_response(taken, status=202)

    async def result(self, request: web.Request) -> web.Response:
        if request.query["symbol"] in self.slow:
            return web.json_response({"error": {"code": "COMMAND_NOT_FOUND", "message": "at work"}}, status=404)
        return web.json_response({"ok": True, "code": "", "sentence": "1 cancelled"})

    async def control(self, _request: web.Request) -> web.Response:
        return web.json_response({"state": "halted", "cancel_result_at": "/commands/c-BTCUSDT?symbol=BTCUSDT"})


@pytest.fixture
async def views(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Views]:
    views, application = Views(), web.Application()
    application.router.add_get("/orders", views.orders)
    application.router.add_post("/commands", views.give)
    application.router.add_get("/commands/{id}", views.result)
    application.router.add_post("/controls", views.control)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("ORDERMANAGER_WEB_URL", f"http://127.0.0.1:{runner.addresses[0][1]}")
    monkeypatch.setenv("ORDERMANAGER_API_KEY", "key-of-the-tests")
    monkeypatch.setenv("ORDERMANAGER_CANCEL_TIMEOUT_S", "0.2")
    monkeypatch.setattr("app.cli_commands.BEYOND_CANCELLING_S", 0.0)
    monkeypatch.setattr("app.cli.BEYOND_CANCELLING_S", 0.0)
    yield views
    await runner.cleanup()


async def ordermanager(*arguments: str) -> tuple[int, Any]:
    """Its exit code, and what it tells programs."""
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    return result.exit_code, json.loads(result.stdout)


async def test_one_that_is_not_done_in_time_keeps_no_other_from_being_cancelled(views: Views) -> None:
    views.slow, views.refused = {"BTCUSDT"}, {"ETHUSDT"}

    code, results = await ordermanager("cancel", "--all", "--json")

    assert code == 1
    assert views.given == [*SYMBOLS]
    assert [(each["symbol"], each["ok"], each["code"]) for each in results] == [
        ("BTCUSDT", False, "NOT_DONE_YET"),
        ("ETHUSDT", False, "NOT_DURABLE"),
        ("SOLUSDT", True, ""),
    ]
    assert "GET /commands/c-BTCUSDT?symbol=BTCUSDT will tell" in results[0]["sentence"]


async def test_all_are_those_of_every_partition_or_it_says_so(views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERMANAGER_CANCEL_TIMEOUT_S", "5")
    monkeypatch.setattr("app.cli_commands.LIST_AGAIN_S", 0.01)
    views.away = 2
    assert await ordermanager("cancel", "--all", "--json") == (0, [*map(cancelled, SYMBOLS)])

    monkeypatch.setenv("ORDERMANAGER_CANCEL_TIMEOUT_S", "0.2")
    views.away = 1_000_000
    code, results = await ordermanager("cancel", "--all", "--json")

    assert code == 1
    assert results[:-1] == [*map(cancelled, SYMBOLS[1:])]
    assert (results[-1]["ok"], results[-1]["code"]) == (False, "PARTITIONS_MISSING")
    assert "partitions 3" in results[-1]["sentence"]


async def test_a_halt_whose_cancels_are_not_done_in_time_says_that_it_halts_and_what_is_not_known(views: Views) -> None:
    views.slow = {"BTCUSDT"}

    code, answer = await ordermanager("halt", "--reason", "looks odd", "--cancel-open")

    assert code == 1
    assert answer["state"] == "halted"
    assert (answer["cancel_result"]["ok"], answer["cancel_result"]["code"]) == (False, "NOT_DONE_YET")


def cancelled(symbol: str) -> dict[str, Any]:
    """What the command line tells of a symbol of which all are cancelled."""
    whose = {"command_id": f"c-{symbol}", "symbol": symbol, "order_id": ""}
    return whose | {"ok": True, "code": "", "sentence": "1 cancelled"}
