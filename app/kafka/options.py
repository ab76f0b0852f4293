"""What one local node is asked to be, and the broker's settings that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.kafka.errors import KafkaError

DEFAULT_PORT = 9092
DEFAULT_CONTROLLER_PORT = 9093


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """One node of a local Kafka.

    `directory` holds all of it: settings, data, log, the record of the running process; it survives restarts.
    `host` is where it listens and what it tells clients, so it must be an address that they can reach.
    `quick` is for tests: short sessions and elections, so that a killed broker is back in 3 s and not in 12. It is
    wrong for anything else: a machine that stutters for a second would lose its leaders.
    `with_parent` ends the broker when the thread that started it ends in any way, SIGKILL included (Linux only).
    `voters` are (node id, controller port) of all nodes of a cluster; empty: this node alone.
    `extra` settings win over ours, under the broker's own names.
    """

    directory: Path
    port: int = DEFAULT_PORT
    controller_port: int = DEFAULT_CONTROLLER_PORT
    host: str = "127.0.0.1"
    max_heap_mib: int = 256
    quick: bool = False
    with_parent: bool = False
    node_id: int = 1
    voters: tuple[tuple[int, int], ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """Where clients connect: host and port."""
        return f"{self.host}:{self.port}"

    @property
    def settings_file(self) -> Path:
        """The broker's `server.properties`. Its path is also how a process is recognised as this broker."""
        return self.directory / "server.properties"

    @property
    def data_directory(self) -> Path:
        """The broker's log directory, in Kafka's sense of the word."""
        return self.directory / "data"

    @property
    def log_file(self) -> Path:
        """What the broker has to say."""
        return self.directory / "broker.log"

    @property
    def replicas(self) -> int:
        """Copies of the broker's own topics: three if there are three nodes."""
        return min(3, max(1, len(self.voters)))


def broker_settings(options: KafkaOptions) -> dict[str, str]:
    """The settings of a node, under the broker's names (source: Kafka 4.3's broker configuration).

    Raises `KafkaError` for a directory that Kafka would read as two.
    """
    if "," in str(options.directory):
        raise KafkaError("KAFKA_DIRECTORY", f"{options.directory} has a comma, which separates directories for Kafka")
    voters = options.voters or ((options.node_id, options.controller_port),)
    replicas = options.replicas
    in_sync = 2 if replicas >= 3 else 1
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": options.node_id,
        # A static quorum: the ports may differ from one start to the next, as they do in tests.
        "controller.quorum.voters": ",".join(f"{node}@{options.host}:{port}" for node, port in voters),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": (
            f"PLAINTEXT://{options.host}:{options.port},CONTROLLER://{options.host}:{options.controller_port}"
        ),
        "advertised.listeners": f"PLAINTEXT://{options.host}:{options.port}",
        "log.dirs": options.data_directory,
        # Topics are made on purpose, with their counts and policies (app/topic_creation.py).
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": 4,
        # A group that has nothing committed any more would read everything again: keep offsets for a year.
        "offsets.retention.minutes": 525_600,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 4,
        # One worker is the usual case here: don't hold its first assignment for others to join.
        "group.initial.rebalance.delay.ms": 0,
        # The shortest session that SESSION_TIMEOUT_S may ask for; the broker's own minimum is 6 s.
        "group.min.session.timeout.ms": 3_000,
        # The cleaner's buffer is allocated at once; its default, 128 MiB, is half of our heap.
        "log.cleaner.dedupe.buffer.size": 16_777_216,
        "log.cleaner.io.buffer.size": 262_144,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "num.recovery.threads.per.data.dir": 2,
        "socket.request.max.bytes": 33_554_432,
    }
    if options.quick:
        settings |= _QUICK
    settings |= options.extra
    return {name: str(value) for name, value in settings.items()}


_QUICK: Mapping[str, object] = {
    # A killed broker is fenced until its session expires: 9 s by default.
    "broker.session.timeout.ms": 1_000,
    "broker.heartbeat.interval.ms": 200,
    "controller.quorum.election.timeout.ms": 200,
    "controller.quorum.election.backoff.max.ms": 200,
    "controller.quorum.fetch.timeout.ms": 1_000,
    "replica.lag.time.max.ms": 3_000,
    # Lets tests of lost workers ask for sessions shorter than the usual minimum of 6 s.
    "group.min.session.timeout.ms": 500,
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.num.partitions": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    "log.cleaner.backoff.ms": 1_000,
    # Hundreds of tests make and delete their topics: keep an empty partition small and a deleted one short.
    "log.index.size.max.bytes": 65_536,
    "log.segment.delete.delay.ms": 1_000,
    "log.initial.task.delay.ms": 1_000,
}


def settings_text(settings: Mapping[str, str]) -> str:
    """As a Java properties file: Latin letters only, with a backslash as the escape."""
    return "".join(f"{name}={_escaped(value)}\n" for name, value in settings.items())


def _escaped(value: str) -> str:
    doubled = value.replace("\\", "\\\\")
    return "".join(
        each if each.isascii() else "".join(f"\\u{unit:04x}" for unit in _utf16_units(each)) for each in doubled
    )


def _utf16_units(character: str) -> tuple[int, ...]:
    encoded = character.encode("utf-16-be")
    return tuple(int.from_bytes(encoded[at : at + 2]) for at in range(0, len(encoded), 2))
