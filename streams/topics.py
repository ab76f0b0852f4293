"""The topics of the order manager, as data: what each is for, how it is partitioned, how long it keeps its records.

Three families:

* *symbol-keyed*: the key is the canonical symbol, the partitioner murmur2 and the partition count the same for all,
  so that partition *p* of every input, output and changelog belongs to one worker;
* *broadcasts*: compacted, one partition, read whole by every worker;
* *the engine's*: the changelogs of the tables and the assignor's leader topic.

Partition counts never change once records are in a topic: another count would send a symbol's next record to another
worker than its state. The program therefore creates the topics itself and refuses to start on others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import overload

FOREVER_MS = -1
"""`retention.ms` of a topic that is never trimmed: replay and archive need every input and event."""

DAY_MS = 86_400_000

CHANGELOG_MIN_COMPACTION_LAG_MS = DAY_MS
"""Rows stay uncompacted this long, so that a row written late by a paused worker can be told from the one it undid."""

TOMBSTONE_RETENTION_MS = 7 * DAY_MS
"""How long a deletion stays readable in a changelog. A local store left alone for longer must be rebuilt: it would
bring deleted rows back."""

SNAPSHOT_RETENTION_MS = 90 * DAY_MS
"""Position snapshots (requirement P02): the periodic picture, not the truth, so it may age."""

ALERT_RETENTION_MS = 30 * DAY_MS
"""An alert that nobody touched for this long leaves the topic; its line stays in the log."""

INPUT_MAX_BYTES = 1_048_576
"""Largest record batch of an input topic: Kafka's own default, so ordinary producers need no setting."""

OUTPUT_MAX_BYTES = 2 * INPUT_MAX_BYTES
"""Largest record batch that we write: a dead letter carries the whole original and its reasons beside it."""

BROADCAST_SEGMENT_MS = 600_000
BROADCAST_SEGMENT_BYTES = 16_777_216
"""Broadcasts roll early, since only closed segments are compacted and every worker reads them whole at its start."""

TABLES = ("orders", "signals", "positions")
"""Names of the tables; each has a changelog."""

_LEGAL_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")


