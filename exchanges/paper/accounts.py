"""One account: its wallet, positions, open orders, and the margin that all of these need.

A unified account in cross margin: every coin of the wallet counts at its price in dollars, and what contracts and
orders need is taken from the sum. Spot orders lock the coin that they would give.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from exchanges.paper.exact import ZERO
from exchanges.paper.instruments import INSTRUMENTS, MARKETS, contract_value
from exchanges.paper.ledger import Position, Wallet
from exchanges.paper.orders import Order
from exchanges.paper.vocabulary import HEDGE_BUY, HEDGE_SELL, ONE_WAY, Side, StopOrderType

RECENT_CLOSED = 500  # what `order/realtime` still knows of closed orders; lost at a restart, as on the venue

PROTECTING = frozenset({StopOrderType.TAKE_PROFIT, StopOrderType.STOP_LOSS, StopOrderType.TRAILING_STOP})

MarkPrice = Callable[[str], Decimal]  # of a market, by its key
PositionKey = tuple[str, int]  # symbol, position index


def dollars(coin: str, mark_price: MarkPrice) -> Decimal:
    """The price of a coin in dollars: that of its linear contract; USDT counts as one dollar."""
    symbol = f"{coin}USDT"
    return mark_price(symbol) if symbol in INSTRUMENTS else Decimal(1)


class AccountSettings(msgspec.Struct, kw_only=True):
    """What an account has chosen: leverage by symbol, the symbols that are in hedge mode, and after how many seconds
    without a stream its orders are cancelled (0: never)."""

    uid: int
    leverage: dict[str, Decimal] = {}
    hedged: dict[str, bool] = {}
    hedged_by_default: bool = False
    disconnect_cancel_s: int = 0


@dataclass(slots=True)
class OpenSums:
    """Sums over the resting orders of one position, by side. Orders that only reduce are kept apart: they need no
    margin, but together they may not be larger than the position."""

    buy_qty: Decimal = ZERO
    buy_value: Decimal = ZERO
    sell_qty: Decimal = ZERO
    sell_value: Decimal = ZERO
    reducing: OrderedDict[str, Order] = field(default_factory=OrderedDict)

    def add(self, side: Side, qty: Decimal, value: Decimal) -> None:
        """Add to the sums of `side`; negative figures take away."""
        if side is Side.BUY:
            self.buy_qty += qty
            self.buy_value += value
        else:
            self.sell_qty += qty
            self.sell_value += value

    def reducing_qty(self, side: Side) -> Decimal:
        return sum((order.leaves_qty for order in self.reducing.values() if order.side is side), ZERO)


class Account:
    """The state of one account. Changing an order's quantity or price is done between `unrest` and `rest`."""

    def __init__(self, wallet: Wallet, settings: AccountSettings, default_leverage: Decimal, fee_rate: Decimal) -> None:
        self.wallet = wallet
        self.settings = settings
        self.positions: dict[PositionKey, Position] = {}
        self.open_orders: dict[str, Order] = {}
        self.open_links: dict[str, Order] = {}
        self.recent_closed: OrderedDict[str, Order] = OrderedDict()
        self._open_by_market: dict[str, int] = {}
        self._sums: dict[PositionKey, OpenSums] = {}
        self._locked: dict[str, Decimal] = {}
        self._waiting: dict[str, dict[str, Order]] = {}
        self._protecting: dict[tuple[str, int, StopOrderType], Order] = {}
        self._default_leverage = default_leverage
        self._fee_rate = fee_rate

    @property
    def uid(self) -> int:
        return self.wallet.uid

    def leverage(self, symbol: str) -> Decimal:
        return self.settings.leverage.get(symbol, self._default_leverage)

    def is_hedged(self, symbol: str) -> bool:
        return self.settings.hedged.get(symbol, self.settings.hedged_by_default)

    def position_indexes(self, symbol: str) -> tuple[int, ...]:
        return (HEDGE_BUY, HEDGE_SELL) if self.is_hedged(symbol) else (ONE_WAY,)

    def position(self, symbol: str, position_idx: int) -> Position:
        """The position; an empty one if there was never any."""
        key = (symbol, position_idx)
        found = self.positions.get(key)
        if found is None:
            contract = MARKETS[symbol]
            found = self.positions[key] = Position(
                uid=self.uid,
                symbol=symbol,
                position_idx=position_idx,
                category=contract.category,
                settle=contract.settle,
            )
        return found

    def position_of(self, order: Order) -> Position | None:
        """The position that an order works for; spot orders work for none."""
        return None if order.is_spot else self.position(order.symbol, order.position_idx)

    # -- open orders ---------------------------------------------------------------------------------------------

    def open_count(self, market_key: str) -> int:
        """How many orders rest in a market's book."""
        return self._open_by_market.get(market_key, 0)

    def sums(self, symbol: str, position_idx: int) -> OpenSums:
        key = (symbol, position_idx)
        found = self._sums.get(key)
        if found is None:
            found = self._sums[key] = OpenSums()
        return found

    def rest(self, order: Order) -> None:
        """Count `order`, with what it has left, among the open ones."""
        self.open_orders[order.order_id] = order
        if order.order_link_id:
            self.open_links[order.order_link_id] = order
        if order.is_waiting:
            self._wait(order)
        else:
            key = order.market_key
            self._open_by_market[key] = self._open_by_market.get(key, 0) + 1
            if order.reduces:
                self.sums(order.symbol, order.position_idx).reducing[order.order_id] = order
                return
        self._hold(order, order.leaves_qty, 1)

    def unrest(self, order: Order) -> None:
        """Take `order` out of the open ones; what it has left must be as when it was counted."""
        del self.open_orders[order.order_id]
        if order.order_link_id:
            del self.open_links[order.order_link_id]
        if order.is_waiting:
            self._waiting[order.market_key].pop(order.order_id)
            if order.stop_order_type in PROTECTING:
                self._protecting.pop((order.symbol, order.position_idx, order.stop_order_type), None)
        else:
            self._open_by_market[order.market_key] -= 1
            if order.reduces:
                del self.sums(order.symbol, order.position_idx).reducing[order.order_id]
                return
        self._hold(order, order.leaves_qty, -1)

    def _wait(self, order: Order) -> None:
        self._waiting.setdefault(order.market_key, {})[order.order_id] = order
        if order.stop_order_type in PROTECTING:
            self._protecting[order.symbol, order.position_idx, order.stop_order_type] = order

    def _hold(self, order: Order, qty: Decimal, sign: int) -> None:
        """Reserve (sign 1) or free (-1) what an order needs for a quantity. A contract's order reserves margin while
        it rests, a spot order the coin that it would give; waiting orders reserve nothing, but for spot's TP/SL."""
        if order.is_spot:
            if not order.is_waiting or order.stop_order_type is StopOrderType.SPOT_TPSL:
                coin, amount = spot_need(order, qty)
                self._locked[coin] = self._locked.get(coin, ZERO) + sign * amount
        elif not order.is_waiting:
            value = contract_value(order.category, qty, order.price)
            self.sums(order.symbol, order.position_idx).add(order.side, sign * qty, sign * value)

    def executed(self, order: Order, qty: Decimal) -> None:
        """Free what a resting order held for a quantity that is about to be booked as executed."""
        if not order.reduces:
            leaves = order.leaves_qty
            self._hold(order, leaves, -1)
            self._hold(order, leaves - qty, 1)

    def waiting(self, market_key: str) -> Collection[Order]:
        """The conditional orders of one market whose trigger has not come, in the order of their arrival."""
        return self._waiting.get(market_key, {}).values()

    def protecting(self, symbol: str, position_idx: int, kind: StopOrderType) -> Order | None:
        """The take-profit, stop-loss or trailing stop of a whole position."""
        return self._protecting.get((symbol, position_idx, kind))

    def closed(self, order: Order) -> None:
        """Remember an order that is over, for as long as the venue's memory goes."""
        self.recent_closed[order.order_id] = order
        if len(self.recent_closed) > RECENT_CLOSED:
            self.recent_closed.popitem(last=False)

    def closable(self, symbol: str, position_idx: int, side: Side) -> Decimal:
        """How much of the position a new order of `side` may close, next to those that already rest to do so."""
        held = self.position(symbol, position_idx).closable(side)
        return max(held - self.sums(symbol, position_idx).reducing_qty(side), ZERO)

    # -- coins ---------------------------------------------------------------------------------------------------

    def locked(self, coin: str) -> Decimal:
        """What open spot orders would give of a coin."""
        return self._locked.get(coin, ZERO)

    def free(self, coin: str, mark_price: MarkPrice) -> Decimal:
        """What a spot order may give of a coin: what is there and not locked, and not needed as margin."""
        own = self.wallet.balance(coin) - self.locked(coin)
        if not self.held() and not any(sums.buy_qty or sums.sell_qty for sums in self._sums.values()):
            return own
        return min(own, self.available(mark_price) / dollars(coin, mark_price))

    # -- margin --------------------------------------------------------------------------------------------------

    def order_margin(
        self, symbol: str, position_idx: int, extra: tuple[Side, Decimal, Decimal] | None = None
    ) -> Decimal:
        """Margin that the resting orders of one position need, `extra` (side, quantity, value) among them, in the
        settle coin.

        Initial margin (value ÷ leverage) plus the taker fee; orders need none for the part that would only close what
        is held.
        """
        sums = self.sums(symbol, position_idx)
        position = self.positions.get((symbol, position_idx))
        rate = 1 / self.leverage(symbol) + self._fee_rate
        need = ZERO
        for side, resting_qty, resting_value in (
            (Side.BUY, sums.buy_qty, sums.buy_value),
            (Side.SELL, sums.sell_qty, sums.sell_value),
        ):
            qty, value = resting_qty, resting_value
            if extra and extra[0] is side:
                qty, value = qty + extra[1], value + extra[2]
            if not qty:
                continue
            free = min(position.closable(side), qty) if position else ZERO
            need += value * (qty - free) / qty * rate
        return need

    def order_margins(self, coin: str) -> Decimal:
        """Margin of all resting orders of the contracts that settle in `coin`."""
        margins = (
            self.order_margin(*key)
            for key, sums in self._sums.items()
            if (sums.buy_qty or sums.sell_qty) and MARKETS[key[0]].settle == coin
        )
        return sum(margins, ZERO)

    def position_margin(self, position: Position, mark_price: Decimal) -> Decimal:
        return position.value(mark_price) / self.leverage(position.symbol)

    def held(self, coin: str | None = None) -> list[Position]:
        """The positions that are not flat, of all contracts or of those that settle in `coin`."""
        held = [position for position in self.positions.values() if position.size]
        return held if coin is None else [position for position in held if position.settle == coin]

    def unrealised(self, mark_price: MarkPrice, coin: str = "USDT") -> Decimal:
        return sum((position.unrealised(mark_price(position.symbol)) for position in self.held(coin)), ZERO)

    def position_margins(self, mark_price: MarkPrice, coin: str = "USDT") -> Decimal:
        margins = (self.position_margin(position, mark_price(position.symbol)) for position in self.held(coin))
        return sum(margins, ZERO)

    def coins(self) -> list[str]:
        """The coins that this account has ever had, those that settle an open order or a position among them."""
        used = (MARKETS[symbol].settle for symbol, _ in self._sums)
        return list(dict.fromkeys([*self.wallet.coins, *used]))

    def available(self, mark_price: MarkPrice) -> Decimal:
        """What new orders may use, in dollars: balances and unrealised profits less the margins of positions and
        resting orders and what spot orders have locked."""
        total = ZERO
        for coin in self.coins():
            equity = self.wallet.balance(coin) + self.unrealised(mark_price, coin)
            used = self.position_margins(mark_price, coin) + self.order_margins(coin) + self.locked(coin)
            total += (equity - used) * dollars(coin, mark_price)
        return total


def spot_need(order: Order, qty: Decimal) -> tuple[str, Decimal]:
    """The coin that a spot order would give for a quantity, and how much of it."""
    pair = MARKETS[order.market_key]
    if order.is_by_value:
        price = order.trigger_price or order.price
        if order.side is Side.BUY or not price:
            return pair.quote, order.qty
        return pair.base, order.qty / price
    if order.side is Side.SELL:
        return pair.base, qty
    return pair.quote, qty * (order.price or order.trigger_price)
