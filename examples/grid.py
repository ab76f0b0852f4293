"""A grid: buys a slice at each level that the price falls through, and sells it one level higher.

    python examples/grid.py --symbol BTCUSDT --step 0.002 --levels 5 --amount 500

It keeps nothing of its own. Its memory is the topic `order-events`: at a start it reads what became of its signals and
goes on. A level's signal has an id that follows from the level and how often that came to its turn, so a wish that is
repeated after a crash is a duplicate, never a second order; what was refused may be wished for again under its id.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise

from wire import Record, Wire, running

CALM_S = 5.0
"""So long a level waits after it was refused."""


@dataclass
class Level:
    """One price of the grid. `held` was bought here; `turns` counts finished buys and sales: even, it waits to buy."""

    price: Decimal
    exit: Decimal
    held: Decimal = Decimal(0)
    turns: int = 0
    asked: bool = False
    not_before_s: float = 0.0


@dataclass
class Grid:
    """Levels under a price, `step` apart (a fraction), each for `amount` in quote currency."""

    name: str
    symbol: str
    amount: Decimal
    levels: list[Level] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Ids of events: one that is told again is the same event."""

    def lay(self, top: Decimal, step: Decimal, count: int) -> None:
        """Prices of the levels, below `top`."""
        prices = [top * (1 - step * number) for number in range(count + 1)]
        self.levels = [Level(price, above) for above, price in pairwise(prices)]

    def wishes(self, bid: Decimal, ask: Decimal, now_s: float) -> list[Record]:
        """What the best prices ask for now: each level's next step, once."""
        found = []
        for number, level in enumerate(self.levels):
            if level.asked or now_s < level.not_before_s:
                continue
            if not level.held and ask <= level.price:
                found.append(self._wish(number, "buy", self.amount, bid, ask))
            elif level.held and bid >= level.exit:
                found.append(self._wish(number, "sell", level.held * bid, bid, ask))
        return found

    def heard(self, event: Record, now_s: float) -> None:
        """A record of `order-events`: the end of one of our orders, or of a signal that came to none."""
        told = event.get("signal") or event
        level = self._level_of(told.get("signal_id", ""))
        if level is None or event["event_id"] in self.seen:
            return
        self.seen.add(event["event_id"])
        if event["type"] in {"filled", "cancelled"} and Decimal(event["cumulative_quantity"]):
            quantity = Decimal(event["cumulative_quantity"])
            level.held = level.held + quantity if event["side"] == "buy" else max(Decimal(0), level.held - quantity)
            level.turns, level.asked = level.turns + 1, False
        elif event["type"] in {"cancelled", "rejected", "failed", "expired", "dry_run"}:
            level.asked, level.not_before_s = False, now_s + CALM_S
            if event["type"] in {"cancelled", "dry_run"}:
                level.turns += 2  # done with, without a trade: the next wish is another one

    def _wish(self, number: int, side: str, amount: Decimal, bid: Decimal, ask: Decimal) -> Record:
        level = self.levels[number]
        level.asked = True
        price = bid if side == "sell" else ask
        return {
            "signal_id": f"{self.name}-{number}-{level.turns}",
            "signal_type": side,
            "symbol": self.symbol,
            "amount": format(amount, "f"),
            "order_type": "market",
            "timestamp": time.time_ns(),
            "strategy_id": self.name,
            "market_data_snapshot": {"price": str(price), "spread": str(ask - bid)},
            "metadata": {"level": number, "level_price": str(level.price)},
        }

    def _level_of(self, signal_id: str) -> Level | None:
        name, _, rest = signal_id.rpartition(f"{self.name}-")
        number, _, turn = rest.partition("-")
        ours = not name and number.isdecimal() and turn.isdecimal() and int(number) < len(self.levels)
        return self.levels[int(number)] if ours else None


async def trade(wire: Wire, grid: Grid, top: Decimal | None, step: Decimal, levels: int) -> None:
    """Until it is stopped. Without `top` the grid hangs from the first price that is seen."""
    async with running(wire):
        past = [event async for _, _, event in wire.history(["order-events"])]
        async for topic, key, record in wire.follow(["marks"]):
            if topic == "order-events" and not grid.levels:
                past.append(record)
            elif topic == "order-events":
                grid.heard(record, time.monotonic())
            elif key.endswith("/" + grid.symbol):
                bid, ask = Decimal(record["bid"]), Decimal(record["ask"])
                if not grid.levels:
                    grid.lay(ask if top is None else top, step, levels)
                    for event in past:
                        grid.heard(event, time.monotonic() - CALM_S)
                for wish in grid.wishes(bid, ask, time.monotonic()):
                    await wire.send(wish)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="broker addresses")
    parser.add_argument("--prefix", default="", help="prefix of the topics")
    parser.add_argument("--name", default="grid", help="of the strategy; another name is another grid")
    parser.add_argument("--symbol", default="BTCUSDT")
    parser.add_argument("--amount", type=Decimal, default=Decimal(500), help="of each level, in quote currency")
    parser.add_argument("--top", type=Decimal, help="price that the grid hangs from; give it to go on with a grid")
    parser.add_argument("--step", type=Decimal, default=Decimal("0.002"), help="between two levels, as a fraction")
    parser.add_argument("--levels", type=int, default=5)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    grid = Grid(chosen.name, chosen.symbol, chosen.amount)
    asyncio.run(trade(Wire(chosen.bootstrap, chosen.prefix), grid, chosen.top, chosen.step, chosen.levels))


if __name__ == "__main__":
    main()
