"""Places where a test may have this process killed, by name (`ORDERMANAGER_CRASH_AT`). Empty outside of tests.

    taken, planned, cancelled, intended, submitted, done     the steps of a signal (`streams.signal_agent`)
    before-call, after-call                                  around a create at the venue (`streams.submitting`)
    outcome-published                                        its outcome is durable in `order-updates`
    applied, told                                            an update is in the rows; its events are durable

`name:3` is the third time that the place is reached. The process dies as by `kill -9`: nothing is flushed, closed or
said to the group. A marker file in the data directory makes each place kill once, so that the restart goes on.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from exchanges.venue import NewOrder, Trading
from streams.hooks import Hooks
from streams.record import Source


class CrashPoint:
    """Kills the process when the named place is reached for the `count`-th time."""

    def __init__(self, wish: str, directory: Path) -> None:
        name, _, count = wish.partition(":")
        self._name = name
        self._left = int(count or 1)
        self._marker = directory / f"crashed-at-{name}-{count or 1}"

    def reached(self, name: str) -> None:
        """Die here, if this is the place."""
        if name != self._name or self._marker.exists():
            return
        self._left -= 1
        if self._left <= 0:
            self._marker.parent.mkdir(parents=True, exist_ok=True)
            self._marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def hooks(self, hooks: Hooks) -> Hooks:
        """The same hooks, with this place among the steps."""
        return replace(hooks, on_step=self.reached)

    def trading(self, trading: Trading) -> Trading:
        """The same venue, with places around every create."""
        plain_create = trading.create

        async def create(order: NewOrder) -> str:
            self.reached("before-call")
            try:
                return await plain_create(order)
            finally:
                self.reached("after-call")

        trading.create = create  # type: ignore[method-assign]  # one instance, one process, tests only
        return trading

    def publisher(self, publisher: Any) -> Any:  # Any: anything with `publish`
        """The same publisher of updates, with a place after every acknowledgement."""
        plain_publish = publisher.publish

        async def publish(update: object) -> Source:
            at: Source = await plain_publish(update)
            self.reached("outcome-published")
            return at

        publisher.publish = publish
        return publisher
