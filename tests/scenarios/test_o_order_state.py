"""Order state: legal steps, evidence in any order, fills, others' orders, latencies (requirements O01 to O08)."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from scenario_set import Desk, Row, wish

from domain.orders import TRANSITIONS, OrderState

pytestmark = pytest.mark.asyncio(loop_scope="module")

DISAGREEING: set[str] = set()


async def life(desk: Desk, symbol: str) -> Row:
    """A limit order over 10 that is filled with 4, then 3, and cancelled; returns it as it ended."""
    order = await desk.resting(symbol)
    await desk.quote(symbol, asks=(("99.9", "4"), ("100.1", "1000")), bids=(("99.8", "1000"),))
    await desk.order_in(order["order_id"], "partially_filled")
    await desk.quote(symbol, asks=(("99.9", "3"), ("100.1", "1000")), bids=(("99.8", "1000"),))
    await desk.order_where(order["order_id"], lambda now: Decimal(now["executed_quantity"]) == 7)
    await desk.command(action="cancel", order_id=order["order_id"], reason="enough")
    return await desk.order_in(order["order_id"], "cancelled")


async def test_o01_every_step_of_a_life_is_one_that_the_table_allows(desk: Desk, symbol: str) -> None:
    order = await life(desk, symbol)

    events = await desk.events(order["order_id"], "cancelled")

    assert [event["type"] for event in events] == [
        *("created", "submitted", "acknowledged", "partially_filled", "partially_filled"),
        *("pending_cancel", "cancelled"),
    ]
    for event in events[1:]:
        before, after = OrderState(event["state_before"]), OrderState(event["state"])
        assert before is after or after in TRANSITIONS[before]
    assert all(before["state"] == after["state_before"] for before, after in pairwise(events))


async def test_o01_an_end_that_we_concluded_reopens_when_the_venue_knows_better(desk: Desk, symbol: str) -> None:
    # The first request is held up on its way, the second one is refused: so the order counts as rejected, until the
    # first one arrives after all.
    await desk.fault("latency", endpoint="order/create", symbol=symbol, delay_ms=3000, count=1)
    await desk.fault("error_code_before", endpoint="order/create", symbol=symbol, code=110007, skip=1, count=1)

    row = await desk.trade(wish(symbol, order_type="market"))

    assert row["result"] == "rejected"
    order = await desk.order_in(row["order_ids"][0], "filled")
    assert "corrected" in [event["type"] for event in await desk.events(order["order_id"], "corrected")]
    assert (await desk.alert("ORDER_CORRECTED", symbol=symbol))["severity"] == "critical"
    assert Decimal((await desk.position(symbol))["size"]) == 10


async def test_o02_the_venues_word_is_kept_and_users_filter_by_status(desk: Desk, symbol: str) -> None:
    cancelled = await life(desk, symbol)
    filled = await desk.bought(symbol)
    resting = await desk.resting(symbol)

    async def with_status(status: str) -> list[str]:
        return [order["order_id"] for order in (await desk.ask("/orders", symbol=symbol, status=status))["items"]]

    assert [order["venue"]["raw_status"] for order in (cancelled, filled, resting)] == ["Cancelled", "Filled", "New"]
    assert await with_status("canceled") == await with_status("cancelled") == [cancelled["order_id"]]
    assert await with_status("filled") == [filled["order_id"]]
    assert await with_status("pending") == [resting["order_id"]]


async def test_o03_every_transition_has_its_time_reason_and_source(desk: Desk, symbol: str) -> None:
    order = await life(desk, symbol)

    history = (await desk.ask(f"/orders/{order['order_id']}/history"))["history"]

    assert [step["sequence"] for step in history] == list(range(1, order["sequence"] + 1))
    assert history[0]["origin"] == "signal"
    assert {step["origin"] for step in history[3:5]} == {"stream"}
    assert (history[5]["origin"], history[5]["reason"]) == ("command", "enough")
    assert all(step["at_ns"] > 0 and step["source"] for step in history)
    assert [step["at_ns"] for step in history[1:]] == sorted(step["at_ns"] for step in history[1:])


@pytest.mark.parametrize(
    "weather",
    [
        {"kind": "duplicate_stream", "times": 3},
        {"kind": "reorder_stream", "times": 2, "delay_ms": 300},
        {"kind": "delay_stream", "delay_ms": 400, "probability": 0.5, "seed": 7},
        {"kind": "delay_stream", "topic": "order", "delay_ms": 500},
        {"kind": "delay_stream", "topic": "execution", "delay_ms": 500},
    ],
    ids=["repeated", "reordered", "some-late", "orders-late", "fills-late"],
)
async def test_o04_however_the_stream_comes_the_row_and_the_position_end_the_same(
    desk: Desk, symbol: str, weather: Row
) -> None:
    await desk.fault(**weather, symbol=symbol)

    order = await life(desk, symbol)

    detail = await desk.ask(f"/orders/{order['order_id']}")
    assert (order["executed_quantity"], order["executed_value"]) == ("7", "699.3")
    assert [fill["quantity"] for fill in detail["fills"]] == ["4", "3"]
    assert (await desk.position(symbol))["size"] == "7"
    await desk.events(order["order_id"], "cancelled")
    sequence = [record.body["sequence"] for record in desk.told("order_events", order_id=order["order_id"])]
    assert sequence == sorted(set(sequence))


async def test_o04_updates_told_again_in_the_wrong_order_change_nothing(desk: Desk, symbol: str) -> None:
    order = await life(desk, symbol)
    position = await desk.position(symbol)
    await desk.events(order["order_id"], "cancelled")
    await desk.updates(symbol, "fill", count=2)
    told = [record for record in desk.reader.records[desk.topics.order_updates] if record.key == symbol.encode()]
    events = len(desk.told("order_events", order_id=order["order_id"]))

    for record in reversed([record for record in told if record.body["kind"] in {"order", "fill"}]):
        await desk.tell_update(symbol, record.value)
    await desk.everything_is_read(symbol)

    again = await desk.order(order["order_id"])
    assert {**again, "times": None} == {**order, "times": None}
    assert unmarked(await desk.position(symbol)) == unmarked(position)
    assert len(desk.told("order_events", order_id=order["order_id"])) == events


def unmarked(position: Row) -> Row:
    """The position without what the market says of it."""
    return {name: value for name, value in position.items() if not name.startswith("mark") and name != "unrealised"}


async def test_o05_sums_average_fees_and_every_single_fill_are_there(desk: Desk, symbol: str) -> None:
    await desk.quote(symbol, asks=(("100.1", "4"), ("100.2", "3"), ("100.3", "1000")))

    order = await desk.bought(symbol)

    value = 4 * Decimal("100.1") + 3 * Decimal("100.2") + 3 * Decimal("100.3")
    assert Decimal(order["executed_value"]) == value
    assert Decimal(order["average_price"]) == value / 10
    assert Decimal(order["fees"]["USDT"]) == value * Decimal("0.00055")
    assert order["leaves_quantity"] == "0"
    fills = (await desk.ask(f"/orders/{order['order_id']}"))["fills"]
    assert [(fill["quantity"], fill["price"], fill["maker"]) for fill in fills] == [
        ("4", "100.1", False),
        ("3", "100.2", False),
        ("3", "100.3", False),
    ]
    assert len({fill["execution_id"] for fill in fills}) == 3


async def test_o05_a_resting_order_is_filled_as_maker(desk: Desk, symbol: str) -> None:
    order = await life(desk, symbol)

    fills = (await desk.ask(f"/orders/{order['order_id']}"))["fills"]

    assert {fill["maker"] for fill in fills} == {True}
    assert Decimal(order["fees"]["USDT"]) == Decimal("699.3") * Decimal("0.0002")


async def test_o06_an_update_before_the_reply_is_applied_at_once(desk: Desk, symbol: str) -> None:
    await desk.fault("late_reply", endpoint="order/create", symbol=symbol, delay_ms=800, count=1)
    signal = wish(symbol, order_type="market")
    await desk.send(signal)
    created = (await desk.record("order_events", type="created", signal__signal_id=signal["signal_id"])).body

    filled = await desk.order_in(created["order_id"], "filled")
    meanwhile = (await desk.ask(f"/signals/{signal['signal_id']}"))["items"][0]

    assert meanwhile["state"] == "planned", "the reply has not come yet"
    assert filled["venue_order_id"]
    assert (await desk.end_of(signal["signal_id"]))["result"] == "executed"
    assert (await desk.order(created["order_id"]))["state"] == "filled"


async def test_o07_an_order_placed_by_hand_is_adopted_and_its_fill_is_in_the_position(desk: Desk, symbol: str) -> None:
    placed = await desk.by_hand(symbol, "buy", "3")

    order = await desk.order_in(placed.venue_order_id, "filled")

    assert (order["external"], order["signal"], order["executed_quantity"]) == (True, None, "3")
    assert (await desk.position(symbol))["size"] == "3"


async def test_o07_no_signal_and_no_command_for_its_symbol_cancels_anothers_order(desk: Desk, symbol: str) -> None:
    placed = await desk.by_hand(symbol, "buy", "3", "99")
    external = await desk.order_in(placed.venue_order_id, "acknowledged")

    row = await desk.trade(wish(symbol, order_type="market"))
    result = await desk.command(action="cancel", symbol=symbol)

    assert not row["plans"][0]["cancels"]
    assert external["order_id"] not in result["details"]
    assert (await desk.order(external["order_id"]))["state"] == "acknowledged"
    named = await desk.command(action="cancel", order_id=external["order_id"])
    assert named["details"] == {external["order_id"]: "cancelled"}


async def test_o07_an_id_of_ours_that_we_do_not_know_is_not_adopted_but_told(desk: Desk, symbol: str) -> None:
    stray = "om" + "abcdefghijklmnopqrstuvwxyz"
    DISAGREEING.add(stray)

    placed = await desk.by_hand(symbol, "buy", "3", "99", client_order_id=stray)

    alert = await desk.alert("OWN_ORDER_UNKNOWN", symbol=symbol)
    assert stray in alert["sentence"]
    await desk.everything_is_read(symbol)
    assert await desk.ask(f"/orders/{placed.venue_order_id}", missing=None) is None


async def test_o07_an_update_without_a_client_id_waits_while_an_order_of_ours_is_in_flight(
    desk: Desk, symbol: str
) -> None:
    await desk.fault("latency", endpoint="order/create", symbol=symbol, delay_ms=800, count=1)
    signal = wish(symbol, order_type="limit")
    await desk.send(signal)
    await desk.record("order_events", type="created", instrument__symbol=symbol)
    await desk.quote(symbol, asks=(("100.1", "3"), ("100.2", "1000")))
    placed = await desk.by_hand(symbol, "buy", "3", client_order_id="")

    external = await desk.order_in(placed.venue_order_id, "filled")

    assert external["external"]
    own = (await desk.end_of(signal["signal_id"]))["orders"][0]
    known = await desk.record("order_events", order_id=own["order_id"], type="acknowledged")
    adopted = await desk.record("order_events", order_id=external["order_id"])
    assert adopted.offset > known.offset, "whose the update was could not be known before"
    assert (await desk.position(symbol))["size"] == "3"


async def test_o08_how_long_each_leg_took_is_on_the_order_and_its_events(desk: Desk, symbol: str) -> None:
    await desk.fault("late_reply", endpoint="order/create", symbol=symbol, delay_ms=300, count=1)
    await desk.fault("delay_stream", symbol=symbol, delay_ms=600)
    order = await desk.resting(symbol)
    await desk.heal()
    await desk.quote(symbol, asks=(("99.9", "1000"),), bids=(("99.8", "1000"),))
    order = await desk.order_in(order["order_id"], "filled")

    legs, times = order["latencies"], order["times"]
    assert legs == {
        "signal_to_intent_ns": times["created_ns"] - times["signal_ns"],
        "intent_to_sent_ns": times["sent_ns"] - times["created_ns"],
        "sent_to_acknowledged_ns": times["acknowledged_ns"] - times["sent_ns"],
        "acknowledged_to_first_fill_ns": times["first_fill_ns"] - times["acknowledged_ns"],
    }
    assert all(leg > 0 for leg in legs.values())
    assert 300_000_000 <= legs["sent_to_acknowledged_ns"] < 600_000_000
    assert (await desk.events(order["order_id"], "filled"))[-1]["latencies"] == legs
