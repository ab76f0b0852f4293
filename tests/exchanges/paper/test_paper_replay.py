"""Recorded prices in the place of the synthetic market."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from paper_client import DEADLINE_S, STILL, Fields, PaperClient

from exchanges.paper import PaperExchange, PaperOptions
from exchanges.paper.replay import ReplayError, read_recording
from exchanges.paper.vocabulary import Side

CSV = """time,symbol,bid,ask,last,bid_size,ask_size,last_size
1700000000,BTCUSDT,64990,65010,65000,2,3,
1700000001.5,BTCUSDT,65990,66010,66000,2,3,
1700000002,ETHUSDT,3190,3191,3190.5,10,10,
"""


def a_file(tmp_path: Path, content: str = CSV, name: str = "prices.csv") -> Path:
    path = tmp_path / name
    path.write_text(content)
    return path


def replaying(path: Path, **more: object) -> PaperOptions:
    return dataclasses.replace(STILL, replay=path, replay_speed=0, **more)


async def eventually(ask: Callable[[], Awaitable[Fields]], holds: Callable[[Fields], bool]) -> Fields:
    """Ask again until the answer `holds`."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds(answer := await ask()):  # noqa: ASYNC110 -- the exchange is asked over its own sockets
            await asyncio.sleep(0)
        return answer


async def ticker(client: PaperClient, symbol: str = "BTCUSDT") -> Fields:
    (row,) = await client.rows("market/tickers", symbol=symbol)
    return row


# -- the file -----------------------------------------------------------------------------------------------------


def test_a_table_is_read_record_by_record(tmp_path: Path) -> None:
    recording = read_recording(a_file(tmp_path))
    assert recording.keys == {"BTCUSDT", "ETHUSDT"}
    first, second, _ = recording.moments
    assert first.bids == ((Decimal(64990), Decimal(2)),)
    assert second.at_ns - first.at_ns == 1_500_000_000
    assert second.last == 66000


def test_json_lines_may_hold_whole_books_of_any_category(tmp_path: Path) -> None:
    line = '{"time": 1700000000123, "symbol": "BTCUSDT", "category": "spot", "bids": [["1", 2], [0.9, 1]], "asks": []}'
    (moment,) = read_recording(a_file(tmp_path, line, "prices.jsonl")).moments
    assert moment.key == "spot:BTCUSDT"
    assert moment.at_ns == 1_700_000_000_123_000_000
    assert moment.bids == ((Decimal(1), Decimal(2)), (Decimal("0.9"), Decimal(1)))


@pytest.mark.parametrize("time", ["1700000000", "1700000000000", "1700000000000000000", "2023-11-14T22:13:20Z"])
def test_times_come_in_several_units(tmp_path: Path, time: str) -> None:
    (moment,) = read_recording(a_file(tmp_path, f"time,symbol,bid,ask\n{time},BTCUSDT,1,2\n")).moments
    assert moment.at_ns == 1_700_000_000 * 10**9


def test_without_sizes_a_level_is_as_large_as_usual(tmp_path: Path) -> None:
    (moment,) = read_recording(a_file(tmp_path, "time,symbol,bid,ask\n1,BTCUSDT,64000.05,64001.05\n")).moments
    assert moment.bids == ((Decimal(64000), Decimal("0.384")),)
    assert moment.asks == ((Decimal("64001.1"), Decimal("0.384")),)


def test_who_paid_the_ask_bought(tmp_path: Path) -> None:
    rows = "time,symbol,bid,ask,last\n1,BTCUSDT,1,2,2\n1,BTCUSDT,1,2,1\n"
    assert [moment.taker for moment in read_recording(a_file(tmp_path, rows)).moments] == [Side.BUY, Side.SELL]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("1,NOSUCH,1,2", "line 2: ValueError: NOSUCH is not listed"),
        ("1,BTCUSDT,2,1", "line 2: ValueError: bid 2 is not below ask 1"),
        ("1,BTCUSDT,x,1", "line 2: InvalidOperation"),
        ("yesterday,BTCUSDT,1,2", "line 2: ValueError"),
        ("2,BTCUSDT,1,2\n1,BTCUSDT,1,2", "REPLAY_ORDER: line 3"),
        ("", "REPLAY_EMPTY"),
    ],
)
def test_a_record_that_cannot_be_used_is_named(tmp_path: Path, row: str, why: str) -> None:
    with pytest.raises(ReplayError, match=why):
        read_recording(a_file(tmp_path, f"time,symbol,bid,ask\n{row}\n"))


# -- playing it ---------------------------------------------------------------------------------------------------


async def test_markets_follow_the_recording_and_stand_still_at_its_end(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with PaperExchange(replaying(a_file(tmp_path))) as exchange:
        client = PaperClient(exchange, http)
        row = await eventually(lambda: ticker(client, "ETHUSDT"), lambda row: row["bid1Price"] == "3190")
        assert row["lastPrice"] == "3190.5"
        row = await ticker(client)
        assert (row["bid1Price"], row["ask1Price"], row["ask1Size"]) == ("65990", "66010", "3")
        assert row["lastPrice"] == "66000"


async def test_a_recorded_trade_reaches_resting_orders_that_stand_in_its_way(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Someone sold 0.5 down to 64000: a bid of ours at 64500 is better than the market's own, and fills."""
    rows = "time,symbol,bid,ask,last,bid_size,last_size\n1,BTCUSDT,64000,65000,64000,1,0.5\n"
    options = replaying(a_file(tmp_path, rows))
    async with PaperExchange(dataclasses.replace(options, replay=None)) as exchange:
        client = PaperClient(exchange, http)
        await client.pin(bids=[["64000", "1"]], asks=[["65000", "1"]])
        placed = await client.placed("Buy", "0.3", "64500")
        for moment in read_recording(a_file(tmp_path, rows)).moments:
            exchange.books.perform(lambda moment=moment: exchange.books.venue.replay(moment))
        row = await client.shown(str(placed["orderId"]))
        assert (row["orderStatus"], row["avgPrice"]) == ("Filled", "64500")
        (bid, _) = (await client.get("market/orderbook", symbol="BTCUSDT"))["result"]["b"][0]
        assert bid == "64000"


async def test_a_restart_goes_on_where_it_stopped(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """The same file again plays nothing twice: what was set by hand since then stands."""
    options = replaying(a_file(tmp_path), database=tmp_path / "books.sqlite")
    async with PaperExchange(options) as exchange:
        client = PaperClient(exchange, http)
        await eventually(lambda: ticker(client, "ETHUSDT"), lambda row: row["bid1Price"] == "3190")
        await client.pin(bids=[["50000", "1"]], asks=[["50010", "1"]])
    async with PaperExchange(options) as exchange:
        client = PaperClient(exchange, http)
        await client.get("market/time")
        assert (await ticker(client))["bid1Price"] == "50000"


async def test_it_begins_again_if_it_loops(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with PaperExchange(replaying(a_file(tmp_path), replay_loops=True)) as exchange:
        client = PaperClient(exchange, http)
        await eventually(lambda: ticker(client), lambda row: row["bid1Price"] == "65990")
        await eventually(lambda: ticker(client), lambda row: row["bid1Price"] == "64990")


async def test_a_file_that_cannot_be_read_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ReplayError):
        await PaperExchange(replaying(a_file(tmp_path, "time,symbol\n"))).start()
