"""A broker for the contract tests alone: members may have short sessions on it, so that kills heal quickly.

At the end of a run the results stand in a table: what stock Faust did, and what ours did with the same load.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from contract_harness import SEED, Scene
from contract_report import SIDES, Report

from app.kafka.broker import LocalKafka, free_ports
from app.kafka.cluster import LocalCluster
from app.kafka.options import KafkaOptions

SHORT_SESSIONS = {"group.min.session.timeout.ms": "1000"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones run where they are asked for."""
    if os.environ.get("ORDERMANAGER_FAULTS") == "all":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: ORDERMANAGER_FAULTS=all runs it"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what was seen. Results travel as test properties, so that they arrive from other processes too."""
    seen: dict[str, dict[str, str]] = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == "contract" and getattr(report, "when", "call") == "call":
                    row, side, figures = value
                    seen.setdefault(row, {})[side] = figures
    if not seen:
        return
    terminalreporter.section(f"engine contract, ORDERMANAGER_CONTRACT_SEED={SEED}")
    for row in sorted(seen):
        terminalreporter.write_line(row)
        for side in SIDES:
            if side in seen[row]:
                terminalreporter.write_line(f"    {side:<11}  {seen[row][side]}")


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Where a contract test notes what it saw."""
    return Report(record_property)


def contract_broker(directory: Path) -> LocalKafka:
    port, controller_port = free_ports(2)
    return LocalKafka(
        KafkaOptions(directory, port, controller_port, quick=True, with_parent=True, extra=SHORT_SESSIONS)
    )


@pytest.fixture(scope="session")
def short_sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of the contract tests' broker."""
    broker = contract_broker(tmp_path_factory.mktemp("contract-kafka"))
    asyncio.run(broker.start())
    yield broker.bootstrap
    asyncio.run(broker.kill())


def seeded(request: pytest.FixtureRequest) -> random.Random:
    """The seed's numbers for one test."""
    return random.Random(f"{SEED}/{request.node.name}")  # noqa: S311 -- a load, no secret


@pytest.fixture
async def scene(short_sessions: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """Topics of its own, and workers to start on them; all of them are ended afterwards."""
    made = Scene(short_sessions, tmp_path, rnd=seeded(request))
    await made.create_topics()
    yield made
    made.end_workers()


@pytest.fixture
async def own_broker(tmp_path: Path) -> AsyncIterator[LocalKafka]:
    """A broker of the test's own, to be killed and started again."""
    broker = contract_broker(tmp_path / "kafka")
    await broker.start()
    yield broker
    await broker.kill()


@pytest.fixture
async def own_scene(own_broker: LocalKafka, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """A scene on the test's own broker."""
    made = Scene(own_broker.bootstrap, tmp_path, rnd=seeded(request))
    await made.create_topics()
    yield made
    made.end_workers()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[LocalCluster]:
    """Three brokers of the test's own."""
    made = LocalCluster(tmp_path / "kafka", extra=SHORT_SESSIONS)
    await made.start()
    yield made
    await made.kill()


@pytest.fixture
def cluster_scene(cluster: LocalCluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A scene on the three brokers; its topics are made by the test, which says where."""
    made = Scene(cluster.bootstrap, tmp_path, rnd=seeded(request))
    yield made
    made.end_workers()
