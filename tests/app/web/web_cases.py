"""A worker's web server for tests: the real Faust web application over a real socket, tables in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import faust
import httpx
from aiohttp import web
from fakes import MemoryRows
from table_cases import PARTITIONS, partition_of

from app.metrics import Metrics
from app.web import ApiKey, Check, Mark, Scope, WebContext, WebSettings, key_hash, register_views
from domain.commands import Command
from domain.instruments import Instrument
from domain.limits import Limits
from domain.plans import PlanSettings
from exchanges.clock import SystemClock
from streams.alert_board import ACTION_KEY, AlertAction, AlertBoard, encode_action
from streams.boards import Control
from streams.broadcast import Entry
from streams.limits_board import LimitsBoard, ScopeLimits, encode_limits, limits_key
from streams.ports import Headers
from streams.record import Source
from streams.schemas import Alert, encode
from streams.signal_agent import SignalSettings
from streams.signal_door import SignalDoor
from streams.topics import Topics
from tables.orders import order_index
from tables.positions import position_index
from tables.signals import signal_index

PublishedSignal = tuple[str, bytes, bytes, dict[str, bytes]]
"""(topic, key, value, headers)."""

READ_KEY, TRADE_KEY, INTERNAL_KEY = "read-key-of-the-tests", "trade-key-of-the-tests", "internal-key-of-the-tests"
READ, TRADE, INTERNAL = {"X-API-Key": READ_KEY}, {"X-API-Key": TRADE_KEY}, {"X-Internal-Key": INTERNAL_KEY}


class SignalsLog:
    """Where signals are published: its places count up from `first`; a publisher may be made to wait for ever."""

    def __init__(self, first: int = 7) -> None:
        self.published: list[PublishedSignal] = []
        self.next = first
        self.acknowledges = True
        self.arrived = asyncio.Event()

    async def publish(
        self, topic: str, key: bytes, value: bytes, headers: Headers = (), partition: int | None = None
    ) -> Source:
        self.published.append((topic, key, value, dict(headers)))
        self.arrived.set()
        if not self.acknowledges:
            await asyncio.Event().wait()
        self.next += 1
        return Source(topic, 0 if partition is None else partition, self.next - 1)


@dataclass
class Worker:
    """One worker. Its fields are what the test may change and look at."""

    held: frozenset[int] = frozenset(range(PARTITIONS))
    keys: list[ApiKey] = field(
        default_factory=lambda: [
            ApiKey("reader", key_hash(READ_KEY), Scope.READ),
            ApiKey("desk", key_hash(TRADE_KEY), Scope.TRADE),
        ]
    )
    settings: Mapping[str, Any] = field(default_factory=dict)
    peers: dict[str, frozenset[int]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    alerts: AlertBoard = field(default_factory=lambda: AlertBoard("alerts"))
    marks: dict[str, Mark] = field(default_factory=dict)
    limit_records: dict[bytes, Entry] = field(default_factory=dict)
    log: SignalsLog = field(default_factory=SignalsLog)
    url: str = ""
    publishes_everywhere: bool = True
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.orders = MemoryRows(self.held, order_index)
        self.signals = MemoryRows(self.held, signal_index)
        self.positions = MemoryRows(self.held, position_index)
        self.app = faust.App("web-tests", broker="kafka://127.0.0.1:1", store="memory://", autodiscover=False)

    async def start(self) -> None:
        """Serve on a free port."""
        register_views(self.app, self._context())
        self.app.web.init_server()
        self.runner = self.app.web._runner  # the one that Faust will start
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        self.client = httpx.AsyncClient(base_url=self.url, timeout=10, trust_env=False)

    async def stop(self) -> None:
        """Close everything."""
        await self.client.aclose()
        await self.runner.cleanup()

    async def get(self, path: str, key: Mapping[str, str] = READ, **parameters: Any) -> httpx.Response:
        return await self.client.get(path, headers=dict(key), params=parameters or None)

    async def post(self, path: str, body: Any, key: Mapping[str, str] = TRADE) -> httpx.Response:
        return await self.client.post(path, headers=dict(key), json=body)

    def raise_alert(self, alert: Alert) -> None:
        """As if it had been read from the topic."""
        self.alerts.take("alerts", alert.alert_id.encode(), Entry(encode(alert), alert.at_ns, 0))

    def _context(self) -> WebContext:
        async def act_on_alert(action: AlertAction) -> None:
            self.alerts.take("alerts", ACTION_KEY + action.alert.encode(), Entry(encode_action(action), 0, 0))

        async def publish(command: Command) -> None:
            self.commands.append(command)

        async def set_control(control: Control) -> None:
            self.controls.append(control)

        return WebContext(
            settings=WebSettings(
                **{
                    "partitions": PARTITIONS,
                    "internal_key": INTERNAL_KEY,
                    "venues": frozenset({"paper"}),
                    "peer_timeout_s": 5.0,
                    **self.settings,
                }
            ),
            orders=self.orders,
            signals=self.signals,
            positions=self.positions,
            partition_of=partition_of,
            api_keys=lambda: self.keys,
            metrics=self.metrics,
            checks=lambda: self.checks,
            peers=lambda: self.peers,
            publish_command=publish,
            controls=lambda: self.controls,
            set_control=set_control,
            alerts=self.alerts.alerts,
            act_on_alert=act_on_alert,
            mark=self._mark,
            limits=LimitsBoard(Limits(), lambda: self.limit_records),
            set_limits=self._set_limits,
            signal_door=SignalDoor(
                log=self.log,  # type: ignore[arg-type]  # of a log, only publishing is needed here
                topics=Topics(),
                clock=SystemClock(),
                settings=SignalSettings(
                    plan=PlanSettings(),
                    venue="paper",
                    categories=("linear", "spot"),
                    account="main",
                ),
            ),
            publish_everywhere=publish if self.publishes_everywhere else None,
        )

    async def _set_limits(self, record: ScopeLimits) -> None:
        self.limit_records[limits_key(record.scope)] = Entry(encode_limits(record), 1, 0)

    def _mark(self, instrument: Instrument) -> Mark | None:
        return self.marks.get(instrument.symbol)


def mark(price: str, at_ns: int = 1) -> Mark:
    return Mark(Decimal(price), at_ns)
