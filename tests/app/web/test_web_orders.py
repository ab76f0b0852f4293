"""`/orders` as a user sees it."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest
from table_cases import (
    NOW,
    SECOND,
    fill,
    filled,
    order,
    signal_context,
    signal_row,
    store_fill_in_position,
    store_fills,
    store_orders,
    store_signals,
    transition,
)
from web_cases import Worker, mark

from domain.events import EventKind
from domain.instruments import Instrument
from domain.orders import OrderState, Side, Sums


async def test_orders_are_listed_newest_first_with_exact_amounts_and_integer_times(worker: Worker) -> None:
    store_orders(worker.orders, order(1), filled(2, symbol="ETHUSDT"))

    reply = await worker.get("/orders")

    assert reply.status_code == 200
    body = reply.json()
    assert [item["order_id"] for item in body["items"]] == ["om2", "om1"]
    newest = body["items"][0]
    assert newest["instrument"] == {"venue": "paper", "category": "linear", "symbol": "ETHUSDT"}
    assert (newest["quantity"], newest["price"]) == ("0.1", "50000.1")
    assert (newest["executed_quantity"], newest["executed_value"]) == ("0.1", "5000.01")
    assert (newest["average_price"], newest["fees"]) == ("50000.1", {"USDT": "2.5"})
    assert (newest["status"], newest["state"], newest["leaves_quantity"]) == ("filled", "filled", "0")
    assert newest["times"]["created_ns"] == NOW + 2 * SECOND
    assert newest["latencies"]["signal_to_intent_ns"] == 2 * SECOND
    assert (body["partial"], body["missing_partitions"], body["cursor"]) == (False, [], None)


async def test_no_amount_is_ever_written_with_an_exponent(worker: Worker) -> None:
    store_orders(worker.orders, order(1, quantity=Decimal("1E+3"), price=Decimal("1E-9")))
    item = (await worker.get("/orders")).json()["items"][0]
    assert (item["quantity"], item["price"]) == ("1000", "0.000000001")


async def test_amounts_of_the_signal_are_written_without_exponents_and_zeros_too(worker: Worker) -> None:
    store_orders(worker.orders, order(1, signal=signal_context(amount=Decimal("1000.00"), confidence=Decimal("1E-9"))))
    item = (await worker.get("/orders")).json()["items"][0]
    assert (item["signal"]["amount"], item["signal"]["confidence"]) == ("1000", "0.000000001")
    assert (await worker.get("/orders/om1")).json()["order"] == item


async def test_a_producer_s_metadata_may_hold_numbers_of_any_size(worker: Worker) -> None:
    metadata = {"nonce": 2**200, "weights": [1e300, 0.1]}
    store_orders(worker.orders, order(1, signal=signal_context(metadata=metadata)))
    assert (await worker.get("/orders")).json()["items"][0]["signal"]["metadata"] == metadata
    assert (await worker.get("/orders/om1")).json()["order"]["signal"]["metadata"] == metadata


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"symbol": "btcusdt"}, ["om4", "om3", "om1"]),
        ({"status": "canceled"}, ["om3"]),
        ({"status": "Cancelled"}, ["om3"]),
        ({"state": "acknowledged", "order": "asc"}, ["om1", "om4"]),
        ({"side": "sell"}, ["om4"]),
        ({"signal_id": "a signal/1"}, ["om1"]),
        ({"venue": "bybit"}, ["om4"]),
        ({"strategy_id": "trend"}, ["om1"]),
        ({"created_from": str(NOW + 2 * SECOND), "created_to": str(NOW + 4 * SECOND)}, ["om3", "om2"]),
        ({"limit": "1", "sort": "created"}, ["om4"]),
    ],
    ids=str,
)
async def test_each_filter_finds_its_orders(worker: Worker, parameters: dict[str, str], expected: list[str]) -> None:
    store_orders(
        worker.orders,
        order(1, signal=signal_context("a signal/1")),
        filled(2, symbol="ETHUSDT"),
        order(3, state=OrderState.CANCELLED),
        order(4, side=Side.SELL, instrument=Instrument("bybit", "linear", "BTCUSDT")),
    )
    reply = await worker.get("/orders", **parameters)
    assert [item["order_id"] for item in reply.json()["items"]] == expected


async def test_the_cursor_leads_through_all_orders_once(worker: Worker) -> None:
    store_orders(worker.orders, *(order(number, symbol=["BTCUSDT", "ETHUSDT"][number % 2]) for number in range(11)))
    seen: list[str] = []
    parameters: dict[str, Any] = {"limit": 4, "order": "asc"}
    while True:
        body = (await worker.get("/orders", **parameters)).json()
        seen += [item["order_id"] for item in body["items"]]
        if body["cursor"] is None:
            break
        parameters["cursor"] = body["cursor"]
    assert seen == [f"om{number}" for number in range(11)]


async def test_a_cursor_of_another_list_is_refused(worker: Worker) -> None:
    store_orders(worker.orders, *(order(number) for number in range(3)))
    cursor = (await worker.get("/orders", limit=1)).json()["cursor"]
    for parameters in ({"status": "pending"}, {"order": "asc"}):
        reply = await worker.get("/orders", cursor=cursor, **parameters)
        assert reply.status_code == 400
        assert reply.json()["error"]["details"]["parameter"] == "cursor"
    forged = base64.urlsafe_b64encode(b"\xff\xfe|x").decode()
    assert (await worker.get("/orders", cursor=forged)).status_code == 400
    assert (await worker.get("/signals", cursor=cursor)).status_code == 400


async def test_a_page_that_the_scan_bound_ended_says_so_and_goes_on(start_worker: Any) -> None:
    worker = await start_worker(settings={"max_scanned": 5})
    store_orders(worker.orders, *(order(number) for number in range(1, 9)), order(0, side=Side.SELL))

    first = (await worker.get("/orders", side="sell")).json()
    second = (await worker.get("/orders", side="sell", cursor=first["cursor"])).json()

    assert (first["items"], first["scan_limited"], first["scanned"]) == ([], True, 5)
    assert [item["order_id"] for item in second["items"]] == ["om0"]
    assert (second["scan_limited"], second["cursor"]) == (False, None)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "1e2"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"status": "open"}, "status"),
        ({"state": "live"}, "state"),
        ({"side": "long"}, "side"),
        ({"sort": "updated"}, "sort"),
        ({"order": "up"}, "order"),
        ({"symbol": "BTC/USDT"}, "symbol"),
        ({"symbol": "BTC\x00"}, "symbol"),
        ({"venue": "../etc"}, "venue"),
        ({"created_from": "yesterday"}, "created_from"),
        ({"created_to": "1e400"}, "created_to"),
        ({"created_from": "1763700002", "created_to": "1763700001"}, "created_from"),
        ({"cursor": "a b"}, "cursor"),
        ({"strategy_id": "x" * 129}, "strategy_id"),
        ({"signal_id": "a\nb"}, "signal_id"),
        ({"simbol": "BTCUSDT"}, "simbol"),
        ({"side": ["buy", "sell"]}, "side"),
    ],
    ids=str,
)
async def test_a_bad_parameter_is_refused_by_name(worker: Worker, parameters: dict[str, Any], name: str) -> None:
    reply = await worker.get("/orders", **parameters)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["code"] == "BAD_PARAMETER"
    assert error["details"]["parameter"] == name
    assert error["message"].startswith(f"{name}: ")


async def test_a_limit_out_of_range_is_answered_with_the_figure_and_the_bounds(worker: Worker) -> None:
    error = (await worker.get("/orders", limit=501)).json()["error"]
    assert error == {
        "code": "BAD_PARAMETER",
        "message": "limit: '501' is not a whole number from 1 to 500",
        "details": {"parameter": "limit", "low": 1, "high": 500},
    }


@pytest.fixture
def story(worker: Worker) -> Worker:
    """Order om1 of signal s1, with its history, two fills and a position."""
    created, live = OrderState.PLANNED, OrderState.ACKNOWLEDGED
    half = Sums(Decimal("0.04"), Decimal("2000.004"), {"USDT": Decimal("0.01")})
    store_orders(
        worker.orders,
        filled(1, signal=signal_context("s1")),
        history=(
            transition(1, created, created, EventKind.CREATED, reason="signal s1"),
            transition(2, created, live, EventKind.ACKNOWLEDGED),
            transition(3, live, OrderState.FILLED, EventKind.FILLED, cumulative=half),
        ),
    )
    store_fills(worker.orders, "om1", fill("e1", "0.04"), fill("e2", "0.06", executed_ns=NOW + 1))
    store_signals(worker.signals, signal_row("s1"))
    store_fill_in_position(worker.positions, fill("e1", "0.04"), 1)
    worker.marks["BTCUSDT"] = mark("50010.10")
    return worker


@pytest.mark.parametrize("any_id", ["om1", "v1"])
async def test_an_order_is_told_whole_by_our_id_and_by_the_venues(story: Worker, any_id: str) -> None:
    body = (await story.get(f"/orders/{any_id}")).json()

    assert body["order"]["order_id"] == "om1"
    assert [step["type"] for step in body["history"]] == ["created", "acknowledged", "filled"]
    assert [(each["execution_id"], each["value"]) for each in body["fills"]] == [("e1", "2000.004"), ("e2", "3000.006")]
    assert (body["history_complete"], body["fills_complete"]) == (True, True)
    assert body["signal"]["plans"][0]["verdicts"][0]["gate"] == "freshness"
    assert body["positions"][0]["size"] == "0.04"
    assert body["positions"][0]["unrealised"] == "0.4"


async def test_an_orders_story_goes_from_the_signal_over_the_gates_to_the_last_step(story: Worker) -> None:
    steps = (await story.get("/orders/om1")).json()["story"]
    assert [step["step"] for step in steps] == [
        "signal",
        "gate freshness",
        "plan",
        "created",
        "acknowledged",
        "filled",
    ]
    assert steps[1]["sentence"] == "pass: the signal is 1 s old"
    assert steps[-1]["sentence"] == "acknowledged → filled"


async def test_an_order_is_explained_under_a_path_of_its_own_too(story: Worker) -> None:
    assert (await story.get("/orders/om1/explain")).json() == (await story.get("/orders/om1")).json()


async def test_history_is_paged(story: Worker) -> None:
    first = (await story.get("/orders/v1/history", limit=2)).json()
    rest = (await story.get("/orders/v1/history", limit=2, after=first["next_after"])).json()
    assert [step["sequence"] for step in first["history"] + rest["history"]] == [1, 2, 3]
    assert (first["next_after"], rest["next_after"]) == (2, None)


async def test_an_external_order_has_a_story_too(worker: Worker) -> None:
    store_orders(worker.orders, order(1, external=True))
    assert (await worker.get("/orders/om1")).json()["story"][0]["step"] == "adopted"


async def test_an_unknown_order_is_not_found(worker: Worker) -> None:
    reply = await worker.get("/orders/nobody")
    assert reply.status_code == 404
    assert reply.json()["error"] == {
        "code": "ORDER_NOT_FOUND",
        "message": "no order nobody",
        "details": {"order": "nobody"},
    }


async def test_a_venue_id_of_two_orders_is_ambiguous(worker: Worker) -> None:
    elsewhere = Instrument("bybit", "linear", "ETHUSDT")
    store_orders(worker.orders, filled(1), filled(2, venue_order_id="v1", instrument=elsewhere))
    reply = await worker.get("/orders/v1")
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "AMBIGUOUS_ID")


@pytest.mark.parametrize("raw", ["..%2f..%2fetc%2fpasswd", "%00", "om1%00", "a%20b", "%ff", "o" * 129, "%2e%2e"])
@pytest.mark.parametrize("path", ["/orders/{}", "/orders/{}/history", "/signals/{}", "/commands/{}", "/positions/{}"])
async def test_odd_ids_are_refused_before_anything_is_looked_up(worker: Worker, path: str, raw: str) -> None:
    reply = await worker.get(path.format(raw))
    assert reply.status_code in {400, 404}
    assert set(reply.json()) == {"error"}
