"""What the venue's documentation promises and a client may rely on, asked with pybit: filters, defaults, fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError
from pybit.unified_trading import HTTP
from pybit_session import Row, rows
from running_exchange import RunningExchange


def placed(session: HTTP, **changes: Any) -> str:
    """An order; a resting bid far below the market unless told otherwise."""
    wish = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    return str(session.place_order(**wish | {"price": "40000"} | changes)["result"]["orderId"])


def bought(session: HTTP, symbol: str, qty: str, **changes: Any) -> str:
    return placed(session, symbol=symbol, orderType="Market", qty=qty, price=None, **changes)


def open_ids(session: HTTP, **question: Any) -> set[str]:
    return {row["orderId"] for row in rows(session.get_open_orders(category="linear", **question))}


# -- the market ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("category", "default"), [("spot", 1), ("linear", 25)])
def test_a_book_has_as_many_levels_as_are_asked_for(
    exchange: RunningExchange, session: HTTP, category: str, default: int
) -> None:
    exchange.control("market", {"symbol": "DOTUSDT", "category": "linear", "levels": 40})
    exchange.control("market", {"symbol": "LTCUSDT", "category": "spot", "levels": 40})
    symbol = {"linear": "DOTUSDT", "spot": "LTCUSDT"}[category]

    def levels(**limit: int) -> tuple[int, int]:
        book = session.get_orderbook(category=category, symbol=symbol, **limit)["result"]
        return len(book["b"]), len(book["a"])

    assert levels() == (default, default)
    assert levels(limit=7) == (7, 7)
    assert min(levels(limit=1000)) >= 40  # and what other accounts have resting there


def test_instruments_are_asked_by_status_and_base_coin(session: HTTP) -> None:
    def symbols(**question: Any) -> list[str]:
        return [row["symbol"] for row in rows(session.get_instruments_info(**question))]

    assert symbols(category="linear", status="PreLaunch") == []
    assert symbols(category="linear", status="Trading", symbol="BTCUSDT") == ["BTCUSDT"]
    assert symbols(category="linear", baseCoin="ETH") == ["ETHUSDT", "ETHUSD"]  # contracts of every kind
    assert len(symbols(category="spot", limit=1)) > 1  # pairs come all at once


def test_an_instrument_has_a_number_and_its_price_limits(session: HTTP) -> None:
    found = [
        row
        for category in ("linear", "inverse", "spot")
        for row in rows(session.get_instruments_info(category=category))
    ]
    assert len({row["symbolId"] for row in found}) == len(found)
    assert all(isinstance(row["symbolId"], int) for row in found)
    assert {row["riskParameters"]["priceLimitRatioX"] for row in found} == {"0.05"}


def test_tickers_have_the_fields_of_their_category(session: HTTP) -> None:
    (pair,) = rows(session.get_tickers(category="spot", symbol="BTCUSDT"))
    (contract,) = rows(session.get_tickers(category="linear", symbol="BTCUSDT"))
    assert set(pair) == {
        "symbol", "bid1Price", "bid1Size", "ask1Price", "ask1Size", "lastPrice", "prevPrice24h", "price24hPcnt",
        "highPrice24h", "lowPrice24h", "turnover24h", "volume24h", "usdIndexPrice",
    }  # fmt: skip
    assert {"fundingRate", "openInterest", "singleOpenInterest", "singleOpenInterestValue"} <= set(contract)


# -- orders ----------------------------------------------------------------------------------------------------------


def test_an_order_s_id_goes_before_everything_else_that_is_named(session: HTTP) -> None:
    order_id = placed(session, orderLinkId="mine")
    other_id = placed(session, orderLinkId="other", price="40001")
    assert open_ids(session, orderId=order_id, orderLinkId="other", symbol="ETHUSDT") == {order_id}
    assert open_ids(session, orderLinkId="other", symbol="ETHUSDT") == {other_id}


def test_fills_of_an_order_are_asked_by_its_id_alone(session: HTTP) -> None:
    order_id = bought(session, "SOLUSDT", "1")
    bought(session, "SOLUSDT", "2")
    found = rows(session.get_executions(category="linear", orderId=order_id, symbol="ETHUSDT", startTime=1, endTime=2))
    assert {row["orderId"] for row in found} == {order_id}


def test_closed_orders_are_filtered_by_what_they_were(session: HTTP) -> None:
    active = placed(session)
    waiting = placed(session, triggerPrice="45000", triggerDirection=2)
    session.cancel_all_orders(category="linear", symbol="BTCUSDT")

    def closed(order_filter: str) -> list[str]:
        found = rows(session.get_order_history(category="linear", orderFilter=order_filter))
        return [row["orderId"] for row in found]

    assert closed("Order") == [active]
    assert closed("StopOrder") == [waiting]
    assert closed("tpslOrder") == []


def protected_position(session: HTTP, symbol: str, qty: str, stop_loss: str) -> None:
    bought(session, symbol, qty)
    session.set_trading_stop(category="linear", symbol=symbol, stopLoss=stop_loss, tpslMode="Full", positionIdx=0)


def test_conditional_orders_can_be_cancelled_without_what_protects_the_position(session: HTTP) -> None:
    protected_position(session, "ETHUSDT", "0.1", "2000")
    (stop_loss,) = open_ids(session, symbol="ETHUSDT")
    waiting = placed(session, symbol="ETHUSDT", qty="0.1", price="2500", triggerPrice="2600", triggerDirection=2)
    gone = session.cancel_all_orders(category="linear", symbol="ETHUSDT", orderFilter="StopOrder", stopOrderType="Stop")
    assert [row["orderId"] for row in rows(gone)] == [waiting]
    assert open_ids(session, symbol="ETHUSDT") == {stop_loss}


def test_opening_orders_can_be_cancelled_without_closing_ones(session: HTTP) -> None:
    bought(session, "ETHUSDT", "0.1")
    opening = placed(session, symbol="ETHUSDT", qty="0.1", price="2500")
    closing = placed(session, symbol="ETHUSDT", qty="0.1", price="4500", side="Sell", reduceOnly=True)
    gone = session.cancel_all_orders(category="linear", symbol="ETHUSDT", orderFilter="OpenOrder")
    assert [row["orderId"] for row in rows(gone)] == [opening]
    assert open_ids(session, symbol="ETHUSDT") == {closing}


@pytest.mark.parametrize("wish", [{"orderFilter": "Everything"}, {"orderFilter": "StopOrder", "stopOrderType": "Any"}])
def test_a_filter_that_does_not_exist_cancels_nothing(session: HTTP, wish: Row) -> None:
    order_id = placed(session)
    with pytest.raises(InvalidRequestError) as caught:
        session.cancel_all_orders(category="linear", symbol="BTCUSDT", **wish)
    assert caught.value.status_code == 10001
    assert open_ids(session, symbol="BTCUSDT") == {order_id}


def test_a_filter_without_any_orders_of_its_kind_cancels_nothing(session: HTTP) -> None:
    placed(session, category="spot")
    gone = session.cancel_all_orders(category="spot", symbol="BTCUSDT", orderFilter="OcoOrder")
    assert rows(gone) == []


def test_which_price_triggers_can_be_amended(session: HTTP) -> None:
    waiting = placed(session, triggerPrice="45000", triggerDirection=2, takeProfit="50000", tpTriggerBy="MarkPrice")
    session.amend_order(category="linear", symbol="BTCUSDT", orderId=waiting, triggerBy="IndexPrice")
    resting = placed(session, price="41000")
    session.amend_order(category="linear", symbol="BTCUSDT", orderId=resting, stopLoss="30000", slTriggerBy="MarkPrice")
    found = {row["orderId"]: row for row in rows(session.get_open_orders(category="linear", symbol="BTCUSDT"))}
    assert (found[waiting]["triggerBy"], found[waiting]["tpTriggerBy"]) == ("IndexPrice", "MarkPrice")
    assert (found[resting]["stopLoss"], found[resting]["slTriggerBy"]) == ("30000", "MarkPrice")


def test_an_amendment_names_an_existing_price(session: HTTP) -> None:
    order_id = placed(session)
    with pytest.raises(InvalidRequestError) as caught:
        session.amend_order(category="linear", symbol="BTCUSDT", orderId=order_id, stopLoss="1", slTriggerBy="Guess")
    assert caught.value.status_code == 10001


# -- positions and account -------------------------------------------------------------------------------------------


def test_a_position_tells_since_when_it_is_open(session: HTTP) -> None:
    def position() -> Row:
        (row,) = rows(session.get_positions(category="linear", symbol="SOLUSDT"))
        return row

    def filled_at_ms(order_id: str) -> int:
        return int(rows(session.get_executions(category="linear", orderId=order_id))[0]["execTime"])

    assert position()["openTime"] == 0
    opened_at_ms = filled_at_ms(bought(session, "SOLUSDT", "1"))
    assert position()["openTime"] == opened_at_ms
    bought(session, "SOLUSDT", "1")
    assert position()["openTime"] == opened_at_ms
    turned_at_ms = filled_at_ms(bought(session, "SOLUSDT", "3", side="Sell"))
    assert position()["openTime"] == turned_at_ms
    bought(session, "SOLUSDT", "1")
    assert position()["openTime"] == 0


def test_a_coin_s_mode_is_switched_where_nothing_is_held_or_ordered(session: HTTP) -> None:
    bought(session, "ETHUSDT", "0.1")
    placed(session, category="spot")
    session.switch_position_mode(category="linear", coin="USDT", mode=3)
    hedged = {
        symbol: len(rows(session.get_positions(category="linear", symbol=symbol))) for symbol in ("ETHUSDT", "BTCUSDT")
    }
    assert hedged == {"ETHUSDT": 1, "BTCUSDT": 2}
    with pytest.raises(InvalidRequestError) as caught:
        session.switch_position_mode(category="linear", symbol="ETHUSDT", mode=3)
    assert caught.value.status_code == 110024


@pytest.mark.parametrize("leverage", ["0", "5.005", "101"])
def test_leverage_has_steps_and_limits(session: HTTP, leverage: str) -> None:
    session.set_leverage(category="linear", symbol="BTCUSDT", buyLeverage="5.25", sellLeverage="5.25")
    with pytest.raises(InvalidRequestError):
        session.set_leverage(category="linear", symbol="BTCUSDT", buyLeverage=leverage, sellLeverage=leverage)
    (position,) = rows(session.get_positions(category="linear", symbol="BTCUSDT"))
    assert position["leverage"] == "5.25"


def test_the_log_is_filtered_by_base_coin(session: HTTP) -> None:
    bought(session, "ETHUSDT", "0.1")
    bought(session, "SOLUSDT", "1")
    log: Callable[..., Row] = session.get_transaction_log
    assert {row["symbol"] for row in rows(log(baseCoin="SOL"))} == {"SOLUSDT"}
    assert rows(log(baseCoin="SOL", transSubType="movePosition")) == []


def test_a_coin_of_the_wallet_tells_that_nothing_restricts_it(session: HTTP) -> None:
    (wallet,) = rows(session.get_wallet_balance(accountType="UNIFIED"))
    assert {coin["colRes"] for coin in wallet["coin"]} == {"0"}
