"""Positions recomputed by another program: from the exchange's executions, with no code of the manager.

It reads rows as `GET /paper/books` shows them (Bybit's own fields, and `positionIdx`), as plain JSON, and knows only
what the documents say: average cost; the closed part's share of the cost rounded to 18 places, half to even; inverse
contracts counted in coins, as `execValue` says; spot fees in the bought coin gone from what is held; funding apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]  # Any: JSON
Place = tuple[str, str, str]
"""Category, symbol, side."""

SIDES = {0: "net", 1: "long", 2: "short"}
_EXACT = Context(prec=400)
_PLACES = Decimal("0.000000000000000001")
_NO_TRADE = {"Funding"}


@dataclass(slots=True)
class Recount:
    """One position so far. `precise` is the realised profit in fractions, without any rounding of its own."""

    category: str
    base: str
    size: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    entry: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)
    fees: dict[str, Decimal] = field(default_factory=dict)
    bought: Decimal = Decimal(0)
    bought_value: Decimal = Decimal(0)
    sold: Decimal = Decimal(0)
    sold_value: Decimal = Decimal(0)
    fills: int = 0
    reversals: int = 0
    precise: Fraction = Fraction(0)
    precise_cost: Fraction = Fraction(0)

    def take(self, row: Row) -> None:
        """One more execution."""
        self.fills += 1
        fee = Decimal(row["execFee"])
        if row["execType"] in _NO_TRADE:
            self.funding -= fee
            return
        coin = row["feeCurrency"]
        if fee:
            self.fees[coin] = self.fees.get(coin, Decimal(0)) + fee
        quantity, price, value = (Decimal(row[name]) for name in ("execQty", "execPrice", "execValue"))
        buys = row["side"] == "Buy"
        if buys:
            self.bought, self.bought_value = self.bought + quantity, self.bought_value + value
        else:
            self.sold, self.sold_value = self.sold + quantity, self.sold_value + value
        change = quantity if buys else -quantity
        if self.category == "spot" and coin == self.base:
            change -= fee
            value = abs(change) * price
        self._move(change, price, value)

    def _move(self, change: Decimal, price: Decimal, value: Decimal) -> None:
        held, after = self.size, self.size + change
        if held * change >= 0:
            self._open(after, value)
            return
        closed = min(abs(held), abs(change))
        part = value if closed == abs(change) else self._worth(closed, price)
        share = self.cost if closed == abs(held) else _rounded(self.cost * closed, abs(held))
        precise_share = self.precise_cost * Fraction(closed) / Fraction(abs(held))
        sign = (1 if held > 0 else -1) * (-1 if self.category == "inverse" else 1)
        self.realised += sign * (part - share)
        self.precise += sign * (Fraction(part) - precise_share)
        self.size, self.cost, self.precise_cost = after, self.cost - share, self.precise_cost - precise_share
        if held * after < 0:
            self.reversals += 1
            self.cost, self.precise_cost = Decimal(0), Fraction(0)
            self._open(after, value - part)
        elif not after:
            self.entry = Decimal(0)

    def _open(self, size: Decimal, value: Decimal) -> None:
        self.size, self.cost, self.precise_cost = size, self.cost + value, self.precise_cost + Fraction(value)
        over, under = (abs(size), self.cost) if self.category == "inverse" else (self.cost, abs(size))
        self.entry = _rounded(over, under) if under else Decimal(0)

    def _worth(self, quantity: Decimal, price: Decimal) -> Decimal:
        if self.category != "inverse":
            return quantity * price
        return _EXACT.divide(quantity, price).quantize(Decimal("0.00000001"), rounding=ROUND_HALF_EVEN)

    def unrealised(self, mark: Decimal) -> Decimal:
        """What closing at the mark would bring."""
        gain = self._worth(abs(self.size), mark) - self.cost
        return gain if (self.size > 0) != (self.category == "inverse") else -gain


def recount(executions: Iterable[Row]) -> tuple[dict[Place, Recount], dict[str, tuple[Place, dict[str, Decimal]]]]:
    """(positions, figures after each execution by its id) of executions in the exchange's order."""
    positions: dict[Place, Recount] = {}
    after: dict[str, tuple[Place, dict[str, Decimal]]] = {}
    for row in sorted(executions, key=lambda each: int(each["seq"])):
        category, symbol = row["category"], row["symbol"]
        place = (category, symbol, SIDES[int(row["positionIdx"])])
        if place not in positions:
            positions[place] = Recount(category, base=_base(category, symbol))
        position = positions[place]
        position.take(row)
        after[row["execId"]] = (
            place,
            {
                "size": position.size,
                "average_entry": position.entry,
                "realised": position.realised,
                "funding": position.funding,
            },
        )
    return positions, after


def _base(category: str, symbol: str) -> str:
    return next(symbol.removesuffix(quote) for quote in ("USDT", "BTC", "USD") if symbol.endswith(quote))


def _rounded(over: Decimal, under: Decimal) -> Decimal:
    return _EXACT.divide(over, under).quantize(_PLACES, rounding=ROUND_HALF_EVEN)
