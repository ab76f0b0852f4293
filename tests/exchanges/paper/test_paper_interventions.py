"""What the exchange does of its own accord: executions that none of the user's orders caused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from paper_client import Fields, Listener, PaperClient, order_rows, rows_of


@pytest.mark.parametrize(("side", "fee"), [("Buy", "6.5"), ("Sell", "-6.5")])
async def test_funding_is_paid_by_who_is_long_and_received_by_who_is_short(
    client: PaperClient, stream: Listener, side: str, fee: str
) -> None:
    await client.placed(side, "1")
    balance, before = await client.balance(), await client.position()
    await client.control("funding", symbol="BTCUSDT", rate="0.0001")
    (row,) = await client.rows("execution/list", execType="Funding")
    assert (row["execFee"], row["execValue"], row["execQty"], row["side"]) == (fee, "65000", "1", side)
    assert (row["orderType"], row["orderLinkId"], row["leavesQty"]) == ("UNKNOWN", "", "0")
    assert await client.balance() == balance - Decimal(fee)
    after = await client.position()
    assert (after["size"], after["avgPrice"]) == ("1", before["avgPrice"])
    assert Decimal(after["cumRealisedPnl"]) == Decimal(before["cumRealisedPnl"]) - Decimal(fee)
    messages = await stream.until(lambda got: len(rows_of(got, "execution")) == 2)
    assert rows_of(messages, "execution")[-1]["execType"] == "Funding"
    assert len(order_rows(messages)) == 1


async def test_funding_leaves_flat_and_other_accounts_alone(client: PaperClient, other: PaperClient) -> None:
    await other.placed("Buy", "1")
    await client.control("funding", symbol="BTCUSDT", rate="0.0001", uid=100_001)
    assert await client.rows("execution/list", execType="Funding") == []
    assert await other.rows("execution/list", execType="Funding") == []


async def test_a_liquidation_cancels_and_closes_by_an_order_of_the_exchange(
    client: PaperClient, stream: Listener
) -> None:
    await client.placed("Buy", "1", stopLoss="60000")
    resting = await client.placed("Buy", "0.1", "64000")
    await client.control("liquidation", symbol="BTCUSDT", uid=100_001)
    assert (await client.position())["size"] == "0"
    assert (await client.shown(resting["orderId"]))["cancelType"] == "CancelAllBeforeLiq"
    assert await client.rows("order/realtime", symbol="BTCUSDT") == []
    (row,) = await client.rows("execution/list", execType="BustTrade")
    assert (row["execPrice"], row["execQty"], row["closedSize"], row["side"]) == ("65000", "1", "1", "Sell")

    def told(got: list[Fields]) -> list[Fields]:
        return [order for order in order_rows(got) if order["createType"] == "CreateByLiq"]

    (order,) = told(await stream.until(told))
    assert (order["orderStatus"], order["orderLinkId"]) == ("Filled", "")


@pytest.mark.parametrize(
    ("why", "kind", "cause", "gone", "orders"),
    [
        ("adl", "AdlTrade", "CreateByAdl_PassThrough", "CancelAllBeforeAdl", 1),
        ("settlement", "Settle", "CreateBySettle", "CancelBySettle", 0),
    ],
)
async def test_a_part_can_be_closed_by_deleveraging_or_settlement_which_is_a_trade_without_an_order(
    client: PaperClient, stream: Listener, why: str, kind: str, cause: str, gone: str, orders: int
) -> None:
    await client.placed("Buy", "1")
    resting = await client.placed("Buy", "0.1", "64000")

    await client.control("liquidation", symbol="BTCUSDT", uid=100_001, why=why, qty="0.4")

    (row,) = await client.rows("execution/list", execType=kind)
    assert (row["execQty"], row["closedSize"], row["side"], row["orderLinkId"]) == ("0.4", "0.4", "Sell", "")
    assert (await client.position())["size"] == "0.6"
    assert (await client.shown(resting["orderId"]))["cancelType"] == gone
    told = await stream.until(lambda got: rows_of(got[-1:], "wallet") and fills_by(cause, got))
    for question in ("order/history", "order/realtime"):
        assert len(await client.rows(question, symbol="BTCUSDT", orderId=row["orderId"])) == orders
    closed = await client.rows("order/realtime", symbol="BTCUSDT", openOnly=1)
    assert len([order for order in closed if order["orderId"] == row["orderId"]]) == orders
    assert len([order for order in order_rows(told) if order["orderId"] == row["orderId"]]) == orders


def fills_by(cause: str, messages: list[Fields]) -> list[Fields]:
    """The executions that were told of and have this cause."""
    return [fill for fill in rows_of(messages, "execution") if fill["createType"] == cause]


@pytest.mark.parametrize("call", ["funding", "liquidation"])
async def test_an_unknown_symbol_is_refused(client: PaperClient, call: str) -> None:
    wish = {"symbol": "NOPE", "rate": "0.1"} if call == "funding" else {"symbol": "NOPE", "uid": 100_001}
    async with client.http.post(f"{client.exchange.url}/paper/{call}", json=wish) as reply:
        assert reply.status == 400
    assert (await client.ask("health"))["status"] == "ok"
