"""The join and its events: content, ids, poison, gaps (requirements J01, J02, J05, J07)."""

from __future__ import annotations

import signal as signals
from decimal import Decimal

import pytest
from scenario_reader import Seen
from scenario_set import Desk, wish

from app.children import Child

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"doubt_s": 60.0}
"""Timers, which would ask for what is missing, come too late to help."""


async def test_j01_an_event_can_be_understood_alone(desk: Desk, symbol: str) -> None:
    signal = wish(symbol, order_type="market", strategy_id="trend", confidence="0.8", model_version="v3")
    row = await desk.trade(signal)

    events = await desk.events(row["order_ids"][0], "filled")

    assert [event["type"] for event in events] == ["created", "submitted", "acknowledged", "filled"]
    last = events[-1]
    assert last["instrument"] == {"venue": "paper", "category": "linear", "symbol": symbol}
    assert (last["side"], last["order_type"], last["quantity"], last["status"]) == ("buy", "market", "10", "filled")
    context = last["signal"]
    assert (context["signal_id"], context["strategy_id"], context["confidence"]) == (
        signal["signal_id"],
        "trend",
        "0.8",
    )
    assert context["market"] == {"price": "100", "spread": "0.2"}
    fill = last["fill"]
    assert (fill["quantity"], fill["price"]) == ("10", "100.1")
    assert Decimal(last["fees"]["USDT"]) == Decimal(1001) * Decimal("0.00055")
    assert last["trace_id"] == row["trace_id"]


async def test_j01_the_venues_reason_for_a_rejection_is_told(desk: Desk, symbol: str) -> None:
    await desk.fault(
        "error_code_before", endpoint="order/create", symbol=symbol, code=110007, message="ab not enough", count=1
    )

    row = await desk.trade(wish(symbol, order_type="market"))

    event = (await desk.events(row["order_ids"][0], "rejected"))[-1]
    assert event["reason"] == "INSUFFICIENT_BALANCE: ab not enough (venue code 110007)"


async def test_j01_an_amendment_tells_before_and_after(desk: Desk, symbol: str) -> None:
    order = await desk.resting(symbol)

    await desk.stranger.amend(desk.reference(order), price=Decimal("99.5"), quantity=Decimal(8))

    event = (await desk.events(order["order_id"], "amended"))[-1]
    assert {name: Decimal(figure) for name, figure in event["details"].items()} == {
        "price_before": Decimal("99.9"),
        "price_after": Decimal("99.5"),
        "quantity_before": Decimal(10),
        "quantity_after": Decimal(8),
    }
    assert (await desk.order(order["order_id"]))["original"] == {"quantity": "10", "price": "99.9"}


async def test_j02_an_events_id_is_its_order_and_its_number(desk: Desk, symbol: str) -> None:
    order = await desk.bought(symbol)

    events = await desk.events(order["order_id"], "filled")

    assert [event["sequence"] for event in events] == [1, 2, 3, 4]
    assert [event["event_id"] for event in events] == [f"{order['order_id']}-{number}" for number in (1, 2, 3, 4)]
    headers = [record.headers["event-id"].decode() for record in desk.told("order_events", order_id=order["order_id"])]
    assert headers == [event["event_id"] for event in events]


async def test_j02_through_a_kill_a_reader_who_keeps_seen_ids_gets_every_event_once(desk: Desk) -> None:
    symbols = desk.symbols(4)
    wishes = [wish(symbol, order_type="market", amount="500") for symbol in symbols for _ in range(3)]
    for each in wishes[:8]:
        await desk.send(each)
    await desk.record("order_events", type="filled", signal__signal_id=wishes[0]["signal_id"])

    desk.set.workers[0].child.signal(signals.SIGKILL)
    for each in wishes[8:]:
        await desk.send(each)
    await desk.worker_is_ready()

    for each in wishes:
        row = await desk.end_of(each["signal_id"], within_s=30)
        assert row["result"] == "executed"
        await desk.order_in(row["order_ids"][0], "filled")
    await desk.agrees()


@pytest.mark.parametrize(
    "poison",
    [
        b"\x00\x01 no JSON",
        b'{"kind": "weather"}',
        b'{"kind": "order", "instrument": {"venue": "paper", "category": "linear", "symbol": "BTCUSDT"}}',
        b"null",
    ],
    ids=["no-json", "unknown-kind", "incomplete", "null"],
)
async def test_j05_a_poisoned_update_goes_to_the_dead_letters_and_blocks_nothing(
    desk: Desk, symbol: str, poison: bytes
) -> None:
    source = await desk.tell_update(symbol, poison)

    await desk.bought(symbol, "100")

    _, partition, offset = source.rsplit("-", 2)

    def refused() -> Seen | None:
        letters = [each for each in desk.told("order_updates_dead") if each.partition == int(partition)]
        return next((each for each in letters if each.headers["__streams.errors.offset"] == offset.encode()), None)

    letter = await desk.reader.until(refused, 10, "the dead letter")
    assert (letter.key, letter.value) == (symbol.encode(), poison)
    assert letter.headers["__streams.errors.message"]


async def test_j05_an_update_in_anothers_partition_is_refused(desk: Desk, symbol: str) -> None:
    order = await desk.bought(symbol)
    told = await desk.record("order_updates", kind="fill", instrument__symbol=symbol)
    elsewhere = (desk.partition(symbol) + 1) % desk.settings.partitions

    await desk.tell_update(symbol, told.value, partition=elsewhere)

    def refused() -> Seen | None:
        return next((letter for letter in desk.told("order_updates_dead") if letter.value == told.value), None)

    letter = await desk.reader.until(refused, 10, "the dead letter")
    assert letter.headers["__streams.errors.exception"] == b"WRONG_PARTITION"
    assert (await desk.position(symbol))["size"] == order["executed_quantity"]


async def test_j07_what_happens_while_the_stream_is_down_is_fetched_when_it_is_back(desk: Desk, symbol: str) -> None:
    resting = await desk.resting(symbol)
    await desk.fault("disconnect", refuse_ms=1000)
    placed = await desk.by_hand(symbol, "buy", "3")
    await desk.quote(symbol, asks=(("99.9", "1000"),), bids=(("99.8", "1000"),))
    row = await desk.trade(wish(symbol, order_type="market", amount="500"))

    await desk.stream_is_up(within_s=6)

    for order_id in (resting["order_id"], placed.venue_order_id, row["order_ids"][0]):
        await desk.order_in(order_id, "filled")
    await desk.position_is(symbol, "18")


async def test_j07_two_gateways_at_once_do_no_harm(desk: Desk, symbol: str) -> None:
    second = Child(
        "second-gateway",
        ["gateway"],
        desk.settings.environment(kafka_bootstrap=desk.settings.bootstrap),
        desk.settings.data_dir / "logs" / "second-gateway.log",
    )
    second.start()
    try:
        await desk.stream_is_up(listeners=2)
        order = await desk.bought(symbol)
        fills = await desk.updates(symbol, "fill", count=2)
    finally:
        await second.stop()

    assert len({fill["execution_id"] for fill in fills}) == 1
    await desk.everything_is_read(symbol)
    assert (await desk.position(symbol))["size"] == "10"
    assert len(await desk.records("order_events", 1, order_id=order["order_id"], type="filled")) == 1
    assert len(await desk.records("position_events", 1, order_id=order["order_id"])) == 1
