"""Leave to add to the account's load is given back, whichever way a signal ends (requirement R04)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest
from fakes import MemoryRows
from load_desk import BTC, NOW_S, SOURCE, TOPIC, Clock, LoadLog, board, told
from table_cases import fill, order, plan
from trading_desk import FreeTurn

from domain.exposure import Hold, SymbolLoad, Taking, load_name
from domain.limits import Limits
from domain.orders import Evidence, Order, OrderState, Sums, VenueState
from domain.plans import Decision, Plan
from streams.account import Account, Look
from streams.broadcast import Entry
from streams.exposure import ExposureBoard
from streams.limits_board import LimitsBoard
from streams.ports import Turn
from streams.record import Record
from streams.symbol_gates import SymbolGates
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt


def account(of: ExposureBoard) -> Account:
    limits = LimitsBoard(Limits(max_exposure=Decimal(1_000_000)), dict)
    return Account(limits=limits, board=of, clock=Clock())  # type: ignore[arg-type]  # as much of it as is asked for


def buying() -> Plan:
    return plan(
        source=SOURCE,
        reference_price=Decimal(50_000),
        facts=plan().facts.__class__(
            now_ns=0, account="main", attempt=1, rules=None, quote=None, limits=Limits(max_exposure=Decimal(1_000_000))
        ),
    )


def refusing(_look: Look | None = None) -> Plan:
    return plan(source=SOURCE, decision=Decision.EXPIRE, intents=(), code="SIGNAL_TOO_OLD")


def turn() -> Turn:
    return FreeTurn(Record("signals", 0, 7, b"BTCUSDT", b"", (), 0))  # type: ignore[return-value]  # a turn for tests


async def with_leave(of: ExposureBoard, first: Plan) -> Plan:
    return await account(of).with_leave(turn(), first, lambda _look: first, lambda _plan: None)


@pytest.mark.parametrize("granted", [False, True], ids=["asked", "granted"])
async def test_r04_what_a_former_owner_asked_for_is_withdrawn_when_the_signal_ends_without_orders(
    granted: bool,
) -> None:
    log = LoadLog()
    former, present = board(log, "former"), board(log, "present")
    if granted:
        await with_leave(former, buying())
    else:
        await former.ask(BTC, SOURCE, wish(former))
    assert present.holds(BTC, SOURCE)

    await with_leave(present, refusing())

    assert not present.holds(BTC, SOURCE)
    [record] = present.records()
    assert (record.pending, record.held) == ({}, {})


async def test_r04_what_was_asked_for_a_signal_that_is_put_aside_is_free_again() -> None:
    log = LoadLog()
    there = board(log, "there")
    await with_leave(there, buying())

    there.withdraw("BTCUSDT", SOURCE)

    assert not there.holds(BTC, SOURCE)


def half_known() -> Order:
    """0.10, of which 0.04 are filled; where the position does not know of these, a crash has kept them from it."""
    sums = Sums(Decimal("0.04"), Decimal("2000.004"))
    evidence = Evidence(state=VenueState.LIVE, raw_status="PartiallyFilled", cumulative=sums)
    return order(1, state=OrderState.PARTIALLY_FILLED, evidence=evidence, fills=sums)


def taken_over(log: LoadLog, orders: Sequence[Order]) -> tuple[ExposureBoard, PositionTable, SymbolGates]:
    """The board of a new owner that has not applied yet what the former one had."""
    positions, gates = PositionTable(MemoryRows([0], position_index)), SymbolGates()
    gates.assign(0, {"BTCUSDT"}, NOW_S)
    present = board(log, "present", orders=orders, positions=positions, gates=gates)
    for other in log.boards[:-1]:
        for record in other.records():
            present.heard(TOPIC, record.name.encode(), Entry(msgspec.json.encode(record), NOW_S, log.written - 1))
    present.assigned(0)
    return present, positions, gates


async def test_r04_a_fill_that_a_crash_kept_from_the_position_counts_while_its_update_is_unread() -> None:
    log = LoadLog()
    former = board(log, "former", orders=[order(1)])
    former.assigned(0)
    assert told(former).exposure == 5_000

    present, positions, gates = taken_over(log, [half_known()])

    assert told(present).worker == "present"
    assert told(present).exposure == 5_000
    positions.apply(0, fill(quantity="0.03"), "om1", 1, Receipt())
    gates.caught_up(0, set())
    assert told(present).exposure == 4_500  # what the tables say


async def test_r04_orders_count_when_their_leave_is_given_back_before_the_updates_are_read() -> None:
    log = LoadLog()
    former = board(log, "former", orders=[order(1)])
    former.assigned(0)
    assert told(former).exposure == 5_000
    await with_leave(former, buying())

    present, positions, gates = taken_over(log, [half_known(), order(2, state=OrderState.PLANNED)])
    present.release(BTC, SOURCE)

    assert told(present).exposure == 10_000
    assert told(present).orders == 2
    assert not present.holds(BTC, SOURCE)
    positions.apply(0, fill(), "om1", 1, Receipt())
    gates.caught_up(0, set())
    assert told(present).exposure == 10_000


async def test_r04_parts_that_still_wait_count_once_when_their_leave_is_taken_up_again() -> None:
    log = LoadLog()
    former = board(log, "former")
    await with_leave(former, buying())
    former.release(BTC, SOURCE, wish(former))

    present, _, _ = taken_over(log, [])
    present.release(BTC, SOURCE, wish(present))

    assert present.holds(BTC, SOURCE)
    assert told(present).exposure == 0


def wish(of: ExposureBoard) -> Hold:
    found = account(of).held(buying(), 0)
    assert found is not None
    return found


def told_by_a_former_owner(taking: dict[str, Taking]) -> Entry:
    record = SymbolLoad(symbol=BTC.symbol, category=BTC.category, worker="former", taking=taking)
    return Entry(msgspec.json.encode(record), 1, 1)


async def test_r02_what_a_former_owner_counted_once_and_no_more_is_no_part_of_its_heritage() -> None:
    """A worker that begins reads the topic from its beginning, when the partition is its own already."""
    present, on_its_way = board(LoadLog(), "present"), Taking(source=SOURCE, currency="USDT", amount=Decimal(500))
    counted = present._reservations
    for taking in ({"om1": on_its_way}, {"om2": on_its_way}):
        present.heard(TOPIC, load_name(BTC).encode(), told_by_a_former_owner(taking))

    present.assigned(0)

    assert counted.total("USDT", 0) == 500, "the last record's, and not all that there ever were"
    assert set(counted.of(BTC)) == {"om2"}


async def test_r02_what_a_former_owner_tells_late_is_counted() -> None:
    present = board(LoadLog(), "present")
    present.assigned(0)
    late = {"om1": Taking(source=SOURCE, currency="USDT", amount=Decimal(500))}
    present.heard(TOPIC, load_name(BTC).encode(), told_by_a_former_owner(late))
    assert present._reservations.total("USDT", 0) == 500

    await present.parting(frozenset({0}))
    present.heard(TOPIC, load_name(BTC).encode(), told_by_a_former_owner(late))

    assert present._reservations.total("USDT", 0) == 0, "it is another's now"
