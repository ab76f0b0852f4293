"""Pages of orders, signals and positions, in memory and on the real store."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fakes import MemoryRows
from table_cases import (
    NOW,
    PARTITIONS,
    SECOND,
    fill,
    filled,
    order,
    partition_of,
    signal_context,
    signal_row,
    store_fill_in_position,
    store_fills,
    store_orders,
    store_signals,
    transition,
)

from domain.events import EventKind
from domain.instruments import Instrument
from domain.orders import Evidence, Order, OrderState, Side, VenueState
from tables.durable_rows import DurableRows
from tables.filters import OrderFilter, PositionFilter, SignalFilter
from tables.orders import OrderTable, order_index
from tables.paging import Page
from tables.positions import position_index
from tables.queries import (
    MAX_SCANNED,
    commands_by_id,
    count_open_orders,
    count_uncertain_orders,
    fills_page,
    history_page,
    list_ledger,
    list_orders,
    list_positions,
    list_signals,
    orders_by_id,
    signals_by_id,
)
from tables.receipt import Receipt
from tables.rows import Rows
from tables.signals import CommandRow, SignalResult, SignalTable, signal_index
from tables.store_memory import StoreMemory

ALL = range(PARTITIONS)
MakeRows = Callable[[Callable[[bytes, bytes], list[bytes]]], Rows]


@pytest.fixture(params=["memory", "disk"])
def make_rows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeRows]:
    made: list[DurableRows] = []

    def append(
        topic: str, partition: int, key: Any, value: Any, receipt: Receipt, headers: Any = (), on_ack: Any = None
    ) -> None:
        receipt.expect()
        offsets[topic, partition] = offsets.get((topic, partition), -1) + 1
        on_ack(offsets[topic, partition])
        receipt.settle()

    offsets: dict[tuple[str, int], int] = {}

    def make(index: Callable[[bytes, bytes], list[bytes]]) -> Rows:
        if request.param == "memory":
            return MemoryRows(ALL, index)
        rows = DurableRows("table", "changelog", tmp_path, append, index=index, memory=StoreMemory(4 << 20))
        made.append(rows)
        for partition in ALL:
            rows.open(partition, "cluster")
            rows.admit(partition, 0)
        return rows

    yield make
    for rows in made:
        for partition in ALL:
            rows.close(partition)


@pytest.fixture
async def orders(make_rows: MakeRows) -> Rows:
    return make_rows(order_index)


@pytest.fixture
async def signals(make_rows: MakeRows) -> Rows:
    return make_rows(signal_index)


def orders_page(
    rows: Rows, wanted: OrderFilter, *, limit: int, max_scanned: int = MAX_SCANNED, **where: Any
) -> Page[Order]:
    return list_orders(rows, ALL, wanted, **where).page(limit, max_scanned)


def ids(page: Page[Order]) -> list[str]:
    return [found.row.order_id for found in page.found]


def all_pages(rows: Rows, wanted: OrderFilter, *, limit: int, descending: bool = True, max_scanned: int = 50) -> Any:
    found: list[str] = []
    after = None
    while True:
        page = orders_page(rows, wanted, limit=limit, after=after, descending=descending, max_scanned=max_scanned)
        assert len(page.found) <= limit
        assert page.scanned <= max_scanned
        found += ids(page)
        if page.resume is None:
            return found
        after = page.resume


SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT")


def mixed_orders(count: int) -> list[Order]:
    """Orders of many symbols, states, sides, venues and signals; several are created at the same moment."""
    chance = random.Random(7)  # noqa: S311 -- the same rows in every run
    made = []
    for number in range(count):
        state = chance.choice(list(OrderState))
        evidence = Evidence(state=chance.choice([VenueState.UNKNOWN, VenueState.EXPIRED]))
        made.append(
            order(
                number,
                created_ns=NOW + number // 3 * SECOND,
                instrument=Instrument(chance.choice(["paper", "bybit"]), "linear", chance.choice(SYMBOLS)),
                state=state,
                evidence=evidence,
                side=chance.choice(list(Side)),
                signal=chance.choice([None, signal_context("s1"), signal_context("s/2", strategy_id="mean")]),
            )
        )
    return made


async def test_orders_come_newest_first_over_all_partitions(orders: Rows) -> None:
    store_orders(orders, *(order(number, symbol=SYMBOLS[number % 5]) for number in range(7)))
    assert ids(orders_page(orders, OrderFilter(), limit=5)) == ["om6", "om5", "om4", "om3", "om2"]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 7, 500])
@pytest.mark.parametrize(
    "wanted",
    [
        OrderFilter(),
        OrderFilter(symbol="ETHUSDT"),
        OrderFilter(status="cancelled"),
        OrderFilter(status="pending", symbol="BTCUSDT"),
        OrderFilter(state=OrderState.EXPIRED),
        OrderFilter(state=OrderState.EXPIRED, status="cancelled", symbol="SOLUSDT"),
        OrderFilter(state=OrderState.UNCERTAIN),
        OrderFilter(state=OrderState.UNCERTAIN, status="filled"),
        OrderFilter(state=OrderState.UNCERTAIN, symbol="ETHUSDT"),
        OrderFilter(signal_id="s/2", side=Side.SELL),
        OrderFilter(venue="bybit", strategy_id="mean"),
        OrderFilter(from_ns=NOW + 5 * SECOND, to_ns=NOW + 20 * SECOND),
        OrderFilter(from_ns=NOW + 5 * SECOND, symbol="ETHUSDT", side=Side.BUY),
    ],
    ids=repr,
)
async def test_pages_together_are_exactly_what_the_filter_accepts(
    orders: Rows, wanted: OrderFilter, limit: int, descending: bool
) -> None:
    stored = mixed_orders(90)
    store_orders(orders, *stored)

    found = all_pages(orders, wanted, limit=limit, descending=descending)

    expected = [
        each
        for each in stored
        if wanted.accepts(each)
        and each.times.created_ns >= wanted.from_ns
        and (wanted.to_ns is None or each.times.created_ns < wanted.to_ns)
    ]
    expected.sort(key=lambda each: (each.times.created_ns, each.order_id), reverse=descending)
    assert found == [each.order_id for each in expected]


async def test_writes_between_pages_neither_repeat_nor_hide_orders_that_stood_still(orders: Rows) -> None:
    store_orders(orders, *(order(number) for number in range(10, 20)))
    first = orders_page(orders, OrderFilter(status="pending"), limit=4)

    store_orders(orders, order(30), order(31, symbol="ETHUSDT"), filled(19), filled(13))
    rest = orders_page(orders, OrderFilter(status="pending"), limit=50, after=first.resume)

    assert ids(first) == ["om19", "om18", "om17", "om16"]
    assert ids(rest) == ["om15", "om14", "om12", "om11", "om10"]


async def test_writes_while_a_list_is_read_neither_repeat_nor_hide_orders_that_stood_still(orders: Rows) -> None:
    store_orders(orders, *(order(number, symbol=SYMBOLS[number % 2]) for number in range(100)))
    reading = list_orders(orders, ALL, OrderFilter(status="pending"))
    found = []
    for turn in range(10):
        found += ids(reading.page(10, MAX_SCANNED))
        store_orders(orders, order(200 + turn), filled(turn), filled(99 - turn, symbol=SYMBOLS[(99 - turn) % 2]))

    stood_still = [f"om{number}" for number in range(89, 9, -1)]
    assert [each for each in found if each in stood_still] == stood_still
    assert len(found) == len(set(found))


@pytest.mark.parametrize("strategy_id", ["trend", 'a "quoted" one', "back\\slash", "İstanbul ₺", "a/b\tc"])
async def test_orders_of_a_strategy_are_found_whatever_it_is_called(orders: Rows, strategy_id: str) -> None:
    context = signal_context(strategy_id=strategy_id)
    store_orders(orders, order(1, signal=signal_context(strategy_id="other")), order(2, signal=context))
    assert ids(orders_page(orders, OrderFilter(strategy_id=strategy_id), limit=5)) == ["om2"]


async def test_uncertain_orders_are_found_without_a_look_at_the_others(orders: Rows) -> None:
    store_orders(orders, *(order(number) for number in range(1, 30)), order(0, state=OrderState.UNCERTAIN))
    page = orders_page(orders, OrderFilter(state=OrderState.UNCERTAIN), limit=5)
    assert (ids(page), page.scanned) == (["om0"], 1)


async def test_a_filter_without_an_index_stops_at_the_bound_and_says_where_to_go_on(orders: Rows) -> None:
    store_orders(orders, *(order(number, side=Side.SELL) for number in range(1, 30)), order(0))

    page = orders_page(orders, OrderFilter(side=Side.BUY), limit=10, max_scanned=20)

    assert (ids(page), page.cut_short, page.scanned) == ([], True, 20)
    page = orders_page(orders, OrderFilter(side=Side.BUY), limit=10, after=page.resume, max_scanned=20)
    assert (ids(page), page.cut_short, page.resume) == (["om0"], False, None)


async def test_a_full_page_is_not_called_cut_short(orders: Rows) -> None:
    store_orders(orders, *(order(number) for number in range(5)))
    page = orders_page(orders, OrderFilter(), limit=5, max_scanned=5)
    assert (len(page.found), page.cut_short, page.resume) == (5, False, None)


async def test_a_page_looks_at_no_more_rows_than_it_gives_where_an_index_answers(orders: Rows) -> None:
    store_orders(orders, *(filled(number) for number in range(60)), order(100), order(101))
    page = orders_page(orders, OrderFilter(symbol="BTCUSDT", status="pending"), limit=10)
    assert (ids(page), page.scanned) == (["om101", "om100"], 2)


async def test_open_and_uncertain_orders_are_counted(orders: Rows) -> None:
    doubtful = [order(number, symbol=SYMBOLS[number], state=OrderState.UNCERTAIN) for number in range(3)]
    store_orders(orders, *doubtful, order(7), filled(8))
    store_orders(orders, order(0, state=OrderState.REJECTED))
    assert (count_open_orders(orders, ALL), count_uncertain_orders(orders, ALL)) == (3, 2)


async def test_an_order_is_found_by_our_id_and_by_the_venues(orders: Rows) -> None:
    store_orders(orders, filled(1), filled(2, symbol="ETHUSDT"))
    by_ours = orders_by_id(orders, ALL, "om2")
    by_theirs = orders_by_id(orders, ALL, "v2")
    assert by_ours == by_theirs
    assert [(partition, found.order_id) for partition, found in by_ours] == [(partition_of("ETHUSDT"), "om2")]
    assert orders_by_id(orders, ALL, "v") == []


async def test_a_venue_id_that_two_venues_gave_finds_both_orders(orders: Rows) -> None:
    elsewhere = filled(2, venue_order_id="v1", instrument=Instrument("bybit", "linear", "BTCUSDT"))
    store_orders(orders, filled(1), elsewhere)
    assert {found.order_id for _, found in orders_by_id(orders, ALL, "v1")} == {"om1", "om2"}


async def test_the_order_agents_own_questions_still_find_their_orders(orders: Rows) -> None:
    table, partition = OrderTable(orders), partition_of("BTCUSDT")
    store_orders(orders, filled(1), order(2, venue_order_id="v2"))
    store_fills(orders, "om1", fill("e2", executed_ns=NOW + 2), fill("e1", executed_ns=NOW + 1))

    found = table.by_venue_id(partition, Instrument("paper", "linear", "BTCUSDT"), "main", "v2")

    assert found is not None
    assert found.order_id == "om2"
    assert table.by_venue_id(partition, Instrument("bybit", "linear", "BTCUSDT"), "main", "v2") is None
    assert [each.order_id for each in table.open_orders(partition, "BTCUSDT")] == ["om2"]
    assert [each.execution_id for each in table.fills_of(partition, "om1")] == ["e1", "e2"]


async def test_history_is_paged_by_sequence(orders: Rows) -> None:
    state = OrderState.ACKNOWLEDGED
    steps = tuple(transition(number, state, state, EventKind.AMENDED) for number in range(1, 6))
    store_orders(orders, order(1), history=steps)
    partition = partition_of("BTCUSDT")

    first, more = history_page(orders, partition, "om1", limit=3)
    rest, nothing_more = history_page(orders, partition, "om1", limit=3, after=3)

    assert [step.sequence for step in first + rest] == [1, 2, 3, 4, 5]
    assert (more, nothing_more) == (True, False)


async def test_fills_are_bounded(orders: Rows) -> None:
    store_fills(orders, "om1", *(fill(f"e{number}", executed_ns=NOW + number) for number in range(4)))
    found, more = fills_page(orders, partition_of("BTCUSDT"), "om1", limit=3)
    assert ([each.execution_id for each in found], more) == (["e0", "e1", "e2"], True)


async def test_signals_are_listed_by_time_and_found_by_id_whatever_the_symbol(signals: Rows) -> None:
    store_signals(
        signals,
        *(signal_row(f"s{number}", SYMBOLS[number % 5], number) for number in range(6)),
        signal_row("s0", "ADAUSDT", 9, result=SignalResult.REJECTED),
    )

    newest = list_signals(signals, ALL, SignalFilter()).page(3, MAX_SCANNED)
    rest = list_signals(signals, ALL, SignalFilter(), after=newest.resume).page(10, MAX_SCANNED)
    oldest = list_signals(signals, ALL, SignalFilter(from_ns=NOW + 2 * SECOND), descending=False).page(2, MAX_SCANNED)
    rejected = list_signals(signals, ALL, SignalFilter(result="rejected", symbol="ADAUSDT")).page(3, MAX_SCANNED)

    assert [found.row.signal_id for found in newest.found + rest.found] == ["s0", "s5", "s4", "s3", "s2", "s1", "s0"]
    assert [found.row.signal_id for found in oldest.found] == ["s2", "s3"]
    assert [found.row.symbol for found in rejected.found] == ["ADAUSDT"]
    assert {row.symbol for _, row in signals_by_id(signals, ALL, "s0")} == {"BTCUSDT", "ADAUSDT"}


async def test_positions_are_listed_by_key_and_filtered(make_rows: MakeRows) -> None:
    rows = make_rows(position_index)
    for number, symbol in enumerate(SYMBOLS):
        store_fill_in_position(rows, fill(f"e{number}", instrument=Instrument("paper", "linear", symbol)), number)
    away = fill("x1", instrument=Instrument("paper", "linear", "XRPUSDT"), side=Side.SELL, executed_ns=NOW + 1)
    store_fill_in_position(rows, away, 100)

    first = list_positions(rows, ALL, PositionFilter()).page(3, MAX_SCANNED)
    rest = list_positions(rows, ALL, PositionFilter(), after=first.resume).page(3, MAX_SCANNED)
    still_open = list_positions(rows, ALL, PositionFilter(open_only=True)).page(9, MAX_SCANNED)
    one = list_positions(rows, ALL, PositionFilter(symbol="ETHUSDT", venue="paper")).page(9, MAX_SCANNED)

    assert [found.row.instrument.symbol for found in first.found + rest.found] == sorted(SYMBOLS)
    assert "XRPUSDT" not in {found.row.instrument.symbol for found in still_open.found}
    assert [found.row.state.size for found in one.found] == [Decimal("0.04")]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_the_ledger_of_a_symbol_is_paged_in_the_order_of_execution(
    make_rows: MakeRows, limit: int, descending: bool
) -> None:
    rows = make_rows(position_index)
    both = {"executed_ns": NOW + 5, "venue_sequence": 1}  # two accounts that traded with each other
    store_fill_in_position(rows, fill("e3", executed_ns=NOW + 7), 1)
    store_fill_in_position(rows, fill("e1", executed_ns=NOW + 1), 2)  # late
    store_fill_in_position(rows, fill("e2", account="a", **both), 3)
    store_fill_in_position(rows, fill("e2", account="b", side=Side.SELL, **both), 4)
    store_fill_in_position(rows, fill("e20", account="b", **both), 5)
    store_fill_in_position(rows, fill("x1", instrument=Instrument("paper", "linear", "ETHUSDT")), 6)

    found, after = [], None
    while True:
        page = list_ledger(rows, partition_of("BTCUSDT"), "BTCUSDT", after=after, descending=descending).page(
            limit, MAX_SCANNED
        )
        found += [(each.row.fill.execution_id, each.row.fill.account) for each in page.found]
        after = page.resume
        if after is None:
            break

    expected = [("e1", "main"), ("e2", "a"), ("e2", "b"), ("e20", "b"), ("e3", "main")]
    assert found == (expected[::-1] if descending else expected)


async def test_a_fill_that_the_position_has_not_applied_is_not_in_its_ledger(make_rows: MakeRows) -> None:
    rows, partition = make_rows(position_index), partition_of("BTCUSDT")
    store_fill_in_position(rows, fill("e1"), 1)
    key, value = next(iter(rows.scan(partition, b"p/")))
    store_fill_in_position(rows, fill("e2", executed_ns=NOW + 1), 2)
    rows.put(partition, key, value, Receipt())  # as after a crash between the ledger's row and the position's

    page = list_ledger(rows, partition, "BTCUSDT").page(5, MAX_SCANNED)

    assert [each.row.fill.execution_id for each in page.found] == ["e1"]


async def test_a_command_is_found_whichever_symbol_it_was_for(signals: Rows) -> None:
    row = CommandRow(command_id="c1", symbol="ETHUSDT", action="cancel", source="x-0-1", done=True, ok=True)
    SignalTable(signals).put_command(partition_of("ETHUSDT"), row, Receipt())
    assert commands_by_id(signals, ALL, "c1") == [row]
    assert commands_by_id(signals, ALL, "c2") == []
