"""The join: what is said of an order, applied to the order, and told to the world.

This agent is the only writer of an order once its intent exists. For one record of `order-updates`, synchronously:

    1. parse it; what cannot be parsed goes to the dead letters
    2. find the order: by our id, by the venue's; else adopt it as external, or park the update (streams.belonging)
    3. merge it into the order                               (domain.merging)
    4. put a fill in its place in the position               (tables.positions)
    5. stage the rows: fill, history, order, ledger, position
then, for all records of a run together, without waiting inside:
    6. when the rows are durable, the events go out in the order of the log (streams.join_events)
    7. when the events are durable, the records are finished

Every row knows the offset of the last record it contains. A record that comes again changes no row that has it, and
publishes the events it published before, with the same ids.

A fill that has come before its position's last record, yet is not in it, takes the way of parked updates
(`streams.belonging`): a copy is appended to the log. Positions are folded in the order of the log.
"""

from __future__ import annotations

import msgspec

from domain.errors import InvalidInput, InvalidStateTransition
from domain.merging import apply_update
from domain.money import plain
from domain.orders import Order, PositionSide
from domain.positions import LedgerEntry, closed_by
from domain.updates import FillKind, FillReport, Update, decode_update
from streams.applied import Applied
from streams.belonging import Belonging
from streams.dead_letters import dead_letter, put_aside
from streams.hooks import Hooks
from streams.join_events import JoinEvents
from streams.outbox import Outbox, Outgoing
from streams.placement import check_place
from streams.ports import Inbox, Log
from streams.record import Record, RecordFailed
from streams.topics import Topics
from streams.updates import is_mark
from tables.orders import FillRow, OrderTable
from tables.positions import PositionTable
from tables.receipt import Receipt


