"""Commands about orders that exist. They have lanes of their own: a cancel never waits behind creates, nor behind
questions that the venue leaves unanswered.

1. take the record: bad or misplaced → dead letters
2. know it: a command that is done is not done again; another one of the same id → dead letters
3. do it, order by order: cancel until the venue's evidence, or ask the venue and conclude what may be concluded
4. write the result                                                        (row durable; the record is finished)

A timer's command leaves no row: doing it twice is harmless, nobody asks for its result, and they are many.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.commands import EVERY_SYMBOL, Action, Command, by_timer, decode_command, encode_command, for_symbol
from domain.errors import InvalidInput, OrderNotFound, VenueError
from domain.orders import Order, OrderState, Side
from streams.cancelling import Canceller
from streams.comparing import Verdict
from streams.dead_letters import put_aside
from streams.parts import WaitingParts
from streams.placement import check_place
from streams.ports import Clock, Log, Turn
from streams.reconciling import Finding, Reconciler
from streams.record import Record
from streams.recovery import Comparison
from streams.replacing import replacement_id
from streams.submitting import Submitter
from streams.topics import Topics
from streams.unsettled import overdue
from tables.orders import OrderTable
from tables.receipt import Receipt
from tables.signals import COMMAND_ID_CONFLICT, CommandRow, SignalRow, SignalState, SignalTable

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """`sync_timeout_s` bounds how long one order is asked for before the command reports what it has. `dry_run`:
    only what somebody asks to be cancelled is (requirement X10)."""

    sync_timeout_s: float = 30.0
    dry_run: bool = False


class Compare(Protocol):
    """Compares symbols of a partition (None: all) with the venue's lists; see `streams.recovery.Recovery.compare`."""

    def __call__(
        self, partition: int, symbols: Sequence[str] | None, asked_ns: int | None
    ) -> Awaitable[Comparison]: ...


class Protect(Protocol):
    """Sets the stop-loss that a command asks for; see `streams.auto_stop.AutoStop.protect`."""

    def __call__(self, turn: Turn, command: Command) -> Awaitable[CommandRow]: ...


_SAME_LANE = {Action.REPLACE: Action.CANCEL}


def lane_of(record: Record) -> Hashable:
    """The lane of a record of `order-commands`: of its symbol, and of what is to be done. What ends orders is in order;
    a question takes as long as the venue's silence, and what takes risk away does not wait for it (requirement X07)."""
    try:
        action = decode_command(record.value).action
    except InvalidInput:
        return record.key
    return record.key, _SAME_LANE.get(action, action)


