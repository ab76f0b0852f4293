"""Questions to the tables: pages of orders, signals and positions, and single ones by their ids.

A page is a range of one index, merged over partitions. Every index of a kind ends with the same *moment*, such as
`<created at>/<order id>`, so a place in the list means the same in each index, partition and worker: the cursor of
one page is good for all of them. A row's moment never changes; what is written between two pages neither repeats nor
hides a row that stood still (requirement Q02).

What no index answers is looked at row by row. `max_scanned` bounds that, so the time of a page doesn't grow with the
table: a page may then come back short, and says where to go on.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from domain.events import Transition
from domain.orders import Order, OrderState, Side
from domain.positions import LedgerEntry, Position
from domain.updates import FillReport
from tables.keys import join
from tables.orders import OrderTable, decode_order
from tables.positions import decode_position
from tables.rows import Rows, index_cursor
from tables.signals import CommandRow, SignalRow, SignalTable, decode_signal

T = TypeVar("T")

_entry = msgspec.json.Decoder(LedgerEntry)

MAX_SCANNED = 1_000
"""Rows looked at for one page: about 15 ms, in which nothing else of the worker runs."""

_BEYOND_ROW_KEYS = b"\xff"
"""Greater than any row key: those are UTF-8."""


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders; empty = any. Times are nanoseconds UTC of creation, `from_ns` included, `to_ns` not."""

    symbol: str = ""
    status: str = ""
    state: OrderState | None = None
    side: Side | None = None
    signal_id: str = ""
    venue: str = ""
    category: str = ""
    strategy_id: str = ""
    from_ns: int = 0
    to_ns: int | None = None

    def accepts(self, order: Order) -> bool:
        """Whether the order is one of these."""
        signal = order.signal
        return (
            (not self.symbol or order.instrument.symbol == self.symbol)
            and (not self.status or order.status == self.status)
            and (self.state is None or order.state is self.state)
            and (self.side is None or order.side is self.side)
            and (not self.venue or order.instrument.venue == self.venue)
            and (not self.category or order.instrument.category == self.category)
            and (not self.signal_id or (signal is not None and signal.signal_id == self.signal_id))
            and (not self.strategy_id or (signal is not None and signal.strategy_id == self.strategy_id))
        )


class SignalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which signals; empty = any. Times are nanoseconds UTC of planning, `from_ns` included, `to_ns` not."""

    symbol: str = ""
    result: str = ""
    strategy_id: str = ""
    from_ns: int = 0
    to_ns: int | None = None

    def accepts(self, row: SignalRow) -> bool:
        """Whether the signal is one of these."""
        return (
            (not self.symbol or row.symbol == self.symbol)
            and (not self.result or row.result == self.result)
            and (not self.strategy_id or row.strategy_id == self.strategy_id)
        )


class PositionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which positions; empty = any. `open_only` leaves out those of size zero."""

    symbol: str = ""
    venue: str = ""
    category: str = ""
    open_only: bool = False

    def accepts(self, position: Position) -> bool:
        """Whether the position is one of these."""
        return (
            (not self.symbol or position.instrument.symbol == self.symbol)
            and (not self.venue or position.instrument.venue == self.venue)
            and (not self.category or position.instrument.category == self.category)
            and (not self.open_only or position.state.size != 0)
        )


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A row, its place in the list, and the partition it lies in."""

    place: bytes
    partition: int
    row: T


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in order. `resume` is the place after which to go on, None when there is nothing more; `scanned` counts
    the rows looked at. With `cut_short` the bound on them ended the page before it was full."""

    found: list[Found[T]]
    resume: bytes | None
    scanned: int
    cut_short: bool = False


# -- pages -----------------------------------------------------------------------------------------------------------


def orders_page(
    rows: Rows,
    partitions: Iterable[int],
    wanted: OrderFilter,
    *,
    limit: int,
    after: bytes | None = None,
    descending: bool = True,
    max_scanned: int = MAX_SCANNED,
) -> Page[Order]:
    """Orders by time of creation, newest first unless not `descending`, beyond the place `after`."""
    span = _Span(wanted.from_ns, wanted.to_ns, after, descending)
    streams = [
        _entries(rows, partition, prefix, span) for partition in partitions for prefix in _order_prefixes(wanted)
    ]
    return _page(rows, streams, decode_order, wanted.accepts, limit, max_scanned, descending)


def signals_page(
    rows: Rows,
    partitions: Iterable[int],
    wanted: SignalFilter,
    *,
    limit: int,
    after: bytes | None = None,
    descending: bool = True,
    max_scanned: int = MAX_SCANNED,
) -> Page[SignalRow]:
    """Signals by time of planning, newest first unless not `descending`, beyond the place `after`."""
    span = _Span(wanted.from_ns, wanted.to_ns, after, descending)
    streams = [_entries(rows, partition, b"r/", span) for partition in partitions]
    return _page(rows, streams, decode_signal, wanted.accepts, limit, max_scanned, descending)


