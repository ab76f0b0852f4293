"""Comparing what we have with the venue's lists, symbol by symbol (requirements Y01 to Y04).

    1. every order of ours that has not ended (or misses fills) is looked up in the lists. What the venue's row adds is
       published to `order-updates` and applied by the join, like any update
    2. an order whose total is ahead of its single fills has its executions asked for
    3. an order that the lists don't show is asked for by itself, on all endpoints. One that is in doubt stays so:
       commands conclude, under the conditions of absence (streams.reconciling)
    4. an order in the lists that has no row here is published too: it is adopted
    5. positions are compared (streams.position_check)

Nothing here writes a row, sends or cancels an order, or concludes that an order never was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.comparing import difference, is_another_order, says_more
from domain.errors import VenueError
from domain.ids import is_ours
from domain.orders import Order
from domain.updates import OrderReport
from streams.alerting import Alerts
from streams.applied import Applied
from streams.hooks import Hooks
from streams.ports import Clock
from streams.reconciling import Finding, Reconciler
from streams.updates import UpdatePublisher
from streams.venue_lists import Lists
from tables.orders import OrderTable

_log = logging.getLogger(__name__)

_NS = 1_000_000_000


class Verdict(StrEnum):
    """What comparing one order came to."""

    AGREES = "agrees"
    CHANGED = "changed"
    ADOPTED = "adopted"
    IN_HAND = "in_hand"
    MISSING = "missing"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Item:
    """One order's result, in words for people. `error`: why the venue did not answer for it."""

    order_id: str
    verdict: Verdict
    words: str = ""
    error: VenueError | None = None

    def __str__(self) -> str:
        return f"{self.verdict}: {self.words}" if self.words else str(self.verdict)


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """`parallel`: questions about single orders at a time. `settle_s`: what the venue said less than so long before the
    lists were read may still be on its way to us, and is no disagreement. `instance`: the prefix of our ids."""

    parallel: int = 8
    settle_s: float = 3.0
    instance: str = "om"


