"""What stands in the account's load for an instrument is its owner's word, whatever a former owner's producer kept
(requirements R03, R04)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from load_desk import BTC, NOW_S, SOURCE, TOPIC, LoadLog, board, told
from table_cases import order

from domain.exposure import Hold, SymbolLoad, load_name
from streams.broadcast import Entry
from streams.exposure import ExposureBoard
from streams.load_records import LoadRecords
from streams.symbol_gates import SymbolGates
from tables.receipt import Receipt

NAME = load_name(BTC)
LATE = SymbolLoad(
    symbol=BTC.symbol,
    category=BTC.category,
    worker="former",
    exposure=Decimal(7_000),
    pending={"signals-0-99": Hold(exposure=Decimal(7), orders=1)},
)


def land(log: LoadLog, value: bytes | None) -> None:
    """What another process had in its producer comes to the log."""
    log.append(TOPIC, 0, NAME.encode(), value, Receipt())


def owner(log: LoadLog, *, gates: SymbolGates | None = None) -> ExposureBoard:
    """A board that has told of an order of 5,000."""
    made = board(log, "present", orders=[order(1)], gates=gates)
    made.assigned(0)
    assert told(made).exposure == 5_000
    return made


@pytest.mark.parametrize(
    "late",
    [LATE, msgspec.structs.replace(LATE, worker="present")],
    ids=["of another worker", "of a process that has our name"],
)
async def test_r04_a_former_owners_late_record_is_told_over(late: SymbolLoad) -> None:
    log = LoadLog()
    present, third = owner(log), board(log, "third")

    land(log, msgspec.json.encode(late))

    assert third.load(None).exposure == 7_007
    present.refresh(10)
    assert third.load(None).exposure == 5_000
    [record] = third.records()
    assert (record.worker, record.pending) == ("present", {})


@pytest.mark.parametrize("value", [None, b"{", b"{}"], ids=["deleted", "broken", "of something else"])
async def test_r04_what_stands_and_is_no_record_is_told_over(value: bytes | None) -> None:
    log = LoadLog()
    present, third = owner(log), board(log, "third")

    land(log, value)

    assert third.records() == []
    present.refresh(10)
    assert third.load(None).exposure == 5_000


async def test_r04_a_late_record_of_an_instrument_that_nothing_was_told_of_is_told_over_without_its_wishes() -> None:
    log = LoadLog()
    present = board(log, "present")
    present.assigned(0)

    land(log, msgspec.json.encode(LATE))

    assert told(present) == SymbolLoad(
        symbol=BTC.symbol,
        category=BTC.category,
        worker="present",
        day=told(present).day,
        day_mark=Decimal(50_000),
        at_ns=NOW_S * 1_000_000_000,
    )


async def test_r04_what_a_former_owner_tells_late_counts_until_its_updates_are_read() -> None:
    log, gates = LoadLog(), SymbolGates()
    gates.assign(0, {"BTCUSDT"}, NOW_S)
    present = owner(log, gates=gates)

    land(log, msgspec.json.encode(LATE))

    assert told(present).worker == "present"
    assert told(present).exposure == 7_000
    gates.caught_up(0, set())
    assert told(present).exposure == 5_000


async def test_r04_a_wish_that_a_late_record_wiped_away_stands_again() -> None:
    log = LoadLog()
    present, third = owner(log), board(log, "third")
    await present.ask(BTC, SOURCE, Hold(exposure=Decimal(100), orders=1))

    land(log, msgspec.json.encode(LATE))

    assert not third.holds(BTC, SOURCE)
    present.refresh(10)
    assert third.holds(BTC, SOURCE)


async def test_r04_a_late_record_is_answered_once_and_what_we_have_written_ourselves_is_not() -> None:
    log = LoadLog()
    present = owner(log)
    land(log, msgspec.json.encode(LATE))
    present.refresh(10)
    answered = log.written

    for _ in range(3):
        present.note(BTC)
        present.refresh(10)

    assert log.written == answered


async def test_r04_two_that_both_believe_to_be_the_owner_come_to_rest_as_only_one_has_the_lease() -> None:
    log = LoadLog()
    zombie = board(log, "zombie")  # refreshes no more, as its lease has lapsed
    zombie.assigned(0)
    present = owner(log)
    zombie.grant(BTC, SOURCE)
    await zombie.ask(BTC, SOURCE, Hold(exposure=Decimal(100), orders=1))  # what it had begun goes on

    written = [log.written for _ in range(5) if present.refresh(10) == 0]

    assert len(set(written)) == 1
    assert [record.worker for record in present.records()] == ["present"]


def test_r04_what_is_read_in_the_order_of_our_writing_is_ours_whatever_was_written_since() -> None:
    records = LoadRecords()
    first, second, third = (Entry(b"%d" % number, 1, number) for number in range(3))
    for entry in (first, second, third):
        records.appends(NAME, entry.value)

    whose = []
    for entry in (first, third, first):  # the second is compacted away, and somebody else writes what the first says
        records.heard(NAME, entry)
        whose.append(records.is_ours(NAME))

    assert whose == [True, True, False]
