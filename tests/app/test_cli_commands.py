"""Cancelling by hand, from the command line: what is not done in time is told, and keeps nothing else from its end."""

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
    """Stands where a worker's views would: commands of `slow` symbols come to no end, one partition is nobody's for
    `away` questions."""

    slow: set[str] = field(default_factory=set)
    away: int = 0
    asked: int = 0

    async def give(self, request: web.Request) -> web.Response:
        symbol = (await request.json())["symbol"]
        place = "/commands/c" if symbol == "*" else f"/commands/c:{symbol}?symbol={symbol}"
        taken = {"command_id": "c", "symbol": symbol, "order_id": "", "result_at": place}
        return web.json_response(taken, status=202)

    async def result(self, request: web.Request) -> web.Response:
        self.asked += 1
        symbol = request.query.get("symbol")
        if symbol is None:
            self.away -= 1
            passed_on = SYMBOLS[1:] if self.away >= 0 else SYMBOLS
            whole = {"done": self.away < 0, "ok": self.away < 0, "code": "" if self.away < 0 else "PARTITIONS_MISSING"}
            details = dict.fromkeys(passed_on, "passed on")
            every = {"command_id": "c", "action": "cancel", "symbol": "*", "sentence": "passed on", "details": details}
            return web.json_response(every | whole)
        if symbol in self.slow:
            return web.json_response({"error": {"code": "COMMAND_NOT_FOUND", "message": "at work"}}, status=404)
        return web.json_response({"done": True, "ok": True, "code": "", "sentence": "1 cancelled", "symbol": symbol})

    async def control(self, _request: web.Request) -> web.Response:
        return web.json_response({"state": "halted", "cancel_result_at": "/commands/c:BTCUSDT?symbol=BTCUSDT"})


@pytest.fixture
async def views(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Views]:
    views, application = Views(), web.Application()
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
    monkeypatch.setattr("app.asking.AGAIN_S", 0.01)
    yield views
    await runner.cleanup()


async def ordermanager(*arguments: str) -> tuple[int, Any]:
    """Its exit code, and what it tells programs."""
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    return result.exit_code, json.loads(result.stdout)


def ends(results: list[dict[str, Any]]) -> list[tuple[str, bool, str]]:
    return [(each["symbol"], each["ok"], each["code"]) for each in results]


async def test_one_symbol_that_is_not_done_in_time_is_told_beside_those_that_are(views: Views) -> None:
    views.slow = {"BTCUSDT"}

    code, results = await ordermanager("cancel", "--all", "--json")

    done = [(symbol, True, "") for symbol in SYMBOLS[1:]]
    assert (code, ends(results)) == (1, [("*", True, ""), ("BTCUSDT", False, "NOT_DONE_YET"), *done])
    assert "GET /commands/c:BTCUSDT?symbol=BTCUSDT will tell" in results[1]["sentence"]


async def test_a_partition_that_is_between_two_owners_is_waited_for(
    views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERMANAGER_CANCEL_TIMEOUT_S", "5")
    views.away = 3

    code, results = await ordermanager("cancel", "--all", "--json")

    assert (code, ends(results)) == (0, [(symbol, True, "") for symbol in ("*", *SYMBOLS)])


async def test_a_partition_that_stays_without_an_owner_is_told(views: Views) -> None:
    views.away = 1_000_000

    code, results = await ordermanager("cancel", "--all", "--json")

    assert (code, results[0]["ok"], results[0]["code"]) == (1, False, "PARTITIONS_MISSING")
    assert ends(results[1:]) == [(symbol, True, "") for symbol in SYMBOLS[1:]]


async def test_a_halt_whose_cancels_are_not_done_in_time_says_that_it_halts_and_what_is_not_known(views: Views) -> None:
    views.slow = {"BTCUSDT"}

    code, answer = await ordermanager("halt", "--reason", "looks odd", "--cancel-open")

    assert (code, answer["state"]) == (1, "halted")
    [result] = answer["cancel_results"]
    assert (result["ok"], result["code"]) == (False, "NOT_DONE_YET")
    assert views.asked < 100, "it asks as fast as it can"
