"""A random session at the paper exchange, in this process: two accounts that trade with each other and the market.

What its private stream says of the first account goes through the adapter's translation; it arrives late, repeated and
out of order.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from domain.orders import PositionSide
from domain.updates import FillReport, Origin
from exchanges.bybit.rows import Row
from exchanges.bybit.translate import Context, fill_report
from exchanges.paper import ApiKey, PaperOptions
from exchanges.paper.exact import exactly, floored
from exchanges.paper.instruments import MARKETS
from exchanges.paper.refusals import Refusal
from exchanges.paper.rows import execution_stream_row
from exchanges.paper.store import Selection, Store
from exchanges.paper.venue import PaperVenue
from exchanges.paper.vocabulary import CreateType, MarketUnit, OrderType, Side, TimeInForce
from exchanges.paper.wishes import NewOrder

OURS, THEIRS = 1, 2
ACCOUNT = "main"
SYMBOLS = ("BTCUSDT", "SOLUSDT", "XRPUSDT")
SIDES = {0: PositionSide.NET, 1: PositionSide.LONG, 2: PositionSide.SHORT}
FILLS = 1_500
"""Of a session, at least."""


class Session:
    """Two accounts that trade with each other and with the market, as chance has it."""

    def __init__(
        self,
        seed: int,
        *,
        hedge: bool,
        markets: Sequence[str] = SYMBOLS,
        coins: tuple[tuple[str, Decimal], ...] = (),
        clock_jumps: bool = False,
    ) -> None:
        """`markets` are names of the exchange's: a contract's symbol, or spot:PAIR."""
        self.chance = random.Random(seed)  # noqa: S311 -- chooses deeds, guards nothing
        self.hedge = hedge
        self.markets = tuple(markets)
        self.store = Store(None)
        ticks = iter(range(10**18, 10**19, 1_000_000))
        keys = (ApiKey("a", "a", OURS), ApiKey("b", "b", THEIRS))
        options = PaperOptions(keys=keys, seed=seed, deposit=Decimal(10**9), coins=coins, id_salt="m")
        self.clock_jumps = clock_jumps
        self._ahead_ns = 0
        self.venue = PaperVenue(options, self.store, lambda: next(ticks) + self._ahead_ns)
        for uid in (OURS, THEIRS):
            self.venue.accounts[uid].settings.hedged.update(dict.fromkeys(SYMBOLS, hedge))
        self.told: list[FillReport] = []

    def play(self) -> None:
        """Until there are enough fills."""
        while len(self.told) < FILLS:
            try:
                self._act()
            except Refusal:
                continue
            finally:
                self._listen()

    @exactly
    def _act(self) -> None:
        symbol, uid = self.chance.choice(self.markets), self.chance.choice((OURS, OURS, THEIRS))
        if self.clock_jumps and self.chance.random() < 0.02:
            self._ahead_ns = self.chance.choice((-5_000_000_000, 0, 10_000_000_000))
        deed = self.chance.choices(("create", "step", "fund", "take"), (80, 15, 3, 2))[0]
        if deed in {"fund", "take"} and MARKETS[symbol].is_spot:
            return
        match deed:
            case "create":
                self.venue.create(uid, self._wish(symbol))
            case "step":
                self.venue.step(symbol)
            case "fund":
                self.venue.fund(symbol, Decimal(self.chance.randint(-75, 75)) / 100_000, [OURS, THEIRS])
            case _:
                why = self.chance.choice(
                    (CreateType.BY_LIQUIDATION, CreateType.BY_DELEVERAGING, CreateType.BY_SETTLEMENT)
                )
                self.venue.liquidate(uid, symbol, self.chance.choice(self._indexes(symbol)), why)

    def _indexes(self, symbol: str) -> tuple[int, ...]:
        hedged = self.hedge and not (MARKETS[symbol].is_inverse or MARKETS[symbol].is_spot)
        return (1, 2) if hedged else (0,)

    def _wish(self, symbol: str) -> NewOrder:
        instrument, side = MARKETS[symbol], self.chance.choice((Side.BUY, Side.SELL))
        market = self.chance.random() < 0.5
        price = floored(
            self.venue.mark_price(symbol) * (10_000 + self.chance.randint(-20, 20)) / 10_000, instrument.tick
        )
        worth = Decimal(self.chance.randint(500, 60_000))
        if instrument.quote == "BTC":
            worth /= 60_000
        quantity = floored(worth if instrument.is_inverse else worth / price, instrument.lot)
        return NewOrder(
            instrument=instrument,
            side=side,
            order_type=OrderType.MARKET if market else OrderType.LIMIT,
            qty=quantity or instrument.min_qty,
            price=None if market else price,
            time_in_force=TimeInForce.IOC if market else TimeInForce.GTC,
            order_link_id="",
            position_idx=self.chance.choice(self._indexes(symbol)),
            reduce_only=self.chance.random() < 0.1 and not instrument.is_spot,
            close_on_trigger=False,
            market_unit=MarketUnit.BASE if instrument.is_spot and market else None,
        )

    def _listen(self) -> None:
        messages, self.venue.outbox[:] = list(self.venue.outbox), []
        for message in messages:
            if message.uid == OURS and message.topic == "execution":
                context = Context("paper", ACCOUNT, Origin.STREAM, message.created_at_ms, hedge=self.hedge)
                self.told += [fill_report(Row(row), context) for row in message.rows]

    def executions(self) -> list[dict[str, Any]]:  # Any: JSON
        """The exchange's own list of the first account's executions, oldest first."""
        fills = sorted(self.store.executions(Selection(uid=OURS)), key=lambda fill: fill.seq)
        return [execution_stream_row(fill) | {"positionIdx": fill.position_idx} for fill in fills]

    def as_it_arrives(self) -> list[FillReport]:
        """Some late, some twice."""
        arrived = []
        for number, fill in enumerate(self.told):
            late = self.chance.randint(1, 40) if self.chance.random() < 0.03 else 0
            arrived.append((number + late, fill))
            if self.chance.random() < 0.03:
                arrived.append((number + self.chance.randint(0, 60), fill))
        return [fill for _, fill in sorted(arrived, key=lambda each: each[0])]
