"""The stop-loss that follows a position by itself (requirement P04): set when it opens, moved when its entry moves.

A look at the positions writes nothing and calls nobody: it produces commands. The command's turn, in the lane of its
symbol:

    1. looks again: a command whose price is not the one wanted now does nothing. While the stream is down it asks the
       venue for the symbol's orders first: a stop that a signal brought, or a person set, is left alone
    2. writes the command's row, not done: the price was asked for from here                          (row durable)
    3. asks the venue for it; asking twice sets the same stop, as there is one for the whole position
    4. waits until the stream shows it, and asks for the symbol's orders where it doesn't, whatever the call's outcome
    5. the row is done, with what came of it

What a crash leaves undone comes again with the command. What the venue shows decides, so a stop that was lost, or set
by a call that was given up, is found by the next look. One wish of a position is under way at a time: a venue that is
away must not pile them up, or they fill the queue that all commands share.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from decimal import Decimal

from domain.commands import Action, Command, encode_command
from domain.errors import Refused, VenueError
from domain.instruments import Instrument
from domain.money import plain
from domain.orders import Order
from domain.positions import Position
from domain.protection import Role, TriggerBy
from domain.stop_following import stop_command_id, stop_price, stop_to_set
from domain.updates import Call, Origin
from exchanges.venue import Trading
from streams.alerting import Alerts
from streams.applied import Applied
from streams.market import Market
from streams.ports import Clock, Log, Turn
from streams.symbol_gates import SymbolGates
from streams.topics import Topics
from streams.updates import UpdatePublisher
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.receipt import Receipt
from tables.rows import NotOurs
from tables.signals import CommandRow, SignalTable

_log = logging.getLogger(__name__)

_NS = 1_000_000_000
_FORGOTTEN_AFTER_S = 300.0
"""A wish that nobody has told the end of in this time may be wished for again."""
_LATEST_ORDERS = 20
"""Of a symbol: those that may have brought a stop-loss which the venue has not shown yet."""


@dataclass(frozen=True, slots=True)
class AutoStopSettings:
    """`distance`: part of the average entry that may be lost. `look_s` between looks; the same wish is not repeated
    within `again_s`, nor before its command has ended. A stop-loss that an order brings is waited for `brought_s`.
    `evidence_s`: each wait for the stream; `timeout_s`: one command's; `unconfirmed_s`: how long the venue may fail to
    show a stop-loss before it is told of."""

    account: str
    distance: Decimal
    trigger_by: TriggerBy = TriggerBy.LAST
    look_s: float = 1.0
    again_s: float = 10.0
    brought_s: float = 10.0
    evidence_s: float = 1.0
    timeout_s: float = 10.0
    unconfirmed_s: float = 30.0


@dataclass(slots=True)
class _Wish:
    """A command of ours, when it was produced, and whether it has ended."""

    command_id: str
    at_ns: int
    ended: bool = False


class AutoStop:
    """Follows the positions of our partitions."""

    def __init__(
        self,
        *,
        log: Log,
        topics: Topics,
        orders: OrderTable,
        positions: PositionTable,
        signals: SignalTable,
        trading: Trading,
        publisher: UpdatePublisher,
        market: Market,
        gates: SymbolGates,
        applied: Applied,
        alerts: Alerts,
        clock: Clock,
        settings: AutoStopSettings,
    ) -> None:
        self._log = log
        self._topics = topics
        self._orders = orders
        self._positions = positions
        self._signals = signals
        self._trading = trading
        self._publisher = publisher
        self._market = market
        self._gates = gates
        self._applied = applied
        self._alerts = alerts
        self._clock = clock
        self._settings = settings
        self._wished: dict[str, _Wish] = {}
        """By position: the last."""
        self._unconfirmed_ns: dict[str, int] = {}
        """By position: since when a stop-loss was asked for that the venue has not shown."""

    # -- looking -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            await self._clock.sleep(self._settings.look_s)
            await self.look()

    async def look(self) -> int:
        """One look at every position of ours; returns how many commands were produced."""
        produced = 0
        for partition in sorted(self._positions.rows.partitions()):
            await self._clock.sleep(0)
            try:
                for position in list(self._positions.all(partition)):
                    produced += await self._wish(partition, position)
            except NotOurs:
                _log.debug("partition %d went while its positions were looked at", partition)
        return produced

    async def _wish(self, partition: int, position: Position) -> int:
        price, subject = await self._to_set(partition, position), _subject(position)
        if price is None:
            if subject in self._unconfirmed_ns and (
                not position.state.size or any(self._protecting(partition, position))
            ):
                self._settled(position)
            return 0
        symbol, now_ns = position.instrument.symbol, self._clock.now_ns()
        name = stop_command_id(symbol, position.side, price)
        last = self._wished.get(subject)
        if last is not None and last.at_ns >= self._gates.since_ns(partition):  # before: another owner may have done it
            waits_s = self._settings.again_s if last.ended else _FORGOTTEN_AFTER_S
            if not (last.ended and last.command_id != name) and now_ns - last.at_ns < waits_s * _NS:
                return 0
        self._wished[subject] = _Wish(name, now_ns)
        command = Command(
            command_id=name,
            action=Action.PROTECT,
            symbol=symbol,
            reason=f"follows {plain(position.state.size)} at {plain(position.state.average_entry)}",
            requested_by="timer",
            at_ns=now_ns,
        )
        await self._log.publish(self._topics.order_commands, symbol.encode(), encode_command(command))
        return 1

    async def _to_set(self, partition: int, position: Position) -> Decimal | None:
        """The price to ask for now, if any. A symbol that has not been compared with the venue is not judged, except
        where the venue or its stream is away: a stop-loss only reduces. On spot the venue has no position that one
        could follow."""
        instrument, state = position.instrument, position.state
        followed = state.size and position.account == self._settings.account and not instrument.spot
        if not followed or not self._gates.may_reduce(partition, instrument.symbol):
            return None
        try:
            rules = await self._market.rules(instrument)
        except VenueError:
            return None
        if rules is None or rules.tick <= 0:
            return None
        wanted = stop_price(state.size, state.average_entry, self._settings.distance, rules.tick)
        standing = self._protecting(partition, position)
        price = stop_to_set(state.size, wanted, standing, lambda at: self._set_here(partition, position, at))
        # Looked at last: it reads orders, and mostly there is nothing to set.
        return None if price is None or self._brings_its_own(partition, position) else price

    def _protecting(self, partition: int, position: Position) -> list[Order]:
        orders = self._orders.open_orders(partition, position.instrument.symbol)
        return [order for order in orders if _protects(order, position)]

    def _set_here(self, partition: int, position: Position, at: Decimal) -> bool:
        name = stop_command_id(position.instrument.symbol, position.side, at)
        return self._signals.command(partition, name) is not None

    def _brings_its_own(self, partition: int, position: Position) -> bool:
        """Whether an order that has just traded brings a stop-loss that the venue has still to show."""
        since_ns = self._clock.now_ns() - int(self._settings.brought_s * _NS)
        for number, order in enumerate(self._orders.newest(partition, position.instrument.symbol)):
            if number >= _LATEST_ORDERS:
                break
            brings = order.protection is not None and order.protection.stop_loss is not None
            lately = order.cumulative.quantity > 0 and order.times.updated_ns >= since_ns
            if brings and lately and order.position_side is position.side:
                return True
        return False

    # -- a command's turn --------------------------------------------------------------------------------------------

    async def protect(self, turn: Turn, command: Command) -> CommandRow:
        """Do what a command of ours asks for, if it is still wanted. Returns its row; never raises `VenueError`."""
        try:
            return await self._protect(turn, command)
        finally:
            for wish in self._wished.values():
                wish.ended = wish.ended or wish.command_id == command.command_id

    async def _protect(self, turn: Turn, command: Command) -> CommandRow:
        partition, began_ns = turn.record.partition, self._clock.now_ns()
        meant = await self._meant(turn, command)
        if meant is not None and not self._gates.is_open(partition, command.symbol):
            try:
                await turn.wait(self._bring_orders(meant[0].instrument))
            except VenueError as error:
                sentence = f"the orders of {command.symbol} can't be read: {error}"
                return self._not_confirmed(turn, command, meant, began_ns, sentence)
            meant = await self._meant(turn, command)
        if meant is None:
            return self._row(turn, command, ok=True, sentence="no longer wanted: the position, or its stop, has moved")
        position, price = meant
        intended = Receipt()
        self._signals.put_command(partition, self._row(turn, command, done=False), intended)
        await turn.wait(intended.durable())
        instrument, subject = position.instrument, _subject(position)
        try:
            await turn.wait(self._trading.admit(Call.AMEND))
            await turn.call(lambda: self._ask_for(partition, position, price))
        except Refused as error:
            if await self._is_gone(turn, position):
                self._settled(position)
                return self._row(turn, command, ok=True, sentence="the position is gone")
            sentence = f"no stop-loss at {plain(price)} for {plain(position.state.size)} {subject}: {error}"
            self._alerts.tell("AUTO_STOP_LOSS_REFUSED", subject, sentence, instrument.symbol)
            return self._row(turn, command, code="REFUSED", sentence=sentence)
        except VenueError as error:
            _log.warning("the outcome of setting a stop-loss is open: %s", error, extra={"symbol": instrument.symbol})
        if not await self._is_shown(turn, position, price):
            sentence = f"the venue does not show a stop-loss at {plain(price)}"
            return self._not_confirmed(turn, command, meant, began_ns, sentence)
        self._settled(position)
        return self._row(turn, command, ok=True, sentence=f"a stop-loss stands at {plain(price)}")

    def _not_confirmed(
        self, turn: Turn, command: Command, meant: tuple[Position, Decimal], began_ns: int, sentence: str
    ) -> CommandRow:
        """The row; and an alert, when it has been so for long."""
        (position, price), limit_s = meant, self._settings.unconfirmed_s
        subject = _subject(position)
        before_ns = self._unconfirmed_ns.get(subject, 0)
        ours = before_ns >= self._gates.since_ns(turn.record.partition)  # else another owner may have set it since
        self._unconfirmed_ns[subject] = since_ns = before_ns if before_ns and ours else began_ns
        if self._clock.now_ns() - since_ns >= limit_s * _NS:
            told = f"no stop-loss at {plain(price)} for {plain(position.state.size)} {subject} within {limit_s:g} s"
            self._alerts.tell("AUTO_STOP_LOSS_NOT_CONFIRMED", subject, f"{told}: {sentence}", command.symbol)
        return self._row(turn, command, code="NOT_CONFIRMED", sentence=sentence)

    def _settled(self, position: Position) -> None:
        """The position has its stop-loss, or needs none."""
        subject, symbol = _subject(position), position.instrument.symbol
        self._unconfirmed_ns.pop(subject, None)
        self._alerts.over("AUTO_STOP_LOSS_REFUSED", subject, symbol)
        self._alerts.over("AUTO_STOP_LOSS_NOT_CONFIRMED", subject, symbol)

    async def _meant(self, turn: Turn, command: Command) -> tuple[Position, Decimal] | None:
        """The position that the command's id speaks of and the price, if that is the one wanted now."""
        partition = turn.record.partition
        for position in list(self._positions.all(partition)):
            if position.instrument.symbol != command.symbol:
                continue
            price = await turn.wait(self._to_set(partition, position))
            if price is not None and stop_command_id(command.symbol, position.side, price) == command.command_id:
                return position, price
        return None

    async def _ask_for(self, partition: int, position: Position, price: Decimal) -> None:
        """The call, unless the position has gone, or has turned, while a token was waited for."""
        now = self._positions.get(partition, position.instrument, position.account, position.side)
        if now.state.size * position.state.size > 0:
            by = self._settings.trigger_by
            await self._trading.set_stop_loss(position.instrument, position.side, price, by)

    async def _is_gone(self, turn: Turn, position: Position) -> bool:
        """Whether the venue has the position no more, which we may hear of later than it."""
        instrument = position.instrument
        try:
            held = await turn.wait(self._trading.positions(instrument.category, instrument.symbol))
        except VenueError:
            return False
        return not any(each.size * position.state.size > 0 for each in held if each.side is position.side)

    async def _is_shown(self, turn: Turn, position: Position, price: Decimal) -> bool:
        """Wait for the venue's word that it stands there, from the stream or by asking."""
        partition, instrument = turn.record.partition, position.instrument
        end_ns = self._clock.now_ns() + int(self._settings.timeout_s * _NS)

        def shown() -> bool:
            now = self._positions.get(partition, instrument, position.account, position.side)
            if now.state.size * position.state.size <= 0:
                return True  # nothing is left that it could protect
            standing = self._protecting(partition, position)
            return any(order.evidence.trigger_price == price for order in standing)

        while True:
            if await turn.wait(self._applied.until(instrument.symbol, shown, self._settings.evidence_s)):
                return True
            try:
                await turn.wait(self._bring_orders(instrument))
            except VenueError as error:
                _log.warning("the orders of %s can't be read: %s", instrument, error)
            if shown():
                return True
            if self._clock.now_ns() >= end_ns:
                return False

    async def _bring_orders(self, instrument: Instrument) -> None:
        """What the venue shows of the symbol's protection, through the join."""
        at = None
        for report in await self._trading.open_orders(instrument.category, instrument.symbol, origin=Origin.RECONCILE):
            if report.role is not Role.NONE:
                at = await self._publisher.publish(report)
        if at is not None:
            await self._applied.reached(at)

    def _row(
        self, turn: Turn, command: Command, *, done: bool = True, ok: bool = False, code: str = "", sentence: str = ""
    ) -> CommandRow:
        source, now_ns = str(turn.record.source), self._clock.now_ns()
        return CommandRow.of(command, source, now_ns, done=done, ok=ok, code=code, sentence=sentence)


def _subject(position: Position) -> str:
    return f"{position.instrument}-{position.side}"


def _protects(order: Order, position: Position) -> bool:
    """Whether it is the stop-loss of the whole position. One for a part leaves the rest without any."""
    return (
        order.role is Role.STOP_LOSS
        and not order.partial
        and not order.state.terminal
        and (order.instrument, order.account, order.position_side)
        == (position.instrument, position.account, position.side)
    )
