"""The books: asking for them page by page, the control interface, and finding everything again after the end."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
import sys
import textwrap
import time
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from paper_client import STILL, Fields, PaperClient

from exchanges.paper import PaperExchange, PaperOptions, RateLimits


async def pages(client: PaperClient, endpoint: str, *, encoded: bool = True, **fields: object) -> list[list[Fields]]:
    """All pages, following the cursor; `encoded` False sends it as it stood, as some clients do."""
    found: list[list[Fields]] = []
    cursor = ""
    while True:
        extra = {"cursor": cursor if encoded else cursor.replace("%3D", "=").replace("%26", "&")} if cursor else {}
        result = (await client.get(endpoint, **fields, **extra))["result"]
        found.append(result["list"])
        cursor = result["nextPageCursor"]
        if not cursor:
            return found


@pytest.mark.parametrize("encoded", [True, False])
async def test_open_orders_come_newest_first_page_by_page(client: PaperClient, encoded: bool) -> None:
    placed = [(await client.placed("Buy", "0.01", str(60000 + n)))["orderId"] for n in range(7)]
    found = await pages(client, "order/realtime", symbol="BTCUSDT", limit=3, encoded=encoded)
    assert [len(page) for page in found] == [3, 3, 1]
    assert [row["orderId"] for page in found for row in page] == placed[::-1]


async def test_pages_do_not_slip_when_orders_come_in_between(client: PaperClient) -> None:
    placed = [(await client.placed("Buy", "0.01", str(60000 + n)))["orderId"] for n in range(4)]
    first = (await client.get("order/realtime", symbol="BTCUSDT", limit=2))["result"]
    await client.placed("Buy", "0.01", "61000")
    second = (await client.get("order/realtime", symbol="BTCUSDT", limit=2, cursor=first["nextPageCursor"]))["result"]
    assert [row["orderId"] for row in first["list"] + second["list"]] == placed[::-1]


async def test_executions_are_paged_and_filtered(client: PaperClient) -> None:
    rows = [await client.placed("Buy", "0.1") for _ in range(5)]
    found = await pages(client, "execution/list", symbol="BTCUSDT", limit=2)
    assert [fill["orderId"] for page in found for fill in page] == [row["orderId"] for row in reversed(rows)]
    (own,) = await client.rows("execution/list", orderId=rows[1]["orderId"])
    assert own["orderId"] == rows[1]["orderId"]
    assert await client.rows("execution/list", symbol="ETHUSDT") == []
    assert await client.rows("execution/list", execType="Funding") == []
    assert await client.rows("execution/list", startTime=1, endTime=2) == []


async def test_closed_orders_are_in_the_history_and_open_ones_are_not(client: PaperClient) -> None:
    await client.placed("Buy", "0.1", "64000")
    filled = await client.placed("Buy", "0.1")
    cancelled = await client.placed("Buy", "1", "65010", timeInForce="PostOnly")
    rows = await client.rows("order/history", symbol="BTCUSDT")
    assert [row["orderId"] for row in rows] == [cancelled["orderId"], filled["orderId"]]
    (only,) = await client.rows("order/history", orderStatus="Filled")
    assert only["orderId"] == filled["orderId"]


async def test_recently_closed_orders_are_found_in_realtime_by_id_and_with_open_only_1(
    client: PaperClient,
) -> None:
    filled = await client.placed("Buy", "0.1", orderLinkId="f")
    (by_link,) = await client.rows("order/realtime", orderLinkId="f")
    (by_flag,) = await client.rows("order/realtime", symbol="BTCUSDT", openOnly=1)
    assert by_link == by_flag
    assert by_link["orderId"] == filled["orderId"]
    assert await client.rows("order/realtime", symbol="BTCUSDT") == []


async def test_order_id_goes_before_link_id(client: PaperClient) -> None:
    first = await client.placed("Buy", "0.1", "64000", orderLinkId="one")
    await client.placed("Buy", "0.1", "64000", orderLinkId="two")
    reply = await client.post("order/cancel", symbol="BTCUSDT", orderId=first["orderId"], orderLinkId="two")
    assert reply["result"]["orderLinkId"] == "one"


@pytest.mark.parametrize("odd", ["9" * 40, "1e3", "-", "\ud83d", "%00"])
@pytest.mark.parametrize("name", ["startTime", "limit", "cursor", "orderId", "symbol"])
async def test_odd_parameters_are_answered(client: PaperClient, name: str, odd: str) -> None:
    odd = odd.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    reply = await client.get("execution/list", **{name: odd})
    assert reply["retCode"] in {0, 10001}


@pytest.mark.parametrize("endpoint", ["order/realtime", "position/list"])
async def test_a_question_without_any_symbol_is_refused(client: PaperClient, endpoint: str) -> None:
    assert (await client.get(endpoint))["retCode"] == 10001


async def test_linear_positions_are_asked_by_symbol_or_settle_coin(client: PaperClient) -> None:
    reply = await client.get("position/list", baseCoin="BTC")
    words = "Missing some parameters that must be filled in, symbol or settleCoin"
    assert (reply["retCode"], reply["retMsg"]) == (10001, words)


async def test_a_position_that_was_never_traded_has_no_sequence_number(client: PaperClient) -> None:
    assert (await client.position())["seq"] == -1
    await client.placed("Buy", "0.1")
    await client.placed("Sell", "0.1", reduceOnly=True)
    assert int((await client.position())["seq"]) > 0


async def test_a_range_of_more_than_seven_days_is_refused(client: PaperClient) -> None:
    reply = await client.get("execution/list", startTime=0, endTime=8 * 24 * 3600 * 1000)
    assert reply["retCode"] == 10001


async def test_instruments_carry_the_rules_that_orders_are_checked_by(client: PaperClient) -> None:
    rows = await client.rows("market/instruments-info")
    assert len(rows) >= 20
    bitcoin = next(row for row in rows if row["symbol"] == "BTCUSDT")
    assert bitcoin["priceFilter"]["tickSize"] == "0.1"
    assert bitcoin["lotSizeFilter"]["minNotionalValue"] == "5"
    assert await client.rows("market/instruments-info", category="option") == []
    two_pages = await pages(client, "market/instruments-info", limit=len(rows) - 1)
    assert [len(page) for page in two_pages] == [len(rows) - 1, 1]


async def test_questions_that_clients_ask_first_are_answered(client: PaperClient) -> None:
    assert (await client.get("user/query-api"))["result"]["uta"] == 1
    assert (await client.get("account/info"))["result"]["unifiedMarginStatus"] == 6
    coins = (await client.get("asset/coin/query-info"))["result"]["rows"]
    assert {"USDT", "BTC"} <= {row["coin"] for row in coins}
    (rate,) = await client.rows("account/fee-rate", symbol="BTCUSDT")
    assert rate["takerFeeRate"] == "0.00055"
    assert set((await client.get("market/time"))["result"]) == {"timeSecond", "timeNano"}


async def test_the_books_are_shown_whole_and_exact(client: PaperClient) -> None:
    await client.placed("Buy", "1.5", orderLinkId="b")
    books = await client.books()
    (order,), (first, second) = books["orders"], books["executions"]
    assert order["orderLinkId"] == "b"
    assert (first["execPrice"], second["execPrice"]) == ("65010", "65020")
    (position,) = books["positions"]
    assert position == {
        "category": "linear",
        "symbol": "BTCUSDT",
        "positionIdx": 0,
        "size": "1.5",
        "avg_price": "65013.333333333333333333",
        "realised_pnl": "0",
        "fees": "53.636",
    }
    assert (books["wallet"]["balance"], books["wallet"]["deposit"]) == ("99946.364", "100000")
    assert (await client.books(orderLinkId="nothing"))["orders"] == []


async def test_every_call_is_counted(client: PaperClient) -> None:
    await client.placed("Buy", "0.1", "64000")
    await client.order("Buy", "0", "64000")
    counted = (await client.ask("stats"))["endpoints"]["order/create"]
    assert counted == {"arrived": 2, "accepted": 1, "refused": 1}


async def test_a_reset_starts_from_nothing_with_new_ids(http: aiohttp.ClientSession) -> None:
    async with PaperExchange(dataclasses.replace(STILL, id_salt=None)) as exchange:
        client = PaperClient(exchange, http)
        before = await client.placed("Buy", "0.1")
        await client.control("reset")
        assert (await client.books())["orders"] == []
        assert await client.balance() == 100_000
        after = await client.placed("Buy", "0.1")
        assert after["orderId"] != before["orderId"]


async def test_health_says_so_when_the_books_cannot_be_written(client: PaperClient, exchange: PaperExchange) -> None:
    assert (await client.ask("health"))["status"] == "ok"
    exchange.books.store._db.execute("PRAGMA query_only=ON")
    reply = await client.order("Buy", "0.1", "64000")
    assert reply["retCode"] == 10016
    health = await client.ask("health")
    assert (health["status"], health["reason"].split(":")[0]) == ("broken", "BOOKS_NOT_WRITTEN")


@pytest.mark.parametrize(
    ("call", "wish"),
    [
        ("market", {"symbol": "NOPE"}),
        ("market", {"symbol": "BTCUSDT", "bids": [["2", "1"]], "asks": [["1", "1"]]}),
        ("market", {"symbol": "BTCUSDT", "asks": [["2", "1"], ["1", "1"]]}),
        ("market", {"symbol": "BTCUSDT", "asks": [["2", "0"]]}),
        ("market", {"mids": "1"}),
        ("market", {"bids": [["1", "1"]]}),
        ("market", {"symbol": "BTCUSDT", "bids": [["1.05", "1"]]}),
        ("market", {"symbol": "BTCUSDT", "asks": [["1", "0.0001"]]}),
        ("reset", {"book": False}),
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused(client: PaperClient, call: str, wish: Fields) -> None:
    async with client.http.post(f"{client.exchange.url}/paper/{call}", json=wish) as reply:
        assert reply.status == 400


# -- rate limits --------------------------------------------------------------------------------------------------


async def test_the_headers_of_the_limit_are_always_there(client: PaperClient) -> None:
    async with client.http.get(f"{client.exchange.url}/v5/market/time") as reply:
        assert int(reply.headers["X-Bapi-Limit-Status"]) < int(reply.headers["X-Bapi-Limit"])
        assert "X-Bapi-Limit-Reset-Timestamp" in reply.headers


async def test_a_limit_refuses_what_is_over_it_and_cancels_have_their_own(
    http: aiohttp.ClientSession,
) -> None:
    async with PaperExchange(dataclasses.replace(STILL, rate_limits=RateLimits(orders_per_s=3))) as exchange:
        client = PaperClient(exchange, http)
        codes = [(await client.order("Buy", "0.01", "64000"))["retCode"] for _ in range(5)]
        assert codes == [0, 0, 0, 10006, 10006]
        assert (await client.post("order/cancel-all", symbol="BTCUSDT"))["retCode"] == 0


# -- the end and a new beginning -----------------------------------------------------------------------------------


@pytest.fixture
def on_disk(tmp_path: Path) -> PaperOptions:
    return dataclasses.replace(STILL, database=tmp_path / "books" / "paper.db")


async def test_everything_is_found_again_after_a_restart(on_disk: PaperOptions, http: aiohttp.ClientSession) -> None:
    async with PaperExchange(on_disk) as exchange:
        client = PaperClient(exchange, http)
        await client.pin(bids=[["64990", "1"]], asks=[["65010", "1"]])
        await client.placed("Buy", "0.7", orderLinkId="filled")
        await client.placed("Buy", "2", "65010", orderLinkId="partial")
        await client.post("position/set-leverage", symbol="ETHUSDT", buyLeverage="3", sellLeverage="3")
        before, market = await client.books(), await client.ask("market?symbol=BTCUSDT")
    async with PaperExchange(on_disk) as exchange:
        client = PaperClient(exchange, http)
        assert await client.books() == before
        assert await client.ask("market?symbol=BTCUSDT") == market  # crossed quotes do not come back
        (open_order,) = await client.rows("order/realtime", symbol="BTCUSDT")
        assert (open_order["orderLinkId"], open_order["leavesQty"]) == ("partial", "1.7")
        assert (await client.order("Buy", "1", orderLinkId="filled"))["retCode"] == 110072
        assert (await client.position("ETHUSDT"))["leverage"] == "3"
        assert await client.rows("order/realtime", orderLinkId="filled") == []  # that memory is lost, as on the venue
        assert len(await client.rows("order/history", orderLinkId="filled")) == 1


async def test_a_positions_row_tells_which_execution_it_contains_after_a_restart_too(
    on_disk: PaperOptions, http: aiohttp.ClientSession
) -> None:
    told: list[tuple[object, ...]] = []

    async def look(client: PaperClient) -> None:
        row, (last, *_) = await client.position(), await client.rows("execution/list", symbol="BTCUSDT")
        assert (row["seq"], row["updatedTime"]) == (last["seq"], last["execTime"])
        told.append((row["size"], row["seq"]))

    async with PaperExchange(on_disk) as exchange:
        client = PaperClient(exchange, http)
        assert (await client.position())["seq"] == -1
        await client.placed("Buy", "1")
        await look(client)
    async with PaperExchange(on_disk) as exchange:
        client = PaperClient(exchange, http)
        await look(client)
        await client.post("position/set-leverage", symbol="BTCUSDT", buyLeverage="3", sellLeverage="3")
        await client.control("liquidation", symbol="BTCUSDT", uid=100_001, why="adl", qty="0.4")
        await look(client)
        await client.placed("Sell", "0.6")
        await look(client)

    assert [size for size, _ in told] == ["1", "1", "0.6", "0"]
    assert told[0] == told[1]
    assert told[1][1] < told[2][1] < told[3][1]  # type: ignore[operator]


async def test_a_restarted_book_still_matches_and_numbers_on(
    on_disk: PaperOptions, http: aiohttp.ClientSession
) -> None:
    async with PaperExchange(on_disk) as exchange:
        client = PaperClient(exchange, http)
        await client.pin()
        resting = await client.placed("Sell", "1", "65000")
    async with PaperExchange(on_disk) as exchange:
        client = PaperClient(exchange, http)
        taker = await client.placed("Buy", "1", "65000")
        assert taker["orderStatus"] == "Filled"
        assert (await client.shown(resting["orderId"]))["orderStatus"] == "Filled"
        assert len({fill["execId"] for fill in (await client.books())["executions"]}) == 2


async def test_unfilled_cancelled_orders_are_forgotten_by_the_history(http: aiohttp.ClientSession) -> None:
    async with PaperExchange(dataclasses.replace(STILL, unfilled_history_s=-1)) as exchange:
        client = PaperClient(exchange, http)
        await client.placed("Buy", "1", "64000", orderLinkId="gone")
        await client.post("order/cancel-all", symbol="BTCUSDT")
        await client.placed("Buy", "0.01", orderLinkId="kept")
        rows = await client.rows("order/history", symbol="BTCUSDT")
        assert [row["orderLinkId"] for row in rows] == ["kept"]
        assert (await client.order("Buy", "1", "64000", orderLinkId="gone"))["retCode"] == 110072


SERVER = """
    import asyncio, pathlib, sys
    from exchanges.paper import PaperExchange, PaperOptions

    async def main():
        exchange = PaperExchange(PaperOptions(port=0, market_interval_s=0, database=pathlib.Path(sys.argv[1])))
        await exchange.start()
        print(exchange.port, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """Orders are placed without pause until the process is killed with -9: each acknowledged one is in the books."""
    path = tmp_path / "paper.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(SERVER), str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    exchange = PaperExchange(PaperOptions(port=int(await process.stdout.readline())))
    client = PaperClient(exchange, http)
    acknowledged: list[str] = []
    deadline_s = time.monotonic() + 30
    try:
        while time.monotonic() < deadline_s:
            reply = await client.order("Buy", "0.001", str(30000 + len(acknowledged)))
            acknowledged.append(reply["result"]["orderId"])
            if len(acknowledged) == 60:
                process.kill()
    except aiohttp.ClientError:
        await process.wait()
    assert len(acknowledged) >= 60
    books = sqlite3.connect(path)
    kept = {row[0] for row in books.execute("SELECT order_id FROM orders")}
    books.close()
    assert set(acknowledged) <= kept
    assert len(kept) <= len(acknowledged) + 1


async def test_two_exchanges_cannot_share_their_books(on_disk: PaperOptions) -> None:
    async with PaperExchange(on_disk):
        with pytest.raises(OSError, match="BOOKS_IN_USE"):
            await PaperExchange(on_disk).start()


async def test_an_operation_that_fails_half_way_breaks_the_books(
    client: PaperClient, exchange: PaperExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_order: object) -> None:
        raise ZeroDivisionError("by the test")

    monkeypatch.setattr(exchange.books.store, "put_order", fail)
    assert (await client.order("Buy", "0.1", "64000"))["retCode"] == 10016
    monkeypatch.undo()
    assert (await client.order("Buy", "0.1", "64000"))["retCode"] == 10016
    assert (await client.ask("health"))["reason"].startswith("VENUE_FAILED: ZeroDivisionError")


async def test_a_port_that_is_taken_is_an_error_at_once(exchange: PaperExchange) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await PaperExchange(dataclasses.replace(STILL, port=exchange.port)).start()


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="NO_KEYS"):
        PaperOptions(keys=())
    with pytest.raises(ValueError, match="KEY_TWICE"):
        PaperOptions(keys=(STILL.keys[0], STILL.keys[0]))
    assert "paper-secret" not in repr(PaperOptions(deposit=Decimal(1)))
