"""Balances, positions, instruments and quotes, from the venue's words to ours."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.errors import InvalidInput
from domain.instruments import Instrument, Quote
from domain.money import parse_amount
from domain.orders import PositionSide
from exchanges.bybit import account
from exchanges.bybit.rows import Row

D = Decimal
AT_NS = 1_800_000_000_000_000_000


def wallet(**coin: object) -> Row:
    return Row({"accountType": "UNIFIED", "coin": [{"coin": "USDT", "walletBalance": "1000", **coin}]})


def test_a_balance_is_what_is_neither_locked_nor_margin() -> None:
    row = wallet(locked="10", totalOrderIM="20.5", totalPositionIM="30", unrealisedPnl="5", availableToWithdraw="")
    [balance] = account.balances(row, account="desk", at_ns=AT_NS)
    assert (balance.account, balance.currency, balance.at_ns) == ("desk", "USDT", AT_NS)
    assert (balance.total, balance.available) == (D(1000), D("939.5"))


def test_losses_that_are_not_realised_are_not_available() -> None:
    [balance] = account.balances(wallet(unrealisedPnl="-100"), account="desk", at_ns=AT_NS)
    assert (balance.total, balance.available) == (D(1000), D(900))


@pytest.mark.parametrize(
    ("fields", "total", "available"),
    [
        ({"spotBorrow": "800"}, "200", "200"),
        ({"spotBorrow": "800", "locked": "50", "unrealisedPnl": "-30"}, "200", "120"),
        ({"spotBorrow": "1200.5"}, "-200.5", "0"),
        ({"spotBorrow": ""}, "1000", "1000"),
        ({"bonus": "100", "totalPositionIM": "300"}, "1000", "600"),
        ({"bonus": ""}, "1000", "1000"),
    ],
    ids=["borrowed", "and locked", "more than there is", "nothing borrowed", "a bonus", "no bonus"],
)
def test_what_was_borrowed_is_not_owned_and_a_bonus_is_not_available(
    fields: dict[str, str], total: str, available: str
) -> None:
    [balance] = account.balances(wallet(**fields), account="desk", at_ns=AT_NS)
    assert (balance.total, balance.available, balance.available_known) == (D(total), D(available), True)


@pytest.mark.parametrize("empty", ["totalOrderIM", "totalPositionIM"])
def test_what_is_available_is_unknown_where_the_margins_are_not_told(empty: str) -> None:
    margins = {"totalOrderIM": "1", "totalPositionIM": "1"} | {empty: ""}
    [balance] = account.balances(wallet(**margins, spotBorrow="300"), account="desk", at_ns=AT_NS)
    assert (balance.total, balance.available, balance.available_known) == (D(700), D(0), False)


def test_what_is_available_is_never_below_nothing() -> None:
    [balance] = account.balances(wallet(totalPositionIM="1200"), account="desk", at_ns=AT_NS)
    assert balance.available == 0


def test_a_wallet_without_coins_has_no_balances() -> None:
    assert account.balances(Row({"coin": []}), account="desk", at_ns=AT_NS) == []


@pytest.mark.parametrize(
    ("side", "index", "size", "position_side"),
    [
        ("Buy", 0, D("1.5"), PositionSide.NET),
        ("Sell", 0, D("-1.5"), PositionSide.NET),
        ("Buy", 1, D("1.5"), PositionSide.LONG),
        ("Sell", 2, D("-1.5"), PositionSide.SHORT),
    ],
)
def test_a_positions_size_has_a_sign(side: str, index: int, size: Decimal, position_side: PositionSide) -> None:
    row = Row({"symbol": "ETHUSDT", "side": side, "size": "1.50", "positionIdx": index, "avgPrice": "2500.5"})
    position = account.position(row, venue="bybit", category="linear")
    assert (position.size, position.side, position.average_entry) == (size, position_side, D("2500.5"))


@pytest.mark.parametrize("side", ["", "None"])
def test_a_flat_position_has_no_side(side: str) -> None:
    row = Row({"symbol": "ETHUSDT", "side": side, "size": "0", "positionIdx": 0, "avgPrice": "0"})
    assert account.position(row, venue="bybit", category="linear").size == 0


@pytest.mark.parametrize(("seq", "sequence"), [(5723621632, 5723621632), ("5723621632", 5723621632), (-1, 0), ("", 0)])
def test_a_position_tells_what_it_contains(seq: object, sequence: int) -> None:
    row = Row({"symbol": "ETHUSDT", "side": "", "size": "0", "seq": seq, "updatedTime": "1800000000123"})
    position = account.position(row, venue="bybit", category="linear")
    assert (position.venue_sequence, position.updated_ns) == (sequence, 1_800_000_000_123_000_000)


def test_a_position_that_has_a_size_and_no_side_is_not_guessed() -> None:
    with pytest.raises(InvalidInput, match="side"):
        account.position(Row({"symbol": "ETHUSDT", "side": "None", "size": "1"}), venue="bybit", category="linear")


LINEAR = {
    "symbol": "ETHUSDT",
    "status": "Trading",
    "baseCoin": "ETH",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "priceFilter": {"minPrice": "0.05", "maxPrice": "199999.90", "tickSize": "0.05"},
    "lotSizeFilter": {
        "minOrderQty": "0.01",
        "maxOrderQty": "1500.0",
        "maxMktOrderQty": "300.0",
        "qtyStep": "0.01",
        "minNotionalValue": "5",
    },
}


def test_the_grid_of_a_linear_contract() -> None:
    rules = account.instrument_rules(Row(LINEAR), venue="bybit", category="linear", fetched_at_ns=AT_NS)
    assert rules.instrument == Instrument("bybit", "linear", "ETHUSDT")
    assert rules.trading
    assert (rules.base_currency, rules.quote_currency, rules.settle_currency) == ("ETH", "USDT", "USDT")
    assert (rules.tick, rules.lot, rules.min_quantity) == (D("0.05"), D("0.01"), D("0.01"))
    assert (rules.max_quantity, rules.max_market_quantity, rules.min_notional) == (D(1500), D(300), D(5))
    assert (rules.min_price, rules.max_price) == (D("0.05"), D("199999.9"))
    assert rules.fetched_at_ns == AT_NS


def test_an_instrument_that_is_not_trading_says_so() -> None:
    row = Row(LINEAR | {"status": "PreLaunch"})
    assert not account.instrument_rules(row, venue="bybit", category="linear", fetched_at_ns=AT_NS).trading


def test_the_grid_of_a_spot_pair_has_names_of_its_own() -> None:
    row = Row(
        {
            "symbol": "BTCUSDT",
            "status": "Trading",
            "baseCoin": "BTC",
            "quoteCoin": "USDT",
            "priceFilter": {"tickSize": "0.01"},
            "lotSizeFilter": {
                "basePrecision": "0.000001",
                "minOrderQty": "0.000011",
                "maxLimitOrderQty": "83",
                "maxMarketOrderQty": "41.5",
                "minOrderAmt": "5",
            },
        }
    )
    rules = account.instrument_rules(row, venue="bybit", category="spot", fetched_at_ns=AT_NS)
    assert (rules.lot, rules.tick, rules.min_notional) == (D("0.000001"), D("0.01"), D(5))
    assert (rules.max_quantity, rules.max_market_quantity) == (D(83), D("41.5"))
    assert (rules.min_price, rules.max_price) == (D("0.01"), account.NO_BOUND)
    assert rules.settle_currency == "USDT"


def test_the_figure_for_no_bound_can_be_read_by_ourselves() -> None:
    assert parse_amount("max_price", str(account.NO_BOUND)) == account.NO_BOUND


def test_a_grid_without_a_lot_is_not_guessed() -> None:
    with pytest.raises(InvalidInput, match="qtyStep"):
        account.instrument_rules(
            Row(LINEAR | {"lotSizeFilter": {}}), venue="bybit", category="linear", fetched_at_ns=AT_NS
        )


def test_a_quote_has_the_best_prices() -> None:
    row = Row({"bid1Price": "2500.0", "ask1Price": "2500.5", "lastPrice": "2500.2", "markPrice": "2500.31"})
    assert account.quote(row, at_ns=AT_NS) == Quote(
        bid=D(2500), ask=D("2500.5"), last=D("2500.2"), mark=D("2500.31"), at_ns=AT_NS
    )


def test_a_spot_quote_has_no_mark_of_its_own() -> None:
    row = Row({"bid1Price": "2500.0", "ask1Price": "2500.5", "lastPrice": "2500.2"})
    quote = account.quote(row, at_ns=AT_NS)
    assert quote is not None
    assert quote.mark == D("2500.2")


def test_there_is_no_quote_while_a_side_of_the_book_is_empty() -> None:
    assert account.quote(Row({"bid1Price": "", "ask1Price": "2500.5", "lastPrice": "2500.2"}), at_ns=AT_NS) is None


def test_a_balance_with_more_places_than_we_keep_is_cut_downwards():
    row = Row({"coin": [{"coin": "USDT", "walletBalance": "1001110.714936442014040953255", "unrealisedPnl": "-0.1"}]})

    (balance,) = account.balances(row, account="main", at_ns=1)

    assert balance.total == D("1001110.714936442014040953")
    assert balance.available == D("1001110.614936442014040953")
