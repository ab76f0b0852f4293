"""What a stranger recomputes from pybit's answers: results and fees, kinds of orders, categories without a market."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pybit.unified_trading import HTTP
from pybit_session import Row, rows
from running_exchange import RunningExchange, eventually


def market_order(session: HTTP, symbol: str, side: str, qty: str, category: str = "linear", **changes: Any) -> str:
    wish = {"category": category, "symbol": symbol, "side": side, "orderType": "Market", "qty": qty}
    return str(session.place_order(**wish | changes)["result"]["orderId"])


def fees(session: HTTP, symbol: str, category: str = "linear") -> dict[str, Decimal]:
    """The fees of each order, from its executions."""
    found: dict[str, Decimal] = {}
    for fill in rows(session.get_executions(category=category, symbol=symbol, limit=100)):
        found[fill["orderId"]] = found.get(fill["orderId"], Decimal(0)) + Decimal(fill["execFee"])
    return found


@pytest.mark.parametrize(
    ("category", "symbol", "whole", "half"), [("linear", "LTCUSDT", "2", "1"), ("linear", "FILUSDT", "20", "10")]
)
def test_closed_pnl_is_less_the_fees_of_opening_and_closing(
    session: HTTP, category: str, symbol: str, whole: str, half: str
) -> None:
    opening = market_order(session, symbol, "Buy", whole, category)
    first = market_order(session, symbol, "Sell", half, category)
    second = market_order(session, symbol, "Sell", half, category)
    paid = fees(session, symbol, category)
    closed = {row["orderId"]: row for row in rows(session.get_closed_pnl(category=category, symbol=symbol))}
    for order_id in (first, second):
        row = closed[order_id]
        assert Decimal(row["openFee"]) == paid[opening] / 2
        assert Decimal(row["closeFee"]) == paid[order_id]
        gain = Decimal(row["cumExitValue"]) - Decimal(row["cumEntryValue"])
        assert Decimal(row["closedPnl"]) == gain - paid[opening] / 2 - paid[order_id]
        (order,) = rows(session.get_order_history(category=category, orderId=order_id))
        assert order["closedPnl"] == row["closedPnl"]
    (position,) = rows(session.get_positions(category=category, symbol=symbol))
    together = sum(Decimal(row["closedPnl"]) for row in closed.values())
    assert Decimal(position["cumRealisedPnl"]) == together


def test_an_order_through_zero_closes_with_its_share_of_the_fee(session: HTTP) -> None:
    opening = market_order(session, "ATOMUSDT", "Buy", "1")
    turning = market_order(session, "ATOMUSDT", "Sell", "4")
    closing = market_order(session, "ATOMUSDT", "Buy", "3", reduceOnly=True)
    paid = fees(session, "ATOMUSDT")
    closed = {row["orderId"]: row for row in rows(session.get_closed_pnl(category="linear", symbol="ATOMUSDT"))}
    assert Decimal(closed[turning]["openFee"]) == paid[opening]
    assert sum(Decimal(closed[one][kind]) for one in (turning, closing) for kind in ("openFee", "closeFee")) == sum(
        paid.values()
    )


def test_a_position_without_protection_shows_zero_prices(session: HTTP) -> None:
    (position,) = rows(session.get_positions(category="linear", symbol="BCHUSDT"))
    assert (Decimal(position["takeProfit"]), Decimal(position["stopLoss"])) == (0, 0)


def test_cancel_all_on_spot_means_active_orders_unless_told_otherwise(session: HTTP) -> None:
    pair = {"category": "spot", "symbol": "LTCUSDT"}
    wish = {**pair, "side": "Buy", "orderType": "Limit", "qty": "1", "price": "40"}
    active = session.place_order(**wish)["result"]["orderId"]
    waiting = session.place_order(**wish | {"triggerPrice": "200", "orderFilter": "StopOrder"})["result"]["orderId"]
    assert [row["orderId"] for row in rows(session.cancel_all_orders(**pair))] == [active]
    assert [row["orderId"] for row in rows(session.cancel_all_orders(**pair, orderFilter="StopOrder"))] == [waiting]


def test_a_spot_order_over_rest_leaves_empty_what_it_has_not(session: HTTP) -> None:
    wish = {"category": "spot", "symbol": "LTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "1", "price": "40"}
    order_id = session.place_order(**wish)["result"]["orderId"]
    (row,) = rows(session.get_open_orders(category="spot", orderId=order_id))
    assert {row[name] for name in ("stopOrderType", "triggerPrice", "triggerBy", "takeProfit", "tpTriggerBy")} == {""}


@pytest.mark.parametrize(
    "question",
    [
        HTTP.get_open_orders,
        HTTP.get_order_history,
        HTTP.get_executions,
        HTTP.get_positions,
        HTTP.get_closed_pnl,
        HTTP.cancel_all_orders,
        HTTP.get_instruments_info,
    ],
)
def test_options_are_a_category_without_anything_in_it(session: HTTP, question: Callable[..., Row]) -> None:
    assert rows(question(session, category="option")) == []


def test_a_new_middle_sets_off_orders_that_wait_for_the_last_price(exchange: RunningExchange, session: HTTP) -> None:
    order_id = market_order(session, "DOTUSDT", "Buy", "10", triggerPrice="6.5", triggerDirection=1)
    exchange.control("market", {"symbol": "DOTUSDT", "mid": "6.6"})

    def filled() -> bool:
        (row,) = rows(session.get_open_orders(category="linear", orderId=order_id))
        return bool(row["orderStatus"] == "Filled")

    assert eventually(filled, "the order is set off")


def test_a_new_middle_is_the_last_price(exchange: RunningExchange, session: HTTP) -> None:
    exchange.control("market", {"symbol": "TIAUSDT", "mid": "6.6"})
    (ticker,) = rows(session.get_tickers(category="linear", symbol="TIAUSDT"))
    assert (ticker["lastPrice"], ticker["markPrice"]) == ("6.6", "6.6")