class Comparer:
    """Compares the orders of single symbols with lists that were read before."""

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        publisher: UpdatePublisher,
        orders: OrderTable,
        applied: Applied,
        alerts: Alerts,
        clock: Clock,
        settings: CompareSettings,
        in_hand: Callable[[str], bool] = lambda _order_id: False,
        hooks: Hooks | None = None,
    ) -> None:
        """`in_hand`: whether somebody works on the order right now; its absence then says nothing."""
        self._reconciler = reconciler
        self._publisher = publisher
        self._orders = orders
        self._applied = applied
        self._alerts = alerts
        self._clock = clock
        self._settings = settings
        self._in_hand = in_hand
        self._hooks = hooks or Hooks()
        self._places = asyncio.Semaphore(settings.parallel)
        self._homeless: dict[str, set[str]] = {}
        """By symbol: the venue's ids of orders that bear an id of ours and are not ours, as long as they are listed:
        told of once."""

    async def orders_of(self, partition: int, symbol: str, lists: Lists) -> list[Item]:
        """Compare the symbol's orders; what was found is applied when this returns."""
        known = self._orders.open_orders(partition, symbol)
        work: list[Coroutine[Any, Any, Item | None]]  # Any: nobody sends to them
        work = [self._compare(partition, order, lists) for order in known]
        work += [self._adopt(partition, report) for report in self._strangers(partition, symbol, known, lists)]
        return [item for item in await _all(work) if item is not None]

    # -- orders that we have -------------------------------------------------------------------------------------

    async def _compare(self, partition: int, order: Order, lists: Lists) -> Item:
        report = lists.of(order)
        if report is None or is_another_order(order, report):
            return await self._ask(partition, order)
        self._reconciler.shown(order)
        differs = difference(order, report)
        if says_more(order, report):
            await self._publish(order, report)
        if max(report.cumulative.quantity, order.cumulative.quantity) > order.fills.quantity:
            await self._ask(partition, order)
        self._count(differs, self._is_settled(report, lists))
        return Item(order.order_id, Verdict.CHANGED if differs else Verdict.AGREES, differs)

    async def _ask(self, partition: int, order: Order) -> Item:
        """One order by itself. Only what is known to be at the venue can be missing there."""
        if self._in_hand(order.order_id):
            return Item(order.order_id, Verdict.IN_HAND)
        async with self._places:
            try:
                finding = await self._reconciler.ask(order)
            except VenueError as error:
                return Item(order.order_id, Verdict.UNANSWERED, str(error), error)
        after = self._orders.get(partition, order.order_id) or order
        if finding is Finding.FOUND:
            changed = after.state is not order.state or after.cumulative != order.cumulative
            self._count("state" if changed else "", settled=True)
            words = f"it is {after.state} now" if changed else ""
            return Item(order.order_id, Verdict.CHANGED if changed else Verdict.AGREES, words)
        if after.state.terminal:  # its end came while we asked
            return Item(order.order_id, Verdict.CHANGED, f"it is {after.state} now")
        return await self._missing(partition, after)

    async def _missing(self, partition: int, order: Order) -> Item:
        self._count("missing", settled=True)
        if order.in_doubt:
            return Item(order.order_id, Verdict.MISSING, "in doubt: it is asked for until the venue's silence counts")
        if await self._reconciler.give_up_unseen(partition, order):
            return Item(order.order_id, Verdict.CHANGED, "closed_unknown: the venue shows it nowhere any more")
        if self._reconciler.may_lag(partition, order):
            return Item(order.order_id, Verdict.MISSING, "the venue has it, and does not show it yet")
        sentence = f"order {order.order_id} is {order.state} here, and the venue shows it nowhere; it is kept"
        self._alerts.tell("ORDER_NOT_SHOWN", order.order_id, sentence, order.instrument.symbol)
        return Item(order.order_id, Verdict.MISSING, "the venue shows it nowhere; it is kept")

    # -- orders that we don't have -------------------------------------------------------------------------------

    def _strangers(self, partition: int, symbol: str, known: Iterable[Order], lists: Lists) -> Iterable[OrderReport]:
        rows = {order.venue_order_id for order in known if order.venue_order_id}
        told, homeless = self._homeless.pop(symbol, set()), set[str]()
        for report in lists.symbols.get(symbol, ()):
            if report.venue_order_id in rows or self._has_row(partition, report):
                continue
            if is_ours(self._settings.instance, report.client_order_id):
                homeless.add(report.venue_order_id)
                if report.venue_order_id in told:
                    continue
            yield report
        if homeless:
            self._homeless[symbol] = homeless

    def _has_row(self, partition: int, report: OrderReport) -> bool:
        found = self._orders.by_venue_id(partition, report.instrument, report.account, report.venue_order_id)
        if found is None and report.client_order_id:
            found = self._orders.get(partition, report.client_order_id)
            if found is not None and found.venue_order_id not in {"", report.venue_order_id}:
                return False  # another order under an id of ours
        return found is not None

    async def _adopt(self, partition: int, report: OrderReport) -> Item | None:
        at = await self._publisher.publish(report)
        await self._applied.reached(at)
        self._count("unknown", settled=True)
        order = self._orders.by_venue_id(partition, report.instrument, report.account, report.venue_order_id)
        if order is None:
            return Item(
                report.venue_order_id, Verdict.MISSING, "it bears an id of ours, and there is no such order here"
            )
        if order.missing_fills:
            await self._ask(partition, order)
        return Item(order.order_id, Verdict.ADOPTED, f"placed by somebody else, {order.state}")

    # -- the way to the join -------------------------------------------------------------------------------------

    async def _publish(self, order: Order, report: OrderReport) -> None:
        at = await self._publisher.publish(self._reconciler.as_reconciled(report, order))
        await self._applied.reached(at)

    def _is_settled(self, report: OrderReport, lists: Lists) -> bool:
        return report.updated_ns < lists.begun_ns - int(self._settings.settle_s * _NS)

    def _count(self, differs: str, settled: bool) -> None:
        """What is on its way to us anyway is no disagreement."""
        kind = differs.partition(" ")[0] if settled else ""
        self._hooks.on_compared(kind)
        if kind:
            _log.warning("the venue knows better: %s", differs)


async def _all(work: Sequence[Coroutine[Any, Any, Item | None]]) -> list[Item | None]:  # Any: as above
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]
