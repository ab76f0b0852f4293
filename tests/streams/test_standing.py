"""What a position adds to the account's figures: fees in every currency count, or somebody is told (R03, P06)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from fakes import MemoryRows
from quiet_venue import NOW, SECOND
from trading_desk import ACCOUNT, MovedClock

from domain.exposure import SymbolLoad
from domain.instruments import Instrument
from domain.orders import PositionSide, Side
from domain.updates import FillReport, Origin
from streams.standing import Standing
from tables.orders import OrderTable, order_index
from tables.positions import PositionTable, position_index
from tables.receipt import Receipt

PRICES = {"BNB": Decimal(600), "USDC": Decimal(1)}


def standing_after(instrument: Instrument, *fees: tuple[str, str]) -> tuple[Standing, SymbolLoad]:
    """Two bought at 100, with these fees (currency, amount); the mark is 110."""
    positions = PositionTable(MemoryRows([0], position_index))
    for number, (currency, fee) in enumerate(fees):
        fill = FillReport(
            instrument=instrument,
            account=ACCOUNT,
            origin=Origin.STREAM,
            received_ns=NOW,
            venue_order_id="v1",
            execution_id=f"e{number}",
            side=Side.BUY,
            price=Decimal(100),
            quantity=Decimal(2) / len(fees),
            fee=Decimal(fee),
            fee_currency=currency,
            executed_ns=NOW - SECOND + number,
        )
        positions.apply(0, fill, "o1", number, Receipt())
    standing = Standing(
        orders=OrderTable(MemoryRows([0], order_index)),
        positions=positions,
        mark=lambda _instrument: Decimal(110),
        dollars=PRICES.get,
        clock=MovedClock(),
    )
    return standing, standing.figures(0, instrument, SymbolLoad(symbol=instrument.symbol, worker="w1"))


@pytest.mark.parametrize(
    ("category", "symbol", "currency", "fee", "lost"),
    [
        ("linear", "BTCUSDT", "USDT", "0.5", "0.5"),
        ("linear", "BTCPERP", "USDC", "0.5", "0.5"),
        ("linear", "BTCUSDT", "BNB", "0.001", "0.6"),
        ("spot", "BTCUSDT", "USDT", "0.5", "0.5"),
        ("spot", "BTCUSDT", "BNB", "0.001", "0.6"),
    ],
)
def test_r03_a_fee_counts_at_its_price_in_dollars(
    category: str, symbol: str, currency: str, fee: str, lost: str
) -> None:
    standing, load = standing_after(Instrument("paper", category, symbol), (currency, fee))

    assert load.profit == load.profit_today == 20 - Decimal(lost)
    assert not standing.uncounted


def test_r03_an_inverse_contract_pays_in_its_coin_and_others_count_in_dollars() -> None:
    instrument = Instrument("paper", "inverse", "BTCUSD")

    standing, load = standing_after(instrument, ("BTC", "0.001"), ("BNB", "0.001"))

    won = Decimal("0.02") - Decimal("0.01818182") - Decimal("0.001")
    assert load.profit == won * 110 - Decimal("0.6")
    assert not standing.uncounted


def test_r03_a_fee_whose_price_nobody_knows_is_left_out_and_named() -> None:
    standing, load = standing_after(Instrument("paper", "linear", "BTCUSDT"), ("USDT", "0.5"), ("MNT", "400"))

    assert load.profit == Decimal("19.5")
    assert standing.uncounted == {"MNT"}


def test_r03_coins_that_came_from_elsewhere_and_were_sold_carry_nothing() -> None:
    pair = Instrument("paper", "spot", "BTCUSDT")
    positions = PositionTable(MemoryRows([0], position_index))
    sold = FillReport(
        instrument=pair,
        account=ACCOUNT,
        origin=Origin.STREAM,
        received_ns=NOW,
        venue_order_id="v1",
        execution_id="e1",
        side=Side.SELL,
        price=Decimal(100),
        quantity=Decimal(2),
        fee=Decimal(0),
        fee_currency="USDT",
        executed_ns=NOW - SECOND,
    )
    positions.apply(0, sold, "o1", 0, Receipt())
    orders = OrderTable(MemoryRows([0], order_index))
    standing = Standing(
        orders=orders, positions=positions, mark=lambda _pair: Decimal(110), dollars=PRICES.get, clock=MovedClock()
    )

    figures = standing.figures(0, pair, SymbolLoad(symbol=pair.symbol, category="spot", worker="w1"))

    assert figures.exposure == 0
    assert positions.get(0, pair, ACCOUNT, PositionSide.NET).state.size == -2
