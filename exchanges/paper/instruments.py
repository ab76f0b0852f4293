"""The contracts that are listed: USDT perpetuals with the rules and the habits of their market.

Ticks, lots and minimums have the size that they have on the venue; the starting prices are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from exchanges.paper.vocabulary import Category


@dataclass(frozen=True, slots=True)
class Instrument:
    """One contract. Quantities are in the base coin, prices and values in USDT.

    `spread_ppm` (of the price) and `volatility_ppm` (of the price, per step) are the habits of the synthetic market.
    """

    base: str
    anchor_price: Decimal
    tick: Decimal
    lot: Decimal
    max_limit_qty: Decimal
    max_market_qty: Decimal
    max_leverage: Decimal
    spread_ppm: int
    volatility_ppm: int
    category: Category = Category.LINEAR
    quote: str = "USDT"
    min_notional: Decimal = Decimal(5)

    @property
    def symbol(self) -> str:
        return f"{self.base}{self.quote}"

    @property
    def min_qty(self) -> Decimal:
        return self.lot

    @property
    def min_price(self) -> Decimal:
        return self.tick

    @property
    def max_price(self) -> Decimal:
        return self.tick * 19_999_990

    @property
    def price_scale(self) -> int:
        exponent = self.tick.as_tuple().exponent
        return -exponent if isinstance(exponent, int) else 0


def _perpetual(
    base: str,
    price: str,
    tick: str,
    lot: str,
    limits: tuple[int, int],
    leverage: int,
    habits: tuple[int, int],
) -> Instrument:
    return Instrument(
        base=base,
        anchor_price=Decimal(price),
        tick=Decimal(tick),
        lot=Decimal(lot),
        max_limit_qty=Decimal(limits[0]),
        max_market_qty=Decimal(limits[1]),
        max_leverage=Decimal(leverage),
        spread_ppm=habits[0],
        volatility_ppm=habits[1],
    )


# A spread of 1000 ppm is 0.1 % of the price: the list has symbols well below it, around it and above it, and each
# symbol's own spread breathes between half and twice its habit.
_LISTED: Final = (
    _perpetual("BTC", "65000", "0.1", "0.001", (1190, 119), 100, (150, 250)),
    _perpetual("ETH", "3200", "0.01", "0.01", (7240, 724), 100, (200, 300)),
    _perpetual("SOL", "150", "0.01", "0.1", (79770, 7977), 100, (500, 400)),
    _perpetual("XRP", "0.6", "0.0001", "0.1", (6_000_000, 1_000_000), 75, (700, 350)),
    _perpetual("BNB", "580", "0.1", "0.01", (2000, 400), 75, (600, 300)),
    _perpetual("ADA", "0.45", "0.0001", "1", (5_420_000, 542_000), 75, (900, 400)),
    _perpetual("DOGE", "0.12", "0.00001", "1", (33_000_000, 3_300_000), 75, (900, 500)),
    _perpetual("AVAX", "30", "0.001", "0.1", (160_000, 16_000), 75, (1000, 450)),
    _perpetual("DOT", "6", "0.0001", "0.1", (700_000, 70_000), 75, (1000, 400)),
    _perpetual("LINK", "14", "0.001", "0.1", (333_000, 33_300), 75, (1000, 400)),
    _perpetual("LTC", "80", "0.01", "0.1", (46_000, 4_600), 75, (1100, 350)),
    _perpetual("BCH", "400", "0.1", "0.01", (4_700, 470), 75, (1200, 400)),
    _perpetual("ATOM", "7", "0.001", "0.1", (300_000, 30_000), 50, (1300, 400)),
    _perpetual("NEAR", "5", "0.001", "0.1", (500_000, 50_000), 50, (1300, 500)),
    _perpetual("APT", "9", "0.0005", "0.01", (160_000, 16_000), 50, (1400, 500)),
    _perpetual("ARB", "0.8", "0.0001", "0.1", (3_000_000, 300_000), 50, (1500, 500)),
    _perpetual("OP", "1.8", "0.0001", "0.1", (1_400_000, 140_000), 50, (1500, 500)),
    _perpetual("SUI", "1.1", "0.00005", "10", (2_000_000, 200_000), 50, (1600, 550)),
    _perpetual("TRX", "0.13", "0.00001", "1", (17_000_000, 1_700_000), 50, (800, 250)),
    _perpetual("FIL", "4.4", "0.0001", "0.1", (500_000, 50_000), 50, (1700, 450)),
    _perpetual("INJ", "23", "0.001", "0.1", (70_000, 7_000), 50, (1800, 550)),
    _perpetual("TIA", "6.5", "0.001", "0.1", (200_000, 20_000), 50, (2000, 600)),
    _perpetual("SEI", "0.35", "0.00001", "1", (6_000_000, 600_000), 50, (2200, 600)),
    _perpetual("WLD", "2.4", "0.0001", "0.1", (500_000, 50_000), 50, (2500, 650)),
)

INSTRUMENTS: Final[dict[str, Instrument]] = {instrument.symbol: instrument for instrument in _LISTED}
