"""What must hold at every moment: looked at when a call is about to leave and when an event is staged."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.commands import Action, by_timer, decode_command
from domain.errors import InvalidInput
from domain.ids import is_ours
from domain.instruments import Instrument
from domain.orders import Order, OrderState, Pending, PositionSide, Side
from domain.stop_following import stop_command_id
from exchanges.venue import NewOrder, OrderRef
from simulation.side_watch import SideWatch, wanted_side
from simulation.venue_orders import ACCOUNT
from streams.ports import Headers
from tables.keys import join
from tables.signals import SignalState

if TYPE_CHECKING:
    from simulation.handlers import Handlers

STOP_DISTANCE = Decimal("0.05")
"""Of a stop-loss that follows a position: from its average entry."""


class Watch:
    """Looks over a process's shoulder, and knows what of its order rows the broker has acknowledged to it."""

    def __init__(self, worker: Handlers, instance: str) -> None:
        self._worker = worker
        self._instance = instance
        self._sides = SideWatch(worker)
        self._followed: dict[tuple[str, int], int] = defaultdict(int)
        self._durable: dict[tuple[str, int], set[bytes]] = defaultdict(set)

    def before_create(self, order: NewOrder) -> None:
        """No call for an intent that is not durable, none while another order of the symbol is in doubt, none before
        the venue was asked for the symbol's orders."""
        worker, symbol, order_id = self._worker, order.instrument.symbol, order.client_order_id
        self._not_in_a_dry_run(f"send {order_id}")
        partition = worker.log.partition_of(symbol.encode())
        if b"o/" + order_id.encode() not in self._durable_keys("orders", partition):
            self._violate(f"{order_id} is sent although its intent is not durable")
        own = worker.orders.get(partition, order_id)
        if own is not None and own.dry_run:
            self._violate(f"{order_id} is sent, and was decided in a dry run")
        in_doubt = [
            other.order_id
            for other in worker.orders.open_orders(partition, symbol)
            if other.in_doubt and other.order_id != order_id and not self._stands_beside(own, other)
        ]
        if in_doubt:
            self._violate(f"{order_id} is sent while {in_doubt} are in doubt")
        only_less = order.reduce_only or (order.instrument.spot and order.side is Side.SELL)
        reducing = only_less and worker.gates.may_reduce(partition, symbol)
        if not worker.gates.is_open(partition, symbol) and not reducing:
            self._violate(f"{order_id} is sent before the venue was asked for {symbol}")
        if self.applied_up_to(partition) < worker.caught_up_at.get(partition, 0):
            self._violate(f"{order_id} is sent before the updates of the former owner are applied")
        if symbol in worker.around.market.halted:
            self._violate(f"{order_id} is sent although {symbol} is halted")
        self._check_signal(partition, symbol, order_id)
        signal = None if own is None or own.signal is None else own.signal.signal_id
        for complaint in self._sides.complaints(order, worker.signals.get(partition, symbol, signal or "")):
            self._violate(f"{order_id} {complaint}")

    def _stands_beside(self, order: Order | None, other: Order) -> bool:
        """Whether the other is an intent of which no sending is known: a part of the same split order, or, for a part
        that waited for its time, the intent of a later signal whose turn a crash has cut short; for an order that is
        sent again, an intent that a part of an earlier signal has left since; or a part that was sent together with
        this one, and that the venue does not have."""
        signals = None if order is None else order.signal, other.signal
        same = all(signals) and len({(each.source, each.attempt) for each in signals if each is not None}) == 1
        if other.state is OrderState.PLANNED and not other.times.sent_ns:
            own = None if order is None else order.signal
            return same or (order is not None and own is not None and (own.part > 0 or order.attempts > 0))
        around = self._worker.around
        known = around.books.find(other.order_id, "") is not None
        return same and not known and around.road.creates_under_way[other.order_id] <= 0

    def _check_signal(self, partition: int, symbol: str, order_id: str) -> None:
        """Signals of a symbol are sent in the order of the log, none past its age. A part that waited for its time may
        come behind later signals of its own side, or of another instrument, and its age counts from when it was due."""
        worker = self._worker
        order = worker.orders.get(partition, order_id)
        if order is None or order.signal is None:
            self._violate(f"{order_id} is sent without a row or a signal")
            return
        if join(b"s", symbol, order.signal.signal_id) not in self._durable_keys("signals", partition):
            self._violate(f"{order_id} is sent although its plan is not durable")
        row = worker.signals.get(partition, symbol, order.signal.signal_id)
        intents = () if row is None else row.standing_plan.intents
        due_ns = next((intent.due_ns for intent in intents if intent.order_id == order_id), 0)
        age_s = (worker.clock.now_ns() - max(order.signal.at_ns, due_ns)) / 1_000_000_000
        if worker.clock.now_ns() < due_ns:
            self._violate(f"{order_id} is sent before it is due")
        if age_s > worker.around.weather.signal_max_age_s:
            self._violate(f"{order_id} is sent when its signal is {age_s:.3f} s old")
        offset, sent_up_to = -1 if row is None else row.last_offset, worker.around.sent_up_to
        instrument = order.instrument
        against = [
            up_to
            for (other, side), up_to in sent_up_to.items()
            if other.symbol == symbol and (not due_ns or (other == instrument and side is order.side.opposite))
        ]
        if offset < max(against, default=-1):
            self._violate(f"{order_id} of the signal at {offset} is sent after that of a later one")
        if not due_ns:
            sent_up_to[instrument, order.side] = offset

    def before_amend(self, ref: OrderRef, quantity: Decimal | None, price: Decimal | None) -> None:
        """Only an order of ours that has been sent, when the wish is on record and a durable plan asks for these very
        terms, which are more than what it has traded."""
        self._not_in_a_dry_run(f"amend {ref.client_order_id}")
        worker, order_id = self._worker, ref.client_order_id
        partition = worker.log.partition_of(ref.instrument.symbol.encode())
        row = worker.orders.get(partition, order_id)
        if row is None or not row.ours or row.in_doubt:
            self._violate(f"{order_id} is amended, and is not known to be an order of ours at the venue")
            return
        if row.pending is not Pending.AMEND and not row.state.terminal:
            self._violate(f"{order_id} is amended before the wish is on record")
        symbol = ref.instrument.symbol
        if symbol in worker.around.market.halted:
            self._violate(f"{order_id} is amended although {symbol} is halted")
        if not worker.gates.lets_through(partition, row):
            self._violate(f"{order_id} is amended before the venue was asked for {symbol}")
        wanted = (quantity or row.current_quantity, price or row.current_price)
        for signal in worker.signals.of_order(partition, order_id):
            key = join(b"s", signal.symbol, signal.signal_id)
            terms = [(amend.quantity, amend.price) for amend in signal.plan.amends if amend.order_id == order_id]
            if wanted in terms and key in self._durable_keys("signals", partition):
                age_s = (worker.clock.now_ns() - signal.signal_ns) / 1_000_000_000
                if signal.state is not SignalState.DONE and age_s > worker.around.weather.signal_max_age_s:
                    self._violate(f"{order_id} is amended when {signal.signal_id} is {age_s:.3f} s old")
                if worker.around.weather.hedge and row.position_side is not wanted_side(signal):
                    self._violate(f"{order_id} of the {row.position_side} side takes {signal.signal_id} up")
                return
        self._violate(f"{order_id} is amended to {wanted}, and no plan on record asks for it")

    def before_stop(self, instrument: Instrument, side: PositionSide, price: Decimal) -> None:
        """Only at a price that a command on record asks for, for what is held."""
        self._not_in_a_dry_run(f"set a stop-loss for {instrument}")
        if instrument.spot:
            self._violate(f"a stop-loss is asked for {instrument}, which has no position at the venue")
        worker = self._worker
        partition = worker.log.partition_of(instrument.symbol.encode())
        name = stop_command_id(instrument.symbol, side, price)
        if join(b"c", name) not in self._durable_keys("signals", partition):
            self._violate(f"a stop-loss for {instrument} is set at {price} before that is on record")
        held = worker.positions.get(partition, instrument, ACCOUNT, side).state
        if (price - held.average_entry) * held.size >= 0:  # it may have moved since it was worked out
            self._violate(f"a stop-loss is set at {price} for {held.size} {instrument} at {held.average_entry}")

    def _not_in_a_dry_run(self, what: str) -> None:
        if self._worker.dry_run:
            self._violate(f"a dry run is about to {what}")

    def applied_up_to(self, partition: int) -> int:
        """The offset in `order-updates` after the last record that is applied (or was, by a former owner)."""
        around = self._worker.around
        committed = around.broker.committed.get((around.topics.order_updates, partition), 0)
        return max(committed, self._worker.applied._offsets.get(partition, -1) + 1)

    def before_cancel(self, ref: OrderRef) -> None:
        """Others' orders are cancelled only when a command names them; ours only after the wish is on record."""
        worker = self._worker
        partition = worker.log.partition_of(ref.instrument.symbol.encode())
        if worker.dry_run and not self._asked_for(partition, ref):
            self._violate(f"a dry run cancels {ref.client_order_id or ref.venue_order_id}, and nobody asked for it")
        if is_ours(self._instance, ref.client_order_id):
            row = worker.orders.get(partition, ref.client_order_id)
            if row is not None and not row.pending.ends and not row.state.terminal:
                self._violate(f"{ref.client_order_id} is cancelled at the venue before the wish is on record")
            return
        commands = worker.around.broker.logs[worker.around.topics.order_commands, partition]
        row = worker.orders.by_venue_id(partition, ref.instrument, "main", ref.venue_order_id)
        name = b"-" if row is None else row.order_id.encode()
        if not any(name in (stored.value or b"") for stored in commands):
            self._violate(f"{ref.venue_order_id} is somebody else's, and no command names it")

    def _asked_for(self, partition: int, ref: OrderRef) -> bool:
        """Whether an operator wants the order cancelled, or all of its symbol."""
        commands = self._worker.around.broker.logs[self._worker.around.topics.order_commands, partition]
        for stored in commands:
            with contextlib.suppress(InvalidInput):
                command = decode_command(stored.value)
                named = command.order_id in {"", ref.client_order_id} and command.symbol == ref.instrument.symbol
                row = self._worker.orders.get(partition, command.order_id) if command.order_id else None
                named = named or (row is not None and row.venue_order_id == ref.venue_order_id != "")
                if named and command.action is Action.CANCEL and not by_timer(command.command_id):
                    return True
        return False

    def before_event(self, partition: int, headers: Headers) -> None:
        """An order's event goes out when the step it tells of is durable."""
        named = dict(headers)
        if named.get("schema") != b"order-event/1":
            return
        order_id, _, sequence = named["event-id"].decode().rpartition("-")
        key = f"h/{order_id}/{int(sequence):010d}".encode()
        if key not in self._durable_keys("orders", partition):
            self._violate(f"event {order_id}-{sequence} goes out before its row is durable")

    def _durable_keys(self, table: str, partition: int) -> set[bytes]:
        at = (self._worker.rows[table].changelog, partition)
        keys, log = self._durable[at], self._worker.around.broker.logs[at]
        while self._followed[at] < self._worker.log.acknowledged[at]:
            keys.add(log[self._followed[at]].key or b"")
            self._followed[at] += 1
        return keys

    def _violate(self, sentence: str) -> None:
        self._worker.around.effects.violate(sentence)
