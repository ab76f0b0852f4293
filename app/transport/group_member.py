"""Our member of the consumer group: polls, commits, heartbeats."""

# Faust and aiokafka carry no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import OffsetCommitRequest
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    InvalidSessionTimeoutError,
    NoError,
    NotCoordinatorForGroupError,
    RebalanceInProgressError,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from mode import Service

from app.transport.ledger import Commit
from app.transport.offset_metadata import finished_offsets, finished_text
from app.transport.topic_reader import READ_COMMITTED
from streams.waiting_for_brokers import once_there

if TYPE_CHECKING:
    from faust.types import TP

FETCH_MAX_WAIT_MS = 500
"""How long the broker holds a fetch that finds nothing. A partition that is not in it waits for its answer."""

LEASE_REQUESTS = (HeartbeatRequest, SyncGroupRequest)
"""What starts the coordinator's count of the session anew."""

STILL_A_MEMBER = (0, RebalanceInProgressError.errno)
"""A member that sends heartbeats during a rebalance is told of it, and kept for the rebalance time-out."""


COORDINATOR_MOVED = (NotCoordinatorForGroupError, GroupCoordinatorNotAvailableError)


class Start(NamedTuple):
    """Where a partition is read from, and why."""

    committed: int | None
    low: int
    ahead: frozenset[int] = frozenset()
    """Offsets behind the committed one that are finished."""

    @property
    def position(self) -> int:
        """The group's offset; the oldest record if there is none or retention has cut it."""
        return self.low if self.committed is None else max(self.committed, self.low)


