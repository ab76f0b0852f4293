"""What the venue lists: linear contracts, spot pairs and inverse contracts of a few coins, all worth about 100."""

from __future__ import annotations

from decimal import Decimal

from domain.instruments import INVERSE, LINEAR, Instrument
from simulation.weather import Weather

VENUE = "paper"
CATEGORY = LINEAR
DOLLAR = "USDT"
_COINS = ("BTC", "ETH", "SOL", "XRP")
_LOT = Decimal("0.01")


def listed(weather: Weather) -> list[Instrument]:
    """Every instrument that is traded in this weather."""
    return [
        Instrument(VENUE, category, coin + ("USD" if category == INVERSE else DOLLAR))
        for coin in _COINS[: weather.symbols]
        for category in weather.categories
    ]


def coin_of(instrument: Instrument) -> str:
    """What is bought and sold; of an inverse contract, what settles it."""
    return instrument.symbol[:3]


def lot_of(instrument: Instrument) -> Decimal:
    """Inverse contracts are of one dollar each."""
    return Decimal(1) if instrument.inverse else _LOT
