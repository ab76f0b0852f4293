"""`verify` and what is read of the venue: what its wallet has of a spot position, and whose books they are."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest
from pydantic import SecretStr

from app.settings import Settings
from app.verify import ledger
from app.verify.ledger import CANCELLED, FILLED, OPEN, ORDER, Ledger
from app.verify.venue_ledger import ledger_of_books, with_flat_positions
from exchanges.paper import ApiKey, PaperExchange, PaperOptions


@pytest.mark.parametrize(("total", "size"), [("5", "2"), ("1.5", "1.5"), ("-3", "0")], ids=["more", "less", "borrowed"])
def test_a_wallet_has_no_more_of_a_position_than_it_owns_and_not_less_than_nothing(total: str, size: str) -> None:
    ours = Ledger("tables", positions={"spot/BTCUSDT/net": {"size": Decimal(2)}})
    venue = Ledger("venue", of_venue=True, wallet={"BTC": Decimal(total)})

    assert with_flat_positions(venue, ours).positions == {"spot/BTCUSDT/net": {"size": Decimal(size)}}


async def test_the_books_of_a_paper_exchange_are_those_of_our_own_account() -> None:
    keys = (ApiKey("paper-key", "paper-secret", 100_001), ApiKey("second", "secret", 100_002))
    options = PaperOptions(port=0, keys=keys, market_interval_s=0)
    async with PaperExchange(options) as exchange, httpx.AsyncClient(base_url=exchange.url) as http:
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01"}
        placed = await http.post("/paper/orders", json={"uid": 100_002, "order": order})
        books = [
            await ledger_of_books(Settings(venue_rest_url=exchange.url, venue_key=SecretStr(pair.key))) for pair in keys
        ]

    assert placed.status_code == 200, placed.text
    assert [len(each.orders) for each in books] == [0, 1]
    assert [each.positions["BTCUSDT/net"]["size"] for each in books if each.positions] == [Decimal("0.01")]


@pytest.mark.parametrize(
    ("begun_ns", "standing", "expected"),
    [(200, CANCELLED, True), (50, CANCELLED, False), (50, FILLED, False), (50, OPEN, True)],
    ids=["placed within reach", "placed before", "placed before and filled", "placed before and open"],
)
def test_an_ended_order_is_missed_only_if_it_was_placed_within_reach(
    begun_ns: int, standing: str, expected: bool
) -> None:
    """The venue is asked for what ended by the time of placement (Bybit v5, "Get Order History")."""
    venue = Ledger("venue", of_venue=True, placed_since_ns=100, since_ns=160, unfilled_since_ns=160)
    entry = {"standing": standing, "executed_quantity": Decimal(1), "begun_ns": begun_ns, "at_ns": 300}

    assert ledger.expected(venue, ORDER, entry) is expected


@pytest.mark.parametrize(
    ("total", "shown"), [("3", ["2", "1"]), ("2.5", ["2", "0.5"]), ("1", ["1", "0"])], ids=["both", "less", "one"]
)
def test_what_a_wallet_has_counts_once_for_all_pairs_of_its_coin(total: str, shown: list[str]) -> None:
    held = {"spot/BTCUSDC/net": Decimal(2), "spot/BTCUSDT/net": Decimal(1), "spot/ETHUSDT/net": Decimal(7)}
    ours = Ledger("tables", positions={key: {"size": size} for key, size in held.items()})
    venue = Ledger("venue", of_venue=True, wallet={"BTC": Decimal(total), "ETH": Decimal(7)})

    positions = with_flat_positions(venue, ours).positions

    assert [positions[key]["size"] for key in held] == [*map(Decimal, shown), Decimal(7)]


def test_coins_that_were_sold_by_another_pair_are_not_missed() -> None:
    held = {"spot/BTCUSDC/net": Decimal(2), "spot/BTCUSDT/net": Decimal(-1)}
    ours = Ledger("tables", positions={key: {"size": size} for key, size in held.items()})
    venue = Ledger("venue", of_venue=True, wallet={"BTC": Decimal(1)})

    positions = with_flat_positions(venue, ours).positions

    assert {key: each["size"] for key, each in positions.items()} == held
