"""The join: what becomes of updates that no order of ours caused."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from quiet_venue import NOW
from trading_desk import ACCOUNT, BTC, TOPICS, Desk

from domain.orders import TRANSITIONS, OrderState, PositionSide, Side
from domain.updates import FillKind, FillReport, Origin


def settlement(execution_id: str = "settled-1") -> FillReport:
    return FillReport(
        instrument=BTC,
        account=ACCOUNT,
        origin=Origin.STREAM,
        received_ns=NOW,
        venue_order_id=execution_id,
        execution_id=execution_id,
        side=Side.SELL,
        price=Decimal(100),
        quantity=Decimal("0.5"),
        fee=Decimal("0.01"),
        fee_currency="USDT",
        executed_ns=NOW,
        fill_kind=FillKind.SETTLEMENT,
    )


async def test_p06_a_settlement_changes_the_position_and_leaves_no_order_open_for_ever() -> None:
    desk = Desk()

    await desk.told(settlement())

    assert desk.positions.get(0, BTC, ACCOUNT, PositionSide.NET).state.size == Decimal("-0.5")
    assert desk.orders.open_orders(0, "BTCUSDT") == []
    assert [record.key for record in desk.log.records[TOPICS.alerts]] == [b"order-updates-0-0-POSITION_CLOSED_BY_VENUE"]


async def test_p06_a_settlement_told_twice_counts_once() -> None:
    desk = Desk()

    await desk.told(settlement())
    await desk.told(settlement())

    assert desk.positions.get(0, BTC, ACCOUNT, PositionSide.NET).state.size == Decimal("-0.5")
    assert len(desk.log.records[TOPICS.position_events]) == 1


@pytest.mark.parametrize(
    ("kind", "side", "quantity", "codes"),
    [
        (FillKind.MOVED, Side.BUY, "0.2", ["POSITION_OPENED_BY_VENUE"]),
        (FillKind.MOVED, Side.SELL, "0.2", ["POSITION_CLOSED_BY_VENUE"]),
        (FillKind.ADL, Side.SELL, "0.2", ["POSITION_CLOSED_BY_VENUE"]),
        (FillKind.SETTLEMENT, Side.SELL, "0", []),
        (FillKind.FUNDING, Side.SELL, "0.5", []),
    ],
)
async def test_p06_only_what_changes_what_is_held_is_an_alert(
    kind: FillKind, side: Side, quantity: str, codes: list[str]
) -> None:
    desk = Desk()
    await desk.told(msgspec.structs.replace(settlement("opened"), side=Side.BUY, fill_kind=FillKind.TRADE))

    taken = msgspec.structs.replace(settlement(), fill_kind=kind, side=side, quantity=Decimal(quantity))
    await desk.told(taken)

    told = [msgspec.json.decode(record.value or b"") for record in desk.log.records[TOPICS.alerts]]
    assert [alert["code"] for alert in told] == codes


async def test_o07_orders_of_others_that_have_only_their_owners_ids_are_told_apart() -> None:
    desk = Desk()
    fills = [
        msgspec.structs.replace(
            settlement(f"e{number}"), fill_kind=FillKind.TRADE, venue_order_id="", client_order_id=owner
        )
        for number, owner in enumerate(("theirs-1", "theirs-2", "theirs-1"))
    ]

    for fill in fills:
        await desk.told(fill)

    orders = desk.orders.open_orders(0, "BTCUSDT")
    assert sorted(order.cumulative.quantity for order in orders) == [Decimal("0.5"), Decimal(1)]


async def test_o01_an_update_that_would_break_the_table_of_steps_is_put_aside_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    desk.intend()
    monkeypatch.setitem(TRANSITIONS, OrderState.PLANNED, frozenset())  # a bug: the table forgot a step
    fill = msgspec.structs.replace(settlement(), fill_kind=FillKind.TRADE, client_order_id="om1", side=Side.BUY)

    await desk.told(fill)

    order = desk.orders.get(0, "om1")
    assert order is not None
    assert (order.state, order.fills.quantity) == (OrderState.PLANNED, Decimal(0))
    assert len(desk.log.records[TOPICS.order_updates_dead]) == 1
    assert [record.key for record in desk.log.records[TOPICS.alerts]] == [b"order-updates-0-0-INVALID_STATE_TRANSITION"]
