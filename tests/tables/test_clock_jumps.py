"""A venue's clock that is set back between two fills: they stay in the order of its sequence (requirement P01)."""

from __future__ import annotations

import msgspec
import pytest
from fakes import MemoryRows
from table_cases import ACCOUNT, NOW, SECOND, fill, instrument

from domain.orders import PositionSide
from domain.positions import CLOCK_JUMP_NS, FillKey
from domain.updates import FillKind, FillReport
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt

WHERE = instrument(), ACCOUNT, PositionSide.NET


def executed(sequence: int, at_s: int, kind: FillKind = FillKind.TRADE) -> FillReport:
    """The execution e<sequence>, as old as the venue's clock says."""
    return fill(f"e{sequence}", executed_ns=NOW + at_s * SECOND, venue_sequence=sequence, fill_kind=kind)


def table_of(*fills: FillReport) -> PositionTable:
    """They arrive in this order."""
    table = PositionTable(MemoryRows([0], position_index))
    for offset, each in enumerate(fills):
        table.apply(0, each, "om1", offset, Receipt())
    return table


def ids(table: PositionTable) -> list[str]:
    return [entry.fill.execution_id for entry in table.ledger(0, *WHERE)]


@pytest.mark.parametrize(
    "arrived",
    [
        [executed(1, 10), executed(2, 4), executed(3, 5), executed(4, 11)],
        [executed(1, 10), executed(4, 11), executed(3, 5), executed(2, 4)],
        [executed(3, 5), executed(1, 10), executed(2, 4), executed(4, 11)],
        [executed(4, 11), executed(2, 4), executed(1, 10), executed(3, 5)],
    ],
)
def test_p01_fills_are_in_the_venues_sequence_however_its_clock_jumps(arrived: list[FillReport]) -> None:
    table = table_of(*arrived)

    assert ids(table) == ["e1", "e2", "e3", "e4"]
    assert table.get(0, *WHERE).last == FillKey(NOW + 11 * SECOND, 4, "e4")
    assert all(table.entry(0, each) is not None for each in arrived)


def test_p01_a_page_of_the_ledger_begins_behind_a_fill_that_does_not_stand_at_its_time() -> None:
    table = table_of(executed(1, 10), executed(2, 4), executed(3, 5))
    second = table.entry(0, executed(2, 4))

    assert [entry.fill.execution_id for entry in table.ledger(0, *WHERE, after=second)] == ["e3"]


def test_p06_what_was_executed_after_a_takeover_stays_behind_it_whatever_its_sequence() -> None:
    taken = fill("taken", executed_ns=NOW + 5 * SECOND, venue_sequence=10**19, fill_kind=FillKind.TAKEN_OVER)

    assert ids(table_of(executed(1_000, 0), taken, executed(1, 6), executed(2, 7))) == ["e1000", "taken", "e1", "e2"]


def test_p01_a_sequence_that_begins_anew_later_means_nothing() -> None:
    later_s = CLOCK_JUMP_NS // SECOND + 1

    assert ids(table_of(executed(1_000, 0), executed(3, later_s))) == ["e1000", "e3"]


def test_p01_what_has_no_sequence_is_in_the_order_of_time() -> None:
    payment = fill("paid", executed_ns=NOW + 7 * SECOND, fill_kind=FillKind.FUNDING)

    assert ids(table_of(executed(1, 10), payment, executed(2, 4))) == ["paid", "e1", "e2"]


def test_d11_a_payment_that_does_not_stand_at_its_time_is_found_from_another_side() -> None:
    payment = executed(2, 4, FillKind.FUNDING)
    table = table_of(executed(1, 10), payment)

    (found,) = table.entries(0, msgspec.structs.replace(payment, position_side=PositionSide.SHORT))

    assert (found.fill.position_side, found.fill.execution_id) == (PositionSide.NET, "e2")


@pytest.mark.parametrize("first", [1, 2])
def test_p01_a_payment_without_sequence_hides_no_fill_before_it(first: int) -> None:
    payment = fill("paid", executed_ns=NOW + 12 * SECOND, fill_kind=FillKind.FUNDING)
    ahead, set_back = executed(1, 13), executed(2, 10)
    early, late = (ahead, set_back) if first == 1 else (set_back, ahead)

    assert [each for each in ids(table_of(early, payment, late)) if each != "paid"] == ["e1", "e2"]


@pytest.mark.parametrize("lost", [b"p", b"pl"], ids=["before the position", "before the ledger's rows"])
@pytest.mark.parametrize(
    ("known", "kept_out"),
    [([executed(1, 10)], executed(2, 4)), ([executed(2, 10), executed(3, 12)], executed(1, 9))],
    ids=["moved", "late"],
)
def test_p01_a_fill_that_a_crash_kept_out_of_the_position_leaves_no_trace(
    known: list[FillReport], kept_out: FillReport, lost: bytes
) -> None:
    """Neither of its own place, nor in the rows behind it. `lost`: the kinds of rows that the crash came before."""
    table = table_of(*known)
    before = dict(table.rows.scan(0, b""))
    table.apply(0, kept_out, "om1", len(known), Receipt())
    for key, _ in list(table.rows.scan(0, b"")):
        if key[0] in lost:
            table.rows.put(0, key, before.get(key), Receipt())

    table.discard_uncounted(0, kept_out, Receipt())

    assert dict(table.rows.scan(0, b"")) == before
