"""What every test may ask for: a real broker, and topics of its own on it."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from app.kafka.broker import LocalKafka, free_ports
from app.kafka.options import KafkaOptions
from app.topic_creation import create_topics
from streams.topics import Topics

TEST_PARTITIONS = 4
SEED_NAME = "ORDERMANAGER_FAULTS_SEED"


def pytest_configure(config: pytest.Config) -> None:
    """Name our markers, since unknown ones are errors. All processes of a run draw from one seed."""
    os.environ.setdefault(SEED_NAME, str(random.SystemRandom().randrange(1, 1_000_000)))
    config.addinivalue_line("markers", "topics(partitions=4): how many partitions the `topics` fixture makes")


def pytest_report_header() -> str:
    """The seed of this run, so that it can be run again."""
    return f"faults: {SEED_NAME}={os.environ[SEED_NAME]}"


def test_broker(directory: Path) -> LocalKafka:
    """A broker for tests: quick sessions, free ports, and gone when pytest is, however pytest ends."""
    port, controller_port = free_ports(2)
    return LocalKafka(KafkaOptions(directory, port, controller_port, quick=True, with_parent=True))


test_broker.__test__ = False  # type: ignore[attr-defined]  # the name reads well, but it is no test


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of the one broker that all tests share. Don't hurt it: `broker` is for that."""
    shared = test_broker(tmp_path_factory.mktemp("kafka"))
    asyncio.run(shared.start())
    yield shared.bootstrap
    asyncio.run(shared.kill())


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[LocalKafka]:
    """A running broker of the test's own, to be killed, paused and stopped at will. Costs a second."""
    own = test_broker(tmp_path / "kafka")
    await own.start()
    yield own
    await own.kill()


@pytest.fixture
async def topics(kafka: str, request: pytest.FixtureRequest) -> AsyncIterator[Topics]:
    """All topics, made on the shared broker under a prefix no other test has, and deleted afterwards.

    `@pytest.mark.topics(partitions=8)` sets the count of the symbol-keyed ones.
    """
    marker = request.node.get_closest_marker("topics")
    wanted = {"partitions": TEST_PARTITIONS} | (marker.kwargs if marker else {})
    own = Topics(prefix=f"t{uuid.uuid4().hex[:10]}-", **wanted)
    await create_topics(kafka, own)
    yield own
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_topics([spec.name for spec in own.specs()])
    await admin.close()
