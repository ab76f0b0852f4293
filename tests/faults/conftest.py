"""Sets to be hurt. Tests that can share one do; each then has symbols of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fault_set import FaultSet, Stage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones run where they are asked for."""
    if os.environ.get("ORDERMANAGER_FAULTS") == "all":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: ORDERMANAGER_FAULTS=all runs it"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultSet]:
    """One worker and a market that stands still."""
    async with FaultSet(kafka, tmp_path_factory.mktemp("still"), paper_market_interval_s=0.0) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Where sets with two workers are made, a new one after every disagreement."""
    made = Stage(kafka, tmp_path_factory)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def busy(stage: Stage) -> FaultSet:
    """Two workers and a market that moves."""
    return await stage.moving_set()
