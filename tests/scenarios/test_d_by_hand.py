"""Plans of the running worker, worked out by hand from the rules: D01 to D07 on many grids, R02, R03 and R05 with what
an operator changes meanwhile. The market stands at 99.9 for 100.1; a signal is over 1000 USDT at 100, spread 0.2."""

from __future__ import annotations

from decimal import Decimal

import pytest
from scenario_set import Desk, Row, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"price_drift_reject": Decimal("0.2")}
MARKET: Row = {"order_type": "market"}
LIMIT: Row = {"order_type": "limit"}


def snapshot(price: str, spread: str, **more: str) -> Row:
    return {"market_data_snapshot": {"price": price, "spread": spread, **more}}


async def planned(desk: Desk, symbol: str, **fields: object) -> str:
    """What would become of the signal, in a line."""
    reply = await desk.post("/plan", **wish(symbol, "buy", **fields))
    if reply.status_code != 200:
        return f"{reply.status_code} {reply.json()['error']['code']}"
    made = reply.json()
    if made["decision"] not in {"execute", "simulate"}:
        return f"{made['decision']} {made['code']}"
    lines = [f"cancel {cancel['order_id']}" for cancel in made["cancels"]]
    for intent in made["intents"]:
        flags = [name for name in ("post_only", "reduce_only") if intent[name]]
        words = (intent["side"], intent["order_type"], intent["quantity"], "@", intent["price"])
        lines.append(" ".join((*words, intent["time_in_force"], *flags)))
    return ", ".join(lines)


@pytest.mark.parametrize(
    ("symbol_asked", "fields", "expected"),
    [
        ("BTCUSDT", {}, "buy limit 10 @ 99.9 GTC post_only"),
        ("BTCUSDT", MARKET, "buy market 10 @ 101 IOC"),  # 100 x 1.01
        ("BTCUSDT", {"confidence": "0.95"}, "buy market 10 @ 101 IOC"),
        ("BTCUSDT", {"confidence": "0.9"}, "buy limit 10 @ 99.9 GTC post_only"),
        ("BTCUSDT", {"confidence": "0.95", **LIMIT}, "buy limit 10 @ 99.9 GTC post_only"),
        ("BTCUSDT", snapshot("100", "0.0999"), "buy market 10 @ 101 IOC"),
        ("BTCUSDT", snapshot("100", "0.1"), "buy limit 10 @ 99.9 GTC post_only"),  # 99.95, down to the tick of 0.1
        ("BTCUSDT", snapshot("100", "0.05", depth="9.999"), "buy limit 10 @ 99.9 GTC post_only"),
        ("SUIUSDT", {"amount": "1999.99"}, "buy limit 10 @ 99.9 GTC post_only"),  # lots of 10
        ("SUIUSDT", {"amount": "999.99"}, "reject BELOW_ONE_LOT"),
        # 100 - 0.0000155 = 99.9999845, tick 0.00001
        ("DOGEUSDT", {**LIMIT, **snapshot("100", "0.000031")}, "buy limit 10 @ 99.99998 GTC post_only"),
        # 99.99977 - 0.000355 = 99.999415, tick 0.0005; 1000 / 99.99977 = 10.00002, lot 0.01
        ("APTUSDT", {**LIMIT, **snapshot("99.99977", "0.00071")}, "buy limit 10 @ 99.999 GTC post_only"),
        # 1000 / 97 = 10.309, lot 0.1; 97 - 0.15 = 96.85
        ("SOLUSDT", {**LIMIT, **snapshot("97", "0.3")}, "buy limit 10.3 @ 96.85 GTC post_only"),
        # the guard stands by the market's price now, not the snapshot's: 100 x 1.01
        ("SOLUSDT", {**MARKET, **snapshot("97", "0.3")}, "buy market 10.3 @ 101 IOC"),
        ("SOLUSDT", snapshot("80", "0.3"), "reject PRICE_DRIFT"),  # 20 / 80
        ("XRPUSDT", {"limit_price": "100.00019"}, "buy limit 10 @ 100.0001 GTC post_only"),
        ("XRPUSDT", {"limit_price": "2000"}, "reject ABOVE_MAX_PRICE"),  # 1999.999 at most
        ("XRPUSDT", {"limit_price": "90", "time_in_force": "FOK"}, "buy limit 10 @ 90 FOK"),
        ("XRPUSDT", {"limit_price": "90", "post_only": False}, "buy limit 10 @ 90 GTC"),
        ("BTCUSDT", {"amount": "5.09"}, "reject BELOW_MIN_NOTIONAL"),  # 0.05 x 99.9 = 4.995
        ("BTCUSDT", {"amount": "5.1"}, "buy limit 0.051 @ 99.9 GTC post_only"),  # 0.051 x 99.9 = 5.0949
        ("BTCUSDT", {**MARKET, "amount": "11900"}, "buy market 119 @ 101 IOC"),
        ("BTCUSDT", {**MARKET, "amount": "11900.1"}, "reject ABOVE_MAX_QUANTITY"),
        ("BTCUSDT", {"amount": "119000"}, "buy limit 1190 @ 99.9 GTC post_only"),
        ("BTCUSDT", {"amount": "0.05"}, "reject BELOW_ONE_LOT"),
        ("BTCUSDT", {"reduce_only": True}, "reject NOTHING_TO_REDUCE"),
        ("BTCUSDT", {"position_side": "long"}, "reject ONE_WAY_MODE"),
        ("BTCUSDT", {"expires_at": 1_700_000_000 * 10**9}, "expire SIGNAL_EXPIRED"),
        ("BTCUSDT", {"timestamp": 4_000_000_000 * 10**9}, "reject TIMESTAMP_IN_FUTURE"),
        ("BTCUSDT", {"is_warmup": True}, "buy limit 10 @ 99.9 GTC post_only"),
        ("NOSUCHUSDT", {}, "reject INSTRUMENT_UNKNOWN"),
        ("BTCUSDT", {"venue": "elsewhere"}, "400 BAD_SIGNAL"),
        ("BTCUSDT", {"confidence": "1.01"}, "400 BAD_SIGNAL"),
    ],
    ids=str,
)
async def test_d13_the_worker_plans_what_follows_by_hand(
    desk: Desk, symbol_asked: str, fields: Row, expected: str
) -> None:
    assert await planned(desk, symbol_asked, **fields) == expected