class CleanupPolicy(StrEnum):
    """What Kafka does with old records, in the broker's own words (`cleanup.policy`)."""

    DELETE = "delete"
    COMPACT = "compact"
    COMPACT_AND_DELETE = "compact,delete"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it has to be.

    `retention_ms` counts for policies with `delete` only; -1 keeps records for ever. `max_message_bytes` is the
    largest record batch the broker takes. `min_insync_replicas` is how many copies make a write durable.
    """

    name: str
    partitions: int
    replication_factor: int = 1
    cleanup_policy: CleanupPolicy = CleanupPolicy.DELETE
    retention_ms: int = FOREVER_MS
    min_compaction_lag_ms: int = 0
    tombstone_retention_ms: int = DAY_MS
    max_message_bytes: int = OUTPUT_MAX_BYTES
    segment_ms: int | None = None
    segment_bytes: int | None = None

    @property
    def min_insync_replicas(self) -> int:
        """Two copies from three replicas on, else one: a write survives the loss of a broker, and a broker that
        restarts stops nobody. With two replicas both cannot be had."""
        return 2 if self.replication_factor >= 3 else 1

    def config(self) -> dict[str, str]:
        """The topic's settings under the broker's names, as text."""
        settings: dict[str, object] = {
            "cleanup.policy": self.cleanup_policy.value,
            "max.message.bytes": self.max_message_bytes,
            "min.insync.replicas": self.min_insync_replicas,
            "unclean.leader.election.enable": "false",
        }
        if self.cleanup_policy is not CleanupPolicy.COMPACT:
            settings["retention.ms"] = self.retention_ms
            settings["retention.bytes"] = -1
        if self.cleanup_policy is not CleanupPolicy.DELETE:
            settings["min.compaction.lag.ms"] = self.min_compaction_lag_ms
            settings["delete.retention.ms"] = self.tombstone_retention_ms
        if self.segment_ms is not None:
            settings["segment.ms"] = self.segment_ms
        if self.segment_bytes is not None:
            settings["segment.bytes"] = self.segment_bytes
        return {name: str(value) for name, value in settings.items()}


class _Name:
    """The name of one topic of a `Topics`: `topics.order_updates` → prefix + "order-updates" (or the user's name)."""

    __slots__ = ("role",)

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.role = attribute.replace("_", "-")

    @overload
    def __get__(self, topics: None, owner: type) -> _Name: ...
    @overload
    def __get__(self, topics: Topics, owner: type) -> str: ...
    def __get__(self, topics: Topics | None, owner: type) -> _Name | str:
        return self if topics is None else topics.name_of(self.role)


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one installation.

    `prefix` stands before every name and before the application's id, so that several installations, or tests side
    by side, share one cluster. `names` renames single topics: {"signals": "desk.signals"}. `partitions` is the count
    of the symbol-keyed topics: the most workers that can share the work. Raises `ValueError` on an illegal name, an
    unknown role, one name for two topics, or counts under one.
    """

    prefix: str = ""
    partitions: int = 8
    replication_factor: int = 1
    app: str = "ordermanager"
    names: Mapping[str, str] = field(default_factory=dict, hash=False)

    # Inputs, symbol-keyed.
    signals = _Name()
    order_updates = _Name()
    order_commands = _Name()
    # Outputs, symbol-keyed.
    order_events = _Name()
    position_events = _Name()
    position_snapshots = _Name()
    # Dead letters: same count, a letter keeps its source's partition.
    signals_dead = _Name()
    order_updates_dead = _Name()
    order_commands_dead = _Name()
    # Broadcasts.
    alerts = _Name()
    controls = _Name()
    balances = _Name()
    marks = _Name()
    instruments = _Name()
    order_exposure = _Name()
    heartbeats = _Name()

    def __post_init__(self) -> None:
        if self.partitions < 1 or self.replication_factor < 1:
            raise ValueError(
                f"topics need at least one partition and one replica: partitions={self.partitions} "
                f"replication_factor={self.replication_factor}"
            )
        if unknown := set(self.names) - set(ROLES):
            raise ValueError(f"unknown topics renamed: {', '.join(sorted(unknown))}; known: {', '.join(ROLES)}")
        seen: set[str] = set()
        for spec in self.specs():
            if not _LEGAL_NAME.fullmatch(spec.name):
                raise ValueError(f"not a legal topic name: {spec.name!r} (letters, digits, '.', '_', '-'; at most 249)")
            if spec.name in seen:
                raise ValueError(f"two topics have the name {spec.name!r}")
            seen.add(spec.name)

    @property
    def app_id(self) -> str:
        """The application's id: its consumer group, and the first part of the engine's own topics."""
        return f"{self.prefix}{self.app}"

    @property
    def assignor_leader(self) -> str:
        """One-partition topic by which Faust's assignor elects a leader among the workers."""
        return f"{self.app_id}-__assignor-__leader"

    @property
    def inputs(self) -> tuple[str, str, str]:
        """What the worker consumes: all symbol-keyed, all co-partitioned."""
        return (self.signals, self.order_updates, self.order_commands)

    @property
    def broadcasts(self) -> tuple[str, ...]:
        """What every worker reads whole."""
        return tuple(self.name_of(role) for role in BROADCASTS)

    @property
    def changelogs(self) -> tuple[str, ...]:
        """The changelogs of all tables."""
        return tuple(self.changelog(table) for table in TABLES)

    def name_of(self, role: str) -> str:
        """Full name of the topic with this role, such as "order-updates"."""
        return self.prefix + self.names.get(role, role)

    def changelog(self, table: str) -> str:
        """Name of a table's changelog, as Faust forms it. Raises `ValueError` for a table we don't have."""
        if table not in TABLES:
            raise ValueError(f"no table {table!r}; there are {', '.join(TABLES)}")
        return f"{self.app_id}-{table}-changelog"

    def dead(self, topic: str) -> str:
        """Where the dead letters of an input topic go. Raises `ValueError` if the topic is not an input."""
        letters = dict(
            zip(self.inputs, (self.signals_dead, self.order_updates_dead, self.order_commands_dead), strict=True)
        )
        if topic not in letters:
            raise ValueError(f"{topic!r} is no input topic; there are {', '.join(self.inputs)}")
        return letters[topic]

    def specs(self) -> tuple[TopicSpec, ...]:
        """Every topic as it has to be, in a fixed order."""
        return (
            *(self._symbol_keyed(role, max_message_bytes=INPUT_MAX_BYTES) for role in INPUTS),
            *(self._symbol_keyed(role) for role in ("order-events", "position-events", *DEAD_LETTERS)),
            self._symbol_keyed("position-snapshots", retention_ms=SNAPSHOT_RETENTION_MS),
            self._alerts(),
            *(self._broadcast(role) for role in BROADCASTS if role not in {"alerts", "order-exposure"}),
            self._broadcast("order-exposure", min_compaction_lag_ms=DAY_MS),  # the fold needs what led to a grant
            *(self._changelog(table) for table in TABLES),
            TopicSpec(self.assignor_leader, partitions=1, replication_factor=self.replication_factor),
        )

    def _symbol_keyed(
        self, role: str, retention_ms: int = FOREVER_MS, max_message_bytes: int = OUTPUT_MAX_BYTES
    ) -> TopicSpec:
        return TopicSpec(
            self.name_of(role),
            partitions=self.partitions,
            replication_factor=self.replication_factor,
            retention_ms=retention_ms,
            max_message_bytes=max_message_bytes,
        )

    def _broadcast(self, role: str, min_compaction_lag_ms: int = 0) -> TopicSpec:
        return TopicSpec(
            self.name_of(role),
            partitions=1,
            replication_factor=self.replication_factor,
            cleanup_policy=CleanupPolicy.COMPACT,
            min_compaction_lag_ms=min_compaction_lag_ms,
            segment_ms=BROADCAST_SEGMENT_MS,
            segment_bytes=BROADCAST_SEGMENT_BYTES,
        )

    def _alerts(self) -> TopicSpec:
        """A broadcast that forgets: the newest word on each alert, until it is old. A reader who tails it sees every
        record, since none is compacted within a day."""
        return TopicSpec(
            self.alerts,
            partitions=1,
            replication_factor=self.replication_factor,
            cleanup_policy=CleanupPolicy.COMPACT_AND_DELETE,
            retention_ms=ALERT_RETENTION_MS,
            min_compaction_lag_ms=DAY_MS,
        )

    def _changelog(self, table: str) -> TopicSpec:
        return TopicSpec(
            self.changelog(table),
            partitions=self.partitions,
            replication_factor=self.replication_factor,
            cleanup_policy=CleanupPolicy.COMPACT,
            min_compaction_lag_ms=CHANGELOG_MIN_COMPACTION_LAG_MS,
            tombstone_retention_ms=TOMBSTONE_RETENTION_MS,
        )


INPUTS = ("signals", "order-updates", "order-commands")
DEAD_LETTERS = ("signals-dead", "order-updates-dead", "order-commands-dead")
BROADCASTS = ("alerts", "controls", "balances", "marks", "instruments", "order-exposure", "heartbeats")
ROLES = (*INPUTS, "order-events", "position-events", "position-snapshots", *DEAD_LETTERS, *BROADCASTS)
"""What `Topics.names` may rename."""
