"""The whole set on this machine: broker, topics, paper exchange, gateway, workers. What `run`, `demo` and tests start.

Started in the order in which the parts need each other, stopped in the reverse. Everything lies under the settings'
data directory, and the next start goes on from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson

from app.broker_keeper import BrokerKeeper
from app.children import RESTART_PAUSE_S, Child, Keeper
from app.kafka.broker import LocalKafka, free_ports
from app.kafka.options import KafkaOptions
from app.settings import PREFIX, Settings, api_key
from app.settings_parts import VenueName
from app.topic_creation import create_topics
from app.topics import topics_of
from app.transport.fail_stop import REFUSED_EXIT_CODE
from domain.errors import OrderManagerError

READY_LIMIT_S = 90.0


class NotReady(OrderManagerError):  # noqa: N818 -- the word names it well without a suffix
    """A part of the set did not become ready in its time."""


def kafka_options(settings: Settings, *, with_parent: bool) -> KafkaOptions:
    """The local broker of the settings."""
    return KafkaOptions(
        directory=settings.data_dir / "kafka",
        host=settings.kafka_host,
        port=settings.kafka_port,
        controller_port=settings.kafka_controller_port,
        max_heap_mib=settings.kafka_max_heap_mib,
        with_parent=with_parent,
    )


def with_free_ports(settings: Settings, data_dir: Path) -> Settings:
    """The same settings in another directory, on ports nobody uses."""
    kafka, controller, paper, web = free_ports(4)
    return settings.model_copy(
        update={
            "data_dir": data_dir,
            "kafka_bootstrap": "",
            "kafka_port": kafka,
            "kafka_controller_port": controller,
            "paper_port": paper,
            "web_port": web,
        }
    )


class LocalSet:
    """`broker`: whether a local broker is started too, or one is there already. `workers`: how many.
    `restart_pause_s`: before a part that ended by itself is started again."""

    def __init__(
        self,
        settings: Settings,
        *,
        broker: bool = True,
        workers: int = 1,
        restart_pause_s: float = RESTART_PAUSE_S,
    ) -> None:
        self.settings = settings
        self.topics = topics_of(settings)
        self.kafka = BrokerKeeper(LocalKafka(kafka_options(settings, with_parent=True))) if broker else None
        logs = settings.data_dir / "logs"
        environment = settings.environment(kafka_bootstrap=settings.bootstrap, api_key=api_key(settings))
        self.paper = Keeper(Child("paper", ["paper"], environment, logs / "paper.log"), restart_pause_s)
        self.gateway = Keeper(Child("gateway", ["gateway"], environment, logs / "gateway.log"), restart_pause_s)
        ports = [settings.web_port, *free_ports(workers - 1)]
        self.worker_urls = [f"http://{settings.web_host}:{port}" for port in ports]
        self.workers = [
            Keeper(
                Child(
                    f"worker-{number}",
                    ["worker"],
                    settings.environment(
                        kafka_bootstrap=settings.bootstrap,
                        api_key=api_key(settings),
                        worker_id=f"worker-{number}",
                        web_port=port,
                    ),
                    logs / f"worker-{number}.log",
                ),
                restart_pause_s,
            )
            for number, port in enumerate(ports, start=1)
        ]
        self.paper_url = f"http://{settings.paper_host}:{settings.paper_port}"
        self._http = httpx.AsyncClient(timeout=10.0, headers={"X-API-Key": api_key(settings)})

    async def start(self, say: Callable[[str], None] = lambda _line: None) -> None:
        """Start everything and wait until signals can flow. Raises `NotReady`, after stopping what was started."""
        self._require_free_ports()
        try:
            if self.kafka is not None:
                await self.kafka.start(say)
            await create_topics(self.settings.bootstrap, self.topics)
            if self.settings.venue is VenueName.PAPER:
                say("starting the paper exchange")
                self.paper.start()
                await self._until("paper exchange", self.paper.child, self._answers(self.paper_url + "/paper/health"))
            say("starting the gateway and the worker")
            self.gateway.start()
            for worker in self.workers:
                worker.start()
            for worker, url in zip(self.workers, self.worker_urls, strict=True):
                await self._until(worker.child.name, worker.child, self._answers(url + "/health/ready"))
        except BaseException:
            await self.stop()
            raise

    def _require_free_ports(self) -> None:
        """Said before anything is started, rather than found in a part's log."""
        settings = self.settings
        wanted = [("WEB_PORT", settings.web_host, settings.web_port)]
        if settings.venue is VenueName.PAPER:
            wanted.append(("PAPER_PORT", settings.paper_host, settings.paper_port))
        for name, host, port in wanted:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    sentence = f"{host}:{port} cannot be used ({error.strerror}): set {PREFIX}{name} to a free port"
                    raise NotReady("PORT_TAKEN", sentence) from None

    async def stop(self) -> None:
        """Stop everything in order: workers finish what is at the venue, then the rest."""
        await asyncio.gather(*(worker.stop() for worker in self.workers))
        await self.gateway.stop()
        await self.paper.stop()
        if self.kafka is not None:
            await self.kafka.stop()
        await self._http.aclose()

    # -- asking --------------------------------------------------------------------------------------------------

    async def get(self, path: str, **parameters: Any) -> Any:  # Any: JSON
        """Ask the web views of the first worker that can be reached. Raises `httpx.HTTPError` if none answers well."""
        *others, last = self.worker_urls
        for url in others:
            with contextlib.suppress(httpx.TransportError):
                return _body(await self._http.get(url + path, params=parameters))
        return _body(await self._http.get(last + path, params=parameters))

    async def pages(self, path: str, **parameters: Any) -> list[Any]:
        """Every page of a list. Raises `NotReady` while nobody answers for some partitions."""
        found: list[Any] = []
        cursor = None
        while True:
            page = await self.get(path, **parameters, **({"cursor": cursor} if cursor else {}))
            if page["partial"]:
                raise NotReady("PARTIAL", f"{path}: nobody answers for partitions {page['missing_partitions']}")
            found += page["items"]
            cursor = page.get("cursor")
            if not cursor:
                return found

    async def paper_get(self, path: str) -> Any:
        """Ask the paper exchange's control interface."""
        return _body(await self._http.get(self.paper_url + path))

    async def paper_post(self, path: str, wish: dict[str, Any]) -> Any:
        """Tell the paper exchange's control interface."""
        return _body(await self._http.post(self.paper_url + path, content=orjson.dumps(wish)))

    def _answers(self, url: str) -> Callable[[], Awaitable[bool]]:
        async def answers() -> bool:
            try:
                return (await self._http.get(url)).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        return answers

    async def _until(self, name: str, child: Child, condition: Callable[[], Awaitable[bool]]) -> None:
        end_s = time.monotonic() + READY_LIMIT_S
        while not await condition():
            if child.exit_code == REFUSED_EXIT_CODE:
                raise NotReady("REFUSED", f"{name} refuses to start: {child.last_lines(1)}")
            if time.monotonic() > end_s:
                lines = child.last_lines()
                raise NotReady("NOT_READY", f"{name} is not ready after {READY_LIMIT_S:g} s; {child.log_file}: {lines}")
            await asyncio.sleep(0.1)


def _body(reply: httpx.Response) -> Any:  # Any: JSON
    reply.raise_for_status()
    return orjson.loads(reply.content)


def percentiles(figures: Sequence[int], wanted: Sequence[int] = (50, 95, 99)) -> dict[str, float]:
    """Percentiles of nanoseconds as milliseconds, by name; empty without figures."""
    ordered = sorted(figures)
    if not ordered:
        return {}
    return {
        f"p{part}_ms": round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)] / 1e6, 3) for part in wanted
    }