class GroupMember(driver.AIOKafkaConsumerThread):
    """aiokafka's consumer in the loop of everything else, with a lease from heartbeats, real pauses, and polls that
    can be woken.

    Faust gives it a thread and a loop of its own. Two threads of Python share one interpreter: each record and each
    commit crosses from one to the other and back, and whoever wakes waits for the other to let go of the interpreter,
    for up to 5 ms. A loop that is blocked sends no heartbeats; it does nothing else either, and its lease lapses.
    """

    wait_for_shutdown = False  # mode: of the thread

    _consumer: Any  # AIOKafkaConsumer, untyped; None before the start

    def __init__(self, *args: Any, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
        super().__init__(*args, loop=loop, thread_loop=loop, **kwargs)

    # What mode's service thread does in another way than any service, taken back.
    stop, crash, _stopped_set = Service.stop, Service.crash, Service._stopped_set
    _stop_children, _stop_futures = Service._stop_children, Service._stop_futures
    _stop_exit_stacks = Service._stop_exit_stacks

    async def start(self) -> None:
        """Start in the loop that called."""
        self._thread_started.set()
        await Service.start(self)

    async def on_stop(self) -> None:
        """Leave the group, close the connections."""
        await self.on_thread_stop()

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What Faust has done in the thread."""
        result = fun(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:  # noqa: ARG002 -- Faust's signature
        conf = self.app.conf
        return AIOKafkaConsumer(
            **self.app.wiring.connection(),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[self.app.assignor],
            enable_auto_commit=False,
            auto_offset_reset=conf.consumer_auto_offset_reset,
            isolation_level=READ_COMMITTED,
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
        )

    async def on_start(self) -> None:
        """Start aiokafka's consumer, waiting for a broker that went away meanwhile, and listen to its heartbeats."""
        await once_there("the group's consumer", self._start_consumer)
        self._watch_answers()
        self._watch_errors()

    async def _start_consumer(self) -> None:
        try:
            await super().on_start()
        except BaseException:
            consumer, self._consumer = self._consumer, None
            await consumer.stop()
            raise

    def _watch_answers(self) -> None:
        """Heartbeats that are accepted renew the lease. A coordinator that can't say yet what is committed (it is
        loading, or has moved) puts that in a place where aiokafka 0.14 doesn't look: an empty answer would be taken
        for "nothing is committed", and everything read again."""
        coordinator = self._consumer._coordinator  # private: aiokafka 0.14 has no hook for answers
        send = coordinator._send_req
        lease = self.app.wiring.lease

        async def send_and_note(request: Any) -> Any:
            sent_at_ns = lease.now_ns()
            response = await send(request)
            if isinstance(request, LEASE_REQUESTS) and response.error_code in STILL_A_MEMBER:
                lease.renew(sent_at_ns)
            elif isinstance(request, OffsetFetchRequest):
                _check_offsets_are_known(coordinator, response)
            return response

        coordinator._send_req = send_and_note

    def _watch_errors(self) -> None:
        """Ends the process when the coordinator refuses us for good, such as for a session that is too short for the
        broker. aiokafka 0.14 keeps such an error for its user's next poll and does nothing until then; Faust polls in
        a way that doesn't look, so we would wait for partitions for ever."""
        coordinator = self._consumer._coordinator  # private: the only place where these errors show
        keep = coordinator._push_error_to_user

        def end_or_keep(error: Exception) -> Any:
            if not self.app.should_stop:
                conf = self.app.conf
                reason = _refusal(error, conf.broker_session_timeout)
                self.app.wiring.stop(f"GROUP_REFUSED: the coordinator of group {conf.id}: {reason}")
            return keep(error)

        coordinator._push_error_to_user = end_or_keep

    def is_evicted(self) -> bool:
        """Whether the coordinator has told us that we are no longer a member of this generation."""
        consumer = self._consumer
        if consumer is None:
            return False
        generation = consumer._coordinator.generation
        return bool(generation == OffsetCommitRequest.DEFAULT_GENERATION_ID)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Fetch nothing before recovery is done: changelogs never (recovery reads them itself), inputs from then on."""
        self._ensure_consumer().pause(*(TopicPartition(*tp) for tp in assigned))
        await super().on_partitions_assigned(assigned, generation_id)

    # -- called by the consumer ----------------------------------------------------------------------------------

    async def poll(self, wanted: Any, timeout_s: float) -> Mapping[Any, list[Any]]:
        """Records of the wanted partitions, as soon as there are any."""
        consumer = self._ensure_consumer()
        records: Mapping[Any, list[Any]] = await self._fetch_records(
            consumer, wanted, timeout=timeout_s, max_records=consumer._max_poll_records
        )
        return records

    def wake(self) -> None:
        """Let a waiting poll look again at what is fetched already."""
        fetcher = self._ensure_consumer()._fetcher  # private: the futures that polls wait on
        for waiter in list(fetcher._fetch_waiters):
            fetcher._notify(waiter)

    async def starts(self, tps: Iterable[TP]) -> dict[TP, Start]:
        """Committed and oldest offsets, asked for afresh."""
        wanted = list(tps)

        async def ask() -> dict[TP, Start]:
            return await self._starts(wanted)

        return await once_there("asking for the group's offsets", ask)

    async def _starts(self, tps: list[TP]) -> dict[TP, Start]:
        if not tps:
            return {}
        consumer = self._ensure_consumer()
        keys = {tp: TopicPartition(*tp) for tp in tps}
        offsets = await consumer._coordinator.fetch_committed_offsets(list(keys.values()))
        lows = await consumer.beginning_offsets(list(keys.values()))
        return {tp: _start(offsets.get(key), lows[key]) for tp, key in keys.items()}

    async def seek_and_resume(self, positions: Mapping[TP, int]) -> None:
        """Fetch from these positions on."""
        consumer = self._ensure_consumer()
        for tp, offset in positions.items():
            key = TopicPartition(*tp)
            consumer.seek(key, offset)
            consumer.resume(key)

    async def commit_offsets(self, commits: Mapping[TP, Commit]) -> None:
        """Commit, retrying what can be retried. Raises `CommitFailedError` when the group has rebalanced."""
        await self._ensure_consumer().commit(
            {
                TopicPartition(*tp): OffsetAndMetadata(offset, finished_text(offset, ahead))
                for tp, (offset, ahead) in commits.items()
            }
        )


def _refusal(error: Exception, session_timeout_s: float) -> str:
    """The coordinator's error, with what it is about where that is a setting."""
    if isinstance(error, InvalidSessionTimeoutError):
        return (
            f"{error!r}: SESSION_TIMEOUT_S is {session_timeout_s:g}; the broker's group.min.session.timeout.ms and "
            "group.max.session.timeout.ms do not permit that"
        )
    return repr(error)


def _check_offsets_are_known(coordinator: Any, response: Any) -> None:  # Any: aiokafka's objects, untyped
    """Raises the error of the answer as a whole; aiokafka then asks again, if it can be asked again."""
    error = for_code(getattr(response, "error_code", 0))
    if error is NoError:
        return
    if error in COORDINATOR_MOVED:
        coordinator.coordinator_dead()
    raise error(f"the group's offsets are not known yet: {error.__name__}")


def _start(committed: Any, low: int) -> Start:  # Any: aiokafka's OffsetAndMetadata, untyped
    if committed is None or committed.offset < 0:
        return Start(None, low)
    return Start(int(committed.offset), low, finished_offsets(committed.offset, committed.metadata or ""))
