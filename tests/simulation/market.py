"""The `Market` port: one grid for every symbol, prices that wander, an operator who halts trading."""

from __future__ import annotations

import random
from decimal import Decimal

from domain.errors import Uncertain
from domain.instruments import Instrument, InstrumentRules, Quote
from domain.plans import TradingState
from simulation.calls import Road
from simulation.listing import coin_of, lot_of
from simulation.virtual_time import SimulatedClock
from streams.market_view import MarketView

MARK = Decimal(100)
TICK = Decimal("0.1")


class SimulatedMarket:
    """Survives every process."""

    def __init__(self, clock: SimulatedClock, chance: random.Random, road: Road) -> None:
        self._clock = clock
        self._chance = chance
        self._road = road
        self._flat = road.weather.flat_prices
        self.halted: set[str] = set()

    async def rules(self, instrument: Instrument) -> InstrumentRules | None:
        """The same for all."""
        if self._road.happens(0.05):
            raise Uncertain("RULES_UNKNOWN", "the venue does not say what it trades")
        return InstrumentRules(
            instrument=instrument,
            trading=True,
            base_currency=coin_of(instrument),
            quote_currency=instrument.symbol[3:],
            settle_currency=coin_of(instrument) if instrument.inverse else instrument.symbol[3:],
            tick=TICK,
            lot=lot_of(instrument),
            min_quantity=lot_of(instrument),
            max_quantity=Decimal(1000),
            max_market_quantity=Decimal(1000),
            min_notional=Decimal(1),
            min_price=Decimal("0.1"),
            max_price=Decimal(100_000),
            fetched_at_ns=self._clock.now_ns(),
        )

    async def quote(self, instrument: Instrument) -> Quote | None:
        """Around 100."""
        if self._road.happens(0.05):
            return None
        middle = MARK + Decimal(0 if self._flat else self._chance.randint(-20, 20)) / 10
        half = Decimal("0.2")
        return Quote(bid=middle - half, ask=middle + half, last=middle, mark=middle, at_ns=self._clock.now_ns())

    def mark(self, instrument: Instrument) -> Decimal | None:
        """What positions are valued at."""
        return MARK

    def available(self, account: str, currency: str) -> tuple[Decimal, int] | None:
        """A rich account, unknown now and then."""
        return None if self._road.happens(0.01) else (Decimal(1_000_000), self._clock.now_ns())

    def trading(self, instrument: Instrument) -> tuple[TradingState, str]:
        """Halted or armed."""
        if instrument.symbol in self.halted:
            return TradingState.HALTED, "an operator has halted it"
        return TradingState.ARMED, ""


class MarketHere:
    """The market as one process sees it: controls, and where balances are limited these too, as it has heard them."""

    def __init__(self, market: SimulatedMarket, view: MarketView, *, whole: bool) -> None:
        """`whole`: balances are those of the broadcast."""
        self._market = market
        self._view = view
        self._whole = whole
        self.rules = market.rules
        self.quote = market.quote

    def available(self, account: str, currency: str) -> tuple[Decimal, int] | None:
        """What new orders may use, and when that was so."""
        where = self._view if self._whole else self._market
        return where.available(account, currency)

    def trading(self, instrument: Instrument) -> tuple[TradingState, str]:
        """The stricter of the two."""
        state, why = self._market.trading(instrument)
        return (state, why) if state is TradingState.HALTED else self._view.trading(instrument)
