"""The exchange as scenarios see it: its weather, its books, and somebody else who trades there by hand."""

from __future__ import annotations

import uuid
from decimal import Decimal

import httpx
from scenario_reader import Row, until

from app.local_set import LocalSet
from app.settings import Settings
from app.venue import bybit_options
from domain.instruments import Instrument
from domain.orders import OrderType, Side, TimeInForce
from exchanges.bybit.trading import BybitTrading
from exchanges.venue import NewOrder, OrderRef

Levels = tuple[tuple[str, str], ...]

DEADLINE_S = 15.0
MID, SPREAD = "100", "0.2"
BIDS, ASKS = (("99.9", "100000"),), (("100.1", "100000"),)
"""Price and quantity of each level, best first."""


class VenueSide:
    """The exchange's side of the desk."""

    until = staticmethod(until)

    def __init__(self, settings: Settings, local: LocalSet, http: httpx.AsyncClient) -> None:
        self.settings = settings
        self.set = local
        self._http = http
        self.stranger = BybitTrading(bybit_options(settings))
        """Somebody else who trades on the same account, by hand."""

    async def quote(
        self, symbol: str, *, bids: Levels = BIDS, asks: Levels = ASKS, category: str | None = None
    ) -> None:
        """Pin the symbol's book; resting orders that it crosses are filled at their own price. A spot pair that is also
        a contract needs its category."""
        which = {} if category is None else {"category": category}
        await self.set.paper_post("/paper/market", {"symbol": symbol, **which, "bids": bids, "asks": asks})

    async def fault(self, kind: str, **rule: object) -> int:
        """Let the exchange misbehave until `heal`; returns the rule's number."""
        answer = await self.set.paper_post("/paper/faults", {"kind": kind, **rule})
        return int(answer.get("id", 0))

    async def heal(self) -> None:
        """Take back every fault."""
        reply = await self._http.delete(self.set.paper_url + "/paper/faults")
        assert reply.status_code == httpx.codes.OK

    async def fired(self, fault: int) -> int:
        """How often the rule has struck."""
        rules = (await self.set.paper_get("/paper/faults"))["faults"]
        return int(next(rule["fired"] for rule in rules if rule["id"] == fault))

    async def arrived(self, endpoint: str) -> int:
        """How many calls of an endpoint, such as order/create, have come to the exchange."""
        return (await self._calls(endpoint)).get("arrived", 0)

    async def served(self, endpoint: str) -> int:
        """How many of them it has accepted or refused."""
        calls = await self._calls(endpoint)
        return calls.get("accepted", 0) + calls.get("refused", 0)

    async def _calls(self, endpoint: str) -> dict[str, int]:
        stats = await self.set.paper_get("/paper/stats")
        return dict(stats["endpoints"].get(endpoint, {}))

    async def at_venue(self, symbol: str) -> list[Row]:
        """The exchange's own orders of the symbol, oldest first."""
        books = await self.set.paper_get(f"/paper/books?symbol={symbol}&only=orders")
        return list(books["accounts"][0]["orders"])

    async def stream_is_up(self, listeners: int = 1, within_s: float = DEADLINE_S) -> None:
        """Wait until so many gateways listen."""

        async def listening() -> bool | None:
            stats = await self.set.paper_get("/paper/stats")
            return stats["private"]["subscribed"] >= listeners or None

        await until(listening, within_s, "the gateway's subscription")

    async def paper_is_back(self) -> None:
        """Start the exchange again, with the books it had, and wait for its listener."""
        self.set.paper.start()
        await until(self._paper_answers, DEADLINE_S, "the exchange")
        await self.stream_is_up()

    async def _paper_answers(self) -> bool | None:
        try:
            return (await self._http.get(self.set.paper_url + "/paper/health")).status_code == httpx.codes.OK or None
        except httpx.TransportError:
            return None

    async def by_hand(
        self, symbol: str, side: str, quantity: str, price: str | None = None, *, client_order_id: str | None = None
    ) -> OrderRef:
        """Somebody else places an order on the same account: a market order, or one that rests at `price`."""
        instrument = self.instrument(symbol)
        name = f"by-hand-{uuid.uuid4().hex[:12]}" if client_order_id is None else client_order_id
        market = price is None
        order = NewOrder(
            instrument,
            name,
            Side(side),
            OrderType.MARKET if market else OrderType.LIMIT,
            Decimal(quantity),
            None if price is None else Decimal(price),
            TimeInForce.IOC if market else TimeInForce.GTC,
        )
        return OrderRef(instrument, name, await self.stranger.create(order))

    def reference(self, order: Row) -> OrderRef:
        """An order of ours as its venue is asked for it."""
        return OrderRef(self.instrument(order["instrument"]["symbol"]), order["order_id"], order["venue_order_id"])

    def instrument(self, symbol: str) -> Instrument:
        """The symbol's instrument."""
        return Instrument(self.settings.venue.value, self.settings.category, symbol)
