"""What is open in a partition, in words for the person who has to close it: by our rows, and by the venue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from domain.money import plain
from domain.orders import Order
from exchanges.venue import Trading
from streams.boards import AccountName
from streams.ports import Clock, Log
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.signals import SignalTable

_NAMED = 20
"""So many open things are named; of more, how many."""


class LeftOpen:
    """Looks for what is open. Each answer says it in words, by what it is: the same key is the same thing."""

    def __init__(
        self,
        *,
        log: Log,
        orders: OrderTable,
        positions: PositionTable,
        signals: SignalTable,
        trading: Trading,
        categories: Sequence[str],
        clock: Clock,
    ) -> None:
        self._log = log
        self._orders = orders
        self._positions = positions
        self._signals = signals
        self._trading = trading
        self._categories = categories
        self._clock = clock

    def here(self, partitions: Iterable[int]) -> dict[str, str]:
        """What our rows say."""
        found = dict[str, str]()
        for partition in partitions:
            found |= {_key(order): _order_words(order) for order in self._known(partition) if not order.state.terminal}
            found |= self._held(partition)
            for row in self._signals.waiting(partition):
                if not row.standing_plan.dry_run:
                    found[row.source] = f"signal {row.signal_id} of {row.symbol}, with parts that wait"
        return found

    async def behind(self, partitions: Iterable[int], home: AccountName) -> dict[str, str]:
        """What our rows say that is left behind when this is the account from now on: orders are included that have
        ended and whose fills are not all known, and signals whose records will come again and that would go on with a
        plan for another account."""
        found = dict[str, str]()
        for partition in partitions:
            found |= {_key(order): _order_words(order) for order in self._known(partition)}
            found |= self._held(partition, but=home)
            found |= await self._planned(partition)
        return found

    async def at_venue(self, partitions: Iterable[int]) -> dict[str, str]:
        """What the venue says of the partitions' symbols. Raises `VenueError`."""
        wanted, found = frozenset(partitions), {}
        for category in self._categories:
            for report in await self._trading.open_orders(category):
                where = report.instrument
                if self._log.partition_of(where.symbol.encode()) in wanted:
                    words = f"{where.label} {report.side} {plain(report.quantity)}"
                    found[report.venue_order_id] = f"order {report.client_order_id or report.venue_order_id}: {words}"
            for position in await self._trading.positions(category):
                where = position.instrument
                if position.size and self._log.partition_of(where.symbol.encode()) in wanted:
                    words = f"position {where.label} {position.side} of {plain(position.size)}"
                    found[f"{where.label}/{position.side}"] = words
        return found

    def _known(self, partition: int) -> Iterable[Order]:
        for symbol in self._orders.open_symbols(partition):
            yield from self._orders.open_orders(partition, symbol)

    def _held(self, partition: int, but: AccountName | None = None) -> dict[str, str]:
        found = {}
        for position in self._positions.all(partition):
            where = position.instrument
            if position.state.size and but != AccountName(where.venue, position.account):
                words = f"position {where.label} {position.side} of {plain(position.state.size)}"
                found[f"{where.label}/{position.side}"] = words
        return found

    async def _planned(self, partition: int) -> dict[str, str]:
        found, after = dict[str, str](), None
        while True:
            rows, after = self._signals.unfinished(partition, after)
            for row in rows:
                if not row.standing_plan.dry_run:
                    found[row.source] = f"signal {row.signal_id} of {row.symbol}, planned and not finished"
            if after is None:
                return found
            await self._clock.sleep(0)  # others have work too, and heartbeats to send


def in_words(found: Mapping[str, str]) -> str:
    """How much it is, and the first of it by name."""
    named = sorted(found.values())
    more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"{len(named)} open: {'; '.join(named[:_NAMED])}{more}"


def _key(order: Order) -> str:
    return order.venue_order_id or order.order_id


def _order_words(order: Order) -> str:
    what = f"{order.instrument.symbol} {order.side} {plain(order.leaves)}"
    return f"order {order.order_id}: {what}, {order.state}"
