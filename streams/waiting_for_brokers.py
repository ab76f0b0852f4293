"""Asking brokers again while none answers: an outage costs time, not the process."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina
from aiokafka.errors import KafkaError, KafkaTimeoutError

T = TypeVar("T")

_log = logging.getLogger(__name__)

BROKER_LIMIT_S = 120.0
"""Longer than any restart of a broker; as long as a record may wait for its acknowledgement (`delivery_limit_s`)."""

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 2.0


async def once_there(what: str, ask: Callable[[], Awaitable[T]], limit_s: float = BROKER_LIMIT_S) -> T:
    """The result of `ask()`, which is called again while brokers are away, for `limit_s` seconds; then its last error
    is raised. `what` says in the log who waits. Any other error is raised at once."""

    def answers_later(error: Exception) -> bool:
        if not isinstance(error, KafkaError) or not (error.retriable or isinstance(error, KafkaTimeoutError)):
            return False
        _log.warning("%s waits for the brokers: %r", what, error)
        return True

    async for attempt in stamina.retry_context(
        on=answers_later,
        attempts=None,
        timeout=limit_s,
        wait_initial=FIRST_WAIT_S,
        wait_max=LONGEST_WAIT_S,
        wait_jitter=FIRST_WAIT_S,
    ):
        with attempt:
            return await ask()
    raise AssertionError("stamina either returns or raises")  # pragma: no cover -- for the type checker
