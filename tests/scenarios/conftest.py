"""One set per module: its tests share it, each with symbols of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from scenario_set import Desk, running_set


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(
    kafka: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Desk]:
    """The module's set, with the settings that the module's `SETTINGS` change. When the module is through, the
    manager and the exchange must agree on everything that its tests did, but for the orders in `DISAGREEING`."""
    module = request.module
    directory = tmp_path_factory.mktemp(module.__name__.rpartition(".")[2])
    workers = getattr(module, "WORKERS", 1)
    async with running_set(kafka, directory, workers=workers, **getattr(module, "SETTINGS", {})) as own:
        yield own
        await own.agrees(besides=getattr(module, "DISAGREEING", ()))


@pytest_asyncio.fixture(loop_scope="module")
async def symbol(desk: Desk) -> AsyncIterator[str]:
    """A symbol that no other test of the module has, quoted at 99.9 for 100.1. The weather clears up afterwards."""
    [own] = desk.symbols(1)
    yield own
    await desk.heal()
