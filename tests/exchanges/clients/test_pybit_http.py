"""pybit's HTTP session: signing, orders of every kind, what can be asked afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from pybit.exceptions import FailedRequestError, InvalidRequestError
from pybit.unified_trading import HTTP
from pybit_session import Row, connected, rows
from running_exchange import RunningExchange

from exchanges.paper.options import ApiKey


def limit_order(session: HTTP, **changes: Any) -> str:
    """A resting bid far below the market."""
    wish = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    answer = session.place_order(**wish | {"price": "40000"} | changes)
    return str(answer["result"]["orderId"])


def order(session: HTTP, order_id: str, category: str = "linear") -> Row:
    (found,) = rows(session.get_open_orders(category=category, orderId=order_id))
    return found


# -- signing ---------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_told_apart_from_a_wrong_secret(exchange: RunningExchange, key: ApiKey) -> None:
    with pytest.raises(InvalidRequestError, match="10003"):
        connected(exchange, "nobody", key.secret).get_wallet_balance(accountType="UNIFIED")
    with pytest.raises(InvalidRequestError, match="10004"):
        connected(exchange, key.key, "wrong").get_wallet_balance(accountType="UNIFIED")


def test_a_call_without_headers_is_refused_with_http_200(exchange: RunningExchange) -> None:
    reply = requests.get(f"{exchange.url}/v5/account/info", timeout=5)
    assert (reply.status_code, reply.json()["retCode"]) == (200, 10001)


def test_a_clock_that_is_off_is_told_the_server_time(session: HTTP, monkeypatch: pytest.MonkeyPatch) -> None:
    session.retry_codes = {10006}
    monkeypatch.setattr("pybit._helpers.generate_timestamp", lambda: int(time.time() * 1000) - 60_000)
    with pytest.raises(InvalidRequestError, match=r"10002.*"):
        session.get_account_info()


def test_a_wide_window_forgives_a_slow_clock(exchange: RunningExchange, key: ApiKey, monkeypatch: Any) -> None:
    monkeypatch.setattr("pybit._helpers.generate_timestamp", lambda: int(time.time() * 1000) - 10_000)
    wide = connected(exchange, key.key, key.secret, recv_window=20_000)
    assert wide.get_account_info()["retCode"] == 0


def test_a_path_that_does_not_exist_is_a_404(session: HTTP) -> None:
    with pytest.raises(FailedRequestError, match="404"):
        session.get_fiat_balance()


# -- orders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("category", "symbol", "qty", "price"),
    [("linear", "ETHUSDT", "0.1", "2000"), ("inverse", "BTCUSD", "100", "40000"), ("spot", "BTCUSDT", "0.01", "40000")],
)
def test_an_order_is_placed_amended_and_cancelled(
    session: HTTP, category: str, symbol: str, qty: str, price: str
) -> None:
    order_id = limit_order(session, category=category, symbol=symbol, qty=qty, price=price, orderLinkId="mine")
    session.amend_order(category=category, symbol=symbol, orderLinkId="mine", price=str(int(price) + 10))
    assert order(session, order_id, category)["price"] == str(int(price) + 10)
    session.cancel_order(category=category, symbol=symbol, orderId=order_id)
    (closed,) = rows(session.get_order_history(category=category, orderId=order_id))
    assert (closed["orderStatus"], closed["cancelType"], closed["rejectReason"]) == (
        "Cancelled",
        "CancelByUser",
        "EC_PerCancelRequest",
    )


def test_a_market_order_fills_and_shows_everywhere(session: HTTP) -> None:
    order_id = limit_order(session, symbol="SOLUSDT", orderType="Market", qty="2", price=None)
    filled = order(session, order_id)
    (position,) = rows(session.get_positions(category="linear", symbol="SOLUSDT"))
    fills = rows(session.get_executions(category="linear", orderId=order_id))
    assert (filled["orderStatus"], filled["cumExecQty"], filled["timeInForce"]) == ("Filled", "2", "IOC")
    assert (position["side"], position["size"]) == ("Buy", "2")
    assert sum(float(fill["execQty"]) for fill in fills) == 2
    limit_order(session, symbol="SOLUSDT", orderType="Market", side="Sell", qty="2", price=None, reduceOnly=True)
    (closed,) = rows(session.get_closed_pnl(category="linear", symbol="SOLUSDT"))
    log = rows(session.get_transaction_log(accountType="UNIFIED", category="linear"))
    assert (closed["side"], closed["closedSize"]) == ("Sell", "2")
    assert {row["type"] for row in log} == {"TRADE"}
    wallet = rows(session.get_wallet_balance(accountType="UNIFIED", coin="USDT"))[0]["coin"][0]
    assert log[0]["cashBalance"] == wallet["walletBalance"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"orderLinkId": "a b"}, 10001),
        ({"qty": "0.0001"}, 10001),
        ({"qty": "100"}, 110007),
        ({"price": "40000.05"}, 110003),
        ({"side": "Sell", "reduceOnly": True}, 110017),
        ({"symbol": "NOPEUSDT"}, 10001),
        ({"category": "option"}, 10001),
        ({"category": "spot", "symbol": "NOPE"}, 170121),
        ({"category": "spot", "qty": "10", "price": "60000"}, 170131),
        ({"positionIdx": 1}, 10001),
        ({"triggerPrice": "70000", "triggerDirection": 2}, 110093),
    ],
)
def test_what_is_wrong_has_the_code_of_the_venue(session: HTTP, changes: Row, code: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        limit_order(session, **changes)
    assert caught.value.status_code == code


def test_an_id_is_used_once(session: HTTP) -> None:
    limit_order(session, orderLinkId="once")
    with pytest.raises(InvalidRequestError) as caught:
        limit_order(session, orderLinkId="once")
    assert caught.value.status_code == 110072


@pytest.mark.parametrize("act", ["cancel_order", "amend_order"])
def test_an_unknown_order_is_not_found_or_too_late(session: HTTP, act: str) -> None:
    with pytest.raises(InvalidRequestError, match="not exists or too late") as caught:
        getattr(session, act)(category="linear", symbol="BTCUSDT", orderId="nope", qty="1")
    assert caught.value.status_code == 110001


def test_post_only_that_would_take_is_accepted_and_then_cancelled(session: HTTP) -> None:
    order_id = limit_order(session, price="90000", timeInForce="PostOnly")
    row = order(session, order_id)
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")


def test_a_spot_market_order_counts_in_the_quote_coin(session: HTTP) -> None:
    order_id = limit_order(session, category="spot", orderType="Market", qty="1000", price=None)
    row = order(session, order_id, "spot")
    assert row["orderStatus"] in {"Filled", "PartiallyFilledCanceled"}
    assert 990 < float(row["cumExecValue"]) <= 1000
    balances = rows(session.get_wallet_balance(accountType="UNIFIED"))[0]["coin"]
    assert float(next(coin for coin in balances if coin["coin"] == "BTC")["walletBalance"]) > 0


def test_a_batch_stands_or_falls_item_by_item(session: HTTP) -> None:
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "40000"}
    placed = session.place_batch_order(category="linear", request=[good, good | {"qty": "9999"}])
    assert [item["code"] for item in placed["retExtInfo"]["list"]] == [0, 10001]
    first, second = rows(placed)
    assert first["orderId"]
    assert first["createAt"]
    assert not second["orderId"]
    wish = {"symbol": "BTCUSDT", "orderId": first["orderId"]}
    session.amend_batch_order(category="linear", request=[wish | {"price": "40001"}])
    assert order(session, first["orderId"])["price"] == "40001"
    cancelled = session.cancel_batch_order(category="linear", request=[wish, wish])
    assert [item["code"] for item in cancelled["retExtInfo"]["list"]] == [0, 110001]


def test_all_orders_go_at_once(session: HTTP) -> None:
    for price in ("40000", "40001", "40002"):
        limit_order(session, price=price)
    gone = session.cancel_all_orders(category="linear", settleCoin="USDT")
    assert len(rows(gone)) == 3
    assert rows(session.get_open_orders(category="linear", settleCoin="USDT", openOnly=0)) == []
    assert len(rows(session.get_open_orders(category="linear", symbol="BTCUSDT", openOnly=1))) == 3


def test_conditional_orders_wait_and_are_filtered(session: HTTP) -> None:
    limit_order(session)
    waiting = limit_order(session, triggerPrice="45000", triggerDirection=2)
    (found,) = rows(session.get_open_orders(category="linear", symbol="BTCUSDT", orderFilter="StopOrder"))
    assert (found["orderId"], found["orderStatus"], found["stopOrderType"]) == (waiting, "Untriggered", "Stop")
    session.cancel_order(category="linear", symbol="BTCUSDT", orderId=waiting)
    assert order(session, waiting)["orderStatus"] == "Deactivated"


def test_trading_stop_protects_a_position(session: HTTP) -> None:
    limit_order(session, symbol="XRPUSDT", orderType="Market", qty="100", price=None)
    session.set_trading_stop(category="linear", symbol="XRPUSDT", takeProfit="0.9", stopLoss="0.3", positionIdx=0)
    (position,) = rows(session.get_positions(category="linear", symbol="XRPUSDT"))
    assert (position["takeProfit"], position["stopLoss"]) == ("0.9", "0.3")
    kinds = {row["stopOrderType"] for row in rows(session.get_open_orders(category="linear", symbol="XRPUSDT"))}
    assert kinds == {"TakeProfit", "StopLoss"}


def test_modes_and_leverage(session: HTTP) -> None:
    session.switch_position_mode(category="linear", symbol="ADAUSDT", mode=3)
    session.set_leverage(category="linear", symbol="ADAUSDT", buyLeverage="5", sellLeverage="5")
    both = rows(session.get_positions(category="linear", symbol="ADAUSDT"))
    assert [(row["positionIdx"], row["leverage"]) for row in both] == [(1, "5"), (2, "5")]
    for again, code in (
        (lambda: session.switch_position_mode(category="linear", symbol="ADAUSDT", mode=3), 110025),
        (lambda: session.set_leverage(category="linear", symbol="ADAUSDT", buyLeverage="5", sellLeverage="5"), 110043),
        (lambda: session.switch_margin_mode(category="linear", symbol="ADAUSDT", tradeMode=1), 100028),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            again()
        assert caught.value.status_code == code


# -- lists -----------------------------------------------------------------------------------------------------------


def test_a_cursor_leads_through_all_pages(session: HTTP) -> None:
    placed = [limit_order(session, price=str(40000 + n)) for n in range(5)]
    session.cancel_all_orders(category="linear", symbol="BTCUSDT")
    seen, cursor = [], ""
    while True:
        page = session.get_order_history(category="linear", limit=2, cursor=cursor)["result"]
        seen += [row["orderId"] for row in page["list"]]
        cursor = page["nextPageCursor"]
        if not cursor:
            break
    assert seen == placed[::-1]


def test_a_time_range_has_its_limits(session: HTTP) -> None:
    limit_order(session)
    session.cancel_all_orders(category="linear", symbol="BTCUSDT")
    now_ms, day_ms = int(time.time() * 1000), 86_400_000
    assert len(rows(session.get_order_history(category="linear", startTime=now_ms - day_ms))) == 1
    assert rows(session.get_order_history(category="linear", endTime=now_ms - day_ms)) == []
    with pytest.raises(InvalidRequestError, match="7 days"):
        session.get_order_history(category="linear", startTime=now_ms - 8 * day_ms, endTime=now_ms)


# -- everything else that can be asked -------------------------------------------------------------------------------

QUESTIONS: list[tuple[str, Row]] = [
    ("get_server_time", {}),
    ("get_system_status", {}),
    ("get_announcement", {"locale": "en-US"}),
    *[("get_instruments_info", {"category": name}) for name in ("linear", "inverse", "spot", "option")],
    *[("get_tickers", {"category": name}) for name in ("linear", "inverse", "spot")],
    ("get_tickers", {"category": "option", "baseCoin": "BTC"}),
    *[("get_orderbook", {"category": c, "symbol": s}) for c, s in (("linear", "BTCUSDT"), ("inverse", "BTCUSD"))],
    ("get_rpi_orderbook", {"category": "linear", "symbol": "BTCUSDT", "limit": 5}),
    *[("get_kline", {"category": "linear", "symbol": "BTCUSDT", "interval": i}) for i in (1, 60, "D", "W", "M")],
    ("get_mark_price_kline", {"category": "linear", "symbol": "BTCUSDT", "interval": 1}),
    ("get_index_price_kline", {"category": "linear", "symbol": "BTCUSDT", "interval": 1}),
    ("get_premium_index_price_kline", {"category": "linear", "symbol": "BTCUSDT", "interval": 1}),
    ("get_public_trade_history", {"category": "linear", "symbol": "BTCUSDT"}),
    ("get_funding_rate_history", {"category": "linear", "symbol": "BTCUSDT"}),
    ("get_open_interest", {"category": "linear", "symbol": "BTCUSDT", "intervalTime": "5min"}),
    ("get_risk_limit", {"category": "linear", "symbol": "BTCUSDT"}),
    ("get_insurance", {}),
    ("get_historical_volatility", {"category": "option"}),
    ("get_long_short_ratio", {"category": "linear", "symbol": "BTCUSDT", "period": "1h"}),
    ("get_price_limit", {"category": "linear", "symbol": "BTCUSDT"}),
    ("get_account_info", {}),
    ("get_api_key_information", {}),
    ("get_uid_wallet_type", {}),
    ("get_fee_rates", {"category": "linear", "symbol": "BTCUSDT"}),
    ("get_fee_rates", {"category": "spot"}),
    ("get_collateral_info", {}),
    ("get_borrow_history", {}),
    ("get_coin_greeks", {}),
    ("get_mmp_state", {"baseCoin": "BTC"}),
    ("get_transferable_amount", {"coinName": "USDT"}),
    ("get_coin_info", {"coin": "USDT"}),
    ("get_coins_balance", {"accountType": "FUND"}),
    ("get_coin_balance", {"accountType": "UNIFIED", "coin": "USDT"}),
    ("get_transferable_coin", {"fromAccountType": "UNIFIED", "toAccountType": "FUND"}),
    ("get_spot_asset_info", {"accountType": "SPOT"}),
    ("get_deposit_records", {}),
    ("get_withdrawal_records", {}),
    ("get_internal_transfer_records", {}),
    ("get_universal_transfer_records", {}),
    ("get_option_delivery_record", {"category": "option"}),
    ("get_borrow_quota", {"category": "spot", "symbol": "BTCUSDT", "side": "Buy"}),
    ("spot_margin_trade_get_vip_margin_data", {"currency": "USDT"}),
    ("spot_margin_trade_get_status_and_leverage", {}),
    ("get_move_position_history", {}),
]


@pytest.mark.parametrize(("name", "wish"), QUESTIONS, ids=lambda part: part if isinstance(part, str) else "")
def test_a_question_is_answered(session: HTTP, name: str, wish: Row) -> None:
    ask: Callable[..., Row] | None = getattr(session, name, None)
    if ask is None:
        pytest.fail(f"this client has no {name}")
    answer = ask(**wish)
    assert answer["retCode"] == 0
    assert answer["result"] is not None
