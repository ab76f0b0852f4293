"""After a partition became ours: ask the venue for everything unfinished before its symbols trade (Y01, O07)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from domain.errors import RateLimited, VenueError
from domain.orders import Order
from streams.applied import Applied
from streams.ports import Clock
from streams.reconciling import Reconciler
from streams.symbol_gates import SymbolGates
from tables.orders import OrderTable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecoverySettings:
    """`parallel`: symbols asked for at a time. `pause_s`: before a venue that did not answer is asked again."""

    parallel: int = 8
    pause_s: float = 1.0


class Recovery:
    """Shuts the gates until the former owner's updates are applied, then those of symbols with unfinished orders, and
    opens each when the venue has been asked for them all.

    It asks once and applies what is found. What is not found stays in doubt: a signal that comes again, or a timer's
    command, concludes under the conditions of absence.
    """

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        orders: OrderTable,
        gates: SymbolGates,
        applied: Applied,
        clock: Clock,
        settings: RecoverySettings,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._reconciler = reconciler
        self._orders = orders
        self._gates = gates
        self._applied = applied
        self._clock = clock
        self._settings = settings
        self._on_failure = on_failure
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def assigned(self, partition: int) -> None:
        """The partition is ours and its tables are recovered; called before its records flow."""
        self.revoked(partition)
        self._gates.assign(partition, set(self._orders.open_symbols(partition)), self._clock.now_ns())
        task = asyncio.create_task(self._recover(partition), name=f"recovery-{partition}")
        task.add_done_callback(self._ended)
        self._tasks[partition] = task

    def revoked(self, partition: int) -> None:
        """The partition is no longer ours: what it asks for is another's business."""
        self._gates.revoke(partition)
        if (task := self._tasks.pop(partition, None)) is not None:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A bug here would leave symbols shut without a word."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    async def _recover(self, partition: int) -> None:
        await self._reconciler.catch_up(partition)
        symbols = self._orders.open_symbols(partition)
        self._gates.caught_up(partition, set(symbols))
        self._applied.touch_all()
        await self._ask_all(partition, sorted(symbols))

    async def _ask_all(self, partition: int, symbols: list[str]) -> None:
        places = asyncio.Semaphore(self._settings.parallel)

        async def ask(symbol: str) -> None:
            async with places:
                for order in self._orders.open_orders(partition, symbol):
                    await self._ask(order)
                self._gates.open(partition, symbol)
                self._applied.touch(symbol)

        async with asyncio.TaskGroup() as group:
            for symbol in symbols:
                group.create_task(ask(symbol))

    async def _ask(self, order: Order) -> None:
        """Until the venue answers: a symbol whose orders are unknown does not trade."""
        while True:
            try:
                await self._reconciler.ask(order)
            except VenueError as error:
                _log.warning("order %s could not be asked for: %s", order.order_id, error)
                wait_s = error.retry_after_s if isinstance(error, RateLimited) else 0.0
                await self._clock.sleep(max(self._settings.pause_s, wait_s))
            else:
                return
