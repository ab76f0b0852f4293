"""Is the broker ready? Only one answer counts: Kafka's own, that every node of the cluster is registered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

_POLL_S = 0.05
_ASK_TIMEOUT_S = 2.0


async def wait_until_ready(bootstrap: str, nodes: int, timeout_s: float, still_running: Callable[[], bool]) -> bool:
    """Wait until Metadata names `nodes` brokers. False if `timeout_s` have passed or `still_running` says no."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and still_running():
        if await _listens(bootstrap) and await nodes_registered(bootstrap) >= nodes:
            return True
        await asyncio.sleep(_POLL_S)
    return False


async def nodes_registered(bootstrap: str) -> int:
    """How many brokers the cluster behind `bootstrap` names; 0 if nobody answers."""
    with _quiet_client():
        client = AIOKafkaClient(
            bootstrap_servers=bootstrap, client_id="readiness", request_timeout_ms=int(_ASK_TIMEOUT_S * 1000)
        )
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                await client.bootstrap()
            return len(client.cluster.brokers())
        except (KafkaError, OSError):  # TimeoutError is an OSError
            return 0
        finally:
            await client.close()


async def _listens(bootstrap: str) -> bool:
    host, _, port = bootstrap.rpartition(":")
    try:
        async with asyncio.timeout(_ASK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


@contextmanager
def _quiet_client() -> Iterator[None]:
    """While we wait, "cannot connect" is the expected answer and not worth an ERROR line each 50 ms."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
