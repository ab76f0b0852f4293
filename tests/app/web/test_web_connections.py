"""Peers that open connections and say nothing cannot keep others out."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from aiohttp import web
from web_cases import READ, Worker

from app.web.connections import MAX_CONNECTIONS, Connections


async def opened(port: int, first_bytes: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first_bytes)
    return reader, writer


async def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)


def port_of(runner: web.AppRunner) -> int:
    return int(runner.addresses[0][1])


async def test_1200_half_open_connections_leave_health_answering(worker: Worker) -> None:
    server = worker.runner.server
    assert server is not None
    await until(lambda: server.connection_made.__qualname__.startswith("Connections"))
    half = b"GET /orders HTTP/1.1\r\nHost: x\r\nX-"
    with contextlib.ExitStack() as closing:
        for _ in range(1_200):
            _, writer = await opened(port_of(worker.runner), half)
            closing.callback(writer.close)

        reply = await worker.client.get("/health/live")
        asked = await worker.get("/orders", READ)

        assert (reply.status_code, asked.status_code) == (200, 200)
        assert len(server.connections) <= MAX_CONNECTIONS + 1


@dataclass
class SlowServer:
    """A server whose only page waits until it is released."""

    server: web.Server
    port: int
    release: asyncio.Event


@pytest.fixture
async def slow_server() -> AsyncIterator[SlowServer]:
    release = asyncio.Event()

    async def page(_request: web.Request) -> web.Response:
        await release.wait()
        return web.Response(text="done")

    application = web.Application()
    application.router.add_get("/", page)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    assert runner.server is not None
    yield SlowServer(runner.server, port_of(runner), release)
    release.set()
    await runner.cleanup()


async def test_a_silent_connection_is_closed_and_one_at_work_is_not(slow_server: SlowServer) -> None:
    now_s = [0.0]
    connections = Connections(limit=10, idle_limit_s=5, clock_s=lambda: now_s[0])
    connections._attach(slow_server.server)
    silent, silent_writer = await opened(slow_server.port, b"GET / HT")
    busy, busy_writer = await opened(slow_server.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: sum(each._request_in_progress for each in slow_server.server.connections) == 1)

    connections.sweep()
    now_s[0] = 6.0
    connections.sweep()

    with contextlib.suppress(ConnectionResetError):
        assert await silent.read() == b""
    slow_server.release.set()
    assert (await busy.readline()).startswith(b"HTTP/1.1 200")
    silent_writer.close()
    busy_writer.close()


async def test_a_connection_with_short_requests_between_the_sweeps_is_kept(slow_server: SlowServer) -> None:
    now_s = [0.0]
    connections = Connections(limit=10, idle_limit_s=5, clock_s=lambda: now_s[0])
    connections._attach(slow_server.server)
    slow_server.release.set()
    reader, writer = await opened(slow_server.port)
    await until(lambda: len(slow_server.server.connections) == 1)

    for _ in range(4):
        connections.sweep()
        now_s[0] += 3.0
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200")
        await until(lambda: not any(each._request_in_progress for each in slow_server.server.connections))
    connections.sweep()
    assert not reader.at_eof()

    now_s[0] += 6.0
    connections.sweep()
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_the_connection_longest_without_a_request_makes_room(slow_server: SlowServer) -> None:
    now_s = [0.0]
    connections = Connections(limit=2, idle_limit_s=100, clock_s=lambda: now_s[0])
    connections._attach(slow_server.server)
    readers, writers = [], []
    for number in range(3):
        now_s[0] = float(number)
        reader, writer = await opened(slow_server.port)
        readers.append(reader)
        writers.append(writer)
        await until(lambda accepted=number + 1: len(connections._idle_since_s) == accepted)

    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(readers[0].read(), 5) == b""
    assert not readers[1].at_eof()
    assert not readers[2].at_eof()
    for writer in writers:
        writer.close()
