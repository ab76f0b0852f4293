"""Time's wishes, as commands: orders that have been in flight or in doubt for too long are asked for (requirement Y02),
and what has rested for too long is cancelled or replaced (C02).

A timer never writes a row and never calls a venue. It looks at the rows and produces commands, which are durable and
in order with everything else of their symbol. Repeating one is harmless, so no row remembers them: only this process
knows what it wished for and has not seen done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from domain.commands import Action, Command, encode_command, timer_command_id
from domain.orders import Order, OrderState, OrderType, Pending
from streams.ports import Clock, Log
from streams.topics import Topics
from streams.unsettled import overdue
from tables.orders import OrderTable

_NS = 1_000_000_000
_FORGOTTEN_AFTER_S = 300.0
"""A wish that nobody has told the end of in this time went to another owner: it may be wished for again."""
_AGAIN = {Pending.CANCEL: Action.CANCEL, Pending.REPLACE: Action.REPLACE}
"""An amendment is its signal's to repeat: the order is asked for."""


class StaleAction(StrEnum):
    """What becomes of an order that has rested for too long."""

    CANCEL = "cancel"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class TimerSettings:
    """`interval_s` between looks; `doubt_s`: how long an order may stay in doubt, unconfirmed, or without the fills
    that the venue reported, before it is asked for (and again after as long); `stale_s`: how long an order of ours may
    rest, 0 for ever. `dry_run`: orders are asked for, and nothing else is wished of them (requirement X10)."""

    interval_s: float = 2.0
    doubt_s: float = 5.0
    stale_s: float = 3_600.0
    stale_action: StaleAction = StaleAction.CANCEL
    dry_run: bool = False


class Timers:
    """Looks at the open orders of our partitions."""

    def __init__(self, *, log: Log, topics: Topics, orders: OrderTable, clock: Clock, settings: TimerSettings) -> None:
        self._log = log
        self._topics = topics
        self._orders = orders
        self._clock = clock
        self._settings = settings
        self._wished: dict[str, tuple[str, int]] = {}
        """By order: our last command about it, and when."""
        self._done: set[str] = set()

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            await self._clock.sleep(self._settings.interval_s)
            await self.look()

    def finished(self, command_id: str) -> None:
        """A command of ours has been carried out."""
        self._done.add(command_id)

    async def look(self) -> int:
        """One look, a partition at a time, with room for others in between; returns how many commands were produced."""
        before, self._wished = self._wished, {}  # what is due no more is forgotten
        produced = 0
        for partition in sorted(self._orders.rows.partitions()):
            await self._clock.sleep(0)
            if partition not in self._orders.rows.partitions():
                continue  # it went meanwhile
            for command in list(self._due(partition, before)):
                await self._log.publish(self._topics.order_commands, command.symbol.encode(), encode_command(command))
                produced += 1
        self._done &= {command_id for command_id, _ in self._wished.values()}
        return produced

    def _due(self, partition: int, wished: dict[str, tuple[str, int]]) -> Iterator[Command]:
        now_ns = self._clock.now_ns()
        for symbol in self._orders.open_symbols(partition):
            for order in self._orders.open_orders(partition, symbol):
                wish = self._wish(order, now_ns)
                if wish is None:
                    continue
                last = wished.get(order.order_id)
                if last is not None and (last[0] == wish.command_id or self._is_under_way(*last, now_ns)):
                    self._wished[order.order_id] = last  # a venue that is away must not pile them up
                    continue
                self._wished[order.order_id] = (wish.command_id, now_ns)
                yield wish

    def _wish(self, order: Order, now_ns: int) -> Command | None:
        """What is due of the order now. One id per order and period, so that looks of the same period wish for the same
        thing."""
        period_ns = int(self._settings.doubt_s * _NS)
        if overdue(order):
            if now_ns - max(order.times.updated_ns, order.times.created_ns) < period_ns:
                return None
            gone = order.pending in _AGAIN and not order.in_doubt and not self._settings.dry_run
            action = _AGAIN[order.pending] if gone else Action.SYNC
            return self._command(order, action, order.reason if gone else f"quiet as {order.state}", now_ns, period_ns)
        if not self._is_stale(order, now_ns):
            return None
        action = Action(self._settings.stale_action)
        return self._command(order, action, f"has rested for {self._settings.stale_s:g} s", now_ns, period_ns)

    def _is_stale(self, order: Order, now_ns: int) -> bool:
        """Orders of others rest as long as they like; one that waits for its trigger does what it is for."""
        rests = order.state in {OrderState.ACKNOWLEDGED, OrderState.PARTIALLY_FILLED}
        never = not self._settings.stale_s or self._settings.dry_run
        if never or not order.ours or not rests or order.order_type is not OrderType.LIMIT:
            return False
        return now_ns - max(order.times.acknowledged_ns, order.times.created_ns) >= self._settings.stale_s * _NS

    def _command(self, order: Order, action: Action, reason: str, now_ns: int, period_ns: int) -> Command:
        return Command(
            command_id=timer_command_id(order.order_id, action, now_ns // period_ns),
            action=action,
            symbol=order.instrument.symbol,
            order_id=order.order_id,
            reason=reason,
            requested_by="timer",
            at_ns=now_ns,
            trace_id=order.trace_id,
        )

    def _is_under_way(self, command_id: str, wished_ns: int, now_ns: int) -> bool:
        return command_id not in self._done and now_ns - wished_ns < _FORGOTTEN_AFTER_S * _NS