class CommandAgent:
    """Handles one command at a time within its lane; lanes run side by side."""

    def __init__(
        self,
        *,
        log: Log,
        topics: Topics,
        orders: OrderTable,
        signals: SignalTable,
        canceller: Canceller,
        reconciler: Reconciler,
        submitter: Submitter,
        compare: Compare,
        clock: Clock,
        settings: CommandSettings,
        on_timer_done: Callable[[str], None] = lambda _command_id: None,
        on_parts_stopped: Callable[[SignalRow], None] = lambda _row: None,
        protect: Protect | None = None,
        is_past: Callable[[int, int], bool] = lambda _partition, _offset: False,
    ) -> None:
        """`compare` compares symbols of a partition with the venue's lists; `on_timer_done` is told the id of each
        command of a timer that was carried out, `on_parts_stopped` each signal whose waiting parts were ended.
        `protect` sets a stop-loss that follows a position; None: that is off. `is_past`: whether the record of
        `signals` at that offset of a partition does not come again: it is finished, or retention has cut it."""
        self._log = log
        self._topics = topics
        self._orders = orders
        self._signals = signals
        self._canceller = canceller
        self._reconciler = reconciler
        self._submitter = submitter
        self._compare = compare
        self._on_timer_done = on_timer_done
        self._on_parts_stopped = on_parts_stopped
        self._protect = protect
        self._is_past = is_past
        self._clock = clock
        self._settings = settings
        self._parts = WaitingParts(log=log, topics=topics, signals=signals, clock=clock)
        self._at_work: dict[tuple[int, str], CommandRow] = {}
        """By partition and id: lanes run side by side, and a row is written at the end."""

    async def handle(self, turn: Turn) -> None:
        """One record of `order-commands`. Returns when all it causes is durable."""
        command = await self._take(turn)  # 1
        if command is None:
            return
        partition = turn.record.partition
        place = partition, command.command_id
        known = self._at_work.get(place) or self._signals.command(*place)  # 2
        if known is not None and (conflict := known.conflict_with(command)):
            await self._refuse(turn, COMMAND_ID_CONFLICT, [conflict])
            return
        if known is not None and known.done and command.action is not Action.PROTECT:
            return  # a stop-loss may be wanted at a price again, and is looked at again
        if self._is_answered(partition, command):
            self._on_timer_done(command.command_id)
            return
        self._at_work[place] = CommandRow.of(command, str(turn.record.source), 0, done=False)
        try:
            row = self._withheld(turn, command) or await self._carry_out(turn, command)  # 3
        finally:
            self._at_work.pop(place, None)
        if by_timer(command.command_id):
            self._on_timer_done(command.command_id)
            return
        receipt = Receipt()  # 4
        self._signals.put_command(partition, row, receipt)
        await turn.wait(receipt.durable())

    async def _take(self, turn: Turn) -> Command | None:
        record = turn.record
        try:
            command = decode_command(record.value)
            if command.symbol != EVERY_SYMBOL:
                check_place(self._log, record, command.symbol)
        except InvalidInput as error:
            await self._refuse(turn, error.code, error.reasons)
            return None
        return command

    async def _refuse(self, turn: Turn, code: str, reasons: list[str]) -> None:
        receipt = Receipt()
        for out in put_aside(self._topics, turn.record, code, reasons):
            self._log.append(out.topic, out.partition, out.key, out.value, receipt, out.headers)
        await turn.wait(receipt.durable())

    async def _carry_out(self, turn: Turn, command: Command) -> CommandRow:
        if command.action is not Action.PROTECT:
            try:
                return await self._do(turn, command)
            except OrderNotFound as error:  # it was there, and its signal's turn has taken its intent back meanwhile
                return self._result(turn, command, False, error.code, error.sentence, {})
        if self._protect is None:
            return self._result(turn, command, False, "SWITCHED_OFF", "AUTO_STOP_LOSS is off", {})
        return await self._protect(turn, command)

    async def _do(self, turn: Turn, command: Command) -> CommandRow:
        partition = turn.record.partition
        if command.action is Action.SYNC and not command.order_id:
            return await self._sync_all(turn, command)
        if command.action is Action.REPLACE and not command.order_id:
            return self._result(turn, command, False, "ONE_ORDER_ONLY", "only a single order can be replaced", {})
        if command.symbol == EVERY_SYMBOL:
            return await self._pass_on(turn, command)
        if command.order_id:
            order = self._orders.get(partition, command.order_id)
            if order is None:
                return self._result(turn, command, False, "ORDER_NOT_FOUND", f"no order {command.order_id}", {})
            if command.action is Action.REPLACE:
                return await self._replace(turn, order, command)
            if command.action is Action.CANCEL and order.state.terminal:
                sentence = f"order {order.order_id} has ended: it is {order.state}"
                return self._result(turn, command, False, "ORDER_FINISHED", sentence, {order.order_id: order.state})
            orders = [order]
        else:
            if command.action is Action.CANCEL:
                await self._stop_parts(turn, command)
            orders = self._orders.open_orders(partition, command.symbol)
        if command.action is Action.SYNC:
            details = {order.order_id: await self._sync(turn, order) for order in orders}
        else:  # others', and what protects, only when named (requirements O07, P07)
            details = await self._cancel(turn, [order for order in orders if order.ours or command.order_id], command)
            if command.order_id and not details:
                raise OrderNotFound("ORDER_NOT_FOUND", f"no order {command.order_id}")
        return self._summary(turn, command, details)

    def _withheld(self, turn: Turn, command: Command) -> CommandRow | None:
        """In a dry run: the refusal of what would have an order sent, or one cancelled that nobody asked for."""
        cancels = command.action is Action.CANCEL and by_timer(command.command_id)
        if not self._settings.dry_run or not (cancels or command.action is Action.REPLACE):
            return None
        return self._result(turn, command, False, "DRY_RUN", f"a dry run does not {command.action} orders", {})

    def _is_answered(self, partition: int, command: Command) -> bool:
        """Whether a timer's question is none any more: what it missed came while the command waited."""
        if command.action is not Action.SYNC or not by_timer(command.command_id):
            return False
        order = self._orders.get(partition, command.order_id)
        return order is not None and not overdue(order)

    async def _stop_parts(self, turn: Turn, command: Command) -> None:
        """Parts of split orders that wait for their time are not sent any more (requirement D08)."""
        receipt = Receipt()
        reason = command.reason or f"cancelled by {command.requested_by or 'command'} {command.command_id}"
        ended = self._parts.stop(turn.record.partition, command.symbol, tuple(Side), reason, receipt)
        if ended:
            await turn.wait(receipt.durable())
        for row in ended:
            self._on_parts_stopped(row)

    async def _pass_on(self, turn: Turn, command: Command) -> CommandRow:
        """To every symbol with open orders, as a command of its own: each is carried out in its symbol's lane."""
        partition = turn.record.partition
        waiting = [row.symbol for row in self._signals.waiting(partition)]
        symbols = list(dict.fromkeys((*self._orders.open_symbols(partition), *waiting)))
        receipt = Receipt()
        for symbol in symbols:
            own, topic = for_symbol(command, symbol), self._topics.order_commands
            self._log.append(topic, turn.record.partition, symbol.encode(), encode_command(own), receipt)
        await turn.wait(receipt.durable())
        sentence = f"passed on to {len(symbols)} symbols with open orders"
        return self._result(turn, command, True, "", sentence, dict.fromkeys(symbols, "passed on"))

    async def _cancel(self, turn: Turn, orders: Iterable[Order], command: Command) -> dict[str, str]:
        reason = command.reason or f"cancelled by {command.requested_by or 'command'} {command.command_id}"
        reasons = dict.fromkeys((order.order_id for order in orders), reason)
        details: dict[str, str] = {}
        for order in await self._canceller.cancel_together(turn, reasons, command_id=command.command_id):
            ended = order
            if not ended.state.terminal and not ended.in_doubt and not ended.evidence.terms_at_ns:
                await self._sync(turn, ended)  # the venue may not have it at all
                ended = self._orders.get(turn.record.partition, order.order_id) or ended
            details[order.order_id] = ended.state
        return details

    async def _replace(self, turn: Turn, order: Order, command: Command) -> CommandRow:
        """Cancel with the wish for another: the join wants the rest again when the order has ended."""
        if not order.ours or order.signal is None:
            sentence = f"order {order.order_id} came of no signal: it can be cancelled, not replaced"
            return self._result(turn, command, False, "NOT_REPLACEABLE", sentence, {})
        if order.state.terminal:
            sentence = f"order {order.order_id} has ended: it is {order.state}"
            return self._result(turn, command, False, "ORDER_FINISHED", sentence, {order.order_id: order.state})
        reason = command.reason or f"replaced by {command.requested_by or 'command'} {command.command_id}"
        ended = await self._canceller.cancel(
            turn, order.order_id, command_id=command.command_id, reason=reason, replace=True
        )
        details = {order.order_id: str(ended.state)}
        if not ended.state.terminal:
            sentence = f"order {order.order_id} is {ended.state}; it is replaced when its end is known"
            return self._result(turn, command, False, "NOT_CONFIRMED", sentence, details)
        sentence = f"order {order.order_id} is {ended.state}; what was left of it is signal {replacement_id(order)}"
        return self._result(turn, command, True, "", sentence, details)

    async def _sync_all(self, turn: Turn, command: Command) -> CommandRow:
        """Compare a symbol, or all of the partition, with the venue's lists (requirement Y03). What the venue shows
        nowhere and is in doubt stays so: timers go on asking."""
        symbols = None if command.symbol == EVERY_SYMBOL else [command.symbol]
        try:
            found = await turn.wait(self._compare(turn.record.partition, symbols, turn.record.timestamp_ns))
        except VenueError as error:
            return self._result(turn, command, False, "UNANSWERED", str(error), {})
        details = {symbol: f"unanswered: {error}" for symbol, error in found.failures.items()}
        details |= {item.order_id: str(item) for item in found.orders}
        for instrument, positions in found.positions.items():
            for position in positions:
                differs = "corrected" if position.corrected else "not_compared" if position.older else "differs"
                agrees = "agrees" if position.agrees else differs
                words = f": {position.words}" if position.words else ""
                details[f"position {instrument.label} {position.side}"] = agrees + words
        checked = [position for positions in found.positions.values() for position in positions]
        wrong = sum(not (position.agrees or position.older) for position in checked)
        unanswered = found.count(Verdict.UNANSWERED) + len(found.failures)
        sentence = (
            f"{len(found.orders)} orders checked: {found.count(Verdict.CHANGED)} changed, "
            f"{found.count(Verdict.ADOPTED)} adopted, {found.count(Verdict.MISSING)} missing, "
            f"{found.count(Verdict.IN_HAND)} in hand, {unanswered} without an answer; "
            f"{len(checked)} positions checked, {wrong} differed"
        )
        return self._result(turn, command, not unanswered, "UNANSWERED" if unanswered else "", sentence, details)

    async def _sync(self, turn: Turn, order: Order) -> str:
        """Ask for the order. One that a signal's turn works on is that turn's to resolve."""
        partition = turn.record.partition
        if order.order_id in self._submitter.in_hand:
            return "in_hand"
        if self._awaits_its_turn(partition, order):
            await self._bring_its_turn(turn, order)
            return "in_hand"
        deadline_ns = self._clock.now_ns() + int(self._settings.sync_timeout_s * _NS)
        if order.in_doubt:
            finding = await turn.wait(self._reconciler.settle(partition, order.order_id, deadline_ns))
            if finding is Finding.ABSENT:
                sentence = "the venue does not know the order, found in two full passes after it could have arrived"
                await turn.wait(self._reconciler.conclude_absent(order, sentence))
        else:
            try:
                finding = await turn.wait(self._reconciler.ask(order))
            except VenueError as error:
                return f"unanswered: {error}"
            if finding is Finding.ABSENT and await turn.wait(self._give_up(partition, order.order_id)):
                return "closed_unknown"
        return finding

    async def _give_up(self, partition: int, order_id: str) -> bool:
        """Whether an order that the venue has had, and does not show, may be called gone."""
        order = self._orders.get(partition, order_id)
        if order is None or order.state.terminal or order.in_doubt:
            return False
        return await self._reconciler.give_up_unseen(partition, order)

    def _awaits_its_turn(self, partition: int, order: Order) -> bool:
        """Whether the order's signal has not come to its end: its record will come again and may send the order (or
        discard an intent without a plan), so nobody else may conclude meanwhile that it never was."""
        if order.signal is None or not order.in_doubt:
            return False
        if self._signals.is_put_aside(partition, order.signal.source):
            return False
        row = self._signals.get(partition, order.instrument.symbol, order.signal.signal_id)
        if row is None or row.attempt < order.signal.attempt:
            intended = order.state is OrderState.PLANNED and order.sequence == 1
            return intended and not self._is_lost(partition, order.signal.source)
        return row.attempt == order.signal.attempt and row.state is not SignalState.DONE

    async def _bring_its_turn(self, turn: Turn, order: Order) -> None:
        """Retention may have cut the record that the order's signal waits for: it is published once more, as for parts
        that wait, and the turn settles what may be at the venue. Most likely too old to be sent, it ends there."""
        partition, signal = turn.record.partition, order.signal
        row = None if signal is None else self._signals.get(partition, order.instrument.symbol, signal.signal_id)
        if row is None or row.next_due_ns or not self._is_past(partition, row.last_offset):
            return
        await turn.wait(self._parts.bring(row))

    def _is_lost(self, partition: int, source: str) -> bool:
        """Whether a record does not come again that was first written to this partition."""
        topic, place, offset = source.rsplit("-", 2)
        return (topic, int(place)) == (self._topics.signals, partition) and self._is_past(partition, int(offset))

    def _summary(self, turn: Turn, command: Command, details: dict[str, str]) -> CommandRow:
        if command.action is Action.SYNC:
            unanswered = sum(text.startswith("unanswered") for text in details.values())
            sentence = f"{len(details)} orders asked for, {unanswered} without an answer"
            return self._result(
                turn, command, not unanswered, "" if not unanswered else "UNANSWERED", sentence, details
            )
        open_still = [order_id for order_id, state in details.items() if not _ended(state)]
        sentence = f"{len(details)} orders, {len(details) - len(open_still)} ended"
        return self._result(turn, command, not open_still, "" if not open_still else "NOT_CONFIRMED", sentence, details)

    def _result(
        self, turn: Turn, command: Command, ok: bool, code: str, sentence: str, details: dict[str, str]
    ) -> CommandRow:
        source, now_ns = str(turn.record.source), self._clock.now_ns()
        return CommandRow.of(command, source, now_ns, ok=ok, code=code, sentence=sentence, details=details)


def _ended(state: str) -> bool:
    return OrderState(state).terminal
