"""The join: what becomes of updates that no order of ours caused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from quiet_venue import NOW
from trading_desk import ACCOUNT, BTC, TOPICS, Desk, fill_of

from domain.orders import TRANSITIONS, OrderState, OrderType, PositionSide, Side, Sums, VenueState
from domain.protection import Role
from domain.updates import FillKind, FillReport, OrderReport, Origin, encode_update
from streams.belonging import LATE_AT, PARKED_AT
from streams.ports import Headers
from streams.record import Record, RecordFailed


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


async def test_d11_an_execution_that_names_no_side_belongs_to_the_position_of_its_order() -> None:
    desk = Desk()
    order = desk.intend(position_side=PositionSide.LONG)

    await desk.told(fill_of(order))
    await desk.told(fill_of(order))

    assert desk.positions.get(0, BTC, ACCOUNT, PositionSide.LONG).state.size == 1
    assert desk.positions.get(0, BTC, ACCOUNT, PositionSide.NET).state.size == 0
    assert len(desk.log.records[TOPICS.position_events]) == 1


async def test_p06_a_settlement_told_twice_counts_once() -> None:
    desk = Desk()

    await desk.told(settlement())
    await desk.told(settlement())

    assert desk.positions.get(0, BTC, ACCOUNT, PositionSide.NET).state.size == Decimal("-0.5")
    assert len(desk.log.records[TOPICS.position_events]) == 1


@pytest.mark.parametrize("kind", [FillKind.FUNDING, FillKind.SETTLEMENT])
@pytest.mark.parametrize(
    ("before", "after"), [(PositionSide.NET, PositionSide.SHORT), (PositionSide.LONG, PositionSide.NET)]
)
async def test_d11_what_no_order_caused_counts_once_though_the_position_mode_is_switched(
    kind: FillKind, before: PositionSide, after: PositionSide
) -> None:
    desk = Desk()
    await desk.told(msgspec.structs.replace(settlement(), fill_kind=kind, position_side=before))

    await desk.told(msgspec.structs.replace(settlement(), fill_kind=kind, position_side=after))

    assert [(each.side, each.state.fills) for each in desk.positions.all(0)] == [(before, 1)]
    assert len(desk.log.records[TOPICS.position_events]) == 1


async def test_d11_after_a_crash_a_payment_that_was_told_in_two_modes_is_told_again_as_it_was() -> None:
    desk = Desk()
    for side in (PositionSide.NET, PositionSide.LONG):
        await desk.told(msgspec.structs.replace(settlement(), fill_kind=FillKind.FUNDING, position_side=side))

    desk.order_agent.handle(list(desk.log.records[TOPICS.order_updates]))

    first, again = desk.log.records[TOPICS.position_events]
    assert (again.key, again.value) == (first.key, first.value)
    assert [each.side for each in desk.positions.all(0)] == [PositionSide.NET]


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


def stop_loss(state: VenueState = VenueState.UNTRIGGERED, **changed: object) -> OrderReport:
    """The venue's word on a stop-loss that it made for the order `parent-1`."""
    report = OrderReport(
        instrument=BTC,
        account=ACCOUNT,
        origin=Origin.STREAM,
        received_ns=NOW,
        venue_order_id="v-stop",
        state=state,
        raw_status=str(state),
        side=Side.SELL,
        order_type=OrderType.MARKET,
        quantity=Decimal(1),
        price=None,
        cumulative=Sums(),
        updated_ns=NOW,
        reduce_only=True,
        role=Role.STOP_LOSS,
        parent_client_order_id="parent-1",
        trigger_price=Decimal(90),
    )
    return msgspec.structs.replace(report, **changed)


def stop_filled(execution_id: str = "e-stop") -> FillReport:
    """An execution of that stop-loss."""
    return msgspec.structs.replace(
        settlement(execution_id), fill_kind=FillKind.TRADE, venue_order_id="v-stop", role=Role.STOP_LOSS
    )


async def test_p07_what_the_venue_makes_is_no_strangers_and_is_found_by_its_parent() -> None:
    desk = Desk()

    await desk.told(stop_loss())

    (child,) = desk.orders.children_of(0, "parent-1")
    assert (child.role, child.external, child.ours) == (Role.STOP_LOSS, False, False)
    assert child.state is OrderState.UNTRIGGERED
    assert desk.orders.open_orders(0, "BTCUSDT") == [child]


