"""Places where a test may have this process killed, by name (`ORDERMANAGER_CRASH_AT`). Empty outside of tests.

    taken, planned, cancelled, intended, submitted, done     the steps of a signal (`streams.signal_agent`); what is
                                                             planned is durable when it has cancelled or intended
    before-call, after-call                                  around creates at the venue (`streams.creating`)
    before-cancel, after-cancel                              around cancels at the venue (`streams.cancelling`)
    outcome-published                                        what we learned of an order is durable in `order-updates`
    merging, applied, told                                   an update was taken; it is in the rows, not yet durable;
                                                             its events are

`name:3` is the third time that the place is reached. The process dies as by `kill -9`: nothing is flushed, closed or
said to the group. A marker file in the data directory makes each place kill once, so that the restart goes on.

`file` instead of a place: the place stands in the file `crash-at` of the data directory, where a test writes it while
the process runs. The file goes with the process.

`name!` is a bug in the code at that place: it raises `PlantedBug` each time it is reached, in every process, for as
long as the wish stands.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from domain.errors import VenueError
from exchanges.venue import NewOrder, OrderRef, Trading
from streams.hooks import Hooks
from streams.record import Source

WISH_FILE = "crash-at"
_T = TypeVar("_T")


class PlantedBug(Exception):  # noqa: N818 -- it is one, and says so
    """An error that nobody expected, on order."""


class CrashPoint:
    """Kills the process when the named place is reached for the `count`-th time."""

    def __init__(self, wish: str, directory: Path) -> None:
        self._file = directory / WISH_FILE if wish == "file" else None
        self._directory = directory
        self._take("" if self._file else wish)

    def _take(self, wish: str) -> None:
        name, _, count = wish.removesuffix("!").partition(":")
        self._wish, self._name, self._left = wish, name, int(count or 1)

    def reached(self, name: str) -> None:
        """Die here, if this is the place. Raises `PlantedBug` if the wish is for a bug."""
        if self._file is not None:
            wish = _text(self._file)
            if wish != self._wish:
                self._take(wish)
        if name != self._name or self._marker.exists():
            return
        if self._wish.endswith("!"):
            raise PlantedBug(f"planted at {name}")
        self._left -= 1
        if self._left <= 0:
            if self._file is not None:
                self._file.unlink()
            else:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    @property
    def _marker(self) -> Path:
        return self._directory / f"crashed-at-{self._wish}"

    def hooks(self, hooks: Hooks) -> Hooks:
        """The same hooks, with this place among the steps."""
        return replace(hooks, on_step=self.reached)

    def trading(self, trading: Trading) -> Trading:
        """The same venue, with places around every create and cancel, of one order or several."""
        plain_create, plain_cancel = trading.create, trading.cancel
        plain_create_batch, plain_cancel_batch = trading.create_batch, trading.cancel_batch

        async def create(order: NewOrder) -> str:
            return await self._around("call", lambda: plain_create(order))

        async def cancel(ref: OrderRef) -> None:
            await self._around("cancel", lambda: plain_cancel(ref))

        async def create_batch(orders: Sequence[NewOrder]) -> Sequence[str | VenueError]:
            return await self._around("call", lambda: plain_create_batch(orders))

        async def cancel_batch(refs: Sequence[OrderRef]) -> Sequence[VenueError | None]:
            return await self._around("cancel", lambda: plain_cancel_batch(refs))

        trading.create = create  # type: ignore[method-assign]  # one instance, one process, tests only
        trading.cancel = cancel  # type: ignore[method-assign]
        trading.create_batch = create_batch  # type: ignore[method-assign]
        trading.cancel_batch = cancel_batch  # type: ignore[method-assign]
        return trading

    async def _around(self, name: str, call: Callable[[], Awaitable[_T]]) -> _T:
        self.reached(f"before-{name}")
        try:
            return await call()
        finally:
            self.reached(f"after-{name}")

    def publisher(self, publisher: Any) -> Any:  # Any: anything with `publish` and `publish_all`
        """The same publisher of updates, with a place after every acknowledgement."""
        plain_publish, plain_publish_all = publisher.publish, publisher.publish_all

        async def publish(update: object) -> Source:
            at: Source = await plain_publish(update)
            self.reached("outcome-published")
            return at

        async def publish_all(updates: Sequence[object]) -> Source:
            at: Source = await plain_publish_all(updates)
            self.reached("outcome-published")
            return at

        publisher.publish, publisher.publish_all = publish, publish_all
        return publisher


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""