def positions_page(
    rows: Rows,
    partitions: Iterable[int],
    wanted: PositionFilter,
    *,
    limit: int,
    after: bytes | None = None,
    max_scanned: int = MAX_SCANNED,
) -> Page[Position]:
    """Positions by venue, category, symbol, account and side."""

    def stream(partition: int) -> Iterator[_Entry]:
        for key, _ in rows.scan(partition, b"p/", after=after):
            yield key, partition, key

    streams = [stream(partition) for partition in partitions]
    return _page(rows, streams, decode_position, wanted.accepts, limit, max_scanned, False)


def ledger_page(
    rows: Rows,
    partition: int,
    symbol: str,
    category: str = "",
    *,
    limit: int,
    after: bytes | None = None,
    descending: bool = True,
    max_scanned: int = MAX_SCANNED,
) -> Page[LedgerEntry]:
    """The fills of a symbol's positions (of one category, or of all), each with the state after it, in the venue's
    order of execution."""
    positions = {
        key.removeprefix(b"p/"): decode_position(value)
        for key, value in rows.scan(partition, b"p/")
        if _is_market(key, category, symbol)
    }
    applied = {(each.instrument, each.account, each.side): each.applied_offset for each in positions.values()}
    streams = [_ledger(rows, partition, where, after, descending) for where in positions]

    def counts(entry: LedgerEntry) -> bool:
        fill = entry.fill
        return entry.offset <= applied.get((fill.instrument, fill.account, fill.position_side), -1)

    return _page(rows, streams, _entry.decode, counts, limit, max_scanned, descending)


def _is_market(key: bytes, category: str, symbol: str) -> bool:
    """Whether a position's key names the symbol, and the category where one is asked for."""
    named = key.split(b"/")[2:4]
    return named[1:] == [symbol.encode()] and category in {"", named[0].decode()}


def _ledger(rows: Rows, partition: int, where: bytes, after: bytes | None, descending: bool) -> Iterator[_Entry]:
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


_Entry = tuple[bytes, int, bytes]
"""(place, partition, row key)"""


@dataclass(frozen=True, slots=True)
class _Span:
    """The part of an index that a page may take from: a range of time, beyond the last page."""

    from_ns: int
    to_ns: int | None
    after: bytes | None
    descending: bool

    def start(self, prefix: bytes) -> bytes | None:
        """What `scan_index` takes as `after`."""
        bounds = []
        if self.after is not None:
            bounds.append(index_cursor(prefix + self.after, b"" if self.descending else _BEYOND_ROW_KEYS))
        if self.descending and self.to_ns is not None:
            bounds.append(index_cursor(prefix + b"%020d" % self.to_ns, b""))
        if not self.descending and self.from_ns:
            bounds.append(index_cursor(prefix + b"%020d" % self.from_ns, b""))
        if not bounds:
            return None
        return min(bounds) if self.descending else max(bounds)

    def is_past(self, place: bytes) -> bool:
        """Whether the range of time ends before `place`."""
        if self.descending:
            return place < b"%020d" % self.from_ns
        return self.to_ns is not None and place >= b"%020d" % self.to_ns


def _order_prefixes(wanted: OrderFilter) -> list[bytes]:
    """The index ranges that hold every order of the filter, and as few others as can be."""
    if wanted.signal_id:
        return [join(b"g", wanted.signal_id) + b"/"]
    statuses = _statuses(wanted)
    if wanted.symbol and statuses is not None:
        return [join(b"z", wanted.symbol, status) + b"/" for status in statuses]
    if wanted.symbol:
        return [join(b"y", wanted.symbol) + b"/"]
    if statuses is not None:
        return [join(b"t", status) + b"/" for status in statuses]
    return [b"c/"]


def _statuses(wanted: OrderFilter) -> tuple[str, ...] | None:
    """The statuses that the filter leaves; None = all."""
    if wanted.state is None:
        return (wanted.status,) if wanted.status else None
    of_state: tuple[str, ...] = (wanted.state.status,)
    if wanted.state is OrderState.EXPIRED:
        of_state = ("failed", "cancelled")  # see `Order.status`
    return tuple(status for status in of_state if wanted.status in {"", status})


def _entries(rows: Rows, partition: int, prefix: bytes, span: _Span) -> Iterator[_Entry]:
    for index_key, row_key in rows.scan_index(partition, prefix, after=span.start(prefix), reverse=span.descending):
        place = index_key[len(prefix) :]
        if span.is_past(place):
            return
        yield place, partition, row_key


def _page(
    rows: Rows,
    streams: list[Iterator[_Entry]],
    decode: Callable[[bytes], T],
    accepts: Callable[[T], bool],
    limit: int,
    max_scanned: int,
    descending: bool,
) -> Page[T]:
    found: list[Found[T]] = []
    scanned, last = 0, b""
    for place, partition, row_key in heapq.merge(*streams, key=_place_of, reverse=descending):
        if len(found) == limit or scanned == max_scanned:
            return Page(found, last, scanned, cut_short=len(found) < limit)
        scanned, last = scanned + 1, place
        value = rows.get(partition, row_key)
        if value is not None:
            row = decode(value)
            if accepts(row):
                found.append(Found(place, partition, row))
    return Page(found, None, scanned)


def _place_of(entry: _Entry) -> bytes:
    return entry[0]


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
