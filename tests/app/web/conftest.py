"""Workers that tests of the web views ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from web_cases import Worker

StartWorker = Callable[..., Awaitable[Worker]]


@pytest.fixture
async def start_worker() -> AsyncIterator[StartWorker]:
    """Start any number of workers; they stop with the test."""
    started: list[Worker] = []

    async def start(**fields: Any) -> Worker:
        worker = Worker(**fields)
        await worker.start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        await worker.stop()


@pytest.fixture
async def worker(start_worker: StartWorker) -> Worker:
    """A worker that has every partition."""
    return await start_worker()
