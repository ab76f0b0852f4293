"""Inverse contracts: quantities in dollars, everything else in the coin."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import aiohttp
import pytest
from paper_client import STILL, Fields, Listener, PaperClient, order_rows, rows_of

from exchanges.paper import PaperExchange, PaperOptions
from exchanges.paper.ledger import Position
from exchanges.paper.vocabulary import Category, Side


class InverseClient(PaperClient):
    """The same calls for BTCUSD."""

    async def post(self, endpoint: str, **fields: object) -> Fields:
        return await super().post(endpoint, **({"category": "inverse"} | fields))

    async def get(self, endpoint: str, **fields: object) -> Fields:
        return await super().get(endpoint, **({"category": "inverse"} | fields))

    async def create(self, fields: Fields) -> Fields:
        return await super().create(fields | {"symbol": "BTCUSD"})


@pytest.fixture
def options() -> PaperOptions:
    return dataclasses.replace(STILL, coins=(("BTC", Decimal(1)),))


@pytest.fixture
async def inverse(exchange: PaperExchange, http: aiohttp.ClientSession) -> InverseClient:
    client = InverseClient(exchange, http)
    await client.pin("BTCUSD", bids=[["49999.5", "100000"]], asks=[["50000", "100000"]])
    return client


def filled(*fills: tuple[Side, str, str]) -> Position:
    position = Position(uid=1, symbol="BTCUSD", position_idx=0, category=Category.INVERSE, settle="BTC")
    for side, qty, price in fills:
        position.apply(side, Decimal(price), Decimal(qty), Decimal(0))
    return position


def test_who_is_long_gains_when_dollars_buy_less_of_the_coin() -> None:
    position = filled((Side.BUY, "100000", "50000"), (Side.SELL, "100000", "62500"))
    assert (position.size, position.realised_pnl) == (0, Decimal("0.4"))


def test_who_is_short_gains_when_they_buy_more() -> None:
    position = filled((Side.SELL, "100000", "50000"), (Side.BUY, "50000", "40000"))
    assert (position.size, position.realised_pnl, position.cost) == (-50000, Decimal("0.25"), 1)


def test_the_average_is_dollars_by_coins() -> None:
    position = filled((Side.BUY, "100000", "50000"), (Side.BUY, "100000", "40000"))
    assert (position.cost, position.avg_price) == (Decimal("4.5"), Decimal("44444.444444444444444444"))


def test_a_reversal_splits_the_value_without_a_rest() -> None:
    """7 ÷ 30000 has no end: what is closed and what is opened still sum up to the value of the fill."""
    position = filled((Side.BUY, "3", "30000"), (Side.SELL, "7", "30000"))
    assert position.size == -4
    assert position.cost + Decimal("0.0001") == Decimal("0.00023333")
    assert position.realised_pnl == 0


async def test_an_order_is_worth_coins(inverse: InverseClient, stream: Listener) -> None:
    row = await inverse.placed("Buy", "1000")
    assert (row["orderStatus"], row["cumExecQty"], row["cumExecValue"]) == ("Filled", "1000", "0.02")
    assert (row["avgPrice"], row["cumFeeDetail"]) == ("50000", {"BTC": "0.000011"})
    messages = await stream.until(lambda got: rows_of(got, "wallet"))
    (fill,) = rows_of(messages, "execution")
    assert (fill["category"], fill["execValue"], fill["feeCurrency"]) == ("inverse", "0.02", "BTC")
    assert order_rows(messages)[0]["category"] == "inverse"
    (position,) = rows_of(messages, "position")
    assert (position["category"], position["symbol"], position["positionValue"]) == ("inverse", "BTCUSD", "0.02")


async def test_profit_fees_and_margin_are_in_the_coin(inverse: InverseClient) -> None:
    await inverse.placed("Buy", "10000")
    await inverse.pin("BTCUSD", bids=[["62500", "100000"]], asks=[["62500.5", "100000"]])
    position = await inverse.position("BTCUSD")
    assert (position["size"], position["side"], position["avgPrice"]) == ("10000", "Buy", "50000")
    assert Decimal(position["positionIM"]) == Decimal("0.016")
    await inverse.placed("Sell", "10000")
    wallet = {coin["coin"]: coin for coin in (await inverse.books(only="wallet"))["coins"]}["BTC"]
    assert (wallet["realised_pnl"], wallet["fees"]) == ("0.04", "0.000198")
    assert wallet["balance"] == "1.039802"


async def test_a_resting_order_needs_margin_of_the_coin(inverse: InverseClient) -> None:
    await inverse.placed("Buy", "20000", "40000")
    (balance,) = await inverse.rows("account/wallet-balance", accountType="UNIFIED", coin="BTC")
    assert Decimal(balance["coin"][0]["totalOrderIM"]) == Decimal("0.5") / 10 + Decimal("0.5") * Decimal("0.00055")
    (row,) = await inverse.rows("order/realtime", symbol="BTCUSD")
    assert (row["leavesQty"], row["leavesValue"]) == ("20000", "0.5")


async def test_other_coins_are_collateral_too(exchange: PaperExchange, http: aiohttp.ClientSession) -> None:
    """100,000 USDT and a BTC at 65,000 carry about 1.65 million at leverage 10, in whichever coin it is settled."""
    client = InverseClient(exchange, http)
    await client.pin("BTCUSD", bids=[["64999.5", "9000000"]], asks=[["65000", "9000000"]])
    assert (await client.order("Buy", "900000", "65000"))["retCode"] == 0
    assert (await client.order("Buy", "800000", "65000"))["retCode"] == 110007


async def test_the_rules_of_the_contract(inverse: InverseClient) -> None:
    (row,) = await inverse.rows("market/instruments-info", symbol="BTCUSD")
    assert (row["contractType"], row["settleCoin"], row["quoteCoin"]) == ("InversePerpetual", "BTC", "USD")
    assert (await inverse.order("Buy", "1.5", "40000"))["retCode"] == 10001
    assert (await inverse.order("Buy", "1", "40000"))["retCode"] == 0
    assert (await inverse.post("position/switch-mode", symbol="BTCUSD", mode=3))["retCode"] == 110029


async def test_positions_are_asked_by_their_settle_coin(inverse: InverseClient) -> None:
    await inverse.placed("Sell", "1000")
    assert [row["symbol"] for row in await inverse.rows("position/list", settleCoin="BTC")] == ["BTCUSD"]
    assert await inverse.rows("position/list", settleCoin="ETH") == []
    assert [row["symbol"] for row in await inverse.rows("position/list")] == ["BTCUSD"]


async def test_a_stop_loss_closes_an_inverse_position(inverse: InverseClient) -> None:
    await inverse.placed("Buy", "1000", stopLoss="45000")
    await inverse.control("market", symbol="BTCUSD", bids=[["44999.5", "9999"]], asks=[["45000", "9999"]], last="45000")
    assert (await inverse.position("BTCUSD"))["size"] == "0"
