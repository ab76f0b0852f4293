"""Instruments and the rules that their venue sets for orders in them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import msgspec

LINEAR: Final = "linear"
SPOT: Final = "spot"
INVERSE: Final = "inverse"
CATEGORIES: Final = (LINEAR, SPOT, INVERSE)
"""Kinds of instruments. Linear contracts and spot pairs count quantities in the base currency and values in the quote
currency. Inverse contracts count quantities in quote units, one each, and values in the base currency, which settles
them."""

DOLLARS: Final = frozenset({"USD", "USDT", "USDC", "USDE", "USD1"})
"""Quote currencies that limits of the account add up as if they were one."""

COIN_STEP: Final = Decimal("1e-8")
"""The smallest part of a coin that an inverse contract is settled in (Bybit v5, `execValue`)."""


def label(category: str, symbol: str) -> str:
    """See `Instrument.label`."""
    return symbol if category == LINEAR else f"{category}/{symbol}"


class Instrument(msgspec.Struct, frozen=True, order=True):
    """What is traded, where: the canonical symbol is upper case and the Kafka key; adapters translate it."""

    venue: str
    category: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.venue}/{self.category}/{self.symbol}"

    @property
    def label(self) -> str:
        """The symbol, with its category before it where that is not linear."""
        return label(self.category, self.symbol)

    @property
    def inverse(self) -> bool:
        """Whether it is settled in its base currency."""
        return self.category == INVERSE

    @property
    def spot(self) -> bool:
        """Whether what is bought is owned: no margin, nothing below zero."""
        return self.category == SPOT

    def value(self, quantity: Decimal, price: Decimal) -> Decimal:
        """What a quantity is worth at a price, in the currency that settles it. Exact, but for inverse contracts,
        whose worth is rounded to parts of a coin, half to even."""
        if self.category == INVERSE:
            return (quantity / price).quantize(COIN_STEP, rounding=ROUND_HALF_EVEN)
        return quantity * price

    def is_base(self, currency: str) -> bool:
        """Whether a spot pair's symbol names the currency as the one that is bought and sold."""
        return self.category == SPOT and bool(currency) and self.symbol.startswith(currency) and self.symbol != currency


class InstrumentRules(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's grid and bounds for one instrument (requirement D05)."""

    instrument: Instrument
    trading: bool
    base_currency: str
    quote_currency: str
    settle_currency: str
    tick: Decimal
    lot: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    max_market_quantity: Decimal
    min_notional: Decimal
    min_price: Decimal
    max_price: Decimal
    fetched_at_ns: int


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """Best prices of an instrument at a time, in quote currency."""

    bid: Decimal
    ask: Decimal
    last: Decimal
    mark: Decimal
    at_ns: int
