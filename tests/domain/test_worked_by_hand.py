"""Signals and market states with the orders that follow from the rules of deciding, each worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from by_hand import HEDGE, HELD, LIMIT_BUY, MARKET, MARKET_BUY, SELL, SHORT, SHORTS, Given, check
from domain_cases import (
    BTCUSD,
    INVERSE_RULES,
    NOW,
    SECOND,
    SPOT_BTC,
    dec,
    facts,
    open_order,
    plan,
    quote,
    rules,
)

from domain.plans import MarketGuard, ScaleInMode


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected"),
    [
        pytest.param({}, {}, {}, LIMIT_BUY, id="spread 0.2 % is wide"),
        pytest.param({"confidence": "0.9"}, {}, {}, LIMIT_BUY, id="confidence at the threshold is not above it"),
        pytest.param({"confidence": "0.900000000000000001"}, {}, {}, MARKET_BUY, id="confidence a hair above"),
        pytest.param({"urgency": "urgent"}, {}, {}, MARKET_BUY, id="urgent"),
        pytest.param(
            {"market_data_snapshot": {"price": "50000", "spread": "50"}}, {}, {},
            "buy limit 0.02 @ 49975 GTC post-only", id="spread at 0.1 % is not below it",
        ),
        pytest.param(
            {"market_data_snapshot": {"price": "50000", "spread": "49.99"}}, {}, {}, MARKET_BUY, id="spread below 0.1 %"
        ),
        pytest.param(
            {"market_data_snapshot": {"price": "50000", "spread": "49.99", "depth": "0.02"}}, {}, {}, MARKET_BUY,
            id="the known depth just covers it",
        ),
        pytest.param(
            {"market_data_snapshot": {"price": "50000", "spread": "49.99", "depth": "0.019"}}, {}, {},
            # 50000 - 24.995 = 49975.005, down to the tick
            "buy limit 0.02 @ 49975 GTC post-only", id="the known depth does not cover it",
        ),
        pytest.param({"order_type": "limit", "confidence": "1"}, {}, {}, LIMIT_BUY, id="the signal's type wins"),
        pytest.param(
            {"market_data_snapshot": {"price": "50000", "spread": "0"}}, {}, {}, MARKET_BUY, id="no spread at all"
        ),
    ],
)  # fmt: skip
def test_d01_market_or_limit(wish: Given, known: Given, set_to: Given, expected: str) -> None:
    check(wish, known, set_to, expected)


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected"),
    [
        pytest.param(
            # 50000 - 0.5 x 100.3 = 49949.85, down: 49949.8
            {"market_data_snapshot": {"price": "50000", "spread": "100.3"}}, {}, {},
            "buy limit 0.02 @ 49949.8 GTC post-only", id="a buy goes down to the tick",
        ),
        pytest.param(
            # 50000 + 50.15 = 50050.15, up: 50050.2; nothing else is held, so it only closes
            SELL | {"market_data_snapshot": {"price": "50000", "spread": "100.3"}}, HELD, {},
            "sell limit 0.02 @ 50050.2 GTC post-only reduce-only", id="a sell goes up to the tick",
        ),
        pytest.param(
            {}, {}, {"limit_order_price_offset_ratio": dec(0)}, "buy limit 0.02 @ 50000 GTC post-only", id="ratio 0"
        ),
        pytest.param(
            {}, {}, {"limit_order_price_offset_ratio": dec(1)}, "buy limit 0.02 @ 49900 GTC post-only", id="ratio 1"
        ),
        pytest.param(
            {"limit_price": "49000.19"}, {}, {}, "buy limit 0.02 @ 49000.1 GTC post-only", id="the signal's own price"
        ),
        pytest.param(
            # 1e-8: amount 3 / 0.00000012 = 25000000 pieces; 0.00000012 - 0.5 x 0.00000002 = 0.00000011
            {"amount": "3", "market_data_snapshot": {"price": "0.00000012", "spread": "0.00000002"}},
            {
                "rules": rules(
                    tick=dec("0.00000001"), lot=dec(1000), min_quantity=dec(1000), max_quantity=dec(0),
                    max_market_quantity=dec(0), min_notional=dec(1), min_price=dec("0.00000001"),
                ),
                "quote": quote("0.00000012", "0.00000002"),
            },
            {}, "buy limit 25000000 @ 0.00000011 GTC post-only", id="a price of a few hundred-millionths",
        ),
        pytest.param(
            # 10^15 / 10^12 = 1000 pieces
            {"amount": "1000000000000000", "market_data_snapshot": {"price": "1000000000000", "spread": "2000000000"}},
            {
                "rules": rules(tick=dec(100), lot=dec("0.5"), max_quantity=dec(0), max_price=dec(0)),
                "quote": quote("1000000000000", "2000000000"), "available": dec(10**18),
            },
            {}, "buy limit 1000 @ 999000000000 GTC post-only", id="a price of a million millions",
        ),
    ],
)  # fmt: skip
def test_d02_limit_prices(wish: Given, known: Given, set_to: Given, expected: str) -> None:
    check(wish, known, set_to, expected)


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected"),
    [
        pytest.param({"post_only": False}, {}, {}, "buy limit 0.02 @ 49950 GTC", id="the signal wants no post-only"),
        pytest.param({}, {}, {"post_only": False}, "buy limit 0.02 @ 49950 GTC", id="nor do the settings"),
        pytest.param({"time_in_force": "FOK"}, {}, {}, "buy limit 0.02 @ 49950 FOK", id="fill or kill"),
        pytest.param({"time_in_force": "IOC"}, {}, {}, "buy limit 0.02 @ 49950 IOC", id="at once or not"),
        pytest.param(MARKET | {"time_in_force": "GTC"}, {}, {}, MARKET_BUY, id="a market order is IOC"),
        pytest.param(MARKET | {"time_in_force": "FOK"}, {}, {}, "reject MARKET_FOK", id="market and FOK"),
        pytest.param(MARKET | {"post_only": True}, {}, {}, "reject MARKET_POST_ONLY", id="market and post-only"),
        pytest.param(
            MARKET | {"limit_price": "50000"}, {}, {}, "reject MARKET_WITH_LIMIT_PRICE", id="market and price"
        ),
        pytest.param(
            {"order_type": "limit", "post_only": True, "time_in_force": "IOC"}, {}, {}, "reject POST_ONLY_AT_ONCE",
            id="post-only and IOC",
        ),
        pytest.param({"reduce_only": True}, {}, {}, "reject NOTHING_TO_REDUCE", id="reduce-only with nothing held"),
        pytest.param(
            SELL | MARKET, HELD, SHORTS, "sell market 0.02 @ 49500 IOC reduce-only",
            id="what only shrinks a long is reduce-only though shorts are allowed",
        ),
        pytest.param(
            MARKET, SHORT, SHORTS, "buy market 0.02 @ 50500 IOC reduce-only", id="what only shrinks a short, too"
        ),
        pytest.param(
            # 4000 / 50000 = 0.08: 0.05 closes, 0.03 opens
            SELL | MARKET | {"amount": "4000"}, HELD, SHORTS, "sell market 0.08 @ 49500 IOC",
            id="a reversal is not reduce-only",
        ),
    ],
)  # fmt: skip
def test_d03_flags(wish: Given, known: Given, set_to: Given, expected: str) -> None:
    check(wish, known, set_to, expected)


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected"),
    [
        pytest.param(
            {"amount": "1049.999999"}, {}, {}, "buy limit 0.02 @ 49950 GTC post-only", id="down to whole lots"
        ),
        pytest.param({"amount": "1050"}, {}, {}, "buy limit 0.021 @ 49950 GTC post-only", id="exactly one lot more"),
        pytest.param({"amount": "49.99"}, {}, {}, "reject BELOW_ONE_LOT", id="less than one lot"),
        pytest.param(
            {"amount": "100"}, {"rules": rules(min_quantity=dec("0.003"))}, {}, "reject BELOW_MIN_QUANTITY",
            id="under the minimum quantity",
        ),
        pytest.param(
            # 0.001 x 49950 = 49.95
            {"amount": "50"}, {"rules": rules(min_notional=dec("49.95"))}, {}, "buy limit 0.001 @ 49950 GTC post-only",
            id="exactly the minimum notional",
        ),
        pytest.param(
            {"amount": "50"}, {"rules": rules(min_notional=dec("49.96"))}, {}, "reject BELOW_MIN_NOTIONAL",
            id="a cent under it",
        ),
        pytest.param(
            {"amount": "2500"}, {"rules": rules(max_quantity=dec("0.05"))}, {}, "buy limit 0.05 @ 49950 GTC post-only",
            id="exactly the maximum",
        ),
        pytest.param(
            {"amount": "2550"}, {"rules": rules(max_quantity=dec("0.05"))}, {}, "reject ABOVE_MAX_QUANTITY",
            id="a lot over the maximum",
        ),
        pytest.param(
            {"amount": "2550"}, {"rules": rules(max_quantity=dec("0.05"))}, {"enable_order_splitting": True},
            # 51 lots of 0.001 in two: 26 and 25
            "buy limit 0.026 @ 49950 GTC post-only, buy limit 0.025 @ 49950 GTC post-only", id="or it is split",
        ),
        pytest.param({}, {"rules": rules(trading=False)}, {}, "reject INSTRUMENT_NOT_TRADING", id="not trading"),
        pytest.param({}, {"rules": None}, {}, "reject INSTRUMENT_UNKNOWN", id="unknown"),
    ],
)  # fmt: skip
def test_d04_and_d05_sizes_and_rules(wish: Given, known: Given, set_to: Given, expected: str) -> None:
    check(wish, known, set_to, expected)


OLD = {"now_ns": NOW + 30 * SECOND, "quote": quote("40000", "80", NOW + 30 * SECOND)}


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected"),
    [
        # 47500 is 5 % under 50000
        pytest.param({}, {"quote": quote("47500")}, {"price_drift_reject": dec("0.05")}, LIMIT_BUY, id="at the limit"),
        pytest.param(
            {}, {"quote": quote("47499.9")}, {"price_drift_reject": dec("0.05")}, "reject PRICE_DRIFT", id="beyond it"
        ),
        pytest.param({}, {"quote": quote("5000")}, {}, LIMIT_BUY, id="by default no drift rejects"),
        pytest.param(
            # 1000 / 40000 = 0.025; 40000 - 40 = 39960
            {}, OLD, {"max_snapshot_age_ns": 29 * SECOND}, "buy limit 0.025 @ 39960 GTC post-only",
            id="an old snapshot gives way to the ticker",
        ),
        pytest.param(
            {}, OLD, {"max_snapshot_age_ns": 30 * SECOND}, LIMIT_BUY, id="one just as old as it may be counts"
        ),
        pytest.param(
            {"market_data_snapshot": None}, {"quote": None}, {}, "reject NO_PRICE", id="neither snapshot nor ticker"
        ),
        pytest.param(
            MARKET, {}, {"max_slippage": dec("0.00123")}, "buy market 0.02 @ 50061.5 IOC",
            id="the guard to the tick",  # 50000 x 1.00123 = 50061.5
        ),
        pytest.param(
            MARKET, {}, {"max_slippage": dec("0.0000033")}, "buy market 0.02 @ 50000.1 IOC",
            id="the guard down to the tick",  # 50000.165
        ),
        pytest.param(
            SELL | MARKET, HELD, {"max_slippage": dec("0.0000033")}, "sell market 0.02 @ 49999.9 IOC reduce-only",
            id="the guard of a sell up to the tick",  # 49999.835
        ),
        pytest.param(MARKET, {}, {"market_guard": MarketGuard.DEPTH}, "reject DEPTH_UNKNOWN", id="no depth known"),
        pytest.param(
            MARKET | {"market_data_snapshot": {"price": "50000", "depth": "0.0199"}}, {},
            {"market_guard": MarketGuard.DEPTH}, "reject BOOK_TOO_THIN", id="a book thinner than the order",
        ),
        pytest.param(
            MARKET | {"market_data_snapshot": {"price": "50000", "depth": "0.02"}}, {},
            {"market_guard": MarketGuard.DEPTH}, "buy market 0.02 IOC", id="a book that just carries it",
        ),
    ],
)  # fmt: skip
def test_d06_and_d07_drift_and_slippage(wish: Given, known: Given, set_to: Given, expected: str) -> None:
    check(wish, known, set_to, expected)


SPLIT = {"enable_order_splitting": True, "max_single_order_size": dec(300)}


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected"),
    [
        pytest.param({"amount": "300"}, {}, SPLIT, "buy limit 0.006 @ 49950 GTC post-only", id="at the single size"),
        pytest.param(
            # 20 lots, at most 6 each: four of 5
            {}, {}, SPLIT, ", ".join(["buy limit 0.005 @ 49950 GTC post-only"] * 4), id="near-equal parts"
        ),
        pytest.param(
            {}, {"rules": rules(min_notional=dec(250))}, SPLIT, "reject BELOW_MIN_NOTIONAL",
            id="each part is valid alone",  # 0.005 x 49950 = 249.75
        ),
        pytest.param({}, {}, SPLIT | {"enable_order_splitting": False}, LIMIT_BUY, id="not split unless it is wanted"),
        pytest.param(
            SELL | {"amount": "99999"}, HELD, {}, "sell limit 0.05 @ 50050 GTC post-only reduce-only",
            id="a sell closes at most what is held",
        ),
        pytest.param(SELL, {}, {}, "reject NOTHING_TO_SELL", id="nothing held, no shorts"),
        pytest.param(SELL, {}, SHORTS, "sell limit 0.02 @ 50050 GTC post-only", id="nothing held, shorts allowed"),
        pytest.param({}, {"open_orders": (open_order(),)}, {}, "cancel o1", id="a resting order makes way"),
        pytest.param(
            {}, {"open_orders": (open_order(),)}, {"scale_in_mode": ScaleInMode.NEW}, LIMIT_BUY, id="or one is added"
        ),
        pytest.param(
            {}, {"open_orders": (open_order(),)}, {"scale_in_mode": ScaleInMode.AMEND}, "amend o1 0.03 @ 49950",
            id="or it takes the quantity up",
        ),
        pytest.param(
            {}, {"open_orders": (open_order(executed=dec("0.001")),)}, {}, LIMIT_BUY, id="what has traded stays"
        ),
        pytest.param(
            {}, {"open_orders": (open_order(executed=dec("0.001")),)}, {"cancel_partially_filled": True}, "cancel o1",
            id="unless it is to go",
        ),
        pytest.param(
            {}, {"open_orders": (open_order(),)}, {"cancel_opposite_orders_only": True}, LIMIT_BUY,
            id="opposite ones only"
        ),
        pytest.param(
            MARKET, {"open_orders": (open_order(),)}, {"cancel_opposite_orders_only": True}, "cancel o1",
            id="a market signal cancels resting limits",
        ),
    ],
)  # fmt: skip
def test_d08_d10_and_c01_parts_scaling_and_what_makes_way(
    wish: Given, known: Given, set_to: Given, expected: str
) -> None:
    check(wish, known, set_to, expected)


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected"),
    [
        pytest.param({}, {}, HEDGE, LIMIT_BUY + " long", id="a buy opens the long side"),
        pytest.param(
            SELL, HELD, HEDGE, "sell limit 0.02 @ 50050 GTC post-only reduce-only long", id="a sell closes it"
        ),
        pytest.param(
            SELL | {"position_side": "short"}, {}, HEDGE, "sell limit 0.02 @ 50050 GTC post-only short",
            id="a sell opens the short side where it is named",
        ),
        pytest.param(
            {"reduce_only": True}, {"position_size": dec("-0.01")}, HEDGE,
            "buy limit 0.01 @ 49950 GTC post-only reduce-only short", id="a reduce-only buy closes the short side",
        ),
        pytest.param({"position_side": "long"}, {}, {}, "reject ONE_WAY_MODE", id="no sides in one-way mode"),
        # Least price: 49000 x (1 + 0.00055 + 0.01) / (1 - 0.00055) = 49544.2 and a bit
        pytest.param(
            SELL | {"limit_price": "49544.3"}, HELD, {"min_profit": dec("0.01")},
            "sell limit 0.02 @ 49544.3 GTC post-only reduce-only", id="the profit that is asked for",
        ),
        pytest.param(
            SELL | {"limit_price": "49544.1"}, HELD, {"min_profit": dec("0.01")}, "reject BELOW_MIN_PROFIT",
            id="less than that",
        ),
        pytest.param(
            SELL | {"limit_price": "1000"}, HELD, {}, "sell limit 0.02 @ 1000 GTC post-only reduce-only",
            id="nothing is asked for by default",
        ),
    ],
)  # fmt: skip
def test_d11_and_d12_sides_and_profit(wish: Given, known: Given, set_to: Given, expected: str) -> None:
    check(wish, known, set_to, expected)


COINS = {"rules": INVERSE_RULES, "currency": "BTC", "available": dec(1)}
PAIR = {"rules": rules(instrument=SPOT_BTC, lot=dec("0.00001"), min_quantity=dec("0.00001"))}
DOLLARS: Given = {"symbol": "BTCUSD"}


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected", "instrument"),
    [
        pytest.param(
            DOLLARS, COINS, {}, "buy limit 1000 @ 49950 GTC post-only", BTCUSD, id="1000 contracts of a dollar"
        ),
        pytest.param(
            # 1000 / 49950 x 1.00055 = 0.02003103 and a bit
            DOLLARS, COINS | {"available": dec("0.020031")}, {}, "reject INSUFFICIENT_BALANCE", BTCUSD,
            id="paid in coins"
        ),
        pytest.param(
            DOLLARS | {"amount": "1000.99"}, COINS | {"available": dec("0.020032")}, {},
            "buy limit 1000 @ 49950 GTC post-only", BTCUSD, id="no part of a contract",
        ),
        pytest.param({}, PAIR, {}, "buy limit 0.02 @ 49950 GTC post-only", SPOT_BTC, id="spot"),
        pytest.param(
            # a spot taker pays 0.1 %: 0.02 x 49950 x 1.001 = 999.999; no leverage
            {}, PAIR | {"available": dec("999.998")}, {"leverage": dec(10)}, "reject INSUFFICIENT_BALANCE", SPOT_BTC,
            id="spot is paid in full",
        ),
        pytest.param(SELL, PAIR, SHORTS, "reject NOTHING_TO_SELL", SPOT_BTC, id="spot has no shorts"),
        pytest.param(
            SELL, PAIR | HELD | {"currency": "BTC", "available": dec("0.05")}, {},
            "sell limit 0.02 @ 50050 GTC post-only", SPOT_BTC, id="spot knows no reduce-only",
        ),
        pytest.param(
            SELL, PAIR | HELD | {"currency": "BTC", "available": dec("0.0199")}, {}, "reject INSUFFICIENT_BALANCE",
            SPOT_BTC, id="what is sold on spot must be there",
        ),
        pytest.param(
            {"reduce_only": True}, PAIR, {}, "reject REDUCE_ONLY_BUY_ON_SPOT", SPOT_BTC, id="a purchase reduces nothing"
        ),
    ],
)  # fmt: skip
def test_d04_other_kinds_of_instruments(
    wish: Given, known: Given, set_to: Given, expected: str, instrument: Any
) -> None:
    check(wish, known, set_to, expected, instrument)


def test_d06_the_drift_stands_in_the_plan_and_beyond_five_percent_is_warned_of() -> None:
    at, beyond = (plan(known=facts(quote=quote(price))) for price in ("52500", "52500.5"))

    assert (at.price_drift, at.warnings) == (dec("0.05"), ())
    assert beyond.price_drift == dec("0.05001")
    assert [warning.partition(":")[0] for warning in beyond.warnings] == ["PRICE_DRIFT"]
