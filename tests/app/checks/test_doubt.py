"""`verify` and an order in doubt: nobody can tell, and nothing else is hidden by it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from fault_set import FaultSet

from app.verify.doubt import with_doubts
from app.verify.ledger import FILL, FILLED, IN_DOUBT, OPEN, ORDER, POSITION, Difference, Figures, Ledger, compare
from app.verify.report import VerifyOptions, verify

pytestmark = pytest.mark.timeout(120)


def ours(order_id: str, standing: str, *, missing_fills: bool = False) -> Figures:
    return {
        "order_id": order_id,
        "client_order_id": order_id,
        "symbol": "BTCUSDT",
        "instrument": "BTCUSDT",
        "standing": standing,
        "executed_quantity": Decimal(0),
        "missing_fills": missing_fills,
        "at_ns": 1,
    }


def theirs(client_order_id: str, standing: str = FILLED) -> Figures:
    return {"client_order_id": client_order_id, "symbol": "BTCUSDT", "standing": standing}


def unsure(tables: Ledger, venue: Ledger) -> dict[tuple[str, str], bool]:
    return {(each.kind, each.key): each.unsure for each in with_doubts(compare(tables, venue), tables, venue)}


def test_what_the_venue_has_of_an_order_in_doubt_is_no_difference() -> None:
    tables = Ledger("tables", orders={"om1": ours("om1", IN_DOUBT)}, positions={"BTCUSDT/net": {"size": Decimal(0)}})
    venue = Ledger("venue", orders={"v-1": theirs("om1")}, of_venue=True)
    venue.fills["e-1"] = {"venue_order_id": "v-1", "symbol": "BTCUSDT"}
    venue.positions["BTCUSDT/net"] = {"size": Decimal(1)}

    found = unsure(tables, venue)

    assert found == {(ORDER, "v-1"): True, (FILL, "e-1"): True, (POSITION, "BTCUSDT/net"): True}


def test_an_order_in_doubt_under_the_venues_id_may_stand_otherwise_there() -> None:
    tables = Ledger("tables", orders={"v-1": ours("om1", IN_DOUBT)})
    venue = Ledger("venue", orders={"v-1": theirs("om1", OPEN)}, of_venue=True)

    assert unsure(tables, venue) == {(ORDER, "v-1"): True}


def test_the_fills_that_are_missing_of_an_order_are_no_difference() -> None:
    tables = Ledger("tables", orders={"v-1": ours("om1", FILLED, missing_fills=True)})
    venue = Ledger("venue", orders={"v-1": theirs("om1")}, of_venue=True)
    venue.fills["e-1"] = {"venue_order_id": "v-1", "symbol": "BTCUSDT"}

    assert unsure(tables, venue) == {(FILL, "e-1"): True}


def test_what_an_order_in_doubt_has_no_part_in_stays_a_difference() -> None:
    tables = Ledger("tables", orders={"om1": ours("om1", IN_DOUBT), "v-3": ours("om3", OPEN)})
    venue = Ledger("venue", orders={"v-2": theirs("om2"), "v-3": theirs("om3")}, of_venue=True)
    venue.fills["e-2"] = {"venue_order_id": "v-2", "symbol": "BTCUSDT"}
    venue.positions["ETHUSDT/net"] = {"size": Decimal(1)}

    found = unsure(tables, venue)

    assert found == {
        (ORDER, "v-2"): False,
        (ORDER, "v-3"): False,
        (FILL, "e-2"): False,
        (POSITION, "ETHUSDT/net"): False,
    }


def test_an_order_that_the_venue_has_twice_is_a_difference_though_ours_is_in_doubt() -> None:
    tables = Ledger("tables", orders={"om1": ours("om1", IN_DOUBT)})
    venue = Ledger("venue", orders={"v-1": theirs("om1"), "v-2": theirs("om1")}, of_venue=True)
    venue.twice.append(Difference(("venue", "venue"), ORDER, "om1", "venue_order_id", ("v-1", "v-2")))

    assert unsure(tables, venue)[ORDER, "om1"] is False


async def test_nobody_can_tell_while_an_order_that_the_exchange_took_is_in_doubt(kafka: str, tmp_path: Path) -> None:
    async with FaultSet(kafka, tmp_path, paper_market_interval_s=0.0) as hurt:
        await hurt.send("BTCUSDT", order_type="market")
        (await hurt.rest()).assert_agreed()
        await hurt.local.gateway.stop()
        await hurt.fault("late_reply", endpoint="order/create", count=1, delay_ms=2_500)
        signal = await hurt.send("BTCUSDT", order_type="market")
        await hurt.until_creates(2)
        await hurt.local.workers[0].kill()

        during = await verify(hurt.settings, VerifyOptions(settle_s=0.0))
        hurt.local.gateway.start()
        hurt.local.workers[0].start()
        afterwards = await hurt.verdict()

    assert during["equal"] is None, during["differences"]
    assert {each["kind"] for each in during["unsettled"]} == {ORDER, FILL, POSITION}
    assert during["unfinished"] == 1
    afterwards.assert_agreed()
    assert [order["state"] for order in afterwards.orders_of(signal)] == ["filled"]
