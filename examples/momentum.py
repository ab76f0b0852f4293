"""A signal model: two moving averages of the middle price. Crossing up it buys, crossing down it sells what it holds.

    python examples/momentum.py --symbols BTCUSDT,ETHUSDT --amount 1000

Prices come from the topic `marks`, what is held from `position-events`. The model computes in floats, as models do: its
opinion is a confidence between 0 and 1, and only text that keeps every digit goes into amounts and prices.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from dataclasses import dataclass, field
from decimal import Decimal

from wire import Record, Wire, running

FEE = 0.0011
"""Both ways, as a fraction: less than this apart, averages say nothing."""


@dataclass
class Averages:
    """Exponential averages over about `fast` and `slow` prices."""

    fast: int = 5
    slow: int = 20
    seen: int = 0
    near: float = 0.0
    far: float = 0.0

    def take(self, price: float) -> float:
        """One more price; by which part the fast average stands above the slow one, 0 until both are warm."""
        self.seen += 1
        if self.seen == 1:
            self.near = self.far = price
        self.near += (price - self.near) * 2 / (self.fast + 1)
        self.far += (price - self.far) * 2 / (self.slow + 1)
        return self.near / self.far - 1 if self.seen >= self.slow else 0.0


@dataclass
class Model:
    """What it thinks of each symbol, and what it holds there."""

    symbols: frozenset[str]
    amount: Decimal
    run: str
    averages: dict[str, Averages] = field(default_factory=dict)
    held: dict[str, Decimal] = field(default_factory=dict)
    leaning: dict[str, str] = field(default_factory=dict)
    number: int = 0

    def heard(self, event: Record) -> None:
        """A record of `position-events`: the position after a fill."""
        if event["type"] == "changed":
            self.held[event["instrument"]["symbol"]] = Decimal(event["state"]["size"])

    def price(self, symbol: str, bid: Decimal, ask: Decimal) -> Record | None:
        """A new price; the wish that follows from it, if the averages have crossed."""
        lead = self.averages.setdefault(symbol, Averages()).take(float(bid + ask) / 2)
        if abs(lead) < FEE:
            return None
        side, before = "buy" if lead > 0 else "sell", self.leaning.get(symbol)
        self.leaning[symbol] = side
        held = self.held.get(symbol, Decimal(0))
        if side == before or (side == "sell" and held <= 0):
            return None
        middle = (bid + ask) / 2  # what amounts are divided by: a sale of all that is held leaves no rest
        return self._wish(symbol, side, self.amount if side == "buy" else held * middle, lead, middle, ask - bid)

    def _wish(self, symbol: str, side: str, amount: Decimal, lead: float, price: Decimal, spread: Decimal) -> Record:
        self.number += 1
        return {
            "signal_id": f"momentum-{self.run}-{self.number}",
            "signal_type": side,
            "symbol": symbol,
            "amount": format(amount, "f"),
            "confidence": f"{min(0.99, 0.5 + abs(lead) * 20):.2f}",
            "timestamp": time.time_ns(),
            "strategy_id": "momentum",
            "model_version": "ema-5-20",
            "market_data_snapshot": {"price": str(price), "spread": str(spread)},
            "metadata": {"lead": f"{lead:.6f}"},
        }


async def trade(wire: Wire, model: Model) -> None:
    """Until it is stopped."""
    async with running(wire):
        async for _, _, event in wire.history(["position-events"]):
            model.heard(event)
        async for topic, key, record in wire.follow(["marks"]):
            symbol = key.rpartition("/")[2]
            if topic == "position-events":
                model.heard(record)
            elif symbol in model.symbols:
                wish = model.price(symbol, Decimal(record["bid"]), Decimal(record["ask"]))
                if wish is not None:
                    await wire.send(wish)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="broker addresses")
    parser.add_argument("--prefix", default="", help="prefix of the topics")
    parser.add_argument("--symbols", default="BTCUSDT,ETHUSDT", help="separated by commas")
    parser.add_argument("--amount", type=Decimal, default=Decimal(1_000), help="of each buy, in quote currency")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    model = Model(frozenset(chosen.symbols.split(",")), chosen.amount, run=f"{time.time_ns():x}")
    asyncio.run(trade(Wire(chosen.bootstrap, chosen.prefix), model))


if __name__ == "__main__":
    main()
