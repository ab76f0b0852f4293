"""Orders, from the venue's words to ours and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from bybit_rows import RECEIVED_NS, context, order_row

from domain.errors import InvalidInput
from domain.instruments import Instrument
from domain.orders import OrderType, PositionSide, Side, Sums, TimeInForce, VenueState
from domain.updates import Origin, decode_update, encode_update
from exchanges.bybit.translate import amend_body, create_body, order_report, reference
from exchanges.venue import NewOrder, OrderRef

D = Decimal
ETH = Instrument("bybit", "linear", "ETHUSDT")
SPOT_BTC = Instrument("bybit", "spot", "BTCUSDT")


def new_order(**changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "instrument": ETH,
        "client_order_id": "omab3k5",
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": D("1.20"),
        "price": D("2500.50"),
        "time_in_force": TimeInForce.GTC,
    }
    return NewOrder(**(fields | changes))


# -- requests --------------------------------------------------------------------------------------------------------


def test_a_limit_order_is_asked_for_in_the_venues_words_and_plain_figures() -> None:
    assert create_body(new_order(quantity=D("1E+2"), price=D("2500.500"))) == {
        "category": "linear",
        "symbol": "ETHUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "100",
        "price": "2500.5",
        "timeInForce": "GTC",
        "orderLinkId": "omab3k5",
        "positionIdx": 0,
        "reduceOnly": False,
    }


def test_a_market_order_is_immediate_and_has_no_price() -> None:
    body = create_body(new_order(order_type=OrderType.MARKET, price=None, time_in_force=TimeInForce.GTC))
    assert body["orderType"] == "Market"
    assert body["timeInForce"] == "IOC"
    assert "price" not in body


def test_post_only_is_a_time_in_force_at_this_venue() -> None:
    assert create_body(new_order(post_only=True))["timeInForce"] == "PostOnly"


@pytest.mark.parametrize(("side", "index"), [(PositionSide.NET, 0), (PositionSide.LONG, 1), (PositionSide.SHORT, 2)])
def test_the_position_side_becomes_the_position_index(side: PositionSide, index: int) -> None:
    assert create_body(new_order(position_side=side))["positionIdx"] == index


def test_an_order_that_only_reduces_says_so() -> None:
    assert create_body(new_order(reduce_only=True))["reduceOnly"] is True


def test_a_spot_market_order_counts_in_base_coin_and_knows_no_positions() -> None:
    body = create_body(new_order(instrument=SPOT_BTC, order_type=OrderType.MARKET, price=None, reduce_only=True))
    assert body["marketUnit"] == "baseCoin"
    assert "positionIdx" not in body
    assert "reduceOnly" not in body


def test_a_limit_order_without_a_price_is_not_sent() -> None:
    with pytest.raises(InvalidInput, match="NO_PRICE"):
        create_body(new_order(price=None))


def test_an_order_is_addressed_by_the_venues_id_where_it_is_known() -> None:
    both = reference(OrderRef(ETH, client_order_id="omab3k5", venue_order_id="v-1"))
    ours = reference(OrderRef(ETH, client_order_id="omab3k5"))
    assert both == {"category": "linear", "symbol": "ETHUSDT", "orderId": "v-1"}
    assert ours == {"category": "linear", "symbol": "ETHUSDT", "orderLinkId": "omab3k5"}


def test_an_order_without_any_id_cannot_be_addressed() -> None:
    with pytest.raises(InvalidInput, match="NO_ORDER_ID"):
        reference(OrderRef(ETH))


def test_an_amend_names_only_what_changes() -> None:
    ref = OrderRef(ETH, venue_order_id="v-1")
    assert amend_body(ref, quantity=None, price=D("2501.0"))["price"] == "2501"
    assert "qty" not in amend_body(ref, quantity=None, price=D(2501))
    assert amend_body(ref, quantity=D("2.0"), price=None)["qty"] == "2"


def test_an_amend_that_changes_nothing_is_refused_here() -> None:
    with pytest.raises(InvalidInput, match="NOTHING_TO_AMEND"):
        amend_body(OrderRef(ETH, venue_order_id="v-1"), quantity=None, price=None)


# -- orders ----------------------------------------------------------------------------------------------------------


def test_a_resting_order_is_read_field_by_field() -> None:
    report = order_report(order_row(), context())
    assert report.instrument == ETH
    assert (report.account, report.origin, report.received_ns) == ("desk", Origin.STREAM, RECEIVED_NS)
    assert report.client_order_id == "omab3k5"
    assert report.venue_order_id == "7a9f3c10-55aa-4d02-9b1e-0c6b7a3f1e01"
    assert (report.state, report.raw_status) == (VenueState.LIVE, "New")
    assert (report.side, report.order_type, report.time_in_force) == (Side.BUY, OrderType.LIMIT, TimeInForce.GTC)
    assert (str(report.quantity), str(report.price)) == ("1.2", "2500.5")
    assert report.cumulative == Sums()
    assert (report.created_ns, report.updated_ns) == (1_800_000_000_001_000_000, 1_800_000_000_002_000_000)
    assert report.reason == ""


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("New", VenueState.LIVE),
        ("PartiallyFilled", VenueState.LIVE),
        ("Untriggered", VenueState.UNTRIGGERED),
        ("Triggered", VenueState.TRIGGERED),
        ("Filled", VenueState.FILLED),
        ("Cancelled", VenueState.CANCELLED),
        ("PartiallyFilledCanceled", VenueState.CANCELLED),
        ("Deactivated", VenueState.CANCELLED),
        ("Rejected", VenueState.REJECTED),
    ],
)
def test_every_status_has_a_state_and_is_kept(status: str, state: VenueState) -> None:
    report = order_report(order_row(orderStatus=status), context())
    assert (report.state, report.raw_status) == (state, status)


def test_a_status_that_we_do_not_know_is_not_guessed() -> None:
    with pytest.raises(InvalidInput, match="orderStatus: Pondering"):
        order_report(order_row(orderStatus="Pondering"), context())


@pytest.mark.parametrize(
    ("reject_reason", "cancel_type", "reason"),
    [
        ("EC_PostOnlyWillTakeLiquidity", "UNKNOWN", "POST_ONLY_WOULD_TAKE"),
        ("EC_NoImmediateQtyToFill", "UNKNOWN", "NOTHING_TO_FILL_AT_ONCE"),
        ("EC_NoEnoughQtyToFill", "UNKNOWN", "NOT_ENOUGH_TO_FILL"),
        ("EC_ReachRiskPriceLimit", "UNKNOWN", "REACH_RISK_PRICE_LIMIT"),
        ("EC_NoError", "CancelByReduceOnly", "REDUCE_ONLY"),
        ("EC_NoError", "CancelAllBeforeLiq", "CANCEL_ALL_BEFORE_LIQ"),
        ("EC_PerCancelRequest", "CancelByUser", ""),
        ("EC_NoError", "UNKNOWN", ""),
        ("", "", ""),
    ],
)
def test_a_cancelled_order_says_why_where_the_venue_does(reject_reason: str, cancel_type: str, reason: str) -> None:
    row = order_row(orderStatus="Cancelled", rejectReason=reject_reason, cancelType=cancel_type)
    assert order_report(row, context()).reason == reason


def test_a_filled_order_that_a_cancel_came_too_late_for_has_no_reason() -> None:
    row = order_row(
        orderStatus="Filled",
        cumExecQty="1.20",
        cumExecValue="3000.6",
        cancelType="CancelByUser",
        rejectReason="EC_OrigClOrdIDDoesNotExist",
    )
    assert order_report(row, context()).reason == ""


def test_a_cancelled_derivatives_order_keeps_what_it_executed() -> None:
    row = order_row(
        orderStatus="Cancelled",
        cumExecQty="0.50",
        cumExecValue="1250.25",
        cumExecFee="0.6876375",
        cumFeeDetail={"USDT": "0.68763750"},
    )
    report = order_report(row, context())
    assert report.state is VenueState.CANCELLED
    assert report.cumulative == Sums(D("0.5"), D("1250.25"), {"USDT": D("0.6876375")})


def test_an_order_called_rejected_that_traded_was_accepted_first() -> None:
    row = order_row(orderStatus="Rejected", cumExecQty="0.50", cumExecValue="1250.25")
    report = order_report(row, context())
    assert (report.state, report.raw_status) == (VenueState.CANCELLED, "Rejected")


def test_fees_in_several_coins_are_kept_apart() -> None:
    row = order_row(cumExecQty="1", cumExecValue="2500", cumFeeDetail={"MNT": "0.01", "USDT": "0.2", "BTC": "0"})
    assert order_report(row, context()).cumulative.fees == {"MNT": D("0.01"), "USDT": D("0.2")}


@pytest.mark.parametrize(
    ("category", "symbol", "side", "coin"),
    [
        ("linear", "ETHUSDT", "Buy", "USDT"),
        ("linear", "BTCPERP", "Sell", "USDC"),
        ("linear", "BTC-28AUG26", "Buy", "USDC"),
        ("linear", "BTCUSDT-28AUG26", "Buy", "USDT"),
        ("inverse", "BTCUSD", "Sell", "BTC"),
        ("spot", "BTCUSDT", "Buy", "BTC"),
        ("spot", "BTCUSDT", "Sell", "USDT"),
        ("spot", "ETHBTC", "Sell", "BTC"),
    ],
)
def test_a_fee_without_its_coin_is_in_the_coin_that_the_market_takes_it_in(
    category: str, symbol: str, side: str, coin: str
) -> None:
    row = order_row(symbol=symbol, side=side, cumExecQty="1", cumExecValue="9", cumExecFee="0.5", cumFeeDetail=None)
    assert order_report(row, context(category=category)).cumulative.fees == {coin: D("0.5")}


def test_a_market_order_has_no_price_of_ours_whatever_protective_price_the_row_shows() -> None:
    row = order_row(orderType="Market", timeInForce="IOC", price="2650.00", avgPrice="2500.1")
    report = order_report(row, context())
    assert report.price is None
    assert (report.order_type, report.time_in_force) == (OrderType.MARKET, TimeInForce.IOC)


def test_a_post_only_order_rests_until_cancelled() -> None:
    report = order_report(order_row(timeInForce="PostOnly"), context())
    assert report.post_only
    assert report.time_in_force is TimeInForce.GTC


@pytest.mark.parametrize(("index", "side"), [(0, PositionSide.NET), (1, PositionSide.LONG), (2, PositionSide.SHORT)])
def test_the_position_index_becomes_the_position_side(index: int, side: PositionSide) -> None:
    assert order_report(order_row(positionIdx=index), context()).position_side is side


def test_symbols_become_canonical() -> None:
    assert order_report(order_row(symbol="ethUSDT"), context()).instrument.symbol == "ETHUSDT"


def test_a_message_without_an_update_time_has_the_time_it_was_told() -> None:
    report = order_report(order_row(updatedTime=""), context(), told_ms=1_800_000_000_009)
    assert report.updated_ns == 1_800_000_000_009_000_000


@pytest.mark.parametrize("field", ["orderId", "symbol", "side", "orderType", "orderStatus", "qty", "price"])
def test_an_order_that_lacks_what_matters_is_not_guessed(field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        order_report(order_row(**{field: ""}), context())


@pytest.mark.parametrize("figure", ["NaN", "1e400", "abc", "Infinity", "0." + "1" * 40, True, [], {}])
def test_a_figure_that_is_none_is_not_let_in(figure: object) -> None:
    with pytest.raises(InvalidInput):
        order_report(order_row(cumExecQty=figure), context())


# -- spot market buys ------------------------------------------------------------------------------------------------

SPOT_BUY = {
    "category": "spot",
    "symbol": "BTCUSDT",
    "orderType": "Market",
    "timeInForce": "IOC",
    "price": "0",
    "qty": "25.000000",
    "leavesQty": "0.000000",
    "leavesValue": "0.0125",
    "cumExecQty": "0.000250",
    "cumExecValue": "24.9875",
    "cumExecFee": "0.00000025",
    "feeCurrency": "BTC",
    "rejectReason": "EC_CancelForNoFullFill",
}


def test_a_spot_market_buy_in_quote_coin_that_left_only_dust_is_filled_with_what_it_bought() -> None:
    report = order_report(order_row(**SPOT_BUY, orderStatus="PartiallyFilledCanceled"), context())
    assert (report.state, report.raw_status) == (VenueState.FILLED, "PartiallyFilledCanceled")
    assert report.quantity == report.cumulative.quantity == D("0.00025")
    assert report.reason == ""


def test_a_spot_market_buy_in_quote_coin_has_no_quantity_before_it_ends() -> None:
    report = order_report(order_row(**SPOT_BUY, orderStatus="PartiallyFilled"), context())
    assert report.state is VenueState.LIVE
    assert report.quantity == 0


def test_a_spot_market_buy_in_base_coin_that_was_cut_short_is_cancelled() -> None:
    row = order_row(**SPOT_BUY | {"qty": "0.000400"}, marketUnit="baseCoin", orderStatus="PartiallyFilledCanceled")
    report = order_report(row, context())
    assert (report.state, report.reason) == (VenueState.CANCELLED, "NO_FULL_FILL")
    assert report.quantity == D("0.0004")


def test_a_spot_limit_order_that_was_cancelled_after_fills_is_cancelled() -> None:
    row = order_row(category="spot", orderStatus="PartiallyFilledCanceled", cumExecQty="0.3", cumExecValue="750.15")
    report = order_report(row, context())
    assert (report.state, report.quantity) == (VenueState.CANCELLED, D("1.2"))


def test_what_was_read_survives_the_topic() -> None:
    report = order_report(order_row(cumExecQty="0.1", cumExecValue="250", cumFeeDetail={"USDT": "0.1"}), context())
    assert decode_update(encode_update(report)) == report
