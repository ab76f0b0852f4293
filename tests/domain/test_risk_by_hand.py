"""Signals, account states and limits with the orders that follow from the rules of risk, each worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from by_hand import HEDGE, HELD, LIMIT_BUY, MARKET, MARKET_BUY, SELL, SHORTS, Given, check
from domain_cases import NOW, SECOND, dec, open_order, quote

from domain.limits import AccountLoad, Limits, RiskAction
from domain.plans import ScaleInMode, TradingState, WarmupMode


def limits(load: AccountLoad | None = None, **set_to: Any) -> Given:
    return {"limits": Limits(**set_to), "load": load or AccountLoad()}


SHRINK = {"risk_action": RiskAction.SHRINK}


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected"),
    [
        # The need of a limit buy: 0.02 x 49950 x 1.00055 = 999.54945
        pytest.param({}, {"available": dec("999.54945")}, {}, LIMIT_BUY, id="all that is free"),
        pytest.param({}, {"available": dec("999.54944")}, {}, "reject INSUFFICIENT_BALANCE", id="a hair less"),
        # Of a market buy at its guard: 0.02 x 50500 x 1.00055 = 1010.5555
        pytest.param(MARKET, {"available": dec("1010.5555")}, {}, MARKET_BUY, id="at the worst price"),
        pytest.param(MARKET, {"available": dec("1010.5554")}, {}, "reject INSUFFICIENT_BALANCE", id="less than that"),
        pytest.param({}, {"available": dec(1100), "reserved": dec(100)}, {}, LIMIT_BUY, id="1000 of 1100 free"),
        pytest.param(
            {}, {"available": dec(1100), "reserved": dec(101)}, {}, "reject INSUFFICIENT_BALANCE", id="999 of 1100 free"
        ),
        pytest.param(
            {}, {"available": dec(1100)}, {"cash_reserve": dec(101)}, "reject INSUFFICIENT_BALANCE", id="reserve"
        ),
        # 0.02 x 49950 x (1/10 + 0.00055) = 100.44945
        pytest.param({}, {"available": dec("100.44945")}, {"leverage": dec(10)}, LIMIT_BUY, id="a tenth of margin"),
        pytest.param({}, {"available": dec(0)}, {"enable_balance_check": False}, LIMIT_BUY, id="the check is off"),
        pytest.param({}, {"available": None}, {}, "reject BALANCE_UNKNOWN", id="balance unknown: no buying"),
        pytest.param(
            SELL, HELD | {"available": None}, {}, "sell limit 0.02 @ 50050 GTC post-only reduce-only",
            id="balance unknown: reducing goes on",
        ),
        pytest.param({}, limits(max_order_size=dec(1000)), {}, LIMIT_BUY, id="exactly the order size"),
        pytest.param({}, limits(max_order_size=dec("999.99")), {}, "reject MAX_ORDER_SIZE", id="over the order size"),
        pytest.param(
            SELL, HELD | limits(max_order_size=dec(1000)), {}, "sell limit 0.02 @ 50050 GTC post-only reduce-only",
            id="a sell's size is its amount, though it asks for more",
        ),
        pytest.param(
            # 510 / 50000 = 0.0102, down to 0.010
            {}, limits(max_order_size=dec(510)), SHRINK, "buy limit 0.01 @ 49950 GTC post-only", id="shrunk to fit"
        ),
        pytest.param({}, limits(max_order_size=dec(49)), SHRINK, "reject MAX_ORDER_SIZE", id="no room for one lot"),
        pytest.param({}, limits(max_market_order_size=dec(1)), {}, LIMIT_BUY, id="a limit order is no market order"),
        pytest.param(MARKET, limits(max_market_order_size=dec(999)), {}, "reject MAX_MARKET_ORDER_SIZE", id="one is"),
        pytest.param({}, limits(max_order_size_ratio=dec("0.1")), {}, LIMIT_BUY, id="a tenth of 10000"),
        pytest.param(
            {}, limits(max_order_size_ratio=dec("0.0999")), {}, "reject MAX_ORDER_SIZE_RATIO", id="less than a tenth"
        ),
        # held 0.05 x 50000 = 2500, and 1000 more
        pytest.param({}, HELD | limits(max_position_size=dec(3500)), {}, LIMIT_BUY, id="the position it may reach"),
        pytest.param({}, HELD | limits(max_position_size=dec(3499)), {}, "reject MAX_POSITION_SIZE", id="beyond it"),
        pytest.param(
            # resting 0.01 x 50000 = 500 counts
            {}, limits(max_position_size=dec(1499)) | {"open_orders": (open_order(),)},
            {"scale_in_mode": ScaleInMode.NEW}, "reject MAX_POSITION_SIZE", id="open orders count",
        ),
        pytest.param(
            {}, limits(AccountLoad(exposure=dec(4000)), max_exposure=dec(5000)), {}, LIMIT_BUY, id="the last exposure"
        ),
        pytest.param(
            {}, limits(AccountLoad(exposure=dec(4001)), max_exposure=dec(5000)), {}, "reject MAX_EXPOSURE", id="over it"
        ),
        pytest.param(
            # from 2500 long through nothing to 1500 short
            SELL | {"amount": "4000"}, HELD | limits(max_exposure=dec(2500)), SHORTS,
            "sell limit 0.08 @ 50050 GTC post-only", id="a reversal counts what it ends with",
        ),
        pytest.param(
            # from 2500 long to 2550 short
            SELL | {"amount": "5050"}, HELD | limits(max_exposure=dec(2500)), SHORTS, "reject MAX_EXPOSURE",
            id="a reversal beyond the limit",
        ),
        pytest.param(
            {"position_side": "long"}, limits(max_exposure=dec(3499)) | {"other_side_size": dec("-0.05")}, HEDGE,
            "reject MAX_EXPOSURE", id="both sides of a hedge count",
        ),
        pytest.param(
            {}, limits(max_open_orders_per_symbol=1) | {"open_orders": (open_order(),)},
            {"scale_in_mode": ScaleInMode.NEW}, "reject MAX_OPEN_ORDERS_PER_SYMBOL", id="one more order than allowed",
        ),
        pytest.param(
            {}, limits(max_open_orders_per_symbol=1) | {"open_orders": (open_order(),)},
            {"scale_in_mode": ScaleInMode.AMEND}, "amend o1 0.03 @ 49950", id="an amended order is no order more",
        ),
        pytest.param(
            {}, limits(AccountLoad(open_orders=2), max_open_orders=3), {}, LIMIT_BUY, id="the third of three orders"
        ),
        pytest.param(
            {}, limits(AccountLoad(open_orders=3), max_open_orders=3), {}, "reject MAX_OPEN_ORDERS", id="the fourth"
        ),
        pytest.param(
            {}, limits(AccountLoad(orders_last_minute=4), max_orders_per_minute=5), {}, LIMIT_BUY, id="fifth of five"
        ),
        pytest.param(
            {}, limits(AccountLoad(orders_last_minute=5), max_orders_per_minute=5), {}, "reject MAX_ORDERS_PER_MINUTE",
            id="the sixth",
        ),
        pytest.param(
            {}, limits(AccountLoad(notional_last_minute=dec(1)), max_notional_per_minute=dec(1000)), {},
            "reject MAX_NOTIONAL_PER_MINUTE", id="a dollar too much within a minute",
        ),
        pytest.param(
            {}, limits(AccountLoad(traded_today=dec(9000)), max_daily_volume=dec(10_000)), {}, LIMIT_BUY,
            id="the day's last"
        ),
        pytest.param(
            {}, limits(AccountLoad(traded_today=dec(9000), notional_open=dec(1)), max_daily_volume=dec(10_000)), {},
            "reject MAX_DAILY_VOLUME", id="what is open elsewhere counts for the day",
        ),
        pytest.param(
            {}, limits(AccountLoad(traded_this_week=dec(9001)), max_weekly_volume=dec(10_000)), {},
            "reject MAX_WEEKLY_VOLUME", id="over the week",
        ),
        pytest.param(
            {}, limits(AccountLoad(loss_today=dec(500)), max_daily_loss=dec(500)), {}, "reject MAX_DAILY_LOSS",
            id="the day's loss is reached",
        ),
        pytest.param(
            {}, limits(AccountLoad(loss_today=dec("499.99")), max_daily_loss=dec(500)), {}, LIMIT_BUY,
            id="not yet reached"
        ),
        pytest.param(
            {}, limits(AccountLoad(drawdown=dec("0.1")), max_drawdown=dec("0.1")), {}, "reject MAX_DRAWDOWN",
            id="the drawdown is reached",
        ),
        pytest.param(
            SELL, HELD | limits(AccountLoad(loss_today=dec(501)), max_daily_loss=dec(500), max_open_orders=0), {},
            "sell limit 0.02 @ 50050 GTC post-only reduce-only", id="closing is never held up",
        ),
    ],
)  # fmt: skip
def test_r02_r03_and_r06_balance_and_limits(wish: Given, known: Given, set_to: Given, expected: str) -> None:
    check(wish, known, set_to, expected)


AGE = 60 * SECOND


@pytest.mark.parametrize(
    ("wish", "known", "set_to", "expected"),
    [
        pytest.param({}, {"trading": TradingState.HALTED}, {}, "reject TRADING_HALTED", id="halted"),
        pytest.param(
            SELL, HELD | {"trading": TradingState.HALTED}, {}, "reject TRADING_HALTED", id="halted: no closing"
        ),
        pytest.param(
            {}, {"trading": TradingState.REDUCE_ONLY}, {}, "reject TRADING_REDUCE_ONLY", id="reduce-only: buy"
        ),
        pytest.param(
            # 4000 / 50000 = 0.08, of which 0.05 closes
            SELL | {"amount": "4000"}, HELD | {"trading": TradingState.REDUCE_ONLY}, SHORTS,
            "sell limit 0.05 @ 50050 GTC post-only reduce-only", id="reduce-only: a reversal becomes a close",
        ),
        pytest.param(
            {}, {"last_order_ns": NOW - 9 * SECOND}, {"cooldown_ns": 10 * SECOND}, "reject COOLDOWN", id="cooling"
        ),
        pytest.param({}, {"last_order_ns": NOW - 10 * SECOND}, {"cooldown_ns": 10 * SECOND}, LIMIT_BUY, id="cooled"),
        pytest.param(
            {}, {"last_strategy_order_ns": NOW - SECOND}, {"strategy_cooldown_ns": 2 * SECOND}, "reject COOLDOWN",
            id="the strategy cools",
        ),
        pytest.param(
            {"confidence": "0.5"}, {}, {"min_confidence": dec("0.5")}, LIMIT_BUY, id="confidence at the minimum"
        ),
        pytest.param(
            {"confidence": "0.49"}, {}, {"min_confidence": dec("0.5")}, "reject BELOW_MIN_CONFIDENCE", id="under it"
        ),
        pytest.param({}, {}, {"min_confidence": dec("0.5")}, LIMIT_BUY, id="no confidence is not measured"),
        pytest.param({"is_warmup": True}, {}, {}, f"simulate, {LIMIT_BUY}", id="warm-up: simulated"),
        pytest.param({"is_warmup": True}, {}, {"warmup_mode": WarmupMode.EXECUTE}, LIMIT_BUY, id="warm-up: executed"),
        pytest.param(
            {"is_warmup": True}, {}, {"warmup_mode": WarmupMode.IGNORE}, "ignore WARMUP", id="warm-up: ignored"
        ),
        pytest.param(
            {}, {"now_ns": NOW + AGE, "quote": quote(at_ns=NOW + AGE)}, {}, LIMIT_BUY, id="as old as it may be"
        ),
        pytest.param({}, {"now_ns": NOW + AGE + 1}, {}, "expire SIGNAL_TOO_OLD", id="a nanosecond too old"),
        pytest.param(
            {"timestamp": NOW}, {"now_ns": NOW, "record_time_ns": NOW - AGE - 1}, {}, "expire SIGNAL_TOO_OLD",
            id="the record is older than the signal says",
        ),
        pytest.param({"expires_at": NOW - 1}, {}, {}, "expire SIGNAL_EXPIRED", id="past its end"),
        pytest.param({"timestamp": NOW + 5 * SECOND}, {}, {}, LIMIT_BUY, id="as far ahead as tolerated"),
        pytest.param(
            {"timestamp": NOW + 5 * SECOND + 1}, {}, {}, "reject TIMESTAMP_IN_FUTURE", id="farther ahead than tolerated"
        ),
    ],
)  # fmt: skip
def test_s08_s09_s10_r05_and_r07_age_confidence_and_states(
    wish: Given, known: Given, set_to: Given, expected: str
) -> None:
    check(wish, known, set_to, expected)
