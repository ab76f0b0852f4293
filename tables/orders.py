"""Orders, their history, their fills, and updates that wait for their order: rows of one table.

    o/<order id>                          the order
    h/<order id>/<sequence>               one transition
    f/<venue>/<category>/<account>/<execution id>   one fill: its presence says that it was counted
    p/<symbol>/<offset>                   an update that may belong to an order in flight

All rows of a symbol live in the symbol's partition. Rows that belong together are written history first, order
last: a crash leaves a prefix of the changelog, so an order's row never tells of a step whose history is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache

import msgspec

from domain.events import Transition
from domain.instruments import Instrument
from domain.orders import Order, OrderState, VenueState, status_of
from domain.updates import FillReport
from tables.keys import join
from tables.receipt import Receipt
from tables.rows import Rows


class FillRow(msgspec.Struct, frozen=True):
    """A fill that was counted: its order, and the offset in `order-updates` that brought it."""

    order_id: str
    offset: int
    fill: FillReport


class _Quantity(msgspec.Struct):
    quantity: Decimal


class _Told(msgspec.Struct):
    state: VenueState
    cumulative: _Quantity


class _SignalOf(msgspec.Struct):
    signal_id: str


class _CreatedAt(msgspec.Struct):
    created_ns: int


class _Listed(msgspec.Struct):
    """What the indexes look at of an order's row. Rows are indexed more often than they are read, a million at a time
    in recovery: reading only this takes a third of the time."""

    order_id: str
    instrument: Instrument
    account: str
    venue_order_id: str
    signal: _SignalOf | None
    state: OrderState
    evidence: _Told
    fills: _Quantity
    times: _CreatedAt
    parent_order_id: str = ""


_encoder = msgspec.json.Encoder()
_listed = msgspec.json.Decoder(_Listed)
_order = msgspec.json.Decoder(Order)
_transition = msgspec.json.Decoder(Transition)
_fill = msgspec.json.Decoder(FillRow)


@lru_cache(maxsize=1_024)
def _decoded(value: bytes) -> Order:
    """The order of a row. A turn looks at the same version of it a dozen times."""
    return decode_order(value)


class OrderTable:
    """Typed access to the rows. Every method names the partition, which is the symbol's."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def get(self, partition: int, order_id: str) -> Order | None:
        """The order under our id."""
        value = self.rows.get(partition, _order_key(order_id))
        return None if value is None else _decoded(value)

    def by_venue_id(self, partition: int, instrument: Instrument, account: str, venue_order_id: str) -> Order | None:
        """The order that the venue knows by this id."""
        prefix = join(b"v", venue_order_id, instrument.venue, instrument.category, account) + b"/"
        for _, key in self.rows.scan_index(partition, prefix):
            value = self.rows.get(partition, key)
            if value is not None:
                return _decoded(value)
        return None

    def put(self, partition: int, order: Order, transitions: Iterable[Transition], receipt: Receipt) -> None:
        """Write the transitions, then the order."""
        for transition in transitions:
            key = _history_prefix(order.order_id) + b"%010d" % transition.sequence
            self.rows.put(partition, key, _encoder.encode(transition), receipt)
        self.rows.put(partition, _order_key(order.order_id), _encoder.encode(order), receipt)

    def discard_intent(self, partition: int, order: Order, receipt: Receipt) -> None:
        """The order was never meant: its plan is not there, nobody was told of it, and nothing was sent."""
        self.rows.put(partition, _order_key(order.order_id), None, receipt)
        self.rows.put(partition, _history_prefix(order.order_id) + b"%010d" % order.sequence, None, receipt)

    def history(self, partition: int, order_id: str) -> Iterator[Transition]:
        """The order's transitions, oldest first."""
        for _, value in self.rows.scan(partition, _history_prefix(order_id)):
            yield _transition.decode(value)

    def latest_transitions(self, partition: int, order_id: str) -> Iterator[Transition]:
        """The order's transitions, newest first."""
        for _, value in self.rows.scan(partition, _history_prefix(order_id), reverse=True):
            yield _transition.decode(value)

    # -- fills ---------------------------------------------------------------------------------------------------

    def fill(self, partition: int, fill: FillReport) -> FillRow | None:
        """The row of this execution, if it was counted."""
        value = self.rows.get(partition, _fill_key(fill))
        return None if value is None else _fill.decode(value)

    def put_fill(self, partition: int, row: FillRow, receipt: Receipt) -> None:
        """Count a fill."""
        self.rows.put(partition, _fill_key(row.fill), _encoder.encode(row), receipt)

    def discard_fill(self, partition: int, fill: FillReport, receipt: Receipt) -> None:
        """The fill does not count: its order never contained it."""
        self.rows.put(partition, _fill_key(fill), None, receipt)

    def fills_of(self, partition: int, order_id: str) -> Iterator[FillReport]:
        """The order's fills in the venue's execution order."""
        for _, key in self.rows.scan_index(partition, join(b"fo", order_id) + b"/"):
            value = self.rows.get(partition, key)
            if value is not None:
                yield _fill.decode(value).fill

    def children_of(self, partition: int, order_id: str) -> list[Order]:
        """The orders that the venue made to protect what this one opened, oldest first (requirement P07)."""
        entries = self.rows.scan_index(partition, join(b"k", order_id) + b"/")
        values = [self.rows.get(partition, key) for _, key in entries]
        return [_decoded(value) for value in values if value is not None]

    # -- open orders ---------------------------------------------------------------------------------------------

    def open_orders(self, partition: int, symbol: str) -> list[Order]:
        """Orders of the symbol that have not ended, or whose single fills are not all known, oldest first."""
        orders = []
        for _, key in self.rows.scan_index(partition, join(b"a", symbol) + b"/"):
            value = self.rows.get(partition, key)
            if value is not None:
                orders.append(_decoded(value))
        return orders

    def newest(self, partition: int, symbol: str) -> Iterator[Order]:
        """The symbol's orders, the newest first."""
        for _, key in self.rows.scan_index(partition, join(b"y", symbol) + b"/", reverse=True):
            value = self.rows.get(partition, key)
            if value is not None:
                yield _decoded(value)

    def open_symbols(self, partition: int) -> list[str]:
        """The symbols that have such orders."""
        symbols: dict[str, None] = {}
        for index, _ in self.rows.scan_index(partition, b"a/"):
            symbols[index.split(b"/", 2)[1].decode()] = None
        return list(symbols)

    # -- parked updates ------------------------------------------------------------------------------------------

    def park(self, partition: int, symbol: str, offset: int, value: bytes, receipt: Receipt) -> None:
        """Keep an update until it is known whose it is."""
        self.rows.put(partition, _parked_key(symbol, offset), value, receipt)

    def is_parked(self, partition: int, symbol: str, offset: int) -> bytes | None:
        """The row key of the update that was parked at `offset`, if it still is."""
        key = _parked_key(symbol, offset)
        return None if self.rows.get(partition, key) is None else key

    def parked(self, partition: int, symbol: str) -> list[tuple[int, bytes, bytes]]:
        """(offset, row key, update) of the symbol's parked updates, oldest first."""
        keys = [key for _, key in self.rows.scan_index(partition, join(b"p", symbol) + b"/")]
        rows = [(key, self.rows.get(partition, key)) for key in keys]
        return [(int(key[key.rindex(b"/") + 1 :]), key, value) for key, value in rows if value is not None]

    def all_parked(self, partition: int) -> Iterator[bytes]:
        """The partition's parked updates, symbol by symbol."""
        for _, value in self.rows.scan(partition, b"p/"):
            yield value

    def unpark(self, partition: int, key: bytes, receipt: Receipt) -> None:
        """The update has found its way."""
        self.rows.put(partition, key, None, receipt)


