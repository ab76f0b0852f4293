"""Executions, from the venue's words to ours."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from bybit_rows import context, execution_row

from domain.errors import InvalidInput
from domain.instruments import Instrument
from domain.orders import PositionSide, Side
from domain.updates import FillKind, decode_update, encode_update
from exchanges.bybit.translate import fill_report

D = Decimal
ETH = Instrument("bybit", "linear", "ETHUSDT")


def test_an_execution_is_read_field_by_field() -> None:
    fill = fill_report(execution_row(), context())
    assert fill.instrument == ETH
    assert fill.execution_id == "0f3f5f0e-9b1f-5b52-a6c7-11d0a1b2c301"
    assert (fill.client_order_id, fill.venue_order_id) == ("omab3k5", "7a9f3c10-55aa-4d02-9b1e-0c6b7a3f1e01")
    assert (str(fill.price), str(fill.quantity), str(fill.fee)) == ("2500.1", "0.4", "0.550022")
    assert (fill.side, fill.fee_currency, fill.maker) == (Side.BUY, "USDT", False)
    assert (fill.executed_ns, fill.venue_sequence) == (1_800_000_000_555_000_000, 987654321)
    assert fill.fill_kind is FillKind.TRADE


def test_an_execution_tells_its_order_where_that_is_in_the_instruments_unit() -> None:
    order = {"orderQty": "3", "leavesQty": "1.5"}

    limit = fill_report(execution_row(orderType="Limit", **order), context())
    market = fill_report(execution_row(orderType="Market", **order), context())

    assert (limit.order_quantity, limit.order_executed) == (D(3), D("1.5"))
    assert (market.order_quantity, market.order_executed) == (msgspec.UNSET, D(0))
    assert [decode_update(encode_update(fill)) for fill in (limit, market)] == [limit, market]


def test_a_makers_rebate_is_a_negative_fee() -> None:
    fill = fill_report(execution_row(execFee="-0.1", isMaker=True), context())
    assert (fill.fee, fill.maker) == (D("-0.1"), True)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Trade", FillKind.TRADE),
        ("BlockTrade", FillKind.TRADE),
        ("MovePosition", FillKind.MOVED),
        ("FutureSpread", FillKind.TRADE),
        ("Funding", FillKind.FUNDING),
        ("BustTrade", FillKind.LIQUIDATION),
        ("AdlTrade", FillKind.ADL),
        ("Settle", FillKind.SETTLEMENT),
        ("Delivery", FillKind.SETTLEMENT),
        ("ForwardSplitSettle", FillKind.SETTLEMENT),
        ("Dividend", FillKind.FUNDING),
        ("UNKNOWN", FillKind.TRADE),
    ],
)
def test_what_caused_an_execution_is_told(kind: str, expected: FillKind) -> None:
    assert fill_report(execution_row(execType=kind), context()).fill_kind is expected


def test_an_execution_that_no_order_caused_can_still_be_published() -> None:
    fill = fill_report(execution_row(execType="Settle", orderId="", orderLinkId=""), context())
    assert fill.venue_order_id == fill.execution_id
    assert decode_update(encode_update(fill)) == fill


@pytest.mark.parametrize(
    "fields",
    [
        {"execType": "Settle"},
        {"execType": "Delivery", "createType": "CreateBySettle", "orderType": "UNKNOWN"},
        {"execType": "Trade", "createType": "CreateBySettle"},
    ],
)
def test_p06_a_settlement_that_names_an_order_belongs_to_none(fields: dict[str, str]) -> None:
    fill = fill_report(execution_row(orderId="1787070134-ETHUSDT-460579-Sell", orderLinkId="", **fields), context())

    assert (fill.fill_kind, fill.orderless) == (FillKind.SETTLEMENT, True)
    assert (fill.client_order_id, fill.venue_order_id) == ("", fill.execution_id)


@pytest.mark.parametrize(("kind", "cause"), [("BustTrade", "CreateByLiq"), ("AdlTrade", "CreateByAdl_PassThrough")])
def test_p06_what_the_venue_closes_by_an_order_of_its_own_belongs_to_that(kind: str, cause: str) -> None:
    fill = fill_report(execution_row(orderId="v-1", orderLinkId="", execType=kind, createType=cause), context())

    assert (fill.venue_order_id, fill.orderless) == ("v-1", False)


def test_taxes_in_the_coin_of_the_fee_are_part_of_it_and_others_stay_apart() -> None:
    extra = [{"feeCoin": "USDT", "fee": "0.10"}, {"feeCoin": "USDT", "fee": "0.02"}, {"feeCoin": "INR", "fee": "9"}]
    fill = fill_report(execution_row(execFee="1", feeCurrency="USDT", extraFees=extra), context())
    assert (fill.fee, fill.other_fees) == (D("1.12"), {"INR": D("9")})
    assert decode_update(encode_update(fill)).fees == {"USDT": D("1.12"), "INR": D("9")}


def test_taxes_listed_as_text_are_read_too() -> None:
    text = '[{"feeCoin":"USDT","fee":"0.10"}]'
    assert fill_report(execution_row(execFee="1", extraFees=text), context()).fee == D("1.1")


@pytest.mark.parametrize(
    ("side", "closed", "expected"),
    [
        ("Buy", "0", PositionSide.LONG),
        ("Buy", "0.4", PositionSide.SHORT),
        ("Sell", "0", PositionSide.SHORT),
        ("Sell", "0.4", PositionSide.LONG),
        ("Sell", "", PositionSide.NET),
    ],
)
def test_in_hedge_mode_what_was_closed_tells_the_position(side: str, closed: str, expected: PositionSide) -> None:
    fill = fill_report(execution_row(side=side, closedSize=closed), context(hedge=True))
    assert fill.position_side is expected


@pytest.mark.parametrize("closed", ["", "0.000"])
@pytest.mark.parametrize(("side", "expected"), [("Buy", PositionSide.LONG), ("Sell", PositionSide.SHORT)])
def test_in_hedge_mode_a_payment_names_the_side_it_was_made_on(side: str, closed: str, expected: PositionSide) -> None:
    row = execution_row(side=side, closedSize=closed, execType="Funding", orderType="UNKNOWN")
    assert fill_report(row, context(hedge=True)).position_side is expected
    assert fill_report(row, context()).position_side is PositionSide.NET


def test_in_one_way_mode_there_is_one_position() -> None:
    assert fill_report(execution_row(closedSize="0.4"), context()).position_side is PositionSide.NET


@pytest.mark.parametrize("field", ["execId", "symbol", "side", "execPrice", "execQty"])
def test_an_execution_that_lacks_what_matters_is_not_guessed(field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        fill_report(execution_row(**{field: ""}), context())
