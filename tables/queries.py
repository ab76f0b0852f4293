"""Questions to the tables: lists of orders, signals and positions, and single ones by their ids.

A list is a range of one index, merged over partitions, and read page by page. Every index of a kind ends with the same
*moment*, such as `<created at>/<order id>`, so a place in the list means the same in each index, partition and worker:
the cursor of one page is good for all of them. A row's moment never changes; what is written between two pages neither
repeats nor hides a row that stood still (requirement Q02).

What no index answers is looked at row by row. A bound on the rows looked at keeps the time of a page from growing with
the table: a page may then come back short, and says where to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from domain.events import Transition
from domain.orders import Order, OrderState
from domain.positions import LedgerEntry, Position
from domain.updates import FillReport
from tables.filters import OrderFilter, PositionFilter, SignalFilter
from tables.keys import join
from tables.orders import OrderTable, decode_order, part_of_row
from tables.paging import Entry, Reading, Span
from tables.positions import decode_position
from tables.rows import Rows
from tables.signals import CommandRow, SignalRow, SignalTable, decode_signal

_entry = msgspec.json.Decoder(LedgerEntry)

MAX_SCANNED = 1_000
"""Rows looked at for one page: about 10 ms, in slices."""

# -- lists -----------------------------------------------------------------------------------------------------------


def list_orders(
    rows: Rows, partitions: Iterable[int], wanted: OrderFilter, *, after: bytes | None = None, descending: bool = True
) -> Reading[Order]:
    """Orders by time of creation, newest first unless not `descending`, beyond the place `after`."""
    span = Span(wanted.from_ns, wanted.to_ns, after, descending)
    streams = [
        _entries(rows, partition, prefix, span) for partition in partitions for prefix in _order_prefixes(wanted)
    ]
    return Reading(rows, streams, _accepting_orders(wanted), descending=descending)


def list_signals(
    rows: Rows, partitions: Iterable[int], wanted: SignalFilter, *, after: bytes | None = None, descending: bool = True
) -> Reading[SignalRow]:
    """Signals by time of planning, newest first unless not `descending`, beyond the place `after`."""
    span = Span(wanted.from_ns, wanted.to_ns, after, descending)
    streams = [_entries(rows, partition, b"r/", span) for partition in partitions]

    def accept(value: bytes) -> SignalRow | None:
        signal = decode_signal(value)
        return signal if wanted.accepts(signal) else None

    return Reading(rows, streams, accept, descending=descending)


def list_positions(
    rows: Rows, partitions: Iterable[int], wanted: PositionFilter, *, after: bytes | None = None
) -> Reading[Position]:
    """Positions by venue, category, symbol, account and side."""

    def stream(partition: int) -> Iterator[Entry]:
        for key, _ in rows.scan(partition, b"p/", after=after):
            yield key, partition, key

    def accept(value: bytes) -> Position | None:
        position = decode_position(value)
        return position if wanted.accepts(position) else None

    return Reading(rows, [stream(partition) for partition in partitions], accept, descending=False)


def list_ledger(
    rows: Rows,
    partition: int,
    symbol: str,
    category: str = "",
    *,
    after: bytes | None = None,
    descending: bool = True,
) -> Reading[LedgerEntry]:
    """The fills of a symbol's positions (of one category, or of all), each with the state after it, in the venue's
    order of execution."""
    positions = {
        key.removeprefix(b"p/"): decode_position(value)
        for key, value in rows.scan(partition, b"p/")
        if _is_market(key, category, symbol)
    }
    applied = {(each.instrument, each.account, each.side): each.applied_offset for each in positions.values()}
    streams = [_ledger(rows, partition, where, after, descending) for where in positions]

    def accept(value: bytes) -> LedgerEntry | None:
        entry = _entry.decode(value)
        where = (entry.fill.instrument, entry.fill.account, entry.fill.position_side)
        return entry if entry.offset <= applied.get(where, -1) else None

    return Reading(rows, streams, accept, descending=descending)


def _is_market(key: bytes, category: str, symbol: str) -> bool:
    """Whether a position's key names the symbol, and the category where one is asked for."""
    named = key.split(b"/")[2:4]
    return named[1:] == [symbol.encode()] and category in {"", named[0].decode()}


def _ledger(rows: Rows, partition: int, where: bytes, after: bytes | None, descending: bool) -> Iterator[Entry]:
    """The ledger of one position. A fill's place is its moment, its execution id and, as two accounts that trade with
    each other may share these, its position: so a page takes up at the moment and passes over what was given."""
    prefix = b"l/" + where + b"/"
    start = None
    if after is not None:
        start = prefix + after.partition(b"/")[0] + (b"0" if descending else b"")  # "0" comes right after "/"
    for key, _ in rows.scan(partition, prefix, after=start, reverse=descending):
        place = key[len(prefix) :] + b"\0" + where
        if after is None or (place < after if descending else place > after):
            yield place, partition, key


