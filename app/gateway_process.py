"""The gateway as a process: one venue account's words onto our topics, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
import uuid
from typing import Any

from aiokafka import AIOKafkaProducer

from app.allocator import give_back_large_blocks
from app.process_logs import configure_process_logs
from app.settings import Settings
from app.topic_creation import check_topics
from app.topics import topics_of
from app.venue import Reader, bybit_options
from exchanges.bybit.stream import BybitPrivateStream
from exchanges.bybit.trading import BybitTrading
from exchanges.clock import SystemClock
from exchanges.venue import Balance
from streams import boards
from streams.broadcast import standing
from streams.gateway import Boards, Gateway, GatewayOptions
from streams.update_log import UpdateLog, last_complete_until, producer_name
from streams.waiting_for_brokers import BROKER_LIMIT_S

_HEARTBEAT_S = 1.0
_PRODUCER_STOP_S = 5.0
_LOOK_S = 0.1


async def run_gateway(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises what ended it otherwise: whoever supervises it starts it again."""
    give_back_large_blocks()
    configure_process_logs(settings, "gateway")
    topics = topics_of(settings)
    await check_topics(settings.bootstrap, topics, timeout_s=BROKER_LIMIT_S)
    options = bybit_options(settings, Reader.GATEWAYS)
    trading = BybitTrading(options)
    trading.set_workers(settings.gateways)
    name = producer_name(options.venue, options.account)
    producer: Any = AIOKafkaProducer(  # Any: aiokafka is untyped
        bootstrap_servers=settings.bootstrap, acks="all", enable_idempotence=True, linger_ms=0
    )
    await producer.start()

    async def publish(topic: str, key: bytes, value: bytes) -> object:
        return await producer.send_and_wait(topic, value, key=key, partition=0)

    async def told_balances() -> list[Balance]:
        return boards.readable_balances(await standing(settings.bootstrap, topics.balances))

    board = boards.BoardWriter(topics, publish)
    gateway = Gateway(
        trading,
        BybitPrivateStream(options, server_time=trading.server_time),
        UpdateLog(producer, topics.order_updates, name),
        Boards(balance=board.balance, quotes=board.quotes, instruments=board.instruments),
        SystemClock(),
        complete_until=lambda: last_complete_until(settings.bootstrap, topics.order_updates, name),
        told_balances=told_balances,
        options=GatewayOptions(
            categories=settings.traded_categories,
            overlap_s=settings.gap_overlap_s,
            look_back_s=settings.gap_look_back_s,
            settle_s=settings.history_lag_s,
            balance_interval_s=settings.gateway_interval_s,
            quote_interval_s=settings.gateway_interval_s,
            instrument_lifetime_s=settings.instruments_lifetime_s,
        ),
    )

    session = uuid.uuid4().hex[:8]

    async def beat() -> None:
        """Every second, and at once when the stream comes or goes: workers open nothing while it may miss something."""
        said_at_s, said = 0.0, (False, 0)
        while True:
            health = gateway.health()
            now_s, news = time.monotonic(), (health.ready, health.connections)
            if news != said or now_s - said_at_s >= _HEARTBEAT_S:
                said_at_s, said = now_s, news
                heartbeat = boards.Heartbeat(
                    role="gateway",
                    name=settings.account,
                    ready=health.ready,
                    reasons=health.reasons,
                    at_ns=SystemClock().now_ns(),
                    session=session,
                    connections=health.connections,
                )
                key = f"gateway/{settings.account}/{session}".encode()
                await publish(topics.heartbeats, key, boards.encode(heartbeat))
            await asyncio.sleep(_LOOK_S)

    try:
        await _until_told(gateway, beat())
    finally:
        await trading.close()
        with contextlib.suppress(TimeoutError):  # a broker that is away is not waited for: the next one fills the gap
            await asyncio.wait_for(producer.stop(), _PRODUCER_STOP_S)


async def _until_told(gateway: Gateway, beating: Any) -> None:  # Any: a coroutine of no interest
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Task[None]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: stopping.append(loop.create_task(gateway.stop())))
    beat = loop.create_task(beating)
    try:
        await gateway.run()
    finally:
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat
        await asyncio.gather(*stopping)
