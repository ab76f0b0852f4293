"""The parts of `make run`, each a process of its own started by its documented command, with wires that can be cut.

A supervisor starts again whatever ends, as the operating guide asks, and notes how it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from chaos_circumstances import Circumstances
from chaos_wires import State, Wire

from app.children import Child
from app.kafka.broker import LocalKafka, free_ports
from app.kafka.options import KafkaOptions
from app.local_set import LocalSet
from app.settings import Settings
from app.topic_creation import create_topics

log = logging.getLogger(__name__)

KEY = "chaos-key-0123456789abcdef"
STOP_LIMIT_S = 45.0
END_LIMIT_S = 180.0
"""More than any wait inside a part: one that has not ended by then hangs."""
_LOOK_S = 0.05


async def until(condition: Callable[[], bool], what: str, limit_s: float) -> None:
    """Wait for something that can be seen from here."""
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, f"waited {limit_s:g} s for {what}"
        await asyncio.sleep(_LOOK_S)


@dataclass(frozen=True, slots=True)
class Exit:
    """One end of a process. `asked`: somebody had sent it SIGTERM."""

    part: str
    at_s: float
    code: int
    asked: bool
    last_line: str

    @property
    def as_promised(self) -> bool:
        """Killed, or told to end and ended in order; or it stopped itself and said why."""
        in_order = self.code in {0, -signal.SIGTERM, 128 + signal.SIGTERM}
        return self.code == -signal.SIGKILL or (self.asked and in_order)


class Part:
    """A process that is started again whenever it ends, unless it is `held`."""

    def __init__(self, child: Child, directory: Path, pause_s: Callable[[], float], began_s: float) -> None:
        self.child = child
        self.name = child.name
        self.directory = directory
        self.held = False
        self.exits: list[Exit] = []
        self.starts = 0
        self._asked = False
        self._pause_s = pause_s
        self._began_s = began_s

    def start(self) -> None:
        """Start the process."""
        self.starts += 1
        self.child.start()

    def kill(self) -> None:
        """As a power cut would."""
        self.child.signal(signal.SIGKILL)

    def ask_to_end(self) -> None:
        """SIGTERM: it should finish what it has begun, and end."""
        self._asked = True
        self.child.signal(signal.SIGTERM)

    async def sleep(self, seconds: float) -> None:
        """Stop its clock for so long."""
        self.child.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.child.signal(signal.SIGCONT)

    async def ended(self) -> None:
        """Wait until it runs no more."""
        await until(lambda: self.child.pid is None, f"{self.name} to end", END_LIMIT_S)

    async def started_again(self) -> None:
        """Wait for its next start."""
        starts = self.starts
        await until(lambda: self.starts > starts, f"{self.name} to be started again", END_LIMIT_S)

    async def supervise(self) -> None:
        """Start it again, for as long as anybody looks after it."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.held or self.child.exit_code is None:
                continue
            self.note_exit()
            await asyncio.sleep(self._pause_s())
            if not self.held:
                self.start()

    def note_exit(self) -> None:
        """Write down how it ended."""
        code = self.child.exit_code
        if code is None:
            return
        lines = [line for line in self.child.last_lines(40).splitlines() if line.startswith("FATAL")][-1:]
        last_line = "" if code == -signal.SIGKILL else "".join(lines) or self.child.last_lines(1)
        ended = Exit(self.name, time.monotonic() - self._began_s, code, self._asked, last_line[:300])
        self._asked = False
        self.exits.append(ended)
        if not ended.as_promised:
            log.info("   %s ended with code %s: %s", self.name, code, ended.last_line)


