"""ccxt's synchronous client: markets, orders of every kind, what can be asked afterwards."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest
from running_exchange import RunningExchange

from exchanges.paper.options import ApiKey

SWAP, COIN, SPOT = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def markets(exchange: RunningExchange) -> Row:
    found: Row = connected(exchange, ApiKey("key-299", "secret-299")).load_markets()
    return found


def connected(exchange: RunningExchange, key: ApiKey) -> Any:
    client = ccxt.bybit({"apiKey": key.key, "secret": key.secret, "enableRateLimit": False})
    client.urls["api"] = {name: exchange.url for name, url in client.urls["api"].items() if isinstance(url, str)}
    client.options["defaultType"] = "swap"
    return client


@pytest.fixture
def client(exchange: RunningExchange, key: ApiKey, markets: Row) -> Any:
    ready = connected(exchange, key)
    ready.set_markets(markets)
    return ready


def test_markets_of_every_category_are_listed(markets: Row) -> None:
    assert markets[SWAP]["linear"]
    assert markets[COIN]["inverse"]
    assert markets[SPOT]["spot"]
    assert markets[SWAP]["precision"] == {**markets[SWAP]["precision"], "amount": 0.001, "price": 0.1}


def test_a_wrong_signature_is_an_authentication_error(exchange: RunningExchange, key: ApiKey) -> None:
    with pytest.raises(ccxt.AuthenticationError):
        connected(exchange, ApiKey(key.key, "wrong")).fetch_balance()
    with pytest.raises(ccxt.AuthenticationError):
        connected(exchange, ApiKey("nobody", "wrong")).fetch_balance()


@pytest.mark.parametrize("symbol", [SWAP, SPOT])
def test_a_limit_order_from_cradle_to_grave(client: Any, symbol: str) -> None:
    placed = client.create_order(symbol, "limit", "buy", 0.01, 40000, {"clientOrderId": "mine"})
    client.edit_order(placed["id"], symbol, "limit", "buy", 0.02, 40001)
    (open_order,) = client.fetch_open_orders(symbol)
    assert (open_order["amount"], open_order["price"], open_order["clientOrderId"]) == (0.02, 40001, "mine")
    assert (open_order["symbol"], open_order["status"]) == (symbol, "open")
    client.cancel_order(placed["id"], symbol)
    assert client.fetch_open_orders(symbol) == []
    assert [order["status"] for order in client.fetch_canceled_orders(symbol)] == ["canceled"]
    found = client.fetch_order(placed["id"], symbol, {"acknowledged": True})
    assert (found["status"], found["filled"]) == ("canceled", 0)


def test_a_market_order_becomes_a_position(client: Any) -> None:
    placed = client.create_order("SOL/USDT:USDT", "market", "buy", 3)
    (trade, *_) = client.fetch_order_trades(placed["id"], "SOL/USDT:USDT")
    position = client.fetch_position("SOL/USDT:USDT")
    assert (trade["order"], trade["side"], trade["takerOrMaker"]) == (placed["id"], "buy", "taker")
    assert (position["side"], position["contracts"]) == ("long", 3)
    (closed,) = client.fetch_closed_orders("SOL/USDT:USDT")
    assert (closed["status"], closed["filled"], closed["fee"]["currency"]) == ("closed", 3, "USDT")
    client.create_order("SOL/USDT:USDT", "market", "sell", 3, None, {"reduceOnly": True})
    assert client.fetch_positions(["SOL/USDT:USDT"])[0]["contracts"] in {0, None}
    assert len(client.fetch_positions_history(["SOL/USDT:USDT"])) == 1
    assert len(client.fetch_my_trades("SOL/USDT:USDT")) >= 2
    assert client.fetch_trades("SOL/USDT:USDT")[-1]["side"] == "sell"
    assert len(client.fetch_ledger("USDT")) >= 2


def test_spot_is_bought_by_cost_and_by_amount(client: Any) -> None:
    by_cost = client.create_market_buy_order_with_cost(SPOT, 500)
    by_amount = client.create_order(SPOT, "market", "buy", 0.01)
    bought = [client.fetch_order(one["id"], SPOT, {"acknowledged": True}) for one in (by_cost, by_amount)]
    assert [order["status"] for order in bought] == ["closed", "closed"]
    assert 495 < bought[0]["cost"] <= 500
    assert bought[1]["filled"] == 0.01
    balance = client.fetch_balance()
    assert balance["BTC"]["total"] > 0.01


@pytest.mark.parametrize(
    ("wish", "status", "reason"),
    [
        ({"timeInForce": "IOC"}, "canceled", "EC_NoImmediateQtyToFill"),
        ({"timeInForce": "FOK"}, "canceled", "EC_NoEnoughQtyToFill"),
        ({"postOnly": True}, "open", "EC_NoError"),
    ],
)
def test_how_long_an_order_lives(client: Any, wish: Row, status: str, reason: str) -> None:
    placed = client.create_order(SWAP, "limit", "buy", 0.01, 40000, wish)
    order = client.fetch_order(placed["id"], SWAP, {"acknowledged": True})
    assert (order["status"], order["info"]["rejectReason"]) == (status, reason)


@pytest.mark.parametrize(
    "wish",
    [
        {"triggerPrice": 50000, "triggerDirection": "descending"},
        {"stopLoss": {"triggerPrice": 30000}, "takeProfit": {"triggerPrice": 90000}},
        {"stopLoss": {"triggerPrice": 30000, "price": 29900}, "takeProfit": {"triggerPrice": 90000, "price": 90100}},
    ],
)
def test_orders_with_prices_to_wait_for(client: Any, wish: Row) -> None:
    placed = client.create_order(SWAP, "limit", "buy", 0.01, 40000, wish)
    order = client.fetch_open_order(placed["id"], SWAP)
    assert order["status"] == "open"
    assert order["triggerPrice"] == wish.get("triggerPrice")
    if "stopLoss" in wish:
        assert (order["stopLossPrice"], order["takeProfitPrice"]) == (30000, 90000)


def test_a_position_is_protected_by_orders_and_by_its_own_stops(client: Any) -> None:
    symbol = "ETH/USDT:USDT"
    client.create_order(symbol, "market", "buy", 1)
    stop = client.create_order(symbol, "market", "sell", 1, None, {"stopLossPrice": 2000})
    client.create_order(symbol, "market", "sell", None, None, {"trailingAmount": 50})
    assert client.fetch_open_order(stop["id"], symbol)["triggerPrice"] == 2000
    assert float(client.fetch_position(symbol)["info"]["trailingStop"]) == 50


def test_many_orders_at_once(client: Any) -> None:
    wish = {"symbol": SWAP, "type": "limit", "side": "buy", "amount": 0.01, "price": 40000}
    first, second, refused = client.create_orders([wish, wish | {"price": 40001}, wish | {"amount": 5000}])
    assert refused["status"] == "rejected"
    client.edit_orders([{**wish, "id": first["id"], "price": 39999}])
    client.cancel_orders([first["id"]], SWAP)
    client.cancel_orders_for_symbols([{"id": second["id"], "symbol": SWAP}])
    assert client.fetch_open_orders(SWAP) == []
    client.create_orders([wish, wish])
    assert len(client.cancel_all_orders()) == 2
    client.create_order(SPOT, "limit", "buy", 0.01, 40000)
    client.cancel_all_orders(SPOT)
    assert client.fetch_open_orders(SPOT) == []


def test_hedge_mode_holds_both_sides(client: Any) -> None:
    symbol = "XRP/USDT:USDT"
    client.set_position_mode(True, symbol)
    client.create_order(symbol, "market", "buy", 100, None, {"hedged": True})
    client.create_order(symbol, "market", "sell", 50, None, {"hedged": True})
    sides = {one["side"]: one["contracts"] for one in client.fetch_positions([symbol])}
    assert sides == {"long": 100, "short": 50}


def test_leverage_and_margin_mode(client: Any) -> None:
    client.set_leverage(7, SWAP)
    assert client.fetch_leverage(SWAP)["longLeverage"] == 7
    with pytest.raises(ccxt.BadRequest):
        client.set_leverage(7, SWAP)
    client.set_margin_mode("cross")
    assert client.fetch_margin_mode(SWAP)["marginMode"] == "cross"


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (("limit", "buy", 1000, 40000), ccxt.InsufficientFunds),
        (("limit", "buy", 0.01, 0.05), ccxt.BaseError),
    ],
)
def test_refusals_have_the_class_that_they_deserve(client: Any, wish: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        client.create_order(SWAP, *wish)


def test_an_order_that_is_not_there(client: Any) -> None:
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order("2b3e2a3c-0000-0000-0000-000000000000", SWAP)


QUESTIONS: list[tuple[str, list[Any]]] = [
    ("fetch_time", []),
    ("fetch_status", []),
    ("fetch_currencies", []),
    *[("fetch_ticker", [symbol]) for symbol in (SWAP, COIN, SPOT)],
    ("fetch_tickers", []),
    ("fetch_tickers", [[SPOT]]),
    ("fetch_bids_asks", []),
    *[("fetch_order_book", [symbol]) for symbol in (SWAP, COIN, SPOT)],
    *[("fetch_ohlcv", [symbol, frame]) for symbol in (SWAP, SPOT) for frame in ("1m", "1h", "1d", "1M")],
    ("fetch_mark_ohlcv", [SWAP]),
    ("fetch_index_ohlcv", [SWAP]),
    ("fetch_premium_index_ohlcv", [SWAP]),
    ("fetch_funding_rate", [SWAP]),
    ("fetch_funding_rates", []),
    ("fetch_open_interest", [SWAP]),
    ("fetch_leverage_tiers", []),
    ("fetch_market_leverage_tiers", [SWAP]),
    ("fetch_trading_fee", [SWAP]),
    ("fetch_trading_fees", []),
    ("fetch_balance", []),
    ("fetch_balance", [{"type": "funding"}]),
    ("fetch_deposit_withdraw_fees", []),
    ("fetch_cross_borrow_rate", ["USDT"]),
    ("fetch_margin_mode", [SWAP]),
]
EMPTY_QUESTIONS: list[tuple[str, list[Any]]] = [
    ("fetch_funding_rate_history", ["OP/USDT:USDT"]),
    ("fetch_funding_history", [SWAP]),
    ("fetch_my_trades", [SWAP]),
    ("fetch_closed_orders", [SWAP]),
    ("fetch_canceled_and_closed_orders", [SWAP]),
    ("fetch_positions", []),
    ("fetch_positions_history", [[SWAP]]),
    ("fetch_ledger", []),
    ("fetch_deposits", []),
    ("fetch_withdrawals", []),
    ("fetch_transfers", []),
    ("fetch_my_liquidations", [SWAP]),
    ("fetch_borrow_interest", ["USDT"]),
    ("fetch_borrow_rate_history", ["USDT"]),
    ("fetch_convert_trade_history", []),
    ("fetch_long_short_ratio_history", [SWAP, "1h"]),
    ("fetch_volatility_history", ["BTC"]),
]


@pytest.mark.parametrize(("name", "arguments"), QUESTIONS)
def test_a_question_is_answered(client: Any, name: str, arguments: list[Any]) -> None:
    answer = getattr(client, name)(*arguments)
    assert answer


@pytest.mark.parametrize(("name", "arguments"), EMPTY_QUESTIONS)
def test_a_question_about_nothing_has_an_empty_answer(client: Any, name: str, arguments: list[Any]) -> None:
    assert getattr(client, name)(*arguments) == []
