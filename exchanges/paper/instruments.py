"""What is listed: USDT perpetuals, inverse perpetuals and spot pairs, with the rules and the habits of their markets.

Ticks, lots and minimums have the size that they have on the venue; the starting prices are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from exchanges.paper.exact import COIN_STEP, floored, rounded_quotient
from exchanges.paper.vocabulary import Category

LEVEL_VALUE: Final = Decimal(25_000)  # dollars that a level of the market maker's quotes is worth, more or less
QUOTE_PRICES: Final = {"BTC": 65_000}  # dollars; only for the size of what the market maker offers


@dataclass(frozen=True, slots=True)
class Instrument:
    """One contract or pair.

    Linear contracts and spot pairs count quantities in the base coin and values in the quote coin. Inverse contracts
    count quantities in dollars and values in the base coin, which settles them. `key` names the market: a spot pair
    may share its symbol with a contract. `spread_ppm` (of the price) and `volatility_ppm` (of the price, per step) are
    the habits of the synthetic market; markets with one `walk` draw the same steps, so their prices stay together.
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
    quote_step: Decimal = COIN_STEP
    walk: str = ""
    least_qty: Decimal | None = None
    symbol: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        symbol = f"{self.base}{self.quote}"
        object.__setattr__(self, "symbol", symbol)
        object.__setattr__(self, "key", market_key(self.category, symbol))
        object.__setattr__(self, "walk", self.walk or self.key)

    @property
    def is_spot(self) -> bool:
        return self.category is Category.SPOT

    @property
    def is_inverse(self) -> bool:
        return self.category is Category.INVERSE

    @property
    def settle(self) -> str:
        """The coin in which values, profits and margins are reckoned."""
        return self.base if self.is_inverse else self.quote

    @property
    def min_qty(self) -> Decimal:
        return self.lot if self.least_qty is None else self.least_qty

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

    @property
    def habitual_qty(self) -> Decimal:
        """What a level of the market maker's quotes holds, more or less."""
        if self.is_inverse:
            return floored(LEVEL_VALUE, self.lot)
        value = LEVEL_VALUE / QUOTE_PRICES.get(self.quote, 1)
        return max(self.lot, floored(value / self.anchor_price, self.lot))

    def value(self, qty: Decimal, price: Decimal) -> Decimal:
        """What `qty` is worth at `price`, in the settle coin; inverse values are rounded to 8 places, half to even."""
        return contract_value(self.category, qty, price)


def market_key(category: Category, symbol: str) -> str:
    """The name of a market: the symbol, and for a spot pair its category before it."""
    return f"spot:{symbol}" if category is Category.SPOT else symbol


def contract_value(category: Category, qty: Decimal, price: Decimal) -> Decimal:
    """`Instrument.value` for whoever knows only the category."""
    return rounded_quotient(qty, price) if category is Category.INVERSE else qty * price


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


def _inverse(base: str, price: str, tick: str, limits: tuple[int, int], habits: tuple[int, int]) -> Instrument:
    return Instrument(
        base=base,
        anchor_price=Decimal(price),
        tick=Decimal(tick),
        lot=Decimal(1),
        max_limit_qty=Decimal(limits[0]),
        max_market_qty=Decimal(limits[1]),
        max_leverage=Decimal(100),
        spread_ppm=habits[0],
        volatility_ppm=habits[1],
        category=Category.INVERSE,
        quote="USD",
        min_notional=Decimal(0),
        walk=f"{base}USDT",
    )


def _pair(
    base: str,
    price: str,
    tick: str,
    lots: tuple[str, str, str],
    limits: tuple[int, int],
    habits: tuple[int, int],
    quote: str = "USDT",
    min_amount: str = "5",
) -> Instrument:
    """A spot pair; `lots` are basePrecision, minOrderQty and quotePrecision."""
    return Instrument(
        base=base,
        anchor_price=Decimal(price),
        tick=Decimal(tick),
        lot=Decimal(lots[0]),
        max_limit_qty=Decimal(limits[0]),
        max_market_qty=Decimal(limits[1]),
        max_leverage=Decimal(1),
        spread_ppm=habits[0],
        volatility_ppm=habits[1],
        category=Category.SPOT,
        quote=quote,
        min_notional=Decimal(min_amount),
        quote_step=Decimal(lots[2]),
        walk=f"{base}{quote}",
        least_qty=Decimal(lots[1]),
    )


# A spread of 1000 ppm is 0.1 % of the price: the list has symbols well below it, around it and above it, and each
# symbol's own spread breathes between half and twice its habit.
_LINEAR: Final = (
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
_INVERSE: Final = (
    _inverse("BTC", "65000", "0.5", (10_000_000, 1_000_000), (150, 250)),
    _inverse("ETH", "3200", "0.05", (10_000_000, 1_000_000), (200, 300)),
    _inverse("XRP", "0.6", "0.0001", (2_000_000, 200_000), (700, 350)),
    _inverse("SOL", "150", "0.01", (2_000_000, 200_000), (500, 400)),
)
_SPOT: Final = (
    _pair("BTC", "65000", "0.1", ("0.000001", "0.000011", "0.0000001"), (83, 41), (100, 250)),
    _pair("ETH", "3200", "0.01", ("0.00001", "0.00062", "0.0000001"), (1200, 600), (150, 300)),
    _pair("SOL", "150", "0.01", ("0.001", "0.01", "0.00001"), (20_000, 10_000), (400, 400)),
    _pair("XRP", "0.6", "0.0001", ("0.01", "1", "0.000001"), (2_000_000, 500_000), (600, 350)),
    _pair("BNB", "580", "0.1", ("0.0001", "0.001", "0.00001"), (2_000, 400), (500, 300)),
    _pair("ADA", "0.45", "0.0001", ("0.01", "1", "0.000001"), (3_000_000, 500_000), (800, 400)),
    _pair("DOGE", "0.12", "0.00001", ("0.1", "1", "0.000001"), (20_000_000, 3_000_000), (800, 500)),
    _pair("LTC", "80", "0.01", ("0.00001", "0.001", "0.0000001"), (20_000, 4_000), (1000, 350)),
    _pair("ETH", "0.049", "0.000001", ("0.0001", "0.001", "0.00000001"), (1_000, 500), (300, 200), "BTC", "0.0001"),
)

LISTED: Final[dict[Category, dict[str, Instrument]]] = {
    category: {instrument.symbol: instrument for instrument in listed}
    for category, listed in ((Category.LINEAR, _LINEAR), (Category.INVERSE, _INVERSE), (Category.SPOT, _SPOT))
}
INSTRUMENTS: Final[dict[str, Instrument]] = LISTED[Category.LINEAR]
MARKETS: Final[dict[str, Instrument]] = {
    instrument.key: instrument for listed in LISTED.values() for instrument in listed.values()
}
COINS: Final = tuple(dict.fromkeys(["USDT", *(one.base for one in (*_SPOT, *_INVERSE, *_LINEAR))]))
