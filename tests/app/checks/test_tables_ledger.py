"""`verify` and our own tables: what is there twice does not hide behind its double."""

from __future__ import annotations

from decimal import Decimal

from fakes import MemoryRows
from table_cases import NOW, PARTITIONS, SECOND, fill, filled, store_fill_in_position, store_orders

from app.verify.ledger import FILL, ORDER, Difference, Ledger, compare
from app.verify.tables_ledger import ledger_of_rows
from domain.updates import FillKind
from tables.orders import order_index
from tables.positions import position_index

TABLES = ("tables", "tables")


def ledger(orders: MemoryRows, positions: MemoryRows) -> Ledger:
    return ledger_of_rows("tables", {"orders": orders, "positions": positions})


def rows() -> tuple[MemoryRows, MemoryRows]:
    return MemoryRows(range(PARTITIONS), order_index), MemoryRows(range(PARTITIONS), position_index)


def test_two_orders_that_are_one_at_the_venue_are_told_of() -> None:
    orders, positions = rows()
    store_orders(orders, filled(1, venue_order_id="v1"), filled(2, venue_order_id="v1"), filled(3))

    assert ledger(orders, positions).twice == [Difference(TABLES, ORDER, "v1", "order_id", ("om1", "om2"))]


def test_a_fill_that_a_position_contains_twice_is_told_of() -> None:
    orders, positions = rows()
    for offset, each in enumerate((fill("e1"), fill("e2"), fill("e1", executed_ns=NOW + SECOND))):
        store_fill_in_position(positions, each, offset)

    assert ledger(orders, positions).twice == [Difference(TABLES, FILL, "e1", "at_ns", (str(NOW), str(NOW + SECOND)))]


def test_p05_what_was_taken_over_is_no_execution_that_the_venue_has_to_show() -> None:
    orders, positions = rows()
    terms = {"fill_kind": FillKind.TAKEN_OVER, "fee": Decimal(0), "executed_ns": NOW + SECOND}
    word = fill("corrected-BTCUSDT-net-1", "3", **terms)
    store_fill_in_position(positions, fill("e1"), 0)
    store_fill_in_position(positions, word, 1)
    ours = ledger(orders, positions)
    venue = Ledger("venue", of_venue=True, fills={"e1": dict(ours.fills["e1"])})
    venue.positions["BTCUSDT/net"] = {"size": Decimal(3), "realised": Decimal(17)}

    assert list(compare(ours, venue)) == []
