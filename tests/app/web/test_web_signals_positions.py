"""`/signals` and `/positions` as a user sees them."""

from __future__ import annotations

from decimal import Decimal

from table_cases import (
    NOW,
    SECOND,
    fill,
    instrument,
    order,
    signal_row,
    store_fill_in_position,
    store_orders,
    store_signals,
)
from web_cases import Worker, mark

from domain.orders import Side
from tables.signals import SignalResult, SignalState


async def test_recent_signals_are_listed_with_their_ends(worker: Worker) -> None:
    planned = signal_row("s3", number=3, state=SignalState.PLANNED, result=SignalResult.NONE, done_ns=0)
    rejected = signal_row("s2", "ETHUSDT", 2, result=SignalResult.REJECTED, code="BELOW_MIN_CONFIDENCE")
    store_signals(worker.signals, signal_row("s1"), rejected, planned)

    everything = (await worker.get("/signals")).json()["items"]
    some = (await worker.get("/signals", result="rejected")).json()["items"]
    later = (await worker.get("/signals", planned_from=str(NOW + 3 * SECOND))).json()["items"]

    assert [(each["signal_id"], each["result"]) for each in everything] == [
        ("s3", None),
        ("s2", "rejected"),
        ("s1", "executed"),
    ]
    assert [each["code"] for each in some] == ["BELOW_MIN_CONFIDENCE"]
    assert [each["signal_id"] for each in later] == ["s3"]
    assert everything[0]["done_ns"] is None
    assert everything[1]["trace_id"] == ""


async def test_a_signal_is_told_with_its_plans_and_orders(worker: Worker) -> None:
    store_signals(worker.signals, signal_row("s1"))
    store_orders(worker.orders, order(1))

    signal = (await worker.get("/signals/s1")).json()["items"][0]

    plan = signal["plans"][0]
    assert plan["verdicts"][0]["figures"] == {"age_s": "1"}
    assert plan["intents"][0]["price"] == "50000.1"
    assert [each["order_id"] for each in signal["orders"]] == ["om1"]


async def test_a_signal_whose_id_cannot_stand_in_a_path_is_found_by_parameter(worker: Worker) -> None:
    odd = "strategy/1 & größer?"
    store_signals(worker.signals, signal_row(odd))
    assert (await worker.get("/signals", signal_id=odd)).json()["items"][0]["signal_id"] == odd


async def test_an_unknown_signal_is_not_found(worker: Worker) -> None:
    for reply in (await worker.get("/signals/s9"), await worker.get("/signals", signal_id="s 9")):
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "SIGNAL_NOT_FOUND")


async def test_positions_are_told_with_what_they_would_gain_at_the_mark(worker: Worker) -> None:
    eth = instrument("ETHUSDT")
    store_fill_in_position(worker.positions, fill("e1", "0.04"), 1)
    store_fill_in_position(worker.positions, fill("e2", "2", instrument=eth, side=Side.SELL, price=Decimal(3000)), 2)
    worker.marks["ETHUSDT"] = mark("2999.5", at_ns=NOW)

    bitcoin, ether = (await worker.get("/positions")).json()["items"]

    assert (bitcoin["size"], bitcoin["average_entry"], bitcoin["unrealised"]) == ("0.04", "50000.1", None)
    assert (ether["size"], ether["unrealised"], ether["mark"], ether["mark_at_ns"]) == ("-2", "1", "2999.5", NOW)
    assert ether["sold"] == {"quantity": "2", "value": "6000"}


async def test_positions_of_one_symbol(worker: Worker) -> None:
    store_fill_in_position(worker.positions, fill("e1", "0.04"), 1)
    store_fill_in_position(worker.positions, fill("e2", "1", instrument=instrument("ETHUSDT")), 2)

    assert [each["size"] for each in (await worker.get("/positions/ethusdt")).json()["items"]] == ["1"]
    assert (await worker.get("/positions/SOLUSDT")).json()["items"] == []


async def test_a_positions_history_tells_each_fill_and_what_was_held_after_it(worker: Worker) -> None:
    store_fill_in_position(worker.positions, fill("e1", "0.04"), 1)
    store_fill_in_position(worker.positions, fill("e2", "0.01", side=Side.SELL, executed_ns=NOW + 1), 2)

    first = (await worker.get("/positions/btcusdt/history", limit=1)).json()
    rest = (await worker.get("/positions/BTCUSDT/history", limit=1, cursor=first["cursor"])).json()

    [sold], [bought] = first["items"], rest["items"]
    assert (sold["execution_id"], sold["after"]["size"], sold["order_id"]) == ("e2", "0.03", "om1")
    assert (bought["execution_id"], bought["after"]["size"], bought["value"]) == ("e1", "0.04", "2000.004")
    assert rest["cursor"] is None
    assert (await worker.get("/positions/SOLUSDT/history")).json()["items"] == []


async def test_flat_positions_can_be_left_out(worker: Worker) -> None:
    store_fill_in_position(worker.positions, fill("e1", "0.04"), 1)
    store_fill_in_position(worker.positions, fill("e2", "0.04", side=Side.SELL, executed_ns=NOW + 1), 2)
    assert len((await worker.get("/positions")).json()["items"]) == 1
    assert (await worker.get("/positions", open="true")).json()["items"] == []


async def test_positions_are_paged(worker: Worker) -> None:
    for offset, symbol in enumerate(("AUSDT", "BUSDT", "CUSDT")):
        store_fill_in_position(worker.positions, fill(f"e{offset}", instrument=instrument(symbol)), offset)
    first = (await worker.get("/positions", limit=2)).json()
    rest = (await worker.get("/positions", limit=2, cursor=first["cursor"])).json()
    found = [each["instrument"]["symbol"] for each in first["items"] + rest["items"]]
    assert (found, rest["cursor"]) == (["AUSDT", "BUSDT", "CUSDT"], None)
