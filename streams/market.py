"""What planning may know of the world outside our tables: rules, prices, balances, trading states."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from domain.instruments import Instrument, InstrumentRules, Quote
from domain.plans import TradingState


class Market(Protocol):
    """Answers from memory where they are fresh; asks the venue where they are not."""

    async def rules(self, instrument: Instrument) -> InstrumentRules | None:
        """The instrument's rules, or None when the venue does not list it. Raises `VenueError` if it can't be asked."""

    async def quote(self, instrument: Instrument) -> Quote | None:
        """Prices not older than the setting allows, or None when the venue has none to give."""

    def available(self, account: str, currency: str) -> tuple[Decimal, int] | None:
        """(what new orders may use, as of ns UTC); None when unknown or older than its limit (requirement R06)."""

    def trading(self, instrument: Instrument) -> tuple[TradingState, str]:
        """What may be traded now, and why. Synchronous: asked again right before every call."""
