"""The programs in `examples/`, run as a user would, against the real set."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from scenario_reader import Row, Seen
from scenario_set import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
OURS = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}


@asynccontextmanager
async def example(desk: Desk, name: str, *arguments: str) -> AsyncIterator[None]:
    """The program at work; it ends in order when it is told to."""
    settings = desk.settings
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / name)),
        *("--bootstrap", settings.bootstrap, "--prefix", settings.topic_prefix, *arguments),
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        cwd=EXAMPLES,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            while not (line := await process.stderr.readline()).endswith(b" listens\n"):
                assert line, "the program has ended"
        yield
        process.terminate()
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode()
        assert "stopped; the topics remember everything" in said.decode()
    finally:
        if process.returncode is None:
            process.kill()
            _, said = await process.communicate()
            sys.stderr.write(said.decode())  # shown where the test failed


async def price(desk: Desk, symbol: str, bid: str, ask: str) -> None:
    await desk.quote(symbol, bids=((bid, "100000"),), asks=((ask, "100000"),))


async def traded(desk: Desk, symbol: str, strategy: str, count: int) -> list[Row]:
    """The first orders of a strategy that were filled, in sequence."""

    def filled() -> list[Seen] | None:
        found = desk.told("order_events", type="filled", instrument__symbol=symbol, signal__strategy_id=strategy)
        return found if len(found) >= count else None

    return [seen.body for seen in await desk.reader.until(filled, 30, f"{count} filled orders of {strategy}")]


async def test_the_grid_buys_going_down_sells_going_up_and_goes_on_after_a_restart(desk: Desk, symbol: str) -> None:
    grid = ("--symbol", symbol, "--name", "ladder", "--top", "100", "--step", "0.01", "--levels", "2")
    async with example(desk, "grid.py", *grid, "--amount", "500"):
        await price(desk, symbol, "98.9", "98.92")
        await traded(desk, symbol, "ladder", 1)
    async with example(desk, "grid.py", *grid, "--amount", "500"):
        await price(desk, symbol, "97.9", "97.92")
        await traded(desk, symbol, "ladder", 2)
        await price(desk, symbol, "99.1", "99.12")
        await traded(desk, symbol, "ladder", 3)
        await price(desk, symbol, "100.1", "100.12")
        events = await traded(desk, symbol, "ladder", 4)

    sides = [(event["signal"]["signal_id"], event["side"]) for event in events]
    assert sides == [("ladder-0-0", "buy"), ("ladder-1-0", "buy"), ("ladder-1-1", "sell"), ("ladder-0-1", "sell")]
    await desk.position_is(symbol, "0")


async def test_the_model_buys_when_its_averages_cross_up_and_sells_when_they_cross_down(
    desk: Desk, symbol: str
) -> None:
    async with example(desk, "momentum.py", "--symbols", symbol, "--amount", "1000"):
        await price(desk, symbol, "99.99", "100.01")
        await enough_prices(desk, symbol, 25)
        await price(desk, symbol, "102.99", "103.01")
        await traded(desk, symbol, "momentum", 1)
        await price(desk, symbol, "95.99", "96.01")
        events = await traded(desk, symbol, "momentum", 2)

    assert [event["side"] for event in events] == ["buy", "sell"]
    assert all(event["signal"]["model_version"] == "ema-5-20" for event in events)
    await desk.position_is(symbol, "0")


async def enough_prices(desk: Desk, symbol: str, count: int) -> None:
    """Wait until the gateway has told so many prices from now on."""
    key = f"linear/{symbol}".encode()

    def prices() -> int:
        return sum(seen.key == key for seen in desk.told("marks"))

    wanted = prices() + count
    await desk.reader.until(lambda: prices() >= wanted or None, 30, f"{count} prices of {symbol}")


async def test_what_the_examples_send_fits_the_published_schema(desk: Desk) -> None:
    schema = json.loads((ROOT / "docs" / "schemas" / "signals.schema.json").read_text())
    signals = [seen.body for seen in desk.told("signals")]

    assert {signal["strategy_id"] for signal in signals} == {"ladder", "momentum"}
    for signal in signals:
        assert set(schema["required"]) <= set(signal) <= set(schema["properties"])


async def test_the_examples_import_nothing_of_the_project() -> None:
    for path in EXAMPLES.glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {name.split(".")[0] for name in names} & OURS, path
