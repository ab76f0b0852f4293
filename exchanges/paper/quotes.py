"""The synthetic market: a price process per symbol, and the quotes of a market maker around it.

Everything is drawn from a hash of (seed, symbol, step), in whole numbers of ticks and lots. So a market is the same for
the same seed on every machine, may be continued from any step, and no float comes near a price.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from exchanges.paper.exact import exactly
from exchanges.paper.instruments import Instrument, market_key
from exchanges.paper.vocabulary import Category, Side

MILLI: Final = 1000  # the process counts in thousandths of a tick, so that coarse ticks still drift
DEFAULT_LEVELS: Final = 10
PULL: Final = 2_000  # each step goes back one part in this many towards the starting price
BREATH_STEPS: Final = 240  # the spread goes from half to twice its habit and back in so many steps
TAKER_CHANCE: Final = 20_000  # of 65,536: how often a step brings a synthetic taker


def draws(seed: int, symbol: str, step: int) -> tuple[int, ...]:
    """32 numbers of 16 bits that belong to this step of this symbol."""
    digest = blake2b(f"{seed}|{symbol}|{step}".encode(), digest_size=64).digest()
    return tuple(int.from_bytes(digest[i : i + 2], "big") for i in range(0, 64, 2))


class MarketState(msgspec.Struct, kw_only=True):
    """What of a market outlives a restart. Overrides set by hand stand in it too; None means drawn.

    A pinned market stands still, with quotes that were set by hand.
    """

    symbol: str
    category: Category = Category.LINEAR
    step: int
    mid_milliticks: int
    last_price: Decimal
    spread: Decimal | None = None
    level_qty: Decimal | None = None
    levels: int = DEFAULT_LEVELS
    pinned: bool = False
    pinned_bids: list[tuple[Decimal, Decimal]] = []
    pinned_asks: list[tuple[Decimal, Decimal]] = []

    @property
    def key(self) -> str:
        """The name of the market."""
        return market_key(self.category, self.symbol)


@dataclass(slots=True)
class Level:
    price: Decimal
    qty: Decimal


@dataclass(slots=True)
class Quotes:
    """What the synthetic market maker offers, best price first; takers eat from it until the next step."""

    bids: list[Level] = field(default_factory=list)
    asks: list[Level] = field(default_factory=list)

    def side(self, side: Side) -> list[Level]:
        return self.bids if side is Side.BUY else self.asks


class SyntheticTaker(NamedTuple):
    """A market order of the synthetic crowd."""

    side: Side
    qty: Decimal


class PriceProcess:
    """The price of one symbol over its steps."""

    def __init__(self, instrument: Instrument, seed: int, state: MarketState | None = None) -> None:
        self._instrument = instrument
        self._seed = seed
        self._anchor = int(instrument.anchor_price / instrument.tick) * MILLI
        self.state = state or MarketState(
            symbol=instrument.symbol,
            category=instrument.category,
            step=0,
            mid_milliticks=self._anchor,
            last_price=instrument.anchor_price,
        )
        self._draws = draws(seed, instrument.walk, self.state.step)

    @property
    @exactly
    def mid_price(self) -> Decimal:
        """The middle of the process, floored to the tick: the mark price too."""
        return self.state.mid_milliticks // MILLI * self._instrument.tick

    @exactly
    def set_mid(self, price: Decimal) -> None:
        """Put the process to `price`; from there it goes on, around the new place."""
        self.state.mid_milliticks = self._anchor = int(price / self._instrument.tick * MILLI)

    def advance(self) -> None:
        """One step: a bounded random walk, with a weak pull towards where it started."""
        state = self.state
        state.step += 1
        self._draws = draws(self._seed, self._instrument.walk, state.step)
        wave = sum(self._draws[:4]) - 2 * 65_535  # four dice: -131,070 … 131,070, mostly near 0
        move = state.mid_milliticks * self._instrument.volatility_ppm * wave // (65_536 * 1_000_000)
        pull = (self._anchor - state.mid_milliticks) // PULL
        state.mid_milliticks = max(state.mid_milliticks + move + pull, self._anchor // 8, MILLI)

    @exactly
    def quotes(self) -> Quotes:
        """The market maker's quotes at this step, or those that were pinned."""
        if self.state.pinned:
            return Quotes(
                bids=[Level(price, qty) for price, qty in self.state.pinned_bids],
                asks=[Level(price, qty) for price, qty in self.state.pinned_asks],
            )
        tick = self._instrument.tick
        half_milliticks = self._spread_milliticks() // 2
        mid = self.state.mid_milliticks
        bid_ticks = (mid - half_milliticks) // MILLI
        ask_ticks = max(-((-mid - half_milliticks) // MILLI), bid_ticks + 1)
        gap_ticks = max(1, half_milliticks // (2 * MILLI))
        quotes = Quotes()
        for depth in range(self.state.levels):
            quotes.asks.append(Level(ask_ticks * tick, self._level_qty(depth, 4)))
            if bid_ticks > 0:
                quotes.bids.append(Level(bid_ticks * tick, self._level_qty(depth, 5)))
            ask_ticks += 1 + self._draw(2 * depth + 6) % gap_ticks
            bid_ticks -= 1 + self._draw(2 * depth + 7) % gap_ticks
        return quotes

    def taker(self) -> SyntheticTaker | None:
        """The synthetic market order of this step, if it brings one: at most about one level's quantity."""
        chance, size, side = self._draws[29:32]
        if chance >= TAKER_CHANCE or self.state.pinned:
            return None
        lots = max(1, self._base_lots() * size // 65_536)
        return SyntheticTaker(Side.BUY if side & 1 else Side.SELL, lots * self._instrument.lot)

    def _draw(self, place: int) -> int:
        return self._draws[place % len(self._draws)]

    def _spread_milliticks(self) -> int:
        if self.state.spread is not None:
            return int(self.state.spread / self._instrument.tick * MILLI)
        phase = (self.state.step + self._anchor) % BREATH_STEPS
        breath = abs(phase - BREATH_STEPS // 2)  # 0 … 120
        percent = 50 + breath * 150 * 2 // BREATH_STEPS + self._draw(28) % 21 - 10
        return self.state.mid_milliticks * self._instrument.spread_ppm * percent // 100_000_000

    def _base_lots(self) -> int:
        return int(self._instrument.habitual_qty / self._instrument.lot)

    def _level_qty(self, depth: int, salt: int) -> Decimal:
        if self.state.level_qty is not None:
            return self.state.level_qty
        percent = 40 + self._draw(3 * depth + salt) % 121
        return max(1, self._base_lots() * percent * (depth + 2) // 200) * self._instrument.lot
