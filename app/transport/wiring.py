"""The parts of one engine that Faust's consumer and producer have to reach: Faust makes those itself, by class."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.inbox import GroupInbox
from app.transport.fail_stop import FailStop, fail_stop, leave
from app.transport.lease import Lease
from app.transport.ledger import Ledger
from app.transport.log import AppendLog

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reader:
    """One input topic: how many delivered records wait for its agent, and how many may.

    A topic whose reader is full is not fetched from; the others go on. A signal may wait for an update to be
    applied, so a queue of signals must never stand in the way of updates.
    """

    topic: str
    max_waiting: int
    max_run: int = 100
    waiting: int = 0
    full: bool = False

    def delivered(self, n: int) -> None:
        """`n` records were put into the agent's queue."""
        self.waiting += n
        self.full = self.waiting >= self.max_waiting

    def taken(self, n: int) -> bool:
        """The agent took `n` records. True when the topic can be fetched from again."""
        self.waiting = max(0, self.waiting - n)
        if self.full and self.waiting <= self.max_waiting // 2:
            self.full = False
            return True
        return False

    def clear(self) -> None:
        """The queue was emptied."""
        self.waiting = 0
        self.full = False


Partitions = frozenset[int]


def _only_logged(code: str, text: str) -> None:
    log.error("%s: %s", code, text)


@dataclass(slots=True)
class Wiring:
    """What is shared between the engine and the transport. Times in seconds."""

    ledger: Ledger
    lease: Lease
    inbox: GroupInbox
    log: AppendLog
    bootstrap: str
    security: Mapping[str, Any]
    """Further arguments of aiokafka's clients; of many types."""
    partitions: int
    drain_limit_s: float
    tombstones_kept_s: float
    readers: dict[str, Reader] = field(default_factory=dict)
    changelog_topics: set[str] = field(default_factory=set)
    output_topics: set[str] = field(default_factory=set)
    letting_go: list[Callable[[], None]] = field(default_factory=list)
    """Called when partitions go away: stop taking, end waits. Synchronous."""
    resuming: list[Callable[[], None]] = field(default_factory=list)
    """Called before records flow again."""
    on_recovered: list[Callable[[Partitions], Awaitable[None]]] = field(default_factory=list)
    on_revoked: list[Callable[[Partitions], Awaitable[None]]] = field(default_factory=list)
    alert: Callable[[str, str], None] = _only_logged
    """Told of what an operator has to know: (code, sentence)."""
    stop: FailStop = fail_stop
    leave: FailStop = leave
    """How the process ends that was told to and cannot reach the broker any more."""
    told_to_end: bool = False
    at_rest_s: float | None = None
    """Told to end: when everything that was begun was finished and committed, on the loop's clock."""
    tables: list[Any] = field(default_factory=list)  # DurableRows; typed where they are used

    def connection(self) -> dict[str, Any]:
        """How every aiokafka client reaches the brokers."""
        return {"bootstrap_servers": self.bootstrap, **self.security}
