"""When a symbol is clear for another signal's turn."""

from __future__ import annotations

from collections.abc import Callable, Collection

from domain.orders import Order, OrderState
from streams.applied import Applied
from streams.ports import Clock, Turn
from streams.symbol_gates import SymbolGates
from streams.unsettled import untold
from tables.orders import OrderTable

_NS = 1_000_000_000


class Clearance:
    """Waits until what is known of a symbol is fit to plan or to send on. `evidence_s` is how long a plan waits for
    the venue's word on orders that have traded."""

    def __init__(
        self, *, orders: OrderTable, gates: SymbolGates, applied: Applied, clock: Clock, evidence_s: float = 10.0
    ) -> None:
        self._orders = orders
        self._gates = gates
        self._applied = applied
        self._clock = clock
        self._evidence_s = evidence_s

    def is_clear(self, turn: Turn, symbol: str) -> bool:
        """Whether there is nothing to wait for, even to plan."""
        partition = turn.record.partition
        return self._gates.is_open(partition, symbol) and not any(
            order.in_doubt or untold(order) for order in self._orders.open_orders(partition, symbol)
        )

    async def to_send(self, turn: Turn, symbol: str, until_ns: int, *, reduces: bool = False) -> None:
        """Wait while the venue has not been asked for the symbol's orders (requirement Y01), at the longest until the
        signal's end (ns UTC): then the last checks before a call find it expired. What `reduces` and nothing else need
        not wait for a venue that does not answer."""
        await self._wait(turn, symbol, until_ns, lambda: self._is_open(turn.record.partition, symbol, reduces=reduces))

    async def to_send_next(
        self, turn: Turn, part: Order, until_ns: int, *, reduces: bool, besides: Collection[str] = ()
    ) -> None:
        """Wait, as `to_send` does, for each part of a split order: while the parts before it were sent, the symbol may
        have been shut, and one of them may be in doubt. Parts that were never sent don't count, nor those (`besides`)
        that the venue surely does not have."""
        partition, symbol = turn.record.partition, part.instrument.symbol

        def clear() -> bool:
            return self._is_open(partition, symbol, reduces=reduces) and not any(
                order.in_doubt and order.state is not OrderState.PLANNED
                for order in self._orders.open_orders(partition, symbol)
                if order.order_id != part.order_id and order.order_id not in besides
            )

        await self._wait(turn, symbol, until_ns, clear)

    def may_call(self, partition: int, order: Order) -> bool:
        """Whether the gates let the order through now: to be asked in the same step as the call."""
        return self._gates.lets_through(partition, order)

    async def to_call(self, turn: Turn, order: Order, until_ns: int, moot: Callable[[Order], bool]) -> None:
        """Wait, as `to_send` does, where the symbol was shut while a token was waited for; no longer than until there
        is nothing to call for any more (`moot`)."""
        partition = turn.record.partition

        def clear() -> bool:
            now = self._orders.get(partition, order.order_id)
            return now is None or moot(now) or self.may_call(partition, now)

        await self._wait(turn, order.instrument.symbol, until_ns, clear)

    async def to_ask(self, partition: int, order_id: str, until_ns: int) -> None:
        """Wait where the symbol of an order in doubt is shut: not to find the order says nothing then, and asking for
        many holds up those questions that the symbol waits for. Within a turn's wait."""
        if (order := self._orders.get(partition, order_id)) is None:
            return
        symbol = order.instrument.symbol

        def clear() -> bool:
            now = self._orders.get(partition, order_id)
            return self._gates.is_open(partition, symbol) or now is None or not now.in_doubt

        await self._until(symbol, until_ns, clear)

    async def to_plan(self, turn: Turn, symbol: str, until_ns: int, *, reduces: bool = False) -> None:
        """Wait also while an order of the symbol is in doubt: no new exposure on what we do not know. Then planning
        finds the signal expired. An order that has done its work without our knowing what is waited for too, but not
        for long: knowing what it did only makes the plan better (requirement S05)."""
        partition = turn.record.partition
        await self._wait(turn, symbol, until_ns, lambda: self._is_certain(partition, symbol, reduces=reduces))
        soon_ns = min(until_ns, self._clock.now_ns() + int(self._evidence_s * _NS))
        await self._wait(turn, symbol, soon_ns, lambda: self._is_told(partition, symbol))

    def _is_open(self, partition: int, symbol: str, *, reduces: bool) -> bool:
        return self._gates.is_open(partition, symbol) or (reduces and self._gates.may_reduce(partition, symbol))

    def _is_certain(self, partition: int, symbol: str, *, reduces: bool) -> bool:
        orders = self._orders.open_orders(partition, symbol)
        return self._is_open(partition, symbol, reduces=reduces) and not any(order.in_doubt for order in orders)

    def _is_told(self, partition: int, symbol: str) -> bool:
        return not any(untold(order) for order in self._orders.open_orders(partition, symbol))

    async def _wait(self, turn: Turn, symbol: str, until_ns: int, clear: Callable[[], bool]) -> None:
        if not clear():
            await turn.wait(self._until(symbol, until_ns, clear))

    async def _until(self, symbol: str, until_ns: int, clear: Callable[[], bool]) -> None:
        if not clear():
            remaining_s = max(0.0, (until_ns - self._clock.now_ns()) / _NS) + 0.001
            await self._applied.until(symbol, clear, remaining_s)
