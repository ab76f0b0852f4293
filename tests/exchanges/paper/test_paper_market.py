"""The synthetic market: the same for the same seed, always a real book, with spreads on both sides of 0.1 %."""

from __future__ import annotations

import asyncio
import dataclasses
from decimal import Decimal

import aiohttp
import pytest
from paper_client import STILL, Fields, Listener, PaperClient

from exchanges.paper import PaperExchange
from exchanges.paper.instruments import INSTRUMENTS, Instrument
from exchanges.paper.market import SymbolMarket
from exchanges.paper.vocabulary import Side

STEPS = 600


def walked(symbol: str, seed: int, steps: int) -> list[tuple[Decimal, Decimal]]:
    """(best bid, best ask) after each step."""
    market = SymbolMarket(INSTRUMENTS[symbol], seed)
    prices = []
    for _ in range(steps):
        market.step()
        bid, ask = market.best(Side.BUY), market.best(Side.SELL)
        assert bid is not None
        assert ask is not None
        prices.append((bid, ask))
    return prices


@pytest.mark.parametrize("instrument", INSTRUMENTS.values(), ids=lambda instrument: instrument.symbol)
def test_every_step_is_a_book_on_the_tick_and_the_lot(instrument: Instrument) -> None:
    market = SymbolMarket(instrument, 3)
    for _ in range(100):
        market.step()
        bids, asks = list(market.depth(Side.BUY)), list(market.depth(Side.SELL))
        assert bids[0][0] < asks[0][0]
        assert len(bids) >= 5
        assert len(asks) >= 5
        for price, qty in bids + asks:
            assert price % instrument.tick == 0
            assert qty % instrument.lot == 0
            assert qty >= instrument.min_qty
            assert price > 0


def test_the_same_seed_gives_the_same_market_and_another_seed_another() -> None:
    assert walked("BTCUSDT", 1, 50) == walked("BTCUSDT", 1, 50)
    assert walked("BTCUSDT", 1, 50) != walked("BTCUSDT", 2, 50)


def test_a_market_goes_on_from_its_state_as_if_it_had_never_stopped() -> None:
    market = SymbolMarket(INSTRUMENTS["SOLUSDT"], 5)
    for _ in range(20):
        market.step()
    resumed = SymbolMarket(INSTRUMENTS["SOLUSDT"], 5, market.state)
    assert list(resumed.depth(Side.BUY)) == list(market.depth(Side.BUY))


def test_spreads_lie_on_both_sides_of_a_tenth_of_a_percent_and_breathe() -> None:
    narrow = wide = both = 0
    for symbol in INSTRUMENTS:
        shares = [(ask - bid) / bid for bid, ask in walked(symbol, 1, 240)]
        narrow += max(shares) < Decimal("0.001")
        wide += min(shares) > Decimal("0.001")
        both += min(shares) < Decimal("0.001") < max(shares)
    assert narrow >= 2
    assert wide >= 2
    assert both >= 5


@pytest.mark.parametrize("symbol", ["BTCUSDT", "XRPUSDT", "WLDUSDT"])
def test_prices_move_but_do_not_run_away(symbol: str) -> None:
    anchor = INSTRUMENTS[symbol].anchor_price
    bids = [bid for bid, _ in walked(symbol, 1, STEPS)]
    assert len(set(bids)) > 20
    assert anchor / 2 < min(bids) <= max(bids) < anchor * 2


async def test_resting_orders_get_filled_as_the_market_goes_on(client: PaperClient) -> None:
    bid = Decimal((await client.rows("market/tickers", symbol="SOLUSDT"))[0]["bid1Price"])
    row = await client.placed("Buy", "1", str(bid - Decimal("0.05")), symbol="SOLUSDT", timeInForce="PostOnly")
    for _ in range(40):
        await client.control("market", symbol="SOLUSDT", steps=25)
        if (await client.shown(row["orderId"]))["orderStatus"] == "Filled":
            break
    row = await client.shown(row["orderId"])
    assert (row["orderStatus"], row["avgPrice"]) == ("Filled", row["price"])
    assert {fill["isMaker"] for fill in await client.rows("execution/list", symbol="SOLUSDT")} == {True}


async def test_a_frozen_market_stands_still_and_a_loose_one_moves(http: aiohttp.ClientSession) -> None:
    async with PaperExchange(dataclasses.replace(STILL, market_interval_s=0.02)) as exchange:
        client = PaperClient(exchange, http)

        async def step() -> int:
            return int((await client.ask("market?symbol=BTCUSDT"))["markets"][0]["step"])

        async with asyncio.timeout(5):
            while await step() < 3:
                pass
        await client.control("market", frozen=True)
        assert (await client.ask("health"))["market_frozen"] is True
        assert await step() == await step()
        await client.control("market", frozen=False)
        stood = await step()
        async with asyncio.timeout(5):
            while await step() == stood:
                pass


