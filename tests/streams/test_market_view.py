"""What the account is worth, by what the broadcasts show (requirement R03)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from quiet_venue import NOW, QuietVenue
from trading_desk import ACCOUNT, BTC, TOPICS, MovedClock

from domain.instruments import Quote
from domain.plans import TradingState
from exchanges.venue import Balance
from streams import boards
from streams.broadcast import Broadcasts, Entry
from streams.market_view import MarketSettings, MarketView


def view(balances: dict[str, str], marks: dict[tuple[str, str], str]) -> MarketView:
    """What a worker sees when these balances, and marks by category and symbol, were told."""
    told = Broadcasts("nowhere:1", (TOPICS.balances, TOPICS.marks, TOPICS.instruments, TOPICS.controls))
    for currency, total in balances.items():
        balance = Balance(account=ACCOUNT, currency=currency, total=Decimal(total), available=Decimal(total), at_ns=NOW)
        key = boards.balance_key(ACCOUNT, currency)
        told.table(TOPICS.balances)[key] = Entry(boards.encode(balance), NOW, 0)
    for (category, symbol), price in marks.items():
        figure = Decimal(price)
        quote = Quote(bid=figure, ask=figure, last=figure, mark=figure, at_ns=NOW)
        told.table(TOPICS.marks)[boards.market_key(category, symbol)] = Entry(boards.encode(quote), NOW, 0)
    return MarketView(
        broadcasts=told,
        topics=TOPICS,
        trading=QuietVenue(),  # type: ignore[arg-type]  # it is not asked
        clock=MovedClock(),
        settings=MarketSettings(armed_by_default=True),
    )


MARKS = {("linear", "BTCUSDT"): "60000", ("spot", "SOLUSDT"): "150", ("inverse", "XRPUSD"): "0.5"}


@pytest.mark.parametrize(
    ("balances", "worth"),
    [
        ({"USDT": "1000.5"}, "1000.5"),
        ({"USDT": "1000", "USDC": "10"}, "1010"),
        ({"BTC": "0.25"}, "15000"),
        ({"USDT": "-500", "SOL": "10", "XRP": "100"}, "1050"),
        ({"USDT": "1000", "ODD": "7"}, "1000"),
    ],
    ids=["dollars", "two kinds of dollars", "a coin by its contract", "by pair and inverse contract", "no price"],
)
def test_r03_an_account_is_worth_its_dollars_and_its_coins_at_their_prices(
    balances: dict[str, str], worth: str
) -> None:
    assert view(balances, MARKS).worth(ACCOUNT) == Decimal(worth)


@pytest.mark.parametrize("balances", [{}, {"ODD": "7"}])
def test_r03_without_a_balance_that_can_be_priced_the_worth_is_unknown(balances: dict[str, str]) -> None:
    assert view(balances, MARKS).worth(ACCOUNT) is None


def test_r03_a_record_that_cannot_be_read_prices_nothing() -> None:
    market = view({"BTC": "1"}, {})
    market._broadcasts.table(TOPICS.marks)[boards.market_key("linear", "BTCUSDT")] = Entry(b"?", NOW, 0)

    assert market.dollars("BTC") is None


def test_r05_controls_that_can_not_be_read_stop_exposure_though_heartbeats_are_heard() -> None:
    market = view({}, {})
    told = market._broadcasts
    told.silent_s = lambda _topic: 0.0  # type: ignore[method-assign]
    told.unanswered_s = lambda topic: 3.5 if topic == TOPICS.controls else 0.0  # type: ignore[method-assign]

    assert market.trading(BTC) == (TradingState.REDUCE_ONLY, "controls could not be read for 3 s")
