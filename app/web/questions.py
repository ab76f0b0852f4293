"""Questions that one worker answers for its own partitions, and the form in which workers send each other answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from app.web.context import WebContext
from app.web.rendering import (
    Json,
    child_json,
    fill_json,
    ledger_json,
    order_bytes,
    plans_json,
    position_json,
    rehearsed_json,
    shares_json,
    signal_json,
    story,
    transition_json,
)
from app.web.replies import to_json
from domain.orders import Order, OrderState
from domain.rehearsal import Group, Rehearsed, add_rehearsed
from tables import queries
from tables.filters import OrderFilter, PositionFilter, SignalFilter
from tables.orders import OrderTable
from tables.paging import Reading
from tables.positions import PositionTable
from tables.signals import SignalRow, SignalTable

SLICE_ROWS, SLICE_SCANNED = 50, 150
"""Of a page, rendered and looked at in one go: about 2 ms, in which nothing else of the worker runs."""

MAX_REHEARSED = 20_000
"""Orders summed up for one answer: about a second."""

DETAIL_ROWS = 500
"""Steps and fills that come with one order; `/orders/{id}/history` pages through the rest."""


class _Question(msgspec.Struct, frozen=True, kw_only=True, tag_field="ask"):
    @property
    def symbol_asked(self) -> str:
        """The one symbol that is asked for, whose partition alone has to answer; empty = any."""
        return ""


class _Listing(_Question, frozen=True, kw_only=True):
    limit: int
    after: str | None = None
    descending: bool = True

    def same_list(self) -> str:
        """What two pages of the same list have in common."""
        return msgspec.json.encode(msgspec.structs.replace(self, limit=0, after=None)).decode()


class Orders(_Listing, frozen=True, kw_only=True, tag="orders"):
    """A page of orders."""

    wanted: OrderFilter

    @property
    def symbol_asked(self) -> str:
        return self.wanted.symbol


class Signals(_Listing, frozen=True, kw_only=True, tag="signals"):
    """A page of signals."""

    wanted: SignalFilter

    @property
    def symbol_asked(self) -> str:
        return self.wanted.symbol


class Positions(_Listing, frozen=True, kw_only=True, tag="positions"):
    """A page of positions."""

    wanted: PositionFilter

    @property
    def symbol_asked(self) -> str:
        return self.wanted.symbol


class Ledger(_Listing, frozen=True, kw_only=True, tag="ledger"):
    """A page of the fills of a symbol's positions, of one category if it is named."""

    symbol: str
    category: str = ""

    @property
    def symbol_asked(self) -> str:
        return self.symbol


class Snapshots(_Listing, frozen=True, kw_only=True, tag="snapshots"):
    """A page of the snapshots of a symbol's positions. They stand on a topic that any worker can read: nobody else is
    asked. Moments in ns UTC, the later one not included."""

    symbol: str
    category: str = ""
    from_ns: int | None = None
    to_ns: int | None = None


class OneOrder(_Question, frozen=True, kw_only=True, tag="order"):
    """An order by our id or the venue's; with all that explains it, if `detail`."""

    any_id: str
    detail: bool = True


class History(_Question, frozen=True, kw_only=True, tag="history"):
    """An order's transitions numbered above `after`."""

    any_id: str
    limit: int
    after: int = 0


class OneSignal(_Question, frozen=True, kw_only=True, tag="signal"):
    """The signals of an id, one for each symbol that had it. `symbol`, where it is known, spares all partitions but
    its own."""

    signal_id: str
    symbol: str = ""

    @property
    def symbol_asked(self) -> str:
        return self.symbol


class OneCommand(_Question, frozen=True, kw_only=True, tag="command"):
    """A command that was carried out. `symbol`, where it is known, spares all partitions but one."""

    command_id: str
    symbol: str = ""

    @property
    def symbol_asked(self) -> str:
        return self.symbol


class DryRun(_Question, frozen=True, kw_only=True, tag="dry-run"):
    """What was rehearsed, summed up, in a range of time of creation (ns UTC)."""

    symbol: str = ""
    from_ns: int = 0
    to_ns: int | None = None

    @property
    def symbol_asked(self) -> str:
        return self.symbol