def _entries(rows: Rows, partition: int, prefix: bytes, span: Span) -> Iterator[Entry]:
    for index_key, row_key in rows.scan_index(partition, prefix, after=span.start(prefix), reverse=span.descending):
        place = index_key[len(prefix) :]
        if span.is_past(place):
            return
        yield place, partition, row_key


def _order_prefixes(wanted: OrderFilter) -> list[bytes]:
    """The index ranges that hold every order of the filter, and as few others as can be."""
    if wanted.signal_id:
        return [join(b"g", wanted.signal_id) + b"/"]
    if wanted.state is OrderState.UNCERTAIN:
        return [b"u/"]
    statuses = _statuses(wanted)
    if wanted.symbol and statuses is not None:
        return [join(b"z", wanted.symbol, status) + b"/" for status in statuses]
    if wanted.symbol:
        return [join(b"y", wanted.symbol) + b"/"]
    if statuses is not None:
        return [join(b"t", status) + b"/" for status in statuses]
    return [b"c/"]


def _accepting_orders(wanted: OrderFilter) -> Callable[[bytes], Order | None]:
    """Decodes and accepts. A row that cannot be one of them, as its bytes lack what all of them have, is not decoded:
    that makes a filter without an index three times as fast."""
    fields = {
        "side": wanted.side,
        "state": wanted.state,
        "venue": wanted.venue,
        "category": wanted.category,
        "strategy_id": wanted.strategy_id,
    }
    parts = tuple(part_of_row(name, value) for name, value in fields.items() if value)

    def accept(value: bytes) -> Order | None:
        for part in parts:
            if part not in value:
                return None
        order = decode_order(value)
        return order if wanted.accepts(order) else None

    return accept


def _statuses(wanted: OrderFilter) -> tuple[str, ...] | None:
    """The statuses that the filter leaves; None = all."""
    if wanted.state is None:
        return (wanted.status,) if wanted.status else None
    of_state: tuple[str, ...] = (wanted.state.status,)
    if wanted.state is OrderState.EXPIRED:
        of_state = ("failed", "cancelled")  # see `Order.status`
    return tuple(status for status in of_state if wanted.status in {"", status})


# -- counts ----------------------------------------------------------------------------------------------------------


def count_open_orders(rows: Rows, partitions: Iterable[int]) -> int:
    """Orders that have not ended, or whose single fills are not all known. Reads the index only."""
    return sum(1 for partition in partitions for _ in rows.scan_index(partition, b"a/"))


def count_uncertain_orders(rows: Rows, partitions: Iterable[int]) -> int:
    """Orders that may be at their venue without our knowing. Reads the index only."""
    return sum(1 for partition in partitions for _ in rows.scan_index(partition, b"u/"))


# -- single ones -----------------------------------------------------------------------------------------------------


def orders_by_id(rows: Rows, partitions: Iterable[int], any_id: str) -> list[tuple[int, Order]]:
    """(partition, order) of our id, or else of the venue's, which several venues may have given."""
    table = OrderTable(rows)
    partitions = list(partitions)
    for partition in partitions:
        order = table.get(partition, any_id)
        if order is not None:
            return [(partition, order)]
    found = []
    for partition in partitions:
        for _, row_key in rows.scan_index(partition, join(b"v", any_id) + b"/"):
            value = rows.get(partition, row_key)
            if value is not None:
                found.append((partition, decode_order(value)))
    return found


def history_page(
    rows: Rows, partition: int, order_id: str, *, limit: int, after: int = 0
) -> tuple[list[Transition], bool]:
    """(transitions numbered above `after`, oldest first; whether there are more)."""
    found: list[Transition] = []
    for transition in OrderTable(rows).history(partition, order_id):
        if transition.sequence <= after:
            continue
        if len(found) == limit:
            return found, True
        found.append(transition)
    return found, False


def fills_page(rows: Rows, partition: int, order_id: str, *, limit: int) -> tuple[list[FillReport], bool]:
    """(the order's first `limit` fills in the venue's execution order; whether there are more)."""
    found: list[FillReport] = []
    for fill in OrderTable(rows).fills_of(partition, order_id):
        if len(found) == limit:
            return found, True
        found.append(fill)
    return found, False


def signals_by_id(rows: Rows, partitions: Iterable[int], signal_id: str) -> list[tuple[int, SignalRow]]:
    """(partition, signal) of every symbol that had a signal of this id."""
    found = []
    for partition in partitions:
        for _, row_key in rows.scan_index(partition, join(b"g", signal_id) + b"/"):
            value = rows.get(partition, row_key)
            if value is not None:
                found.append((partition, decode_signal(value)))
    return found


def commands_by_id(rows: Rows, partitions: Iterable[int], command_id: str) -> list[CommandRow]:
    """The command's row in each partition that has one: a command for every symbol has one in each."""
    table = SignalTable(rows)
    found = (table.command(partition, command_id) for partition in partitions)
    return [row for row in found if row is not None]