async def test_r03_limits_count_from_the_moment_at_which_they_are_changed(desk: Desk) -> None:
    fits, symbol = "buy limit 10 @ 99.9 GTC post_only", "LTCUSDT"
    for limits, expected in (
        ({"max_order_size": "1000"}, fits),
        ({"max_order_size": "999.99"}, "reject MAX_ORDER_SIZE"),
        ({"max_order_size": None, "max_market_order_size": 1}, fits),
        ({"max_market_order_size": None, "max_order_size_ratio": 0.0009}, "reject MAX_ORDER_SIZE_RATIO"),
        ({"max_order_size_ratio": 0.01, "max_exposure": "999"}, "reject MAX_EXPOSURE"),
        ({"max_exposure": "1000"}, fits),
        ({"max_open_orders": 0}, "reject MAX_OPEN_ORDERS"),
        ({"max_open_orders": None, "max_daily_volume": "999"}, "reject MAX_DAILY_VOLUME"),
        (dict.fromkeys(("max_order_size_ratio", "max_exposure", "max_daily_volume")), fits),
    ):
        reply = await desk.post("/limits", scope=symbol, limits=limits, reason=f"expects {expected}")
        assert reply.status_code == 200, reply.text
        assert await planned(desk, symbol) == expected, limits
        assert await planned(desk, "BTCUSDT") == fits, "limits of one symbol are no other's"
    [scope] = [each for each in (await desk.ask("/limits"))["scopes"] if each["scope"] == symbol]
    assert [change["set_by"] for change in scope["changes"]] == ["web:operator"] * 9
    assert scope["changes"][1]["reason"] == "expects reject MAX_ORDER_SIZE"


async def test_r05_states_count_from_the_moment_at_which_they_are_changed(desk: Desk) -> None:
    symbol = "LINKUSDT"
    for state, expected in (
        ("halted", "reject TRADING_HALTED"),
        ("reduce_only", "reject TRADING_REDUCE_ONLY"),
        ("armed", "buy limit 10 @ 99.9 GTC post_only"),
    ):
        reply = await desk.post("/controls", scope=symbol, state=state, reason="a test")
        assert reply.status_code == 200, reply.text
        assert await planned(desk, symbol) == expected