async def test_spread_depth_and_price_can_be_set(client: PaperClient) -> None:
    wish = {"symbol": "ETHUSDT", "mid": "3000", "spread": "3", "depth": "7", "levels": 4}
    (market,) = (await client.control("market", **wish))["markets"]
    assert (market["bid"], market["ask"]) == ("2998.5", "3001.5")
    book = (await client.get("market/orderbook", symbol="ETHUSDT"))["result"]
    assert [qty for _, qty in book["a"]] == ["7"] * 4
    (market,) = (await client.control("market", symbol="ETHUSDT", drawn=True))["markets"]
    assert (market["spread"], market["levels"]) == (None, 10)


async def test_a_pinned_market_stays_until_it_is_unpinned(client: PaperClient) -> None:
    (market,) = (await client.control("market", symbol="BTCUSDT", steps=10))["markets"]
    assert (market["bid"], market["ask"], market["pinned"]) == ("64990", "65010", True)
    (market,) = (await client.control("market", symbol="BTCUSDT", unpin=True, steps=10))["markets"]
    assert market["pinned"] is False
    assert market["bid"] != "64990"


async def test_eaten_quotes_come_back_when_asked_for(client: PaperClient) -> None:
    await client.placed("Buy", "1")
    assert (await client.rows("market/tickers", symbol="BTCUSDT"))[0]["ask1Price"] == "65020"
    await client.control("market", symbol="BTCUSDT", requote=True)
    assert (await client.rows("market/tickers", symbol="BTCUSDT"))[0]["ask1Price"] == "65010"


async def test_two_runs_with_one_seed_tell_the_same_story(http: aiohttp.ClientSession) -> None:
    async def story() -> list[Fields]:
        async with PaperExchange(STILL) as exchange:
            client = PaperClient(exchange, http)
            for n in range(5):
                await client.placed("Buy", "1", symbol="SOLUSDT")
                await client.placed("Sell", "2", "151", symbol="SOLUSDT")
                await client.control("market", symbol="SOLUSDT", steps=10 * n)
            untimed = {"execTime": ""}
            return [fill | untimed for fill in (await client.books(only="executions"))["executions"]]

    assert await story() == await story()


async def test_fills_of_resting_orders_are_told_on_the_stream(client: PaperClient, stream: Listener) -> None:
    await client.placed("Buy", "0.5", "64995")
    await client.pin(bids=[["64900", "1"]], asks=[["64990", "5"]])
    assert await stream.statuses("New", "Filled") == ["New", "Filled"]


# -- the limits of prices -----------------------------------------------------------------------------------------


async def test_a_contract_order_beyond_the_price_limit_gets_the_nearest_allowed_price(client: PaperClient) -> None:
    """The mark price is 65000; a buy may not be above 68250, nor a sell below 61750."""
    band = (await client.get("market/price-limit", symbol="BTCUSDT"))["result"]
    assert (band["buyLmt"], band["sellLmt"]) == ("68250", "61750")
    await client.pin(bids=[], asks=[])
    assert (await client.placed("Buy", "0.1", "68250.1"))["price"] == "68250"
    assert (await client.placed("Buy", "0.1", "68249.9"))["price"] == "68249.9"
    await client.post("order/cancel-all", symbol="BTCUSDT")
    assert (await client.placed("Sell", "0.1", "50000"))["price"] == "61750"
    assert (await client.placed("Sell", "0.1", "80000"))["price"] == "80000"


async def test_an_amended_price_is_held_to_the_price_limit_too(client: PaperClient) -> None:
    await client.pin(bids=[], asks=[])
    row = await client.placed("Buy", "0.1", "64000")
    assert (await client.post("order/amend", symbol="BTCUSDT", orderId=row["orderId"], price="70000"))["retCode"] == 0
    assert (await client.shown(str(row["orderId"])))["price"] == "68250"
    await client.control("market", symbol="BTCUSDT", mid="60000")
    wish = {"symbol": "BTCUSDT", "orderId": row["orderId"], "price": "68250"}
    assert (await client.post("order/amend", qty="0.05", **wish))["retCode"] == 0
    assert (await client.shown(str(row["orderId"])))["price"] == "68250", "a price that stays is left alone"


async def test_a_spot_order_beyond_the_price_limit_is_refused(client: PaperClient) -> None:
    pair = {"category": "spot", "symbol": "BTCUSDT"}
    order = pair | {"orderType": "Limit", "qty": "0.1"}
    reply = await client.create(order | {"side": "Buy", "price": "68250.1"})
    assert (reply["retCode"], reply["retMsg"]) == (170193, "Buy order price cannot be higher than 68250USDT.")
    reply = await client.create(order | {"side": "Sell", "price": "61749.9"})
    assert (reply["retCode"], reply["retMsg"]) == (170194, "Sell order price cannot be lower than 61750USDT.")
    resting = (await client.create(order | {"side": "Buy", "price": "60000"}))["result"]["orderId"]
    assert (await client.post("order/amend", **pair, orderId=resting, price="68250.1"))["retCode"] == 170193
