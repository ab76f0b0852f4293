"""The control interface under /paper/: the exchange's own books, its market, and faults. No authentication.

| call | does |
|---|---|
| GET /paper/health | whether the books can be written, and who is connected |
| GET /paper/stats | per endpoint: arrived, accepted, refused, faulted; stream connections and messages |
| GET /paper/books | orders, executions, positions and wallets of each account, as exact strings; `uid` or `key`,
|   | `symbol`, `orderId`, `orderLinkId`, `only` (comma-separated: orders,executions,positions,wallet) narrow it down |
| GET /paper/market | each symbol's step, mid price, best prices and overrides; `symbol` narrows it down |
| POST /paper/market | moves the market: see `MarketWish` |
| POST /paper/faults | adds a rule (`FaultRule`) or a list of them; GET lists them, DELETE removes one (`id`) or all |
| POST /paper/orders | an order by hand, as if its account's owner did it elsewhere: see `HandWish` |
| POST /paper/funding | settles funding: `FundingWish` |
| POST /paper/liquidation | takes a position over: `LiquidationWish` |
| POST /paper/reset | `{"books": true, "faults": true, "stats": true, "seed": n}`: forget what is named |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

import orjson
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from exchanges.paper.books import Books
from exchanges.paper.control_wishes import FundingWish, HandWish, LiquidationWish, MarketWish, ResetWish
from exchanges.paper.endpoints import ENDPOINTS
from exchanges.paper.exact import displayed, exactly, plain
from exchanges.paper.faults import Channel, FaultKind, FaultRule, Faults
from exchanges.paper.instruments import LISTED, MARKETS, market_key
from exchanges.paper.market import SymbolMarket
from exchanges.paper.private_stream import PrivateStream
from exchanges.paper.refusals import Refusal
from exchanges.paper.rest import RestInterface
from exchanges.paper.rows import execution_stream_row, order_row
from exchanges.paper.store import Selection
from exchanges.paper.turn import Row
from exchanges.paper.vocabulary import Category, CreateType, Side

STEPS_AT_ONCE: Final = 50  # so that many steps do not keep everybody else waiting
PARTS: Final = ("orders", "executions", "positions", "wallet")


_RULES: Final[TypeAdapter[FaultRule | list[FaultRule]]] = TypeAdapter(FaultRule | list[FaultRule])


class ControlInterface:
    """All of /paper/."""

    def __init__(
        self,
        books: Books,
        faults: Faults,
        rest: RestInterface,
        private: PrivateStream,
        channels: Mapping[Channel, Sequence[Callable[[int], int]]],
        freeze: Callable[[bool], None],
        is_frozen: Callable[[], bool],
    ) -> None:
        self._books = books
        self._faults = faults
        self._rest = rest
        self._private = private
        self._channels = channels
        self._freeze = freeze
        self._is_frozen = is_frozen
        self._calls: dict[tuple[str, str], Callable[[web.Request], Awaitable[object]]] = {
            ("GET", "health"): self._health,
            ("GET", "stats"): self._stats,
            ("GET", "books"): self._show_books,
            ("GET", "market"): self._show_market,
            ("POST", "market"): self._move_market,
            ("GET", "faults"): self._show_faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._remove_faults,
            ("POST", "reset"): self._reset,
            ("POST", "orders"): self._order_by_hand,
            ("POST", "funding"): self._fund,
            ("POST", "liquidation"): self._liquidate,
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one call; what is wrong with it comes back as HTTP 400 with a sentence."""
        call = self._calls.get((request.method, request.path.removeprefix("/paper/")))
        if call is None:
            return _json({"error": f"NO_SUCH_CALL: {request.method} {request.path}"}, status=404)
        try:
            return _json(await call(request))
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
            return _json({"error": "BAD_REQUEST", "details": details}, status=400)
        except Refusal as refusal:
            return _json({"error": str(refusal)}, status=503)
        except (ValueError, KeyError) as error:
            return _json({"error": f"BAD_REQUEST: {error}"}, status=400)

    async def _health(self, _request: web.Request) -> Row:
        return {
            "status": "ok" if self._books.failure is None else "broken",
            "reason": self._books.failure or "",
            "private_connections": self._private.open_sessions,
            "market_frozen": self._is_frozen(),
        }

    async def _stats(self, _request: web.Request) -> Row:
        return {
            "endpoints": {name: dict(counter) for name, counter in self._rest.counters.items()},
            "private": {
                "connections": self._private.connections,
                "open": self._private.open_sessions,
                "subscribed": self._private.subscribed_sessions,
                "messages": self._private.messages_sent,
            },
        }

    # -- books ---------------------------------------------------------------------------------------------------

    async def _show_books(self, request: web.Request) -> Row:
        query = request.query
        only = tuple(query.get("only", ",".join(PARTS)).split(","))
        if unknown := set(only) - set(PARTS):
            raise ValueError(f"unknown part {sorted(unknown)}")
        symbol = query.get("symbol", "")
        uids = [int(query["uid"])] if "uid" in query else list(self._books.venue.accounts)
        if "key" in query:
            uids = [pair.uid for pair in self._books.venue.options.keys if pair.key == query["key"]]
        accounts = [
            self._account(
                Selection(
                    uid=uid,
                    symbols=[symbol] if symbol else None,
                    order_id=query.get("orderId", ""),
                    order_link_id=query.get("orderLinkId", ""),
                ),
                only,
            )
            for uid in uids
        ]
        return {"accounts": accounts}

    @exactly
    def _account(self, wanted: Selection, only: tuple[str, ...]) -> Row:
        """One account; orders and executions oldest first, as a ledger reads."""
        account, store = self._books.venue.accounts[wanted.uid], self._books.store
        shown: Row = {"uid": account.uid}
        if "orders" in only:
            orders = sorted(store.orders(wanted), key=lambda order: order.placed_seq)
            shown["orders"] = [order_row(order) | {"category": order.category, "seq": order.seq} for order in orders]
        if "executions" in only:
            fills = sorted(store.executions(wanted), key=lambda fill: fill.seq)
            shown["executions"] = [execution_stream_row(f) | {"positionIdx": f.position_idx} for f in fills]
        if "positions" in only:
            shown["positions"] = [
                {
                    "category": position.category,
                    "symbol": position.symbol,
                    "positionIdx": position.position_idx,
                    "size": plain(position.size),
                    "avg_price": plain(position.avg_price),
                    "realised_pnl": plain(position.realised_pnl),
                    "fees": plain(position.fees),
                }
                for position in account.positions.values()
                if position.seq and wanted.symbols in (None, [position.symbol])
            ]
        if "wallet" in only:
            wallet = account.wallet.coin("USDT")
            shown["wallet"] = {
                "coin": "USDT",
                "deposit": plain(wallet.deposit),
                "realised_pnl": plain(wallet.realised_pnl),
                "fees": plain(wallet.fees),
                "balance": plain(wallet.balance),
                "available": plain(displayed(account.available(self._books.venue.mark_price))),
            }
            shown["coins"] = [
                {
                    "coin": coin,
                    "deposit": plain(held.deposit),
                    "traded": plain(held.traded),
                    "realised_pnl": plain(held.realised_pnl),
                    "fees": plain(held.fees),
                    "balance": plain(held.balance),
                    "locked": plain(account.locked(coin)),
                }
                for coin, held in account.wallet.coins.items()
            ]
        return shown

    # -- market --------------------------------------------------------------------------------------------------

    async def _show_market(self, request: web.Request) -> Row:
        symbol = request.query.get("symbol")
        markets = self._books.venue.markets
        key = market_key(Category(request.query.get("category", Category.LINEAR)), symbol) if symbol else None
        chosen = [markets[key]] if key else list(markets.values())
        return {"frozen": self._is_frozen(), "markets": [_market_row(market) for market in chosen]}

    async def _move_market(self, request: web.Request) -> Row:
        wish = MarketWish.model_validate_json(await request.read())
        if wish.key is not None and wish.key not in MARKETS:
            raise ValueError(f"unknown symbol {wish.symbol} in {wish.category}")
        _check_quotes(wish)
        if wish.frozen is not None:
            self._freeze(wish.frozen)
        keys = [wish.key] if wish.key else list(MARKETS)
        for key in keys:
            self._books.perform(partial(self._apply, key, wish))
        for step in range(wish.steps):
            for key in keys:
                self._books.perform(partial(self._books.venue.step, key))
            if step % STEPS_AT_ONCE == 0:
                await self._books.committed()
        await self._books.committed()
        return {"markets": [_market_row(self._books.venue.markets[key]) for key in keys]}

    def _apply(self, key: str, wish: MarketWish) -> None:
        """The settings of a wish, then the fills that the new quotes cause."""
        market = self._books.venue.markets[key]
        state = market.state
        if wish.mid is not None:
            market.process.set_mid(wish.mid)
            state.last_price = market.mark_price  # a price that came to be, as orders that wait for one expect
        if wish.drawn:
            market.draw_again()
        state.spread = wish.spread if wish.spread is not None else state.spread
        state.level_qty = wish.depth if wish.depth is not None else state.level_qty
        state.levels = wish.levels if wish.levels is not None else state.levels
        if wish.unpin:
            market.unpin()
        if wish.bids is not None or wish.asks is not None:
            market.pin(wish.bids or [], wish.asks or [])
        if wish.last is not None:
            state.last_price = wish.last
        touched = wish.model_fields_set - {"symbol", "category", "steps", "frozen"}
        if touched:
            market.requote()
            self._books.venue.requoted(key)

    # -- faults and reset ----------------------------------------------------------------------------------------

    async def _show_faults(self, _request: web.Request) -> Row:
        return {"faults": self._faults.shown()}

    async def _add_fault(self, request: web.Request) -> Row:
        """One rule, answered by itself, or a list of rules, answered by a list."""
        wish = _RULES.validate_json(await request.read())
        if isinstance(wish, FaultRule):
            return self._put_in_force(wish)
        return {"faults": [self._put_in_force(rule) for rule in wish]}

    def _put_in_force(self, rule: FaultRule) -> Row:
        if rule.kind is FaultKind.DISCONNECT:
            if rule.channel in {None, Channel.PRIVATE}:
                return {"cut": self._private.cut(rule.refuse_ms, rule.uid)}
            return {"cut": sum(cut(rule.refuse_ms) for cut in self._channels[rule.channel or Channel.PRIVATE])}
        if rule.kind is FaultKind.MAINTENANCE:
            for cut in (*self._channels[Channel.PRIVATE], *self._channels[Channel.TRADE]):
                cut(0)
        return self._faults.add(rule).shown()

    async def _remove_faults(self, request: web.Request) -> Row:
        wanted = request.query.get("id")
        return {"removed": self._faults.remove(int(wanted) if wanted is not None else None)}

    def _must_know(self, symbol: str, uids: list[int]) -> None:
        contracts = LISTED[Category.LINEAR] | LISTED[Category.INVERSE]
        if symbol not in contracts or not set(uids) <= set(self._books.venue.accounts):
            raise ValueError(f"unknown symbol {symbol} or account in {uids}")

    async def _order_by_hand(self, request: web.Request) -> Row:
        wish = HandWish.model_validate_json(await request.read())
        if wish.uid not in self._books.venue.accounts:
            raise ValueError(f"unknown account {wish.uid}")
        endpoint = ENDPOINTS["POST", f"order/{wish.action}"]
        try:
            answer = self._books.perform(lambda: endpoint.serve(self._books.venue, wish.uid, wish.order))
        except Refusal as refusal:
            self._books.check()
            raise ValueError(str(refusal)) from refusal
        await self._books.committed()
        return {"result": answer}

    async def _fund(self, request: web.Request) -> Row:
        wish = FundingWish.model_validate_json(await request.read())
        uids = list(self._books.venue.accounts) if wish.uid is None else [wish.uid]
        self._must_know(wish.symbol, uids)
        self._books.perform(partial(self._books.venue.fund, wish.symbol, wish.rate, uids))
        await self._books.committed()
        return {"funded": uids}

    async def _liquidate(self, request: web.Request) -> Row:
        wish = LiquidationWish.model_validate_json(await request.read())
        self._must_know(wish.symbol, [wish.uid])
        why = _CAUSES[wish.why]
        self._books.perform(
            partial(self._books.venue.liquidate, wish.uid, wish.symbol, wish.position_idx, why, wish.qty)
        )
        await self._books.committed()
        return {"liquidated": wish.uid}

    async def _reset(self, request: web.Request) -> Row:
        wish = ResetWish.model_validate_json(await request.read() or b"{}")
        if wish.faults:
            self._faults.remove()
        if wish.stats:
            self._rest.counters.clear()
        if wish.books:
            self._books.reset(wish.seed)
        return {"reset": True}