class ChaosSet:
    """Broker, paper exchange, gateways and workers in a directory. Made by `chaos_set`."""

    def __init__(self, around: Circumstances, directory: Path, draw: random.Random) -> None:
        self.around = around
        self.began_s = time.monotonic()
        workers = [f"worker-{number}" for number in range(1, around.workers + 1)]
        gateways = [f"gateway-{number}" for number in range(1, around.gateways + 1)]
        wired = [*workers, *gateways]
        kafka, controller, paper, web = free_ports(4)
        self.settings = Settings(
            **around.settings
            | {
                "data_dir": directory / "data",
                "topic_prefix": "chaos.",
                "kafka_bootstrap": f"127.0.0.1:{kafka}",
                "kafka_port": kafka,
                "paper_port": paper,
                "web_port": web,
                "api_key": KEY,
            }
        )
        ports = free_ports(3 * len(wired))
        inner = dict(zip(wired, ports[: len(wired)], strict=True))
        self.to_broker = {n: Wire(p, inner[n]) for n, p in zip(wired, ports[len(wired) : 2 * len(wired)], strict=True)}
        self.to_venue = {n: Wire(p, paper) for n, p in zip(wired, ports[2 * len(wired) :], strict=True)}
        self.kafka = LocalKafka(
            KafkaOptions(
                directory / "kafka",
                kafka,
                controller,
                with_parent=True,
                extra=_listeners(kafka, controller, inner, self.to_broker),
            )
        )
        self.broker_is_hurt = asyncio.Lock()
        """Held by whoever stops or kills the broker: two at once would start it twice."""
        self.local = LocalSet(self.settings, broker=False, workers=around.workers)
        """Only asked, never started: the parts are ours."""
        self.http = httpx.AsyncClient(timeout=8.0, headers={"X-API-Key": KEY}, follow_redirects=True)
        self.paper = self._part("paper", ["paper"], draw)
        self.gateways = [self._part(name, ["gateway"], draw, **self._wired(name)) for name in gateways]
        self.workers = [
            self._part(name, ["worker"], draw, worker_id=name, web_port=url.rpartition(":")[2], **self._wired(name))
            for name, url in zip(workers, self.local.worker_urls, strict=True)
        ]

    def _wired(self, name: str) -> dict[str, str]:
        venue = self.to_venue[name].port
        return {
            "kafka_bootstrap": f"127.0.0.1:{self.to_broker[name].port}",
            "venue_rest_url": f"http://127.0.0.1:{venue}",
            "venue_stream_url": f"ws://127.0.0.1:{venue}",
        }

    def _part(self, name: str, command: list[str], draw: random.Random, **changes: Any) -> Part:  # Any: of settings
        data = self.settings.data_dir
        child = Child(name, command, self.settings.environment(**changes), data / "logs" / f"{name}.log")
        return Part(child, data / name, lambda: draw.choice([0.2, 1.0]), self.began_s)

    @property
    def age_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began_s

    @property
    def parts(self) -> list[Part]:
        """All but the broker."""
        return [self.paper, *self.gateways, *self.workers]

    @property
    def wires(self) -> list[Wire]:
        """To the broker and to the exchange."""
        return [*self.to_broker.values(), *self.to_venue.values()]

    async def until_ready(self, number: int, limit_s: float) -> str:
        """Wait for a worker; returns what keeps it from being ready when the time is up, empty if nothing does."""
        end_s, why = time.monotonic() + limit_s, "never asked"
        while time.monotonic() < end_s:
            try:
                reply = await self.http.get(self.local.worker_urls[number] + "/health/ready")
                if reply.status_code == httpx.codes.OK:
                    return ""
                why = reply.text
            except httpx.HTTPError as error:
                why = repr(error)
            await asyncio.sleep(0.2)
        return f"worker-{number + 1}: {why}"

    async def post(self, path: str, body: dict[str, Any], number: int = 0) -> int:
        """Ask a worker for something; returns the status, 0 if it could not be asked."""
        try:
            return (await self.http.post(self.local.worker_urls[number] + path, json=body)).status_code
        except httpx.HTTPError:
            return 0

    async def until_accepted(self, path: str, body: dict[str, Any], limit_s: float = 120.0) -> bool:
        """Ask one worker after another until one takes it."""
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            for number in range(len(self.workers)):
                if await self.post(path, body, number) in {httpx.codes.OK, httpx.codes.ACCEPTED}:
                    return True
            await asyncio.sleep(0.5)
        return False

    async def persistently(self, asking: Callable[[], Awaitable[httpx.Response]], limit_s: float = 60.0) -> None:
        """Tell the exchange something, however often it dies meanwhile."""
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            with contextlib.suppress(httpx.HTTPError):
                (await asking()).raise_for_status()
                return
            await asyncio.sleep(0.3)

    async def let_it_heal(self) -> None:
        """Nothing is done to anybody any more."""
        for wire in self.wires:
            wire.become(State.OPEN)
        async with self.broker_is_hurt:
            self.kafka.resume()
            if self.kafka.pid is None:
                await self.kafka.start()
        for part in self.parts:
            part.child.signal(signal.SIGCONT)
            part.held = False
        url = self.local.paper_url + "/paper/faults"
        await self.persistently(lambda: self.http.delete(url))

    async def stop_in_order(self) -> list[str]:
        """Workers, gateways, exchange; returns what did not end as it should."""
        wrong = []
        for part in self.parts:
            part.held = True
        for group in (self.workers, self.gateways, [self.paper]):
            codes = await asyncio.gather(*(part.child.stop(STOP_LIMIT_S) for part in group))
            for part, code in zip(group, codes, strict=True):
                if code not in {0, -signal.SIGTERM}:
                    wrong.append(f"{part.name} ended with code {code}: {part.child.last_lines(1)[:300]}")
        return wrong


@contextlib.asynccontextmanager
async def chaos_set(around: Circumstances, directory: Path, draw: random.Random) -> AsyncIterator[ChaosSet]:
    """A set that trades; whatever happens, no process is left behind."""
    await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
    await asyncio.to_thread(directory.mkdir, parents=True)
    made = ChaosSet(around, directory, draw)
    async with contextlib.AsyncExitStack() as opened:
        for wire in made.wires:
            await opened.enter_async_context(wire)
        await made.kafka.start()
        opened.push_async_callback(made.kafka.kill)
        opened.push_async_callback(made.http.aclose)
        opened.push_async_callback(made.local.stop)
        await create_topics(made.settings.bootstrap, made.local.topics)
        supervisors = []
        for part in made.parts:
            part.start()
            opened.push_async_callback(part.child.kill)
            supervisors.append(asyncio.create_task(part.supervise(), name=f"supervisor-{part.name}"))
        try:
            missing = [await made.until_ready(number, 90.0) for number in range(around.workers)]
            assert not any(missing), f"not ready to begin with: {missing}"
            yield made
        finally:
            for supervisor in supervisors:
                supervisor.cancel()
            await asyncio.gather(*supervisors, return_exceptions=True)


def _listeners(port: int, controller: int, inner: dict[str, int], wires: dict[str, Wire]) -> dict[str, str]:
    """The broker's settings for a listener of each part, told of by the address of the part's wire."""
    names = {name: name.upper().replace("-", "") for name in inner}
    ours = [f"{names[name]}://127.0.0.1:{number}" for name, number in inner.items()]
    told = [f"{names[name]}://127.0.0.1:{wire.port}" for name, wire in wires.items()]
    protocols = ["PLAINTEXT", "CONTROLLER", *names.values()]
    return {
        "listeners": ",".join([f"PLAINTEXT://127.0.0.1:{port}", f"CONTROLLER://127.0.0.1:{controller}", *ours]),
        "advertised.listeners": ",".join([f"PLAINTEXT://127.0.0.1:{port}", *told]),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in protocols),
    }