Listing = Orders | Signals | Positions | Ledger
Question = Listing | OneOrder | History | OneSignal | OneCommand | DryRun


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A row as users see it, and its place in the list."""

    place: str
    body: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in `partitions`. `resume` is the place that a listing has come to, None at its end."""

    partitions: tuple[int, ...]
    items: tuple[Item, ...] = ()
    resume: str | None = None
    scanned: int = 0
    cut_short: bool = False
    rehearsed: tuple[Rehearsed, ...] = ()


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question and the partitions that are to answer."""

    question: Question
    partitions: tuple[int, ...]


T = TypeVar("T")
Body = Json | msgspec.Raw
"""A row as users see it: what becomes JSON, or what is JSON already."""


async def answer(context: WebContext, ask: Ask) -> Answer:
    """Answer for those of the partitions that are ours. Waits for nothing, but lets the worker's other work in between
    the slices of a long page."""
    partitions = _ours(context, ask.partitions)
    match ask.question:
        case Orders() | Signals() | Positions() | Ledger() as listing:
            return await _list(context, partitions, listing)
        case DryRun() as question:
            return await _rehearsed(context, partitions, question)
        case OneOrder(any_id=any_id, detail=detail):
            found = queries.orders_by_id(context.orders, partitions, any_id)
            bodies = [_detail(context, *each) if detail else order_bytes(each[1]) for each in found]
        case History(any_id=any_id, limit=limit, after=after):
            found = queries.orders_by_id(context.orders, partitions, any_id)
            bodies = [_history(context, *each, limit, after) for each in found]
        case OneSignal(signal_id=signal_id, symbol=symbol):
            signals = queries.signals_by_id(context.signals, partitions, signal_id)
            bodies = [_signal(context, *each) for each in signals if symbol in {"", each[1].symbol}]
        case OneCommand(command_id=command_id):
            rows = queries.commands_by_id(context.signals, partitions, command_id)
            bodies = [msgspec.to_builtins(row) for row in rows]
    return Answer(partitions=partitions, items=tuple(_item("", body) for body in bodies))


def _ours(context: WebContext, asked: Iterable[int]) -> tuple[int, ...]:
    ours = context.orders.partitions() & context.signals.partitions() & context.positions.partitions()
    return tuple(sorted(ours.intersection(asked)))


async def _list(context: WebContext, partitions: tuple[int, ...], listing: Listing) -> Answer:
    """A page, read in slices. Partitions that go meanwhile take what was found in them along: the page begins anew."""
    next_slice = _slices(context, partitions, listing)
    items: list[Item] = []
    scanned, max_scanned = 0, context.settings.max_scanned
    while True:
        part = next_slice(min(SLICE_ROWS, listing.limit - len(items)), min(SLICE_SCANNED, max_scanned - scanned))
        items += part.items
        scanned += part.scanned
        full = len(items) == listing.limit
        if part.resume is None or full or scanned >= max_scanned:
            cut_short = part.resume is not None and not full
            return Answer(
                partitions=partitions, items=tuple(items), resume=part.resume, scanned=scanned, cut_short=cut_short
            )
        await asyncio.sleep(0)
        left = _ours(context, partitions)
        if left != partitions:
            return await _list(context, left, listing)


_NextSlice = Callable[[int, int], Answer]
"""(rows, bound on those looked at) → what comes next in a list."""


def _slices(context: WebContext, partitions: tuple[int, ...], listing: Listing) -> _NextSlice:
    after = None if listing.after is None else listing.after.encode()
    match listing:
        case Orders(wanted=wanted, descending=descending):
            orders = queries.list_orders(context.orders, partitions, wanted, after=after, descending=descending)
            return _rendered(partitions, orders, order_bytes)
        case Signals(wanted=wanted_signals, descending=descending):
            signals = queries.list_signals(
                context.signals, partitions, wanted_signals, after=after, descending=descending
            )
            return _rendered(partitions, signals, signal_json)
        case Positions(wanted=wanted_positions):
            positions = queries.list_positions(context.positions, partitions, wanted_positions, after=after)
            return _rendered(partitions, positions, lambda row: position_json(row, context.mark(row.instrument)))
        case Ledger(symbol=symbol, category=category, descending=descending):
            partition = context.partition_of(symbol)
            if partition not in partitions:
                return lambda _rows, _bound: Answer(partitions=partitions)
            ledger = queries.list_ledger(
                context.positions, partition, symbol, category, after=after, descending=descending
            )
            return _rendered(partitions, ledger, ledger_json)


def _rendered(
    partitions: tuple[int, ...], reading: Reading[T], render: Callable[[T], Json | msgspec.Raw]
) -> _NextSlice:
    def next_slice(rows: int, bound: int) -> Answer:
        page = reading.page(rows, bound)
        return Answer(
            partitions=partitions,
            items=tuple(_item(found.place.decode(), render(found.row)) for found in page.found),
            resume=None if page.resume is None else page.resume.decode(),
            scanned=page.scanned,
            cut_short=page.cut_short,
        )

    return next_slice


def _item(place: str, body: Body) -> Item:
    return Item(place=place, body=body if isinstance(body, msgspec.Raw) else msgspec.Raw(to_json(body)))


async def _rehearsed(context: WebContext, partitions: tuple[int, ...], question: DryRun) -> Answer:
    """Every order that ended as `dry_run`, a slice at a time, up to `MAX_REHEARSED` of them."""
    wanted = OrderFilter(
        symbol=question.symbol, state=OrderState.DRY_RUN, from_ns=question.from_ns, to_ns=question.to_ns
    )
    sums: dict[Group, Rehearsed] = {}
    scanned, orders = 0, queries.list_orders(context.orders, partitions, wanted)
    while True:
        page = orders.page(SLICE_SCANNED, SLICE_SCANNED)
        add_rehearsed(sums, (found.row for found in page.found))
        scanned += page.scanned
        more = page.resume is not None
        if not more or scanned >= MAX_REHEARSED:
            return Answer(partitions=partitions, scanned=scanned, cut_short=more, rehearsed=tuple(sums.values()))
        await asyncio.sleep(0)
        if _ours(context, partitions) != partitions:
            return await _rehearsed(context, _ours(context, partitions), question)


# -- one thing and what belongs to it: all of a symbol's rows lie in one partition -----------------------------------


def _detail(context: WebContext, partition: int, order: Order) -> Json:
    history, more_history = queries.history_page(context.orders, partition, order.order_id, limit=DETAIL_ROWS)
    fills, more_fills = queries.fills_page(context.orders, partition, order.order_id, limit=DETAIL_ROWS)
    signal, signals = None, SignalTable(context.signals)
    if order.signal is not None:
        signal = signals.get(partition, order.instrument.symbol, order.signal.signal_id)
    taken_up = [row for row in signals.of_order(partition, order.order_id) if order.order_id in row.order_ids]
    mark = context.mark(order.instrument)
    positions = PositionTable(context.positions).of_symbol(partition, order.instrument)
    children = [
        (child, queries.history_page(context.orders, partition, child.order_id, limit=DETAIL_ROWS)[0])
        for child in OrderTable(context.orders).children_of(partition, order.order_id)
    ]
    return {
        "order": order_bytes(order),
        "history": [transition_json(transition, order.instrument) for transition in history],
        "history_complete": not more_history,
        "fills": [fill_json(fill) for fill in fills],
        "fills_complete": not more_fills and not order.missing_fills,
        "signal": None if signal is None else signal_json(signal) | {"plans": plans_json(signal)},
        "signals": shares_json(order, taken_up),
        "positions": [position_json(each, mark) for each in positions if each.account == order.account],
        "children": [child_json(child) for child in children],
        "story": story(order, signal, history, fills, children),
    }


def _history(context: WebContext, partition: int, order: Order, limit: int, after: int) -> Json:
    history, more = queries.history_page(context.orders, partition, order.order_id, limit=limit, after=after)
    return {
        "order_id": order.order_id,
        "history": [transition_json(transition, order.instrument) for transition in history],
        "next_after": history[-1].sequence if more else None,
    }


def _signal(context: WebContext, partition: int, row: SignalRow) -> Json:
    orders = []
    for order_id in (*row.earlier_order_ids, *row.order_ids):
        orders += [order for _, order in queries.orders_by_id(context.orders, [partition], order_id)]
    own = {"plans": plans_json(row), "rehearsed": rehearsed_json(row)}
    return signal_json(row) | own | {"orders": [order_bytes(order) for order in orders]}
