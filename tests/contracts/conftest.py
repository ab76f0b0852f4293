"""A broker for the contract tests alone: members may have short sessions on it, so that kills heal quickly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from contract_harness import Scene

from app.kafka.broker import LocalKafka, free_ports
from app.kafka.options import KafkaOptions


def contract_broker(directory: Path) -> LocalKafka:
    port, controller_port = free_ports(2)
    return LocalKafka(
        KafkaOptions(
            directory,
            port,
            controller_port,
            quick=True,
            with_parent=True,
            extra={"group.min.session.timeout.ms": "1000"},
        )
    )


@pytest.fixture(scope="session")
def short_sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of the contract tests' broker."""
    broker = contract_broker(tmp_path_factory.mktemp("contract-kafka"))
    asyncio.run(broker.start())
    yield broker.bootstrap
    asyncio.run(broker.kill())


@pytest.fixture
async def scene(short_sessions: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """Topics of its own, and workers to start on them; all of them are ended afterwards."""
    made = Scene(short_sessions, tmp_path)
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
