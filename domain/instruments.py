"""Instruments and the rules that their venue sets for orders in them."""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Instrument(msgspec.Struct, frozen=True, order=True):
    """What is traded, where: the canonical symbol is upper case and the Kafka key; adapters translate it."""

    venue: str
    category: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.venue}/{self.category}/{self.symbol}"


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
