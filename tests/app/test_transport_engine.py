"""The engine in the test's own loop: what it is made of, and what it says of itself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NoReturn

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.engine import Engine, build_engine, changelog_topic, engine_running
from app.engine_options import EngineOptions
from app.transport.lease import Lease
from streams.ports import Turn
from streams.record import Record
from tables.receipt import Receipt

PARTITIONS = 2


class Stopped(Exception):  # noqa: N818 -- the end of the process, not an error
    """Stands for the end of the process."""


def stop(reason: str) -> NoReturn:
    raise Stopped(reason)


@pytest.fixture
async def prefix(kafka: str) -> AsyncIterator[str]:
    made = f"e{uuid.uuid4().hex[:10]}-"
    names = [f"{made}in", f"{made}out", changelog_topic(f"{made}app", "orders")]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    yield made
    await admin.delete_topics(names)
    await admin.close()


def new_engine(kafka: str, prefix: str, directory: Path) -> Engine:
    options = EngineOptions(
        app_id=f"{prefix}app",
        bootstrap=kafka,
        data_directory=directory / "data",
        partitions=PARTITIONS,
        commit_interval_s=0.1,
        web_enabled=False,
    )
    return build_engine(options, stop=stop)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- there is no event to wait for: the condition is on figures
            await asyncio.sleep(0.01)


async def test_records_go_through_a_lane_into_a_table_and_are_committed(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    engine = new_engine(kafka, prefix, tmp_path)
    orders = engine.table("orders")
    recovered: list[frozenset[int]] = []

    async def handle(turn: Turn) -> None:
        receipt = Receipt()
        record = turn.record
        orders.put(record.partition, record.key or b"", record.value, receipt)
        await turn.wait(receipt.durable())

    async def on_recovered(partitions: frozenset[int]) -> None:
        assert not engine.ready()[0]
        recovered.append(partitions)

    engine.lanes(f"{prefix}in", handle)
    engine.writes_to(f"{prefix}in")
    engine.on_recovered(on_recovered)
    assert engine.ready() == (
        False,
        [
            "NOT_ASSIGNED: the group has not given us partitions yet",
            "LEASE_LAPSED: last heartbeat accepted never",
        ],
    )
    async with engine_running(engine):
        assert engine.ready() == (True, [])
        assert recovered == [frozenset(range(PARTITIONS))]
        source = await engine.log.publish(f"{prefix}in", b"BTCUSDT", b"1")
        await until(lambda: orders.get(source.partition, b"BTCUSDT") == b"1")
        await until(lambda: engine.lag() == dict.fromkeys(engine.lag(), 0) and engine.lag() != {})
        at = engine.progress()[f"{prefix}in", source.partition]
        assert (at.taken, at.finished, at.end) == (1, 1, 1)
    assert orders.partitions() == frozenset()

    again = new_engine(kafka, prefix, tmp_path)
    seen: list[Record] = []
    again_orders = again.table("orders")
    again.runs(f"{prefix}in", seen.extend)
    async with engine_running(again):
        assert again_orders.get(source.partition, b"BTCUSDT") == b"1"
    assert seen == []


async def test_a_run_is_finished_by_its_handler(kafka: str, prefix: str, tmp_path: Path) -> None:
    engine = new_engine(kafka, prefix, tmp_path)
    runs: list[list[Record]] = []

    def handle(run: list[Record]) -> None:
        runs.append(run)
        for record in run:
            receipt = Receipt()
            engine.log.append(f"{prefix}out", record.partition, record.key, record.value, receipt)
            receipt.then(lambda record=record: engine.inbox.finished(record))  # type: ignore[misc]

    engine.runs(f"{prefix}in", handle, max_run=10)
    engine.writes_to(f"{prefix}in", f"{prefix}out")
    async with engine_running(engine):
        receipt = Receipt()
        for number in range(100):
            engine.log.append(f"{prefix}in", 0, b"k", b"%d" % number, receipt)
        await receipt.durable()
        await until(lambda: engine.wiring.ledger.finished_total == 100)
    values = [int(record.value or b"") for run in runs for record in run]
    assert values == list(range(100))
    assert max(len(run) for run in runs) <= 10


async def test_one_topic_has_one_handler_and_a_table_one_name(kafka: str, prefix: str, tmp_path: Path) -> None:
    engine = new_engine(kafka, prefix, tmp_path)
    engine.table("orders")
    engine.runs(f"{prefix}in", lambda run: None)
    with pytest.raises(ValueError, match="TABLE_EXISTS: orders"):
        engine.table("orders")
    with pytest.raises(ValueError, match="TOPIC_TAKEN"):
        engine.runs(f"{prefix}in", lambda run: None)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"drain_limit_s": 30.0}, "DRAIN_LIMIT: 30.0 s must be less than the rebalance time-out, 30.0 s"),
        ({"heartbeat_s": 3.0}, "HEARTBEAT: 3.0 s leaves less than three heartbeats within the lease, 8.0 s"),
        ({"request_timeout_s": 5.0}, "REQUEST_TIMEOUT: 5.0 s is less than the session time-out, 10.0 s"),
    ],
)
def test_settings_that_break_a_promise_are_refused(settings: dict[str, float], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        EngineOptions(app_id="a", bootstrap="b", data_directory=tmp_path, **settings)  # type: ignore[arg-type]


async def test_nothing_is_concluded_from_tables_that_may_be_somebody_elses(
    kafka: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = new_engine(kafka, prefix, tmp_path)
    seen: list[Record] = []

    def handle(run: list[Record]) -> None:
        seen.extend(run)
        for record in run:
            engine.inbox.finished(record)

    engine.runs(f"{prefix}in", handle)
    engine.writes_to(f"{prefix}in")
    async with engine_running(engine):
        with monkeypatch.context() as doubt:
            doubt.setattr(Lease, "good", lambda _self: False)
            source = await engine.log.publish(f"{prefix}in", b"BTCUSDT", b"1")
            await until(lambda: engine.wiring.ledger.position((source.topic, source.partition)) == source.offset + 1)
            assert seen == []
        await until(lambda: len(seen) == 1)
