"""What runs in a worker beside its agents: connections that close with it, heartbeats, alerts of the engine.

A service's error ends the process: an unnoticed end of the heartbeats or the timers would be worse.
"""

# Mode carries no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from mode import Service

from app.account_share import HEARD_S, LAPSE_S, AccountShare
from app.engine import Engine
from app.settings import Settings
from app.transport.fail_stop import refuse_to_start
from domain.errors import Refused, VenueError
from domain.instruments import LINEAR
from domain.plans import PositionMode
from exchanges.bybit.trading import BybitTrading
from exchanges.clock import SystemClock
from exchanges.venue import Trading
from streams import boards, schemas
from streams.alert_board import action_record, folded_id, resolution
from streams.broadcast import Broadcasts, Entry
from streams.hooks import Hooks
from streams.market_view import MarketView
from streams.topics import Topics
from tables.orders import OrderTable
from tables.receipt import Receipt

_log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
_JOINING_S = 0.2
"""Between heartbeats of a worker that waits for its part of the account's limits."""


class Connections(Service):
    """Closed when the process ends."""

    def __init__(self, broadcasts: Broadcasts, trading: Trading) -> None:
        super().__init__()
        self._broadcasts = broadcasts
        self._trading = trading

    async def on_stop(self) -> None:
        await self._broadcasts.stop()
        await self._trading.close()


class Background(Service):
    """Something that runs for as long as the engine runs. An error in it ends the process: it would be missed
    otherwise."""

    def __init__(self, engine: Engine, name: str, run: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._engine = engine
        self._name = name
        self._run = run

    async def on_start(self) -> None:
        self.add_future(self._work())

    async def _work(self) -> None:
        try:
            await self._run()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it must not be missed
            _log.error("%s ended", self._name, exc_info=error)
            self._engine.wiring.stop(f"SERVICE_FAILED: {self._name}: {error!r}")


class Heartbeats:
    """Says every second that this worker lives, where it is asked, and what it has; and hears how many there are, since
    they share the account's rate limits (`AccountShare`)."""

    def __init__(
        self,
        *,
        settings: Settings,
        engine: Engine,
        topics: Topics,
        orders: OrderTable,
        market: MarketView,
        broadcasts: Broadcasts,
        clock: SystemClock,
        share_with: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._topics = topics
        self._orders = orders
        self._broadcasts = broadcasts
        self._clock = clock
        self._share = AccountShare(
            name=settings.worker_id,
            heard=lambda: market.heartbeats(HEARD_S),
            share_with=share_with,
            clock=clock,
        )
        self._news = asyncio.Event()
        self._said_s = 0.0

    async def run(self) -> None:
        """Say it for as long as the worker runs: at once when somebody new waits to hear it."""
        self._broadcasts.listen(self._heard)
        while True:
            wanted = self._engine.inbox.is_open or not self._share.joined
            if wanted and self._broadcasts.following and self._engine.log.is_open:
                await self._say_and_hear()
            elif self._clock.monotonic_s() - self._said_s > LAPSE_S:  # partitions change hands, and it takes long
                self._share.lapse()
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                pause_s = HEARTBEAT_S if self._share.joined else _JOINING_S
                await asyncio.wait_for(self._news.wait(), pause_s)

    def _heard(self, topic: str, _key: bytes, _entry: Entry | None) -> None:
        if topic == self._topics.heartbeats and self._share.heard():
            self._news.set()

    async def _say_and_hear(self) -> None:
        saying = asyncio.ensure_future(self._say())
        try:
            done, _ = await asyncio.wait({saying}, timeout=LAPSE_S)
            if not done:  # the broker is away, or we are
                self._share.lapse()
            await saying
        finally:
            saying.cancel()
        if done:
            self._said_s = self._clock.monotonic_s()
            self._share.read_back()

    async def _say(self) -> None:
        ready, reasons = self._engine.ready()
        heartbeat = boards.Heartbeat(
            role="worker",
            name=self._settings.worker_id,
            url=self._settings.own_url,
            partitions=tuple(sorted(self._orders.rows.partitions())) if self._engine.inbox.is_open else (),
            ready=ready,
            reasons=tuple(reasons),
            at_ns=self._clock.now_ns(),
            dry_run=self._settings.dry_run,
            sharing=self._share.sharing,
            venue=self._settings.venue.value,
            account=self._settings.account,
        )
        key, topic = f"worker/{self._settings.worker_id}".encode(), self._topics.heartbeats
        at = await self._engine.log.publish(topic, key, boards.encode(heartbeat), partition=0)
        await self._broadcasts.read_back(topic, at.offset)


class PositionModeCheck:
    """Brings the account into the mode of the settings, once, as soon as the venue answers (requirement D11). A venue
    that refuses, because a position or an order is open, ends the process: orders would name sides it does not have."""

    def __init__(self, settings: Settings, engine: Engine, adapter: BybitTrading, clock: SystemClock) -> None:
        self._settings = settings
        self._engine = engine
        self._adapter = adapter
        self._clock = clock

    async def run(self) -> None:
        hedge = self._settings.position_mode is PositionMode.HEDGE
        # A dry run changes nothing at the venue, the account's mode included.
        while LINEAR in self._settings.traded_categories and not self._settings.dry_run:
            try:
                await self._adapter.set_position_mode(hedge=hedge)
            except Refused as error:
                mode = self._settings.position_mode
                refuse_to_start(f"POSITION_MODE_REFUSED: the account cannot be in {mode} mode: {error}")
            except VenueError as error:
                _log.warning("the position mode is not known yet: %s", error)
                await self._clock.sleep(2.0)
                continue
            return


class EngineAlerts:
    """What the engine has to tell an operator: in the log, and on the topic as soon as the broker takes it."""

    def __init__(self, settings: Settings, engine: Engine, topics: Topics, hooks: Hooks | None) -> None:
        self._settings = settings
        self._engine = engine
        self._topics = topics
        self._hooks = hooks

    def __call__(self, code: str, sentence: str) -> None:
        _log.error("%s", sentence, extra={"code": code})
        at_ns = SystemClock().now_ns()
        alert = schemas.Alert(
            alert_id=f"{self._settings.worker_id}-{code}-{at_ns}",
            code=code,
            severity="critical",
            sentence=sentence,
            symbol="",
            at_ns=at_ns,
            source=self._settings.worker_id,
        )
        headers = schemas.event_headers("alert/1", alert.alert_id)
        key = alert.alert_id.encode()
        self._engine.log.append(self._topics.alerts, 0, key, schemas.encode(alert), Receipt(), headers)
        if self._hooks is not None:
            self._hooks.on_alert(code)

    def over(self, code: str, sentence: str) -> None:
        """What was told is over: nobody has to say so."""
        _log.warning("%s is over: %s", code, sentence)
        key, value, headers = action_record(resolution(folded_id(code, ""), sentence, SystemClock().now_ns()))
        self._engine.log.append(self._topics.alerts, 0, key, value, Receipt(), headers)