_CAUSES = {
    "liquidation": CreateType.BY_LIQUIDATION,
    "adl": CreateType.BY_DELEVERAGING,
    "settlement": CreateType.BY_SETTLEMENT,
}


def _check_quotes(wish: MarketWish) -> None:
    """Pinned quotes belong to one symbol, and lie on its tick and lot."""
    quotes = (wish.bids or []) + (wish.asks or [])
    if wish.bids is None and wish.asks is None:
        return
    if wish.key is None:
        raise ValueError("quotes need a symbol")
    instrument = MARKETS[wish.key]
    if any(price % instrument.tick or qty % instrument.lot for price, qty in quotes):
        raise ValueError(f"quotes of {wish.symbol} need tick {instrument.tick} and lot {instrument.lot}")


@exactly
def _market_row(market: SymbolMarket) -> Row:
    bid, ask = market.best(Side.BUY), market.best(Side.SELL)
    state = market.state
    return {
        "category": state.category,
        "symbol": state.symbol,
        "step": state.step,
        "mid": plain(market.mark_price),
        "last": plain(market.last_price),
        "bid": plain(bid) if bid is not None else "",
        "ask": plain(ask) if ask is not None else "",
        "pinned": state.pinned,
        "spread": plain(state.spread) if state.spread is not None else None,
        "depth": plain(state.level_qty) if state.level_qty is not None else None,
        "levels": state.levels,
    }


def _json(answer: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(answer), content_type="application/json", status=status)
