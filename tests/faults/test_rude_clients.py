"""Clients of the web views that guess keys, ask for odd paths, keep connections half open or ask at great length are
refused within bounds, while the worker answers its probes, and operators, and trades. And nothing secret is told."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from fault_set import CANARY, FaultSet

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

SEED = 38


async def assert_well(calm: FaultSet, symbol: str) -> None:
    """Probes and operators are answered, and a signal is filled."""
    async with calm.client() as client:
        for path in ("/health/live", "/health/ready", "/orders", "/metrics"):
            assert (await client.get(path)).status_code == httpx.codes.OK, path
    signal = await calm.send(symbol, order_type="market")
    verdict = await calm.verdict(symbols={symbol})
    verdict.assert_agreed()
    assert verdict.orders_of(signal)[0]["state"] == "filled"


async def test_fault_38_a_thousand_wrong_keys_are_refused(calm: FaultSet, symbol: str) -> None:
    draw = random.Random(SEED)  # noqa: S311 -- guesses, repeatable
    async with httpx.AsyncClient(base_url=calm.local.worker_urls[0], timeout=30.0) as client:

        async def guess() -> int:
            return (await client.get("/orders", headers={"X-API-Key": draw.randbytes(16).hex()})).status_code

        told: list[int] = []
        for _ in range(20):
            told += await asyncio.gather(*(guess() for _ in range(50)))
    assert set(told) <= {401, 429}
    assert told.count(429) > 900
    await assert_well(calm, symbol)


ODD_PATHS = (
    b"/orders/..%2f..%2fetc%2fpasswd", b"/orders/%00", b"/../../etc/passwd", b"//evil.example/orders",
    b"/orders/%ff%fe", b"/table/orders/", b"/router/orders/x/", b"/orders/" + b"a" * 2_000, b"/%2e%2e/%2e%2e/",
    b"/orders?limit=1e400", b"/orders?cursor=%00", b"*",
)  # fmt: skip


async def answer(calm: FaultSet, path: bytes) -> bytes:
    """The reply to a request with the path as it is, without anything that a client would mend."""
    host, port = calm.settings.web_host, calm.settings.web_port
    reader, writer = await asyncio.open_connection(host, port)
    try:
        key = calm.settings.api_key.get_secret_value().encode()
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nX-API-Key: " + key + b"\r\nConnection: close\r\n\r\n")
        return await asyncio.wait_for(reader.read(), 10.0)
    finally:
        writer.close()


@pytest.mark.parametrize("path", ODD_PATHS, ids=lambda path: path[:24].decode(errors="replace"))
async def test_fault_39_an_odd_path_is_refused_by_name(calm: FaultSet, path: bytes) -> None:
    reply = await answer(calm, path)
    assert reply.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.0 400")), reply[:200]
    assert not any(told in reply for told in (b"Traceback", b"root:", CANARY.encode()))


async def test_fault_40_twelve_hundred_half_open_connections_keep_nobody_out(calm: FaultSet, symbol: str) -> None:
    async with contextlib.AsyncExitStack() as closing:
        for _ in range(1_200):
            _, writer = await asyncio.open_connection(calm.settings.web_host, calm.settings.web_port)
            closing.callback(writer.close)
            writer.write(b"GET /orders HTTP/1.1\r\nHost: x\r\nX-")
        await assert_well(calm, symbol)


async def test_fault_41_a_question_of_nine_kilobytes_is_refused(calm: FaultSet, symbol: str) -> None:
    for path in (b"/orders?symbol=" + b"x" * 9_000, b"/orders?" + b"limit=1&" * 1_100, b"/" + b"x" * 9_000):
        assert (await answer(calm, path)).split(b" ")[1] in {b"400", b"414"}
    await assert_well(calm, symbol)


async def everything_published(calm: FaultSet) -> list[bytes]:
    """Keys, values and headers of every record of every topic of the set, changelogs too."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=calm.settings.bootstrap)  # Any: aiokafka is untyped
    await admin.start()
    names = [name for name in await admin.list_topics() if name.startswith(calm.settings.topic_prefix)]
    partitions = [
        TopicPartition(described["topic"], part["partition"])
        for described in await admin.describe_topics(names)
        for part in described["partitions"]
    ]
    await admin.close()
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=calm.settings.bootstrap, group_id=None)
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[bytes] = []
        while any([await consumer.position(at) < end for at, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    found += [record.key or b"", record.value or b"", *(value for _, value in record.headers)]
        return found
    finally:
        await consumer.stop()


def logs_of(calm: FaultSet) -> list[bytes]:
    """What each process has written."""
    return [file.read_bytes() for file in (calm.settings.data_dir / "logs").iterdir()]


async def test_fault_37_no_secret_is_in_any_log_topic_metric_or_traceback(calm: FaultSet, symbol: str) -> None:
    """After errors of ours, of the exchange and of clients, whatever other tests did to the set before."""
    calm.crash_at("taken!")
    await calm.fault("error_code_before", symbol=symbol, endpoint="order/create", code=10003, count=1)
    signal = await calm.send(symbol, order_type="market")
    await calm.until(lambda: b"planted at taken" in calm.worker.log_file.read_bytes(), "a traceback")
    calm.without_bug()
    await calm.until_ready()
    verdict = await calm.verdict(symbols={symbol})
    assert verdict.differences == []
    assert verdict.orders_of(signal)[0]["state"] == "rejected"
    async with calm.client() as client:
        told = [(await client.get(path)).content for path in ("/metrics", "/health/ready", "/alerts", "/orders/none")]
        told.append((await client.post("/commands", content=b"{")).content)

    logs = logs_of(calm)
    published = await everything_published(calm)
    assert len(published) > 100
    assert any(b"PlantedBug" in log for log in logs)
    assert [where for where in (*logs, *told, *published) if CANARY.encode() in where] == []
