"""Time's wishes, as commands: orders that have been in flight or in doubt for too long are asked for, and every open
one now and then (requirement Y02).

A timer never writes a row and never calls a venue. It looks at the rows and produces commands, which are durable,
in order with everything else of their symbol, and the same for every worker that looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from domain.commands import Action, Command, encode_command
from domain.orders import OrderState
from streams.ports import Clock, Log
from streams.topics import Topics
from streams.unsettled import overdue
from tables.orders import OrderTable
from tables.signals import SignalTable

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TimerSettings:
    """`interval_s` between looks; `doubt_s`: how long an order may stay in doubt, unconfirmed, or without the fills
    that the venue reported, before it is asked for (and again after as long); `reconcile_s`: how long any other open
    order may be quiet, since a stream that lost a message does not say so."""

    interval_s: float = 2.0
    doubt_s: float = 5.0
    reconcile_s: float = 300.0


class Timers:
    """Looks at the open orders of our partitions."""

    def __init__(
        self,
        *,
        log: Log,
        topics: Topics,
        orders: OrderTable,
        signals: SignalTable,
        clock: Clock,
        settings: TimerSettings,
    ) -> None:
        self._log = log
        self._topics = topics
        self._orders = orders
        self._signals = signals
        self._clock = clock
        self._settings = settings
        self._asked: dict[str, str] = {}
        """By order, our last command about it."""

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            await self._clock.sleep(self._settings.interval_s)
            await self.look()

    async def look(self) -> int:
        """One look, a partition at a time, with room for others in between; returns how many commands were produced."""
        before, self._asked = self._asked, {}  # what is due no more is forgotten
        produced = 0
        for partition in sorted(self._orders.rows.partitions()):
            await self._clock.sleep(0)
            if partition not in self._orders.rows.partitions():
                continue  # it went meanwhile
            for command in list(self._due(partition, before)):
                await self._log.publish(self._topics.order_commands, command.symbol.encode(), encode_command(command))
                produced += 1
        return produced

    def _due(self, partition: int, asked: dict[str, str]) -> Iterator[Command]:
        now_ns = self._clock.now_ns()
        for symbol in self._orders.open_symbols(partition):
            for order in self._orders.open_orders(partition, symbol):
                quiet_ns = now_ns - max(order.times.updated_ns, order.times.created_ns)
                period_s = self._settings.doubt_s if overdue(order) else self._settings.reconcile_s
                period_ns = int(period_s * _NS)
                if quiet_ns < period_ns:
                    continue
                # One id per order and period, so that looks of the same period wish for the same thing.
                command_id = f"timer:{order.order_id}:{now_ns // period_ns}"
                last = asked.get(order.order_id, "")
                if last == command_id or (last and not self._is_done(partition, last)):
                    self._asked[order.order_id] = last  # a venue that is away must not pile them up
                    continue
                self._asked[order.order_id] = command_id
                yield Command(
                    command_id=command_id,
                    action=Action.CANCEL if order.state is OrderState.PENDING_CANCEL else Action.SYNC,
                    symbol=symbol,
                    order_id=order.order_id,
                    reason=order.reason if order.state is OrderState.PENDING_CANCEL else f"quiet as {order.state}",
                    requested_by="timer",
                    at_ns=now_ns,
                    trace_id=order.trace_id,
                )

    def _is_done(self, partition: int, command_id: str) -> bool:
        row = self._signals.command(partition, command_id)
        return row is not None and row.done