class OrderAgent:
    """Applies `order-updates` to orders and positions. `instance` is the prefix of the client order ids we give."""

    def __init__(
        self,
        *,
        log: Log,
        inbox: Inbox,
        topics: Topics,
        orders: OrderTable,
        positions: PositionTable,
        applied: Applied,
        instance: str,
        hooks: Hooks | None = None,
    ) -> None:
        self._log = log
        self._inbox = inbox
        self._topics = topics
        self._orders = orders
        self._positions = positions
        self._applied = applied
        self._hooks = hooks or Hooks()
        self._outbox = Outbox(log)
        self._events = JoinEvents(topics, orders, applied.announced, self._hooks)
        self._belonging = Belonging(
            topics=topics, orders=orders, positions=positions, events=self._events, instance=instance
        )

    def handle(self, records: list[Record]) -> None:
        """Apply records of one partition, in their order. Never waits. Their rows become durable together, and what
        they lead to is told then.

        Raises `RecordFailed` for an error that nobody expected; the records before it are applied, those behind it
        are not."""
        rows, outgoing = Receipt(), list[Outgoing]()
        for number, record in enumerate(records):
            try:
                outgoing += self._handle_one(record, rows)
            except Exception as error:
                self._submit(records[:number], rows, outgoing)
                raise RecordFailed(record, error, traceless=self._left_no_trace(record)) from error
        self._submit(records, rows, outgoing)

    def _left_no_trace(self, record: Record) -> bool:
        """Whether the record can be left out: neither this time nor an earlier one brought anything of it to a row, and
        nothing is kept that only it would take away."""
        if is_mark(record) or not self._belonging.is_first_hand(record):
            return False
        try:
            update = decode_update(record.value)
        except Exception:  # noqa: BLE001 -- whatever it is: nothing is done before this
            return True
        try:
            return not self._belonging.has_rows_of(record, update)
        except Exception:  # noqa: BLE001 -- who can't read the rows can't say what is in them
            return False

    def pass_over(self, record: Record) -> None:
        """The record was put aside: nobody waits for it any longer."""
        self._applied.advance(record.partition, record.offset, None)
        self._applied.touch_all()
        self._inbox.finished(record)

    def forget(self, partition: int) -> None:
        """The partition is no longer ours."""
        self._outbox.forget(partition)
        self._belonging.forget(partition)
        self._applied.forget(partition)

    def _submit(self, records: list[Record], rows: Receipt, outgoing: list[Outgoing]) -> None:
        if records:
            self._outbox.submit(records[0].partition, rows, outgoing, lambda: self._finished(records))

    def _finished(self, records: list[Record]) -> None:
        for record in records:
            self._hooks.on_step("told")
            self._inbox.finished(record)

    def _handle_one(self, record: Record, rows: Receipt) -> list[Outgoing]:
        symbol: str | None = None
        if is_mark(record):
            released = self._belonging.release_all_parked(record)
            self._applied.advance(record.partition, record.offset, None)
            return released
        self._hooks.on_step("merging")
        try:
            update = decode_update(record.value)
            symbol = update.instrument.symbol
            check_place(self._log, record, symbol)
            outgoing = self._apply(record, update, rows)
            self._belonging.unpark_original(record, symbol, rows)
        except InvalidInput as error:
            self._hooks.on_dead_letter(error.code)
            outgoing = put_aside(self._topics, record, error.code, error.reasons)
        except InvalidStateTransition as error:
            # A bug of ours, found before any row was staged: the order stays as it was, the update is kept, and a
            # person is told. Ending the process would only bring the same record again (requirement J05).
            self._hooks.on_dead_letter(error.code)
            letter = dead_letter(self._topics.order_updates_dead, record, error.code, [error.sentence])
            outgoing = [letter, self._events.alert(record, error.code, error.sentence, symbol or "")]
        self._applied.advance(record.partition, record.offset, symbol)
        self._hooks.on_step("applied")
        return outgoing

    def _apply(self, record: Record, update: Update, rows: Receipt) -> list[Outgoing]:
        if isinstance(update, FillReport) and update.orderless:
            return self._apply_position(record, update, None, rows)
        order = self._belonging.find(record, update, rows)  # 2
        if not isinstance(order, Order):
            return order
        if isinstance(update, FillReport):
            update = _on_the_side_of(order, update)
        outgoing = self._apply_order(record, order, update, rows)
        ours = order.external and self._orders.get(record.partition, update.client_order_id)
        if ours and self._adopted_by(record, order):
            sentence = (
                f"the venue has order {update.venue_order_id} under the id of order {ours.order_id}, which is "
                f"{ours.venue_order_id or 'not at the venue'} there: it was adopted as somebody else's"
            )
            outgoing.append(self._events.alert(record, "SECOND_ORDER_UNDER_ONE_ID", sentence, order.instrument.symbol))
        return outgoing

    def _adopted_by(self, record: Record, order: Order) -> bool:
        """Whether it was this record, now or the first time it came, that made the order known here."""
        first = next(self._orders.history(record.partition, order.order_id), None)
        return first is not None and first.source == str(record.source)

    # -- 3. the order --------------------------------------------------------------------------------------------

    def _apply_order(self, record: Record, order: Order, update: Update, rows: Receipt) -> list[Outgoing]:
        partition, source = record.partition, str(record.source)
        counted = self._orders.fill(partition, update) if isinstance(update, FillReport) else None
        if counted is not None and counted.offset != record.offset:
            return []  # the same execution, told again
        symbol = order.instrument.symbol
        if isinstance(update, FillReport) and counted is None and self._too_late(record, order, update):
            return [self._belonging.late_copy(record, symbol)]
        outgoing: list[Outgoing] = []
        if order.applied_offset >= record.offset:
            outgoing += self._events.again(record, order)
            outgoing += self._belonging.release_parked(record, symbol)
        else:
            applied = apply_update(order, update, source=source, offset=record.offset)
            if isinstance(update, FillReport):
                row = FillRow(order.order_id, record.offset, update)
                self._orders.put_fill(partition, row, rows)
            self._orders.put(partition, applied.order, applied.transitions, rows)
            outgoing += self._events.of_update(record, applied.order, applied.transitions)
            if order.venue_order_id != applied.order.venue_order_id or applied.order.state.terminal:
                outgoing += self._belonging.release_parked(record, symbol)
        if isinstance(update, FillReport):
            outgoing += self._apply_position(record, update, order, rows)
        return outgoing

    def _too_late(self, record: Record, order: Order, fill: FillReport) -> bool:
        """Whether a fill that nobody has counted stands, in the log, before what its order or position contains. It
        was parked when it was first read, and the crash that brings it again has lost that."""
        position = self._positions.get(record.partition, fill.instrument, fill.account, fill.position_side)
        return order.applied_offset >= record.offset or (
            position.applied_offset >= record.offset and self._positions.entry(record.partition, fill) is None
        )

    # -- 4. the position -----------------------------------------------------------------------------------------

    def _apply_position(self, record: Record, fill: FillReport, order: Order | None, rows: Receipt) -> list[Outgoing]:
        order_id, trace_id = (order.order_id, order.trace_id) if order is not None else ("", "")
        entry = self._positions.entry(record.partition, fill)
        if not order_id and self._paid_before(record, fill, entry):
            return []  # a trade told again is known by its order
        if entry is None or entry.offset >= record.offset:
            self._positions.apply(record.partition, fill, order_id, record.offset, rows)
        entry = self._positions.entry(record.partition, fill)
        if entry is None:  # pragma: no cover -- `apply` has just written it
            raise LookupError(fill.execution_id)
        self._hooks.on_fill(fill)
        position = self._positions.get(record.partition, fill.instrument, fill.account, fill.position_side)
        outgoing = [self._events.of_position(record, position, entry, trace_id)]
        if fill.fill_kind is FillKind.TAKEN_OVER:
            code, sentence = _taken_over(entry)
            outgoing.append(self._events.alert(record, code, sentence, fill.instrument.symbol))
        elif (alarming := _by_the_venue(entry)) is not None:
            outgoing.append(self._events.alert(record, *alarming, fill.instrument.symbol, trace_id))
        return outgoing

    def _paid_before(self, record: Record, fill: FillReport, entry: LedgerEntry | None) -> bool:
        """Whether it is a payment that was told before. Where the ledger has it on its own side, that row decides: the
        record that wrote it may come again; else one of another side does, as it was told in another position mode."""
        told = self._positions.entries(record.partition, fill) if entry is None else (entry,)
        return any(each.offset < record.offset for each in told)


