"""The inbox of this process: which records are being handled, and whether acting on them is still ours to do."""

from __future__ import annotations

from app.transport.lease import Lease
from app.transport.ledger import Ledger
from streams.record import Record


class GroupInbox:
    """The `Inbox` port over the ledger and the group's lease.

    A generation of ours begins with each recovery and ends the moment a rebalance begins, before the group's own
    generation changes: from then on nothing new may be done for what it delivered.
    """

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self.ledger = ledger
        self.lease = lease
        self._generation = 0
        self._open = False

    @property
    def generation(self) -> int:
        """Number of the current (or last) generation."""
        return self._generation

    @property
    def is_open(self) -> bool:
        """True from the end of recovery until the next rebalance or the shutdown begins."""
        return self._open

    @property
    def is_certain(self) -> bool:
        """Whether it is open, and nobody else can have been given our partitions."""
        return self._open and self.lease.good()

    def open(self) -> int:
        """Begin a generation; records delivered from now on carry its number."""
        self._generation += 1
        self._open = True
        return self._generation

    def close(self) -> None:
        """End the generation: every record delivered so far stops being current."""
        self._open = False

    def is_current(self, record: Record) -> bool:
        """Whether the record's partition has been ours without a break since it was delivered."""
        return self._open and record.generation == self._generation

    def may_act(self, record: Record) -> bool:
        """Whether a side effect for the record may start now."""
        return self.is_certain and record.generation == self._generation

    def finished(self, record: Record) -> None:
        """Everything that the record causes is durable."""
        self.ledger.finished(record)

    def forgotten(self, record: Record) -> None:
        """Nothing more is done for the record here; its next owner gets it again."""
        self.ledger.forgotten(record)