LIVE_ORDERS = (b"a/", b"u/", b"p/")
"""Indexes of what is under way. Every signal's turn asks for them, so their entries are held in memory."""

ORDER_INDEX_VERSION = 2
"""Goes up with every change of what `order_index` returns for a row."""


def order_index(key: bytes, value: bytes) -> list[bytes]:
    """Index keys of a row (see `tables.queries` for the questions they answer). Ordered by creation within each.

    a/<symbol>/…      not ended, or with fills missing         v/<venue's id>/<venue>/<category>/<account>/
    c/…               all        y/<symbol>/…   by symbol      t/<status>/…      z/<symbol>/<status>/…
    g/<signal id>/…   by signal  fo/<order id>/…  fills of an order          u/…  uncertain
    k/<parent>/…      the orders that protect what another one opened       p/<symbol>/<offset>   parked updates
    """
    if key.startswith(b"p/"):
        return [key]
    if key.startswith(b"f/"):
        row = _fill.decode(value)
        return [join(b"fo", row.order_id) + b"/%020d/%020d" % (row.fill.executed_ns, row.fill.venue_sequence)]
    if not key.startswith(b"o/"):
        return []
    order = _listed.decode(value)
    moment = b"%020d/" % order.times.created_ns + order.order_id.encode()
    symbol = order.instrument.symbol
    status = status_of(order.state, order.evidence.state)
    entries = [
        b"c/" + moment,
        join(b"y", symbol) + b"/" + moment,
        join(b"t", status) + b"/" + moment,
        join(b"z", symbol, status) + b"/" + moment,
    ]
    if order.signal is not None:
        entries.append(join(b"g", order.signal.signal_id) + b"/" + moment)
    if order.parent_order_id:
        entries.append(join(b"k", order.parent_order_id) + b"/" + moment)
    if order.venue_order_id:
        venue = order.instrument
        entries.append(join(b"v", order.venue_order_id, venue.venue, venue.category, order.account) + b"/")
    if not order.state.terminal or order.evidence.cumulative.quantity > order.fills.quantity:
        entries.append(join(b"a", symbol) + b"/" + moment)
    if order.state is OrderState.UNCERTAIN:
        entries.append(b"u/" + moment)
    return entries


def decode_order(value: bytes) -> Order:
    """An order's row."""
    order: Order = _order.decode(value)
    return order


def part_of_row(field: str, value: str) -> bytes:
    """What is to be found in the row of every order that has this value in a field of this name, in whichever of its
    parts."""
    return b'"%b":%b' % (field.encode(), _encoder.encode(value))


def _order_key(order_id: str) -> bytes:
    return join(b"o", order_id)


def _history_prefix(order_id: str) -> bytes:
    return join(b"h", order_id) + b"/"


def _parked_key(symbol: str, offset: int) -> bytes:
    return join(b"p", symbol) + b"/%020d" % offset


def _fill_key(fill: FillReport) -> bytes:
    where = fill.instrument
    return join(b"f", where.venue, where.category, fill.account, fill.execution_id)
