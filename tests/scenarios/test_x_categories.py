"""Linear contracts, spot pairs and inverse contracts, traded by one worker at once (X11, D04, P01, R02, Y05)."""

from __future__ import annotations

import pytest
from scenario_set import Desk, Row, wish

from app.replay.folded import Until
from app.replay.report import replay
from app.verify.report import VerifyOptions, verify

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"categories": "linear,spot,inverse", "paper_coins": "BTC=20,ETH=1000"}

BOTH, PAIR, COIN_MARGINED = "BTCUSDT", "ETHUSDT", "BTCUSD"


async def pinned(desk: Desk, symbol: str, category: str, bid: str, ask: str) -> None:
    """The market stands at these prices, and the worker has seen it."""
    await desk.quote(symbol, bids=((bid, "100000"),), asks=((ask, "100000"),), category=category)
    name = f"{category}/{symbol}".encode()

    async def seen() -> bool | None:
        return any(record.key == name for record in desk.told("marks", bid=bid, ask=ask)) or None

    await desk.until(seen, 15, f"the new prices of {symbol}")


def wanted(symbol: str, category: str, side: str, price: str, **fields: object) -> Row:
    """A market order over 1000 of the quote currency at this price."""
    snapshot = {"price": price, "spread": "0.2"}
    signal = wish(symbol, side, category=category, order_type="market", market_data_snapshot=snapshot)
    return signal | fields


async def traded(desk: Desk, signal: Row) -> Row:
    """The signal's filled order."""
    row = await desk.trade(signal)
    assert row["result"] == "executed", row
    return await desk.order_in(row["order_ids"][0], "filled")


async def test_x11_a_symbol_that_is_a_contract_and_a_pair_is_two_instruments(desk: Desk) -> None:
    desk.named(BOTH)
    await pinned(desk, BOTH, "spot", "199.9", "200.1")

    contract = await traded(desk, wanted(BOTH, "linear", "buy", "100"))
    early = await desk.trade(wanted(BOTH, "spot", "sell", "200"))
    pair = await traded(desk, wanted(BOTH, "spot", "buy", "200"))

    assert (early["result"], early["code"]) == ("rejected", "NOTHING_TO_SELL"), "a contract is no coin that can be sold"
    assert [order["instrument"]["category"] for order in (contract, pair)] == ["linear", "spot"]
    assert [order["average_price"] for order in (contract, pair)] == ["100.1", "200.1"]
    assert [row["category"] for row in await desk.at_venue(BOTH)] == ["linear", "spot"]
    await desk.position_is(BOTH, contract["quantity"], "linear")
    await desk.position_is(BOTH, "4.995", "spot")
    found = (await desk.ask("/orders", symbol=BOTH, category="spot"))["items"]
    assert [order["order_id"] for order in found] == [pair["order_id"]]
    fills = (await desk.ask(f"/positions/{BOTH}/history", category="spot"))["items"]
    assert {fill["instrument"]["category"] for fill in fills} == {"spot"}


async def test_d04_on_spot_the_fee_is_gone_from_what_can_be_sold_again(desk: Desk) -> None:
    desk.named(PAIR)
    await pinned(desk, PAIR, "spot", "99.9", "100.1")
    bought = await traded(desk, wanted(PAIR, "spot", "buy", "100"))
    await desk.position_is(PAIR, "9.99", "spot")

    sold = await traded(desk, wanted(PAIR, "spot", "sell", "100", amount="5000"))
    again = await desk.trade(wanted(PAIR, "spot", "sell", "100"))

    assert (bought["quantity"], bought["fees"]) == ("10", {"ETH": "0.01"})
    assert sold["quantity"] == "9.99"
    assert again["code"] == "NOTHING_TO_SELL", "the coins that were deposited are nobody's position"
    position = await desk.position(PAIR, category="spot")
    assert (position["size"], position["realised"]) == ("0", "-1.998"), "9.99 coins at 0.2 less each"


async def test_r05_while_trading_is_reduce_only_coins_are_sold_and_none_are_bought(desk: Desk) -> None:
    await traded(desk, wanted(PAIR, "spot", "buy", "100"))
    await desk.post("/controls", scope=PAIR, state="reduce_only", reason="getting out")

    bought = await desk.trade(wanted(PAIR, "spot", "buy", "100"))
    sold = await traded(desk, wanted(PAIR, "spot", "sell", "100", amount="5000"))
    await desk.post("/controls", scope=PAIR, state="armed", reason="out")

    assert (bought["result"], bought["code"]) == ("rejected", "TRADING_REDUCE_ONLY")
    assert sold["quantity"] == "9.99"
    await desk.position_is(PAIR, "0", "spot")


async def test_p01_an_inverse_contract_is_counted_in_dollars_and_wins_coins(desk: Desk) -> None:
    desk.named(COIN_MARGINED)
    await pinned(desk, COIN_MARGINED, "inverse", "100", "100.5")
    first = await traded(desk, wanted(COIN_MARGINED, "inverse", "buy", "100.5"))
    await pinned(desk, COIN_MARGINED, "inverse", "125", "125.5")
    await traded(desk, wanted(COIN_MARGINED, "inverse", "sell", "125", amount="500"))

    await desk.position_is(COIN_MARGINED, "500", "inverse")
    position = await desk.position(COIN_MARGINED, category="inverse")

    assert (first["quantity"], first["executed_value"]) == ("1000", "9.95024876")
    assert position["realised"] == "0.97512438", "half of the coins it cost, less what 500 dollars are at 125"
    assert position["average_entry"] == "100.499999961810000015", "1000 dollars over what they cost in coins"


async def test_r02_each_kind_of_order_is_paid_for_in_its_own_coin(desk: Desk) -> None:
    row = await desk.trade(wanted(COIN_MARGINED, "inverse", "buy", "125", amount="6000"))
    rich = await desk.post("/plan", **wanted("XRPUSD", "inverse", "buy", "0.6", amount="10"))

    assert (row["result"], row["code"]) == ("rejected", "INSUFFICIENT_BALANCE")
    assert row["plans"][-1]["verdicts"][-1]["sentence"].endswith(" BTC")
    assert rich.json()["code"] == "BALANCE_UNKNOWN", "there is no XRP, whatever there is of USDT"


async def test_y05_tables_topics_and_venue_say_the_same_of_all_three_kinds(desk: Desk) -> None:
    verified = await verify(desk.settings, VerifyOptions(settle_s=20.0))
    replayed = await replay(desk.settings, directory=None, until=Until(), settle_s=20.0)

    assert verified["equal"] is True, verified
    assert replayed["equal"] is True, replayed
    result = await desk.sync_everything()
    assert "0 differed" in result["sentence"], result
