"""The paper exchange as a server: REST, the WebSockets and the control interface on one port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Self

from aiohttp import web

from exchanges.paper.books import Books
from exchanges.paper.control import ControlInterface
from exchanges.paper.faults import Channel, Faults
from exchanges.paper.instruments import MARKETS
from exchanges.paper.options import DEFAULT_MARKET_INTERVAL_S, PaperOptions
from exchanges.paper.private_stream import PrivateStream
from exchanges.paper.public_stream import PublicStream
from exchanges.paper.rates import RateCounters
from exchanges.paper.refusals import Refusal
from exchanges.paper.replay import read_recording
from exchanges.paper.replaying import Player
from exchanges.paper.rest import ConnectionDropped, RestInterface
from exchanges.paper.signing import KeyRing
from exchanges.paper.trade_stream import TradeStream
from exchanges.paper.vocabulary import Category

log = logging.getLogger(__name__)

STOP_S: Final = 1.0  # how long clients may take to hang up
BACKLOG: Final = 1024
MAX_BODY_BYTES: Final = 1024 * 1024
NS_PER_MS: Final = 1_000_000
PUBLIC_PATHS: Final[dict[str, Category | None]] = {
    "/v5/public/misc/status": None,
    **{f"/v5/public/{category}": category for category in Category},
}


class OrderProtection:
    """Cancels the orders of accounts whose streams are gone, as the accounts wished."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def window_s(self, uid: int) -> int:
        return self._books.venue.accounts[uid].settings.disconnect_cancel_s

    def cancel_all(self, uid: int) -> None:
        with contextlib.suppress(Refusal):  # broken books: the log and every caller are told
            self._books.perform(lambda: self._books.venue.cancel_all(uid, None))
            self._books.commit_soon()


class PaperExchange:
    """A paper exchange. `start` opens the port and gives it in `port`; `stop` closes everything in about a second.

    Raises `OSError` from `start` if the port is taken or another exchange has the books (`BooksInUseError`), and
    `sqlite3.Error` if they cannot be opened; `ReplayError` if the recording cannot be read.
    """

    def __init__(self, options: PaperOptions | None = None) -> None:
        self.options = options or PaperOptions()
        self.port = self.options.port
        self.faults = Faults()
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._frozen = self.options.market_interval_s == 0 and self.options.replay is None
        self._player: Player | None = None
        self._books: Books | None = None

    @property
    def url(self) -> str:
        """Where REST is, such as http://127.0.0.1:9101."""
        return f"http://{self._connectable_host}:{self.port}"

    @property
    def stream_url(self) -> str:
        """Where the WebSockets are, such as ws://127.0.0.1:9101."""
        return f"ws://{self._connectable_host}:{self.port}"

    @property
    def _connectable_host(self) -> str:
        return "127.0.0.1" if self.options.host in {"0.0.0.0", "::", ""} else self.options.host

    @property
    def books(self) -> Books:
        """The venue and its books, for tests in the same process. Raises `RuntimeError` before `start`."""
        if self._books is None:
            raise RuntimeError("NOT_STARTED: the paper exchange has no books yet")
        return self._books

    def now_ns(self) -> int:
        """The exchange's clock: the wall clock, and ahead of it by what the fault rules say."""
        return time.time_ns() + self.faults.skew_ms * NS_PER_MS

    async def start(self) -> None:
        """Open the books and the port, and set the market going."""
        options = self.options
        self._stopping.clear()
        recording = read_recording(options.replay) if options.replay is not None else None
        self._books = books = Books(options, self.now_ns)
        keys = KeyRing(options.keys)
        protection = OrderProtection(books)
        self._private = PrivateStream(keys, self.faults, self.now_ns, options.ack_delay_s, protection)
        self._public = {
            path: PublicStream(books, category, self.faults, self.now_ns, options.ack_delay_s)
            for path, category in PUBLIC_PATHS.items()
        }
        rates = RateCounters(options.rate_limits)
        self._rest = RestInterface(
            books,
            keys,
            self.faults,
            rates,
            self.now_ns,
            self._stopping,
            options.latency_s,
            options.rate_limits,
        )
        self._trade = TradeStream(
            books, keys, self.faults, rates, self._rest.counters, self.now_ns, options.ack_delay_s
        )
        channels: dict[Channel, list[Callable[[int], int]]] = {
            Channel.PRIVATE: [self._private.cut],
            Channel.TRADE: [self._trade.cut],
            Channel.PUBLIC: [stream.cut for stream in self._public.values()],
        }
        self._control = ControlInterface(
            books, self.faults, self._rest, self._private, channels, self._set_frozen, lambda: self._frozen
        )
        books.listen(self._private.publish)
        books.check_and_flush()
        await self._open_port()
        self._tasks = [
            asyncio.create_task(self._run_market(), name="paper-market"),
            asyncio.create_task(self._run_public(), name="paper-public"),
        ]
        self._player = None
        if recording is not None:
            loops, is_frozen = options.replay_loops, lambda: self._frozen
            self._player = Player(books, recording, options.replay_speed, loops=loops, is_frozen=is_frozen)
            self._tasks.append(asyncio.create_task(self._player.run(), name="paper-replay"))
        log.info("paper exchange at %s, seed %d", self.url, options.seed)

    async def _open_port(self) -> None:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._dispatch)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S, keepalive_timeout=75.0)
        await runner.setup()
        site = web.TCPSite(runner, self.options.host, self.options.port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            self.books.close()
            raise
        self._runner = runner
        self.port = int(runner.addresses[0][1])

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        try:
            if path == "/v5/private":
                return await self._private.handle(request)
            if path == "/v5/trade":
                return await self._trade.handle(request)
            if path in self._public:
                return await self._public[path].handle(request)
            if path.startswith("/v5/"):
                return await self._rest.handle(request)
            return await self._control.handle(request)
        except ConnectionDropped:
            return web.Response()  # goes nowhere: the connection is gone

    async def stop(self) -> None:
        """Close connections, port and books."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._runner is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    public = (stream.close() for stream in self._public.values())
                    await asyncio.gather(self._private.close(), self._trade.close(), *public)
            await self._runner.cleanup()
            self._runner = None
        if self._books is not None:
            self._books.close()
            self._books = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _set_frozen(self, frozen: bool) -> None:
        self._frozen = frozen

    async def _run_market(self) -> None:
        """Move every market once per interval, the symbols spread over it so that the loop is never held up."""
        interval_s = self.options.market_interval_s or DEFAULT_MARKET_INTERVAL_S
        pause_s = interval_s / len(MARKETS)
        while True:
            for key in MARKETS:
                await asyncio.sleep(pause_s)
                if self._is_drawn(key):
                    with contextlib.suppress(Refusal):  # broken books: the log and every caller are told
                        self.books.perform(partial(self.books.venue.step, key))
                        await self.books.committed()
                venue = self.books.venue
                venue.histories.observed(venue.markets[key], self.now_ns() // NS_PER_MS)

    def _is_drawn(self, key: str) -> bool:
        """True if a market moves by itself now: not while it is frozen, and not if it follows a recording."""
        if self._player is None:
            return not self._frozen
        return not self._frozen and self.options.market_interval_s > 0 and key not in self._player.keys

    async def _run_public(self) -> None:
        while True:
            await asyncio.sleep(self.options.public_interval_s)
            for stream in self._public.values():
                stream.publish_changes()
            for market in self.books.venue.markets.values():
                market.changed = False
