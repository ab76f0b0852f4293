"""What the handlers need of the process around them. The Faust application provides it; the simulation does too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from streams.record import Record, Source
from tables.receipt import Receipt

T = TypeVar("T")
Headers = tuple[tuple[str, bytes], ...]


class Log(Protocol):
    """Appending to topics. A record that cannot be made durable ends the process: there is no error to handle."""

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        receipt: Receipt,
        headers: Headers = (),
        on_ack: Callable[[int], None] | None = None,
    ) -> None:
        """Append without waiting; order of calls is order in the partition. `on_ack` is told the offset."""

    async def publish(
        self, topic: str, key: bytes, value: bytes, headers: Headers = (), partition: int | None = None
    ) -> Source:
        """Append by key (murmur2, as every producer of ours) and wait for the broker's acknowledgement."""

    async def room(self) -> None:
        """Wait until the producer has room, so that appends made without waiting stay bounded."""

    def partition_of(self, key: bytes) -> int:
        """The partition of a symbol-keyed topic that `key` belongs to."""


class Inbox(Protocol):
    """The books of what was delivered and is not finished (the ledger), and whether acting on it is still ours."""

    def is_current(self, record: Record) -> bool:
        """False once the partition was revoked or re-assigned since the record was delivered."""

    def may_act(self, record: Record) -> bool:
        """True if the record is current *and* the heartbeat lease holds: ask right before every side effect."""

    def finished(self, record: Record) -> None:
        """All that the record causes is durable: its offset may be committed."""

    def forgotten(self, record: Record) -> None:
        """Nothing more is done for it here; the commit must not pass it, the next owner gets it again."""


class Revoked(Exception):  # noqa: N818 -- a turn that ends, not an error
    """The record's partition is no longer ours: stop, leave it to the next owner."""


class Turn(Protocol):
    """One record's turn in its lane."""

    record: Record

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait for something that may be given up (tokens, evidence, acknowledgements) without holding a running
        place. Raises `Revoked` at once when the partition is taken away."""

    async def call(self, effect: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Check the lease, then run `effect` to its end, even when the partition is taken away meanwhile.

        The check and the start of `effect` are one synchronous step. Raises `Revoked` before anything is done if
        the record is no longer current; waits while only the lease is in doubt.
        """

    def release(self) -> None:
        """Give the running place back before an effect has come to its end: the rest of it waits for no venue."""


class Clock(Protocol):
    """Time, so that a simulation can bring its own."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds UTC: for what is recorded and compared with others' times."""

    async def sleep(self, seconds: float) -> None:
        """Wait on the monotonic clock."""