def _on_the_side_of(order: Order, fill: FillReport) -> FillReport:
    """The execution, on the position of its order where the venue did not say which it belongs to (hedge mode)."""
    if fill.position_side is not PositionSide.NET or order.position_side is PositionSide.NET:
        return fill
    return msgspec.structs.replace(fill, position_side=order.position_side)


def _by_the_venue(entry: LedgerEntry) -> tuple[str, str] | None:
    """(code, sentence) of the alert that tells of an execution which no order of anybody's wish caused, if it changed
    what is held (requirement P06)."""
    fill, left = entry.fill, (entry.told_after or entry.after).size
    if fill.fill_kind in {FillKind.TRADE, FillKind.FUNDING} or not fill.quantity:
        return None
    closed = closed_by(entry)
    # Only a move can open; what else the venue does closes, though we may not have known what.
    verb = "opened" if fill.fill_kind is FillKind.MOVED and not closed else "closed"
    quantity = closed or fill.quantity
    sentence = (
        f"the venue {verb} {plain(quantity)} {fill.instrument.symbol} by {fill.fill_kind} at {plain(fill.price)}, "
        f"{plain(left)} is left: no order of ours caused it"
    )
    return f"POSITION_{verb.upper()}_BY_VENUE", sentence


def _taken_over(entry: LedgerEntry) -> tuple[str, str]:
    """(code, sentence) of the alert that tells of the venue's word on a position."""
    fill = entry.fill
    opened = (entry.told_after or entry.after).fills == 1
    size = plain(fill.side.sign * fill.quantity)
    what = "was opened before our time and is taken over" if opened else "is corrected to what the venue shows"
    code = "POSITION_OPENED_FROM_VENUE" if opened else "POSITION_CORRECTED"
    return code, f"the position in {fill.instrument.symbol} {what}: {size} at {plain(fill.price)}"
