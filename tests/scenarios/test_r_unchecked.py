"""With `ENABLE_BALANCE_CHECK` off the venue decides, and its refusal is an ordinary end (requirement R02)."""

from __future__ import annotations

import pytest
from scenario_set import Desk, wish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "paper_deposit": 1_000,
    "paper_coins": "BTC=1",
    "enable_balance_check": False,
    "categories": "linear,spot,inverse",
}


@pytest.mark.parametrize(
    ("symbol", "category", "price", "amount"),
    [
        ("ETHUSDT", "linear", "100", "300000"),
        ("XRPUSDT", "spot", "0.6", "900000"),
        ("BTCUSD", "inverse", "65000", "9000000"),
    ],
)
async def test_r02_what_the_account_cannot_carry_is_refused_by_the_venue_and_ends_rejected(
    desk: Desk, symbol: str, category: str, price: str, amount: str
) -> None:
    snapshot = {"price": price, "spread": "0"}
    refused = wish(
        symbol, category=category, order_type="limit", limit_price=price, amount=amount, market_data_snapshot=snapshot
    )

    row = await desk.trade(refused)

    assert row["result"] == "rejected", row
    assert row["order_ids"], row
    order = await desk.order_in(row["order_ids"][0], "rejected")
    assert "INSUFFICIENT" in order["reason"].upper() or "balance" in order["reason"].lower(), order["reason"]
    assert order["executed_quantity"] == "0"
    events = await desk.events(order["order_id"], "rejected")
    assert [event["type"] for event in events] == ["created", "submitted", "rejected"]
