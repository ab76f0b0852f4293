"""Take-profit and stop-loss in the venue's words (requirement P07)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bybit_rows import context, execution_row, order_row

from domain.instruments import Instrument
from domain.orders import OrderType, PositionSide, Side, TimeInForce, VenueState
from domain.protection import Protection, Role, TriggerBy
from domain.updates import decode_update, encode_update
from exchanges.bybit.translate import create_body, fill_report, order_report, stop_loss_body
from exchanges.venue import NewOrder

ETH = Instrument("bybit", "linear", "ETHUSDT")


def body_with(protection: Protection | None) -> dict[str, object]:
    order = NewOrder(
        ETH,
        "omab3k5",
        Side.BUY,
        OrderType.MARKET,
        Decimal(1),
        None,
        TimeInForce.IOC,
        position_side=PositionSide.LONG,
        protection=protection,
    )
    return create_body(order)


def test_both_are_asked_for_of_the_whole_position_at_market() -> None:
    body = body_with(Protection(take_profit=Decimal("2600.50"), stop_loss=Decimal("2.4E+3"), trigger_by=TriggerBy.MARK))

    assert {name: body[name] for name in body.keys() - body_with(None).keys()} == {
        "tpslMode": "Full",
        "takeProfit": "2600.5",
        "tpTriggerBy": "MarkPrice",
        "tpOrderType": "Market",
        "stopLoss": "2400",
        "slTriggerBy": "MarkPrice",
        "slOrderType": "Market",
    }
    assert body["positionIdx"] == 1


def test_only_what_is_wished_for_is_asked_for() -> None:
    body = body_with(Protection(stop_loss=Decimal(2400)))

    assert (body["stopLoss"], body["slTriggerBy"]) == ("2400", "LastPrice")
    assert "takeProfit" not in body


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({"stopOrderType": "TakeProfit", "createType": "CreateByTakeProfit"}, Role.TAKE_PROFIT),
        ({"stopOrderType": "StopLoss", "createType": "CreateByStopLoss"}, Role.STOP_LOSS),
        ({"stopOrderType": "PartialStopLoss", "createType": "CreateByPartialStopLoss"}, Role.STOP_LOSS),
        ({"stopOrderType": "TrailingStop", "createType": "CreateByTrailingStop"}, Role.TRAILING_STOP),
        ({"stopOrderType": "UNKNOWN", "createType": "CreateByTrailingProfit"}, Role.TRAILING_STOP),
        ({"stopOrderType": "", "createType": "CreateByTakeProfit"}, Role.TAKE_PROFIT),
        ({"stopOrderType": "Stop", "createType": "CreateByStopOrder"}, Role.NONE),
        ({"stopOrderType": "UNKNOWN", "createType": "CreateByUser"}, Role.NONE),
        ({"stopOrderType": "", "createType": ""}, Role.NONE),
    ],
)
def test_what_the_venue_made_an_order_for_is_told_by_its_row_and_its_executions(fields, role) -> None:  # type: ignore[no-untyped-def]
    row = order_row(**fields, orderLinkId="")

    assert order_report(row, context()).role is role
    assert fill_report(execution_row(**fields), context()).role is role


@pytest.mark.parametrize(
    ("fields", "partial"),
    [
        ({"stopOrderType": "PartialStopLoss", "createType": "CreateByPartialStopLoss", "tpslMode": "Partial"}, True),
        ({"stopOrderType": "PartialTakeProfit", "createType": ""}, True),
        ({"stopOrderType": "UNKNOWN", "createType": "CreateByPartialStopLoss"}, True),
        ({"stopOrderType": "StopLoss", "createType": "CreateByStopLoss", "tpslMode": "Partial"}, True),
        ({"stopOrderType": "StopLoss", "createType": "CreateByStopLoss", "tpslMode": "Full"}, False),
        ({"stopOrderType": "StopLoss", "createType": "CreateByStopLoss"}, False),
        ({"stopOrderType": "", "createType": "CreateByUser", "tpslMode": "Partial", "stopLoss": "90"}, False),
    ],
    ids=["all words", "its name", "its maker", "its mode", "whole", "whole, without a mode", "somebody's order"],
)
def test_a_child_for_a_part_of_the_position_says_so(fields: dict[str, str], partial: bool) -> None:
    report = order_report(order_row(**fields, orderLinkId=""), context())

    assert report.partial is partial
    assert decode_update(encode_update(report)) == report


def test_a_child_names_its_parent_and_its_trigger_and_bears_no_id_of_ours() -> None:
    row = order_row(
        orderStatus="Untriggered",
        stopOrderType="StopLoss",
        createType="CreateByStopLoss",
        orderLinkId="",
        parentOrderLinkId="omparent",
        triggerPrice="2400.5",
        orderType="Market",
    )

    report = order_report(row, context())

    assert (report.state, report.role) == (VenueState.UNTRIGGERED, Role.STOP_LOSS)
    assert (report.client_order_id, report.parent_client_order_id) == ("", "omparent")
    assert report.trigger_price == Decimal("2400.5")
    assert decode_update(encode_update(report)) == report


def test_a_child_that_repeats_its_parents_id_is_not_taken_for_the_parent() -> None:
    row = order_row(stopOrderType="TakeProfit", createType="CreateByTakeProfit", orderLinkId="omparent")

    report = order_report(row, context())

    assert (report.client_order_id, report.parent_client_order_id) == ("", "omparent")


def test_an_order_without_a_trigger_names_none() -> None:
    assert order_report(order_row(triggerPrice="0.00"), context()).trigger_price is None


@pytest.mark.parametrize(
    ("cancel_type", "reason"),
    [
        ("CancelByTpSlTsClear", "PROTECTION_CLEARED"),
        ("CancelByOCOTpCanceledBySlTriggered", "STOP_LOSS_TRIGGERED"),
        ("CancelByOCOSlCanceledByTpTriggered", "TAKE_PROFIT_TRIGGERED"),
    ],
)
def test_why_the_venue_took_it_away_is_told(cancel_type: str, reason: str) -> None:
    row = order_row(orderStatus="Deactivated", cancelType=cancel_type, rejectReason="EC_NoError")

    assert order_report(row, context()).reason == reason


def test_the_stop_of_a_position_is_asked_for_by_its_side_and_leaves_the_take_profit() -> None:
    assert stop_loss_body(ETH, PositionSide.SHORT, Decimal("2600.50"), TriggerBy.MARK) == {
        "category": "linear",
        "symbol": "ETHUSDT",
        "positionIdx": 2,
        "tpslMode": "Full",
        "stopLoss": "2600.5",
        "slTriggerBy": "MarkPrice",
        "slOrderType": "Market",
    }
