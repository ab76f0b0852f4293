"""Whose an update is: an order of ours, somebody else's that is adopted, or nobody's yet, and then it is parked.

A parked update stays parked when its record comes again. When it is known whose it is, a copy is appended to the log,
and applied in its place there; the parked row goes with the copy's rows.
"""

from __future__ import annotations

import msgspec

from domain.comparing import is_another_order
from domain.errors import InvalidInput
from domain.ids import external_order_id, is_ours
from domain.money import ZERO
from domain.orders import LocalState, Order, OrderState, OrderType, Times
from domain.protection import Role
from domain.updates import Absence, CallOutcome, CancelRequested, FillReport, OrderReport, Update, decode_update
from streams.join_events import JoinEvents
from streams.outbox import Outgoing
from streams.ports import Headers
from streams.record import Record
from streams.topics import Topics
from tables.orders import OrderTable
from tables.positions import PositionTable
from tables.receipt import Receipt

PARKED_AT = "ordermanager-parked-at"
"""Header of a parked update's copy: the offset under which it was parked."""
LATE_AT = "ordermanager-late-at"
"""Header of a late fill's copy: the offset at which the fill was not applied."""


class Belonging:
    """Finds the order that an update tells of (requirement O07). `instance` is the prefix of the ids we give."""

    def __init__(
        self,
        *,
        topics: Topics,
        orders: OrderTable,
        positions: PositionTable,
        events: JoinEvents,
        instance: str,
    ) -> None:
        self._topics = topics
        self._orders = orders
        self._positions = positions
        self._events = events
        self._instance = instance
        self._released: set[tuple[int, bytes]] = set()
        """(partition, row) of the parked updates whose copies are on their way."""

    def forget(self, partition: int) -> None:
        """The partition is no longer ours."""
        self._released = {(owned, key) for owned, key in self._released if owned != partition}

    def find(self, record: Record, update: Update, rows: Receipt) -> Order | list[Outgoing]:
        """The order, which is a blank one if it is adopted now; else what goes out instead, with the update parked."""
        partition, symbol = record.partition, update.instrument.symbol
        if not update.client_order_id and self._orders.is_parked(partition, symbol, record.offset):
            self._uncount(record, update, rows)
            return []  # as the first time; its copy comes
        order = self._known(partition, update)
        if order is not None:
            return order
        if (homeless := self._homeless(record, update, rows)) is not None:
            return homeless
        blank = external_order(update)
        return self._orders.get(partition, blank.order_id) or blank

    def release_parked(self, record: Record, symbol: str) -> list[Outgoing]:
        """Parked updates come again through the log, now that it is known whose they are. Their rows stay until the
        copies are applied: a crash in between releases them again."""
        parked = self._orders.parked(record.partition, symbol)
        if not parked or self._may_be_in_flight(record.partition, symbol):
            return []
        again = []
        for offset, key, value in parked:
            if is_ours(self._instance, decode_update(value).client_order_id):
                continue  # stays for the operator: nothing we learn makes it ours
            if (record.partition, key) in self._released:
                continue
            self._released.add((record.partition, key))
            again.append(self._copy(record, symbol, value, ((PARKED_AT, b"%d" % offset),)))
        return again

    def release_all_parked(self, record: Record) -> list[Outgoing]:
        """Parked updates of every symbol that has nothing in flight any more. An intent that was taken back says so to
        no update of its symbol: a mark does."""
        parked = self._orders.all_parked(record.partition)
        symbols = dict.fromkeys(decode_update(value).instrument.symbol for value in parked)
        return [copy for symbol in symbols for copy in self.release_parked(record, symbol)]

    def unpark_original(self, record: Record, symbol: str, rows: Receipt) -> None:
        """If the record is a parked update's copy, the parked row has done its duty."""
        parked_at = dict(record.headers).get(PARKED_AT, b"")
        if parked_at.isdigit() and (key := self._orders.is_parked(record.partition, symbol, int(parked_at))):
            self._orders.unpark(record.partition, key, rows)
            self._released.discard((record.partition, key))

    def is_first_hand(self, record: Record) -> bool:
        """Whether the record is no copy of an update that came before."""
        return not {PARKED_AT, LATE_AT} & dict(record.headers).keys()

    def has_rows_of(self, record: Record, update: Update) -> bool:
        """Whether any row has something of the record already."""
        partition = record.partition
        if self._orders.is_parked(partition, update.instrument.symbol, record.offset):
            return True
        if isinstance(update, FillReport) and (
            self._orders.fill(partition, update) is not None or self._positions.entry(partition, update) is not None
        ):
            return True
        order = self._known(partition, update)
        if order is None and isinstance(update, OrderReport | FillReport):
            order = self._orders.get(partition, external_order(update).order_id)
        return order is not None and order.applied_offset >= record.offset

    def late_copy(self, record: Record, symbol: str) -> Outgoing:
        """A fill that came too late for its place in the log, to be applied further on."""
        return self._copy(record, symbol, record.value or b"", ((LATE_AT, b"%d" % record.offset),))

    def _copy(self, record: Record, symbol: str, value: bytes, headers: Headers) -> Outgoing:
        """An update that is appended to the log once more."""
        return Outgoing(self._topics.order_updates, record.partition, symbol.encode(), value, headers)

    def _known(self, partition: int, update: Update) -> Order | None:
        if update.client_order_id:
            order = self._orders.get(partition, update.client_order_id)
            if order is not None and (stranger := self._adopted(partition, order, update)) is not None:
                return stranger
            strange = isinstance(update, OrderReport | FillReport) and order and is_another_order(order, update)
            if order is not None and not strange:
                return order
        if update.venue_order_id:
            return self._orders.by_venue_id(partition, update.instrument, update.account, update.venue_order_id)
        return None

    def _adopted(self, partition: int, order: Order, update: Update) -> Order | None:
        """The stranger's order under the id of ours, once it was adopted: nothing it becomes later makes it ours."""
        if order.external or not update.venue_order_id or update.venue_order_id == order.venue_order_id:
            return None
        found = self._orders.by_venue_id(partition, update.instrument, update.account, update.venue_order_id)
        stands_for_it = found is not None and found.external and found.client_order_id == order.order_id
        return found if stands_for_it and isinstance(update, OrderReport | FillReport) else None

    def _homeless(self, record: Record, update: Update, rows: Receipt) -> list[Outgoing] | None:
        """What becomes of an update whose order we don't know; None means: adopt it."""
        if isinstance(update, CallOutcome | CancelRequested | Absence):
            # Written by ourselves after the intent was durable: without its order nothing can be concluded from it.
            raise InvalidInput("UNKNOWN_ORDER", [f"no order {update.client_order_id or update.venue_order_id}"])
        symbol = update.instrument.symbol
        if self._orders.get(record.partition, update.client_order_id) is not None:
            return None  # another order under an id of ours: adopted, so that its fills count, and told of (X02)
        if is_ours(self._instance, update.client_order_id):
            self._park(record, update, rows)
            sentence = (
                f"the venue tells of order {update.client_order_id} in {update.instrument}: the id is of our making, "
                f"but there is no such order here; it was not adopted"
            )
            return [self._events.alert(record, "OWN_ORDER_UNKNOWN", sentence, symbol)]
        if update.role is not Role.NONE:
            return None  # made by the venue to protect a position: never one that we have in flight
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


def external_order(update: Update) -> Order:
    """The row of an order that was not sent from here: somebody else's, or one that the venue made to protect a
    position. Its terms come with the venue's evidence."""
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
        order_type=report.order_type if report else _type_of_fill(update),
        quantity=ZERO,
        external=update.role is Role.NONE,
        role=update.role,
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


def _type_of_fill(update: OrderReport | FillReport) -> OrderType:
    """The order's type as far as an execution tells: what protects a whole position goes out at market."""
    return OrderType.LIMIT if update.role is Role.NONE else OrderType.MARKET
