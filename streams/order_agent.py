"""The join: what is said of an order, applied to the order, and told to the world.

This agent is the only writer of an order once its intent exists. For one record of `order-updates`, synchronously:

    1. parse it; what cannot be parsed goes to the dead letters
    2. find the order: by our id, by the venue's; else adopt it as external, or park the update until that is safe
    3. merge it into the order                               (domain.merging)
    4. put a fill in its place in the position               (tables.positions)
    5. stage the rows: fill, history, order, ledger, position
then, without waiting inside:
    6. when the rows are durable, the events go out in the order of the log
    7. when the events are durable, the record is finished

Every row knows the offset of the last record it contains. A record that comes again changes no row that has it, and
publishes the events it published before, with the same ids.

A parked update stays parked when its record comes again. When it is known whose it is, a copy is appended to the log,
and applied in its place there; the parked row goes with the copy's rows. A fill that has come before its position's
last record, yet is not in it, takes the same way: positions are folded in the order of the log.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from domain.alerts import alert_of
from domain.errors import InvalidInput, InvalidStateTransition
from domain.events import Transition
from domain.ids import external_order_id, is_ours
from domain.merging import apply_update
from domain.money import ZERO, plain
from domain.orders import LocalState, Order, OrderState, OrderType, Times
from domain.positions import LedgerEntry, Position
from domain.updates import (
    Absence,
    CallOutcome,
    CancelRequested,
    FillKind,
    FillReport,
    OrderReport,
    Update,
    decode_update,
)
from streams import schemas
from streams.applied import Applied
from streams.dead_letters import dead_letter
from streams.hooks import Hooks
from streams.outbox import Outbox, Outgoing
from streams.placement import check_place
from streams.ports import Headers, Inbox, Log
from streams.record import Record
from streams.topics import Topics
from streams.updates import is_mark
from tables.orders import FillRow, OrderTable
from tables.positions import PositionTable
from tables.receipt import Receipt

_EVENT_SCHEMA = "order-event/1"
_POSITION_SCHEMA = "position-event/1"
_ALERT_SCHEMA = "alert/1"
_PARKED_AT = "ordermanager-parked-at"
"""Header of a parked update's copy: the offset under which it was parked."""


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
        self._instance = instance
        self._hooks = hooks or Hooks()
        self._outbox = Outbox(log)
        self._released: set[tuple[int, bytes]] = set()
        """(partition, row) of the parked updates whose copies are on their way."""

    def handle(self, records: list[Record]) -> None:
        """Apply records of one partition, in their order. Never waits."""
        for record in records:
            self._handle_one(record)

    def forget(self, partition: int) -> None:
        """The partition is no longer ours."""
        self._outbox.forget(partition)
        self._released = {(owned, key) for owned, key in self._released if owned != partition}
        self._applied.forget(partition)

    def _handle_one(self, record: Record) -> None:
        rows = Receipt()
        symbol: str | None = None
        if is_mark(record):
            self._outbox.submit(record.partition, rows, [], lambda: self._inbox.finished(record))
            self._applied.advance(record.partition, record.offset, None)
            return
        try:
            update = decode_update(record.value)
            symbol = update.instrument.symbol
            check_place(self._log, record, symbol)
            outgoing = self._apply(record, update, rows)
            self._unpark_original(record, symbol, rows)
        except InvalidInput as error:
            self._hooks.on_dead_letter(error.code)
            outgoing = [dead_letter(self._topics.order_updates_dead, record, error.code, error.reasons)]
        except InvalidStateTransition as error:
            # A bug of ours, found before any row was staged: the order stays as it was, the update is kept, and a
            # person is told. Ending the process would only bring the same record again (requirement J05).
            self._hooks.on_dead_letter(error.code)
            letter = dead_letter(self._topics.order_updates_dead, record, error.code, [error.sentence])
            outgoing = [letter, self._alert(record, error.code, error.sentence, symbol or "")]
        self._outbox.submit(record.partition, rows, outgoing, lambda: self._finished(record))
        self._applied.advance(record.partition, record.offset, symbol)
        self._hooks.on_step("applied")

    def _finished(self, record: Record) -> None:
        self._hooks.on_step("told")
        self._inbox.finished(record)

    def _apply(self, record: Record, update: Update, rows: Receipt) -> list[Outgoing]:
        if isinstance(update, FillReport) and update.orderless:
            return self._apply_position(record, update, None, rows)
        if not update.client_order_id and self._orders.is_parked(
            record.partition, update.instrument.symbol, record.offset
        ):
            self._uncount(record, update, rows)
            return []  # as the first time; its copy comes
        order = self._find(record.partition, update)
        if order is None:
            if (homeless := self._homeless(record, update, rows)) is not None:
                return homeless
            blank = _external(update)
            order = self._orders.get(record.partition, blank.order_id) or blank
        return self._apply_order(record, order, update, rows)

    # -- 2. whose is it ------------------------------------------------------------------------------------------

    def _find(self, partition: int, update: Update) -> Order | None:
        if update.client_order_id:
            order = self._orders.get(partition, update.client_order_id)
            if order is not None:
                return order
        if update.venue_order_id:
            return self._orders.by_venue_id(partition, update.instrument, update.account, update.venue_order_id)
        return None

    def _homeless(self, record: Record, update: Update, rows: Receipt) -> list[Outgoing] | None:
        """What becomes of an update whose order we don't know; None means: adopt it (requirement O07)."""
        if isinstance(update, CallOutcome | CancelRequested | Absence):
            # Written by ourselves after the intent was durable: without its order nothing can be concluded from it.
            raise InvalidInput("UNKNOWN_ORDER", [f"no order {update.client_order_id or update.venue_order_id}"])
        symbol = update.instrument.symbol
        if is_ours(self._instance, update.client_order_id):
            self._park(record, update, rows)
            sentence = (
                f"the venue tells of order {update.client_order_id} in {update.instrument}: the id is of our making, "
                f"but there is no such order here; it was not adopted"
            )
            return [self._alert(record, "OWN_ORDER_UNKNOWN", sentence, symbol)]
        if not update.client_order_id and self._may_be_in_flight(record.partition, symbol):
            self._park(record, update, rows)
            return []
        return None

    def _park(self, record: Record, update: OrderReport | FillReport, rows: Receipt) -> None:
        """Keep the update until it is known whose it is."""
        self._uncount(record, update, rows)
        self._orders.park(record.partition, update.instrument.symbol, record.offset, record.value or b"", rows)

    def _uncount(self, record: Record, update: Update, rows: Receipt) -> None:
        """A crash may have left a fill's own rows without the order's or the position's that go with them. When its
        record is parked this time, they must not say that it was counted."""
        if not isinstance(update, FillReport):
            return
        counted = self._orders.fill(record.partition, update)
        if counted is not None and counted.offset == record.offset:
            self._orders.discard_fill(record.partition, update, rows)
        self._positions.discard_uncounted(record.partition, update, rows)

    def _may_be_in_flight(self, partition: int, symbol: str) -> bool:
        """Whether an order of ours may be at the venue under an id we have not been told yet."""
        return any(
            not order.venue_order_id and not order.state.terminal
            for order in self._orders.open_orders(partition, symbol)
        )

    def _release_parked(self, record: Record, symbol: str) -> list[Outgoing]:
        """Parked updates come again through the log, now that it is known whose they are. Their rows stay until the
        copies are applied: a crash in between releases them again."""
        parked = self._orders.parked(record.partition, symbol)
        if not parked or self._may_be_in_flight(record.partition, symbol):
            return []
        again = []
        for offset, key, value in parked:
            if is_ours(self._instance, _client_order_id(value)):
                continue  # stays for the operator: nothing we learn makes it ours
            if (record.partition, key) in self._released:
                continue
            self._released.add((record.partition, key))
            again.append(self._copy(record, symbol, value, ((_PARKED_AT, b"%d" % offset),)))
        return again

    def _unpark_original(self, record: Record, symbol: str, rows: Receipt) -> None:
        """If the record is a parked update's copy, the parked row has done its duty."""
        parked_at = dict(record.headers).get(_PARKED_AT, b"")
        if parked_at.isdigit() and (key := self._orders.is_parked(record.partition, symbol, int(parked_at))):
            self._orders.unpark(record.partition, key, rows)
            self._released.discard((record.partition, key))

    def _copy(self, record: Record, symbol: str, value: bytes, headers: Headers = ()) -> Outgoing:
        """An update that is appended to the log once more."""
        return Outgoing(self._topics.order_updates, record.partition, symbol.encode(), value, headers)

    # -- 3. the order --------------------------------------------------------------------------------------------

    def _apply_order(self, record: Record, order: Order, update: Update, rows: Receipt) -> list[Outgoing]:
        partition, source = record.partition, str(record.source)
        counted = self._orders.fill(partition, update) if isinstance(update, FillReport) else None
        if counted is not None and counted.offset != record.offset:
            return []  # the same execution, told again
        symbol = order.instrument.symbol
        if isinstance(update, FillReport) and counted is None and self._too_late(record, order, update):
            return [self._copy(record, symbol, record.value or b"")]
        outgoing: list[Outgoing] = []
        if order.applied_offset >= record.offset:
            outgoing += self._events_again(record, order, update)
            outgoing += self._release_parked(record, symbol)
        else:
            applied = apply_update(order, update, source=source, offset=record.offset)
            if isinstance(update, FillReport):
                row = FillRow(order.order_id, record.offset, update)
                self._orders.put_fill(partition, row, rows)
            self._orders.put(partition, applied.order, applied.transitions, rows)
            outgoing += self._all_told(record, applied.order, applied.transitions, update)
            if order.venue_order_id != applied.order.venue_order_id or applied.order.state.terminal:
                outgoing += self._release_parked(record, symbol)
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

    def _events_again(self, record: Record, order: Order, update: Update) -> list[Outgoing]:
        """The events this record led to the first time: its transitions are the newest of the order, or gone by."""
        source = str(record.source)
        mine: list[Transition] = []
        for transition in self._orders.latest_transitions(record.partition, order.order_id):
            if transition.source == source:
                mine.append(transition)
            elif mine:
                break
        return self._all_told(record, order, mine[::-1], update)

    # -- 4. the position -----------------------------------------------------------------------------------------

    def _apply_position(self, record: Record, fill: FillReport, order: Order | None, rows: Receipt) -> list[Outgoing]:
        order_id, trace_id = (order.order_id, order.trace_id) if order is not None else ("", "")
        entry = self._positions.entry(record.partition, fill)
        if entry is not None and entry.offset < record.offset and not order_id:
            return []  # the same payment, told again; a trade told again is known by its order
        if entry is None or entry.offset >= record.offset:
            self._positions.apply(record.partition, fill, order_id, record.offset, rows)
        entry = self._positions.entry(record.partition, fill)
        if entry is None:  # pragma: no cover -- `apply` has just written it
            raise LookupError(fill.execution_id)
        self._hooks.on_fill(fill)
        position = self._positions.get(record.partition, fill.instrument, fill.account, fill.position_side)
        outgoing = [self._position_event(record, position, entry, trace_id)]
        if fill.fill_kind not in {FillKind.TRADE, FillKind.FUNDING}:
            sentence = (
                f"the venue closed {plain(fill.quantity)} {fill.instrument.symbol} by {fill.fill_kind} at "
                f"{plain(fill.price)}: "
                f"no order of ours caused it"
            )
            outgoing.append(self._alert(record, "POSITION_CLOSED_BY_VENUE", sentence, fill.instrument.symbol))
        return outgoing

    # -- 6. what goes out ----------------------------------------------------------------------------------------

    def _all_told(
        self, record: Record, order: Order, transitions: Sequence[Transition], update: Update
    ) -> list[Outgoing]:
        """The transitions' events. The first one, that the order was meant, is the signal's turn to tell before
        anything is sent; a wish or a conclusion may come between a crash and that turn, and must not be told alone."""
        if isinstance(update, CancelRequested | Absence) and transitions and transitions[0].sequence == 2:
            transitions = [next(self._orders.history(record.partition, order.order_id)), *transitions]
        return [outgoing for transition in transitions for outgoing in self._told(record, order, transition)]

    def _told(self, record: Record, order: Order, transition: Transition) -> list[Outgoing]:
        """A transition's event, and its alert where it needs one."""
        self._hooks.on_transition(order, transition)
        event = schemas.order_event(order, transition)
        headers = schemas.event_headers(_EVENT_SCHEMA, event.event_id, order.trace_id)
        symbol = order.instrument.symbol
        told = [Outgoing(self._topics.order_events, record.partition, symbol.encode(), schemas.encode(event), headers)]
        if (alert := alert_of(order.order_id, transition)) is not None:
            told.append(self._alert(record, *alert, symbol, order.trace_id))
        return told

    def _position_event(self, record: Record, position: Position, entry: LedgerEntry, trace_id: str) -> Outgoing:
        event = schemas.position_event(position, entry, str(record.source), trace_id)
        headers = schemas.event_headers(_POSITION_SCHEMA, event.event_id, trace_id)
        key = position.instrument.symbol.encode()
        return Outgoing(self._topics.position_events, record.partition, key, schemas.encode(event), headers)

    def _alert(self, record: Record, code: str, sentence: str, symbol: str, trace_id: str = "") -> Outgoing:
        self._hooks.on_alert(code)
        alert = schemas.Alert(
            alert_id=f"{record.source}-{code}",
            code=code,
            severity="critical",
            sentence=sentence,
            symbol=symbol,
            at_ns=record.timestamp_ns,
            source=str(record.source),
            trace_id=trace_id,
        )
        headers = schemas.event_headers(_ALERT_SCHEMA, alert.alert_id, trace_id)
        return Outgoing(self._topics.alerts, 0, alert.alert_id.encode(), schemas.encode(alert), headers)


def _client_order_id(value: bytes) -> str:
    return decode_update(value).client_order_id


def _external(update: Update) -> Order:
    """The row of an order that somebody else placed. Its terms come with the venue's evidence."""
    if not isinstance(update, OrderReport | FillReport):  # pragma: no cover -- `_homeless` has taken the others
        raise TypeError(type(update))
    report = update if isinstance(update, OrderReport) else None
    # A venue that names an order by its owner's id only is taken at that word.
    named = update.venue_order_id or f"client/{update.client_order_id}"
    order_id = external_order_id(update.instrument.venue, update.instrument.category, update.account, named)
    blank = Order(
        order_id=order_id,
        instrument=update.instrument,
        account=update.account,
        side=update.side,
        order_type=report.order_type if report else OrderType.LIMIT,
        quantity=ZERO,
        external=True,
        position_side=update.position_side,
        local=LocalState.NONE,
        state=OrderState.CREATED,
        client_order_id=update.client_order_id,
        venue_order_id=update.venue_order_id,
        times=Times(created_ns=update.received_ns, signal_ns=0),
    )
    if report is None:
        return blank
    return msgspec.structs.replace(
        blank, time_in_force=report.time_in_force, reduce_only=report.reduce_only, post_only=report.post_only
    )
