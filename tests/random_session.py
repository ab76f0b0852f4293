"""A random session on a whole set: orders by hand and by signals, at the market and resting, that open, add to, shrink,
close and turn round positions of every kind, while the exchange funds, liquidates and deleverages.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import httpx
from scenario_set import Desk, Row, wish

from exchanges.paper.instruments import MARKETS, Instrument, market_key
from exchanges.paper.options import FIRST_UID
from exchanges.paper.vocabulary import Category

Market = tuple[str, str]
"""Category and symbol."""

_TROUBLES = (("duplicate_stream", 0.15), ("reorder_stream", 0.15), ("drop_stream", 0.03))


class Session:
    """What chance does on some markets. Prices wander within a tenth of where they began."""

    def __init__(self, desk: Desk, seed: int, markets: tuple[Market, ...], *, hedge: bool = False) -> None:
        self._desk = desk
        self._chance = random.Random(seed)  # noqa: S311 -- chooses deeds, guards nothing
        self._markets = markets
        self._hedge = hedge
        self._middle = {market: _rules(market).anchor_price for market in markets}
        self.signals: list[str] = []

    async def play(self, deeds: int) -> None:
        """So many deeds, over a stream that says things twice, late and not at all; then the weather clears up."""
        for kind, share in _TROUBLES:
            seed = self._chance.randrange(1_000)
            await self._desk.fault(kind, topic="execution", probability=share, seed=seed, times=1, delay_ms=80)
        weights = {self._by_hand: 50, self._rests: 20, self._by_signal: 12, self._taken_over: 4}
        for _ in range(deeds):
            market = self._chance.choice(self._markets)
            await self._moves(market)
            [deed] = self._chance.choices(list(weights), list(weights.values()))
            await deed(market)
        await self._desk.heal()
        for market in self._markets:  # payments that the stream swallows are only found later
            if market[0] != Category.SPOT and self._chance.random() < 0.8:
                rate = Decimal(self._chance.randint(-75, 75)) / 100_000
                await self._desk.set.paper_post("/paper/funding", {"symbol": market[1], "rate": str(rate)})

    async def _moves(self, market: Market) -> None:
        """A book of thin levels around a new middle."""
        rules = _rules(market)
        spread = self._chance.randint(-1_000, 1_000)
        middle = self._middle[market] = _on(rules.anchor_price * (10_000 + spread) / 10_000, rules.tick)
        step = max(rules.tick, _on(middle / 2_000, rules.tick))
        bids = [[str(middle - step * level), str(self._pieces(rules, middle, 300))] for level in range(1, 9)]
        asks = [[str(middle + step * level), str(self._pieces(rules, middle, 300))] for level in range(1, 9)]
        await self._desk.set.paper_post(
            "/paper/market",
            {"category": market[0], "symbol": market[1], "bids": bids, "asks": asks, "last": str(middle)},
        )

    def _pieces(self, rules: Instrument, price: Decimal, value: int) -> Decimal:
        """Some quantity up to about three times this value in dollars."""
        wanted = Decimal(self._chance.randint(value // 3, value * 3))
        if rules.quote == "BTC":
            wanted /= MARKETS["BTCUSDT"].anchor_price
        quantity = wanted if rules.is_inverse else wanted / price
        return max(rules.min_qty, rules.lot, _on(quantity, rules.lot))

    def _order(self, market: Market, **fields: object) -> Row:
        rules, price = _rules(market), self._middle[market]
        order = {
            "category": market[0],
            "symbol": market[1],
            "side": self._chance.choice(("Buy", "Sell")),
            "qty": str(self._pieces(rules, price, self._chance.choice((100, 600, 1_500)))),
            "positionIdx": self._index(market),
            **fields,
        }
        return order | ({"marketUnit": "baseCoin"} if market[0] == Category.SPOT else {})

    def _index(self, market: Market) -> int:
        return self._chance.choice((1, 2)) if self._hedge and market[0] == Category.LINEAR else 0

    async def _by_hand(self, market: Market) -> None:
        await self._place(self._order(market, orderType="Market"))

    async def _rests(self, market: Market) -> None:
        """A limit order near the market, which later moves fill or leave."""
        rules = _rules(market)
        away = Decimal(self._chance.randint(-30, 30)) / 10_000
        price = _on(self._middle[market] * (1 + away), rules.tick)
        await self._place(self._order(market, orderType="Limit", price=str(price), timeInForce="GTC"))

    async def _by_signal(self, market: Market) -> None:
        middle, side = self._middle[market], self._chance.choice(("buy", "sell"))
        fields: dict[str, Any] = {"category": market[0], "order_type": "market"}  # Any: JSON
        if self._hedge and market[0] == Category.LINEAR:
            fields["position_side"] = self._chance.choice(("long", "short"))
        if market[0] != Category.SPOT and self._chance.random() < 0.5:
            sign, tick = (1 if side == "buy" else -1), _rules(market).tick
            fields["take_profit"] = str(_on(middle * (100 + 4 * sign) / 100, tick))
            fields["stop_loss"] = str(_on(middle * (100 - 4 * sign) / 100, tick))
        snapshot = {"price": str(middle), "spread": "0"}
        amount = str(self._chance.randint(50, 3_000)) if _rules(market).quote != "BTC" else "0.01"
        signal = wish(market[1], side, amount=amount, market_data_snapshot=snapshot, **fields)
        self.signals.append(signal["signal_id"])
        await self._desk.trade(signal)

    async def _taken_over(self, market: Market) -> None:
        """The exchange closes a position, or a part of it."""
        if market[0] == Category.SPOT:
            return
        why = self._chance.choice(("liquidation", "adl", "settlement"))
        body: Row = {"uid": FIRST_UID, "symbol": market[1], "why": why, "position_idx": self._index(market)}
        if self._chance.random() < 0.6:
            body["qty"] = str(self._pieces(_rules(market), self._middle[market], 200))
        await self._post("/paper/liquidation", body)

    async def _place(self, order: Row) -> None:
        await self._post("/paper/orders", {"uid": FIRST_UID, "order": order})

    async def _post(self, path: str, body: Row) -> None:
        """What the exchange refuses is not done."""
        reply = await self._desk.post_to(self._desk.set.paper_url + path, body)
        assert reply.status_code in {httpx.codes.OK, httpx.codes.BAD_REQUEST}, reply.text


def _rules(market: Market) -> Instrument:
    return MARKETS[market_key(Category(market[0]), market[1])]


def _on(figure: Decimal, step: Decimal) -> Decimal:
    return figure // step * step