async def test_p07_its_update_is_not_parked_while_an_order_of_ours_is_in_flight() -> None:
    desk = Desk()
    desk.intend()

    await desk.told(stop_loss())

    assert desk.orders.parked(0, "BTCUSDT") == []
    assert len(desk.orders.children_of(0, "parent-1")) == 1


async def test_p07_its_fill_reaches_the_position_once_and_before_its_report() -> None:
    desk = Desk()

    await desk.told(stop_filled())
    await desk.told(stop_filled())
    await desk.told(stop_loss(VenueState.FILLED, cumulative=Sums(Decimal("0.5"), Decimal(50)), quantity=Decimal("0.5")))

    assert desk.positions.get(0, BTC, ACCOUNT, PositionSide.NET).state.size == Decimal("-0.5")
    (child,) = desk.orders.children_of(0, "parent-1")
    assert (child.state, child.order_type, child.external) == (OrderState.FILLED, OrderType.MARKET, False)


async def test_p07_its_events_say_what_it_protects_and_are_told_alike_when_told_again() -> None:
    desk = Desk()
    await desk.told(stop_filled())
    first = list(desk.log.records[TOPICS.order_events])

    await desk.told(stop_loss(VenueState.FILLED, cumulative=Sums(Decimal("0.5"), Decimal(50)), quantity=Decimal("0.5")))
    desk.order_agent.handle([desk.log.records[TOPICS.order_updates][0]])

    told = [record.value for record in desk.log.records[TOPICS.order_events]]
    assert told.count(first[0].value) == 2
    assert msgspec.json.decode(first[0].value)["protects"]["role"] == "stop_loss"


async def test_a_bug_that_one_update_of_a_run_wakes_keeps_none_before_it_from_being_told(monkeypatch: Any) -> None:
    desk, finished = Desk(), []
    monkeypatch.setattr(desk.inbox, "finished", lambda record: finished.append(record.offset))
    records = [recorded(settlement(f"settled-{offset}"), offset) for offset in range(3)]
    breaks(monkeypatch, desk.positions, "apply", "settled-1")
    with pytest.raises(RecordFailed) as failed:
        desk.order_agent.handle(records)

    assert (failed.value.record, failed.value.traceless) == (records[1], True)
    assert isinstance(failed.value.error, ZeroDivisionError)
    assert finished == [0]
    assert len(desk.log.records[TOPICS.position_events]) == 1

    desk.order_agent.pass_over(records[1])
    desk.order_agent.handle(records[2:])

    assert finished == [0, 1, 2]
    assert desk.positions.get(0, BTC, ACCOUNT, PositionSide.NET).state.size == Decimal("-1.0")


async def test_an_update_that_an_order_has_and_its_position_lacks_cannot_be_left_out(monkeypatch: Any) -> None:
    desk = Desk()
    fill = fill_of(desk.intend())
    breaks(monkeypatch, desk.positions, "apply", fill.execution_id)

    for _ in range(2):  # the second time, the order's rows are there before it
        with pytest.raises(RecordFailed) as failed:
            desk.order_agent.handle([recorded(fill, 0)])
        assert not failed.value.traceless

    monkeypatch.undo()
    desk.order_agent.handle([recorded(fill, 0)])
    assert desk.positions.get(0, BTC, ACCOUNT, PositionSide.NET).state.size == fill.quantity


@pytest.mark.parametrize("header", [PARKED_AT, LATE_AT])
async def test_a_copy_cannot_be_left_out_for_the_row_that_it_would_take_away(monkeypatch: Any, header: str) -> None:
    desk = Desk()
    breaks(monkeypatch, desk.positions, "apply", "settled-1")

    with pytest.raises(RecordFailed) as failed:
        desk.order_agent.handle([recorded(settlement(), 5, ((header, b"1"),))])

    assert not failed.value.traceless


def recorded(update: FillReport, offset: int, headers: Headers = ()) -> Record:
    return Record(TOPICS.order_updates, 0, offset, b"BTCUSDT", encode_update(update), headers, NOW)


def breaks(monkeypatch: Any, table: Any, method: str, execution_id: str) -> None:
    """The method fails for this execution."""
    whole = getattr(table, method)

    def broken(partition: int, fill: FillReport, *others: Any) -> Any:
        if fill.execution_id == execution_id:
            raise ZeroDivisionError("a bug")
        return whole(partition, fill, *others)

    monkeypatch.setattr(table, method, broken)
