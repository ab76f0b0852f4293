"""A paper exchange in a thread of its own: the clients that are tested block."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import requests

from exchanges.paper.options import PaperOptions
from exchanges.paper.server import PaperExchange

STEP_S = 0.01
PATIENCE_S = 10.0


class RunningExchange:
    """A paper exchange in a thread."""

    def __init__(self, options: PaperOptions) -> None:
        self._exchange = PaperExchange(options)
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    async def _serve(self) -> None:
        async with self._exchange:
            self._ready.set()
            await self._stop.wait()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S), "the exchange did not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    @property
    def url(self) -> str:
        return self._exchange.url

    @property
    def stream_url(self) -> str:
        return self._exchange.stream_url

    def control(self, name: str, wish: object = None, method: str | None = None) -> Any:
        """Call the control interface."""
        method = method or ("GET" if wish is None else "POST")
        reply = requests.request(method, f"{self.url}/paper/{name}", json=wish, timeout=PATIENCE_S)
        reply.raise_for_status()
        return reply.json()

    def pin(self, symbol: str, bid: str, ask: str, qty: str = "100", category: str = "linear") -> None:
        """Quotes of one level on each side, until others are pinned."""
        quotes = {"bids": [[bid, qty]], "asks": [[ask, qty]]}
        self.control("market", {"symbol": symbol, "category": category, **quotes})


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`, asked for until patience ends."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        if found := condition():
            return found
        threading.Event().wait(STEP_S)
    raise AssertionError(f"never happened: {what}")
