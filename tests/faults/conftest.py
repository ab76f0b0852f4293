"""Sets to be hurt. Tests that can share one do; each then has symbols of its own."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from fault_set import MOVING, SEED, FaultSet, Stage
from fault_table import Outcome, rows_of, write_table

from exchanges.paper.instruments import INSTRUMENTS

BEGAN_S = time.monotonic()
KEPT = frozenset({"BTCUSDT", "TRXUSDT"})
"""Symbols that tests name."""
FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fault-table FILE`: write a table of the faults, their tests and what became of them."""
    parser.addoption("--fault-table", metavar="FILE", help="write what became of each fault to FILE, as markdown")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the table, if it is wanted. Results travel as test properties, so they arrive from other processes too."""
    file = config.getoption("fault_table", default=None)
    if file is None:
        return
    outcomes = [
        Outcome(test, report.nodeid.partition("::")[0], word, report.duration, seed)
        for word, kinds in (("failed", ("failed", "error")), ("passed", ("passed",)), ("skipped", ("skipped",)))
        for kind in kinds
        for report in terminalreporter.stats.get(kind, ())
        for name, (test, seed) in (each for each in getattr(report, "user_properties", ()) if each[0] == "fault")
    ]
    write_table(Path(file), outcomes, str(SEED), time.monotonic() - BEGAN_S)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a fault's number note it. The long ones run where they are asked for."""
    for item in items:
        name = getattr(item, "originalname", item.name)
        if rows_of(name):
            seed = getattr(getattr(item, "module", None), "SEED", "fixed")
            item.user_properties.append(("fault", (name, str(seed))))
    if os.environ.get("ORDERMANAGER_FAULTS") == "all":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: ORDERMANAGER_FAULTS=all runs it"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether a test failed: the next one gets another set."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@asynccontextmanager
async def lent(stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[FaultSet]:
    """The stage's set for one test. After one that failed there is no saying what it is in."""
    yield await stage.ready_set()
    if request.node.stash.get(FAILED, False):
        await stage.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def still_stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Where sets with one worker and a market that stands still are made."""
    made = Stage(lambda: FaultSet(kafka, tmp_path_factory.mktemp("still"), paper_market_interval_s=0.0))
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def still(still_stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[FaultSet]:
    """One worker and a market that stands still."""
    async with lent(still_stage, request) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def calm_stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Where sets are made for faults from outside."""
    quiet = {"paper_market_interval_s": 0.0, "signal_max_bytes": 20_000}
    made = Stage(lambda: FaultSet(kafka, tmp_path_factory.mktemp("calm"), **quiet))
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def calm(calm_stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[FaultSet]:
    """One worker and a market that stands still; for faults from outside."""
    async with lent(calm_stage, request) as made:
        yield made


_symbols = itertools.cycle(sorted(set(INSTRUMENTS) - KEPT))


@pytest.fixture
def symbol() -> str:
    """One that no test of this run has used yet, as long as there are such."""
    return next(_symbols)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def busy_stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Where sets with two workers are made."""
    made = Stage(lambda: FaultSet(kafka, tmp_path_factory.mktemp("busy"), workers=2, **MOVING))
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def busy(busy_stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[FaultSet]:
    """Two workers and a market that moves."""
    async with lent(busy_stage, request) as made:
        await made.local.paper_post("/paper/market", {"frozen": False})
        yield made
