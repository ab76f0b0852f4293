"""The command line names the kind of instrument wherever the views can tell it apart."""

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
from app.sending import one_signal

pytestmark = pytest.mark.asyncio


@dataclass
class Views:
    """Stands where a worker's views would, and keeps what it was asked."""

    url: str = ""
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.path, dict(request.query), body))
        if request.path == "/plan":
            return web.json_response(
                {"decision": "execute", "code": "", "verdicts": [], "intents": [], "cancels": [], "amends": []}
            )
        return web.json_response({"items": [], "cursor": None})


@pytest.fixture
async def views(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Views]:
    views, application = Views(), web.Application()
    application.router.add_route("*", "/{path:.*}", views.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    monkeypatch.setenv("ORDERMANAGER_WEB_URL", f"http://127.0.0.1:{runner.addresses[0][1]}")
    monkeypatch.setenv("ORDERMANAGER_API_KEY", "key-of-the-tests")
    yield views
    await runner.cleanup()


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["orders", "--category", "spot", "--json"], "/orders"),
        (["positions", "--category", "spot", "--json"], "/positions"),
        (
            ["positions", "--symbol", "BTCUSDT", "--category", "spot", "--history", "--json"],
            "/positions/BTCUSDT/history",
        ),
        (["positions", "--symbol", "BTCUSDT", "--category", "spot", "--snapshots"], "/positions/BTCUSDT/history"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
async def test_lists_are_of_the_category_that_is_named(views: Views, arguments: list[str], path: str) -> None:
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)

    assert result.exit_code == 0, result.output
    [(asked, query, _)] = views.asked
    assert (asked, query["category"]) == (path, "spot")


async def test_a_plan_is_made_for_the_category_that_is_named(views: Views) -> None:
    arguments = ["plan", "--symbol", "BTCUSDT", "--amount", "10", "--category", "spot", "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)

    assert result.exit_code == 0, result.output
    assert views.asked[0][2]["category"] == "spot"


async def test_without_a_category_nothing_is_said_of_it(views: Views) -> None:
    await asyncio.to_thread(CliRunner().invoke, app, ["orders", "--json"])
    signal = json.loads(one_signal("BTCUSDT", "buy", "10", "", []))

    assert "category" not in views.asked[0][1]
    assert "category" not in signal


async def test_a_signal_that_is_sent_names_its_category() -> None:
    assert json.loads(one_signal("BTCUSDT", "buy", "10", "", [], "spot"))["category"] == "spot"
