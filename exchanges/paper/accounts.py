"""One account: its wallet, positions, open orders, and the margin that all of these need."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from exchanges.paper.exact import ZERO
from exchanges.paper.ledger import Position, Wallet
from exchanges.paper.orders import Order
from exchanges.paper.vocabulary import HEDGE_BUY, HEDGE_SELL, ONE_WAY, Side, StopOrderType

RECENT_CLOSED = 500  # what `order/realtime` still knows of closed orders; lost at a restart, as on the venue

PROTECTING = frozenset({StopOrderType.TAKE_PROFIT, StopOrderType.STOP_LOSS})

MarkPrice = Callable[[str], Decimal]
PositionKey = tuple[str, int]  # symbol, position index


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

    def __init__(
        self, wallet: Wallet, settings: AccountSettings, default_leverage: Decimal, fee_rate: Decimal
    ) -> None:
        self.wallet = wallet
        self.settings = settings
        self.positions: dict[PositionKey, Position] = {}
        self.open_orders: dict[str, Order] = {}
        self.open_links: dict[str, Order] = {}
        self.recent_closed: OrderedDict[str, Order] = OrderedDict()
        self._open_by_symbol: dict[str, int] = {}
        self._sums: dict[PositionKey, OpenSums] = {}
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
            found = self.positions[key] = Position(uid=self.uid, symbol=symbol, position_idx=position_idx)
        return found

    def open_count(self, symbol: str) -> int:
        return self._open_by_symbol.get(symbol, 0)

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
            return
        self._open_by_symbol[order.symbol] = self.open_count(order.symbol) + 1
        sums = self.sums(order.symbol, order.position_idx)
        if order.reduces:
            sums.reducing[order.order_id] = order
        else:
            sums.add(order.side, order.leaves_qty, order.leaves_qty * order.price)

    def unrest(self, order: Order) -> None:
        """Take `order` out of the open ones; what it has left must be as when it was counted."""
        del self.open_orders[order.order_id]
        if order.order_link_id:
            del self.open_links[order.order_link_id]
        if order.is_waiting:
            self._waiting[order.symbol].pop(order.order_id)
            if order.stop_order_type in PROTECTING:
                self._protecting.pop((order.symbol, order.position_idx, order.stop_order_type), None)
            return
        self._open_by_symbol[order.symbol] -= 1
        sums = self.sums(order.symbol, order.position_idx)
        if order.reduces:
            del sums.reducing[order.order_id]
        else:
            sums.add(order.side, -order.leaves_qty, -order.leaves_qty * order.price)

    def _wait(self, order: Order) -> None:
        self._waiting.setdefault(order.symbol, {})[order.order_id] = order
        if order.stop_order_type in PROTECTING:
            self._protecting[order.symbol, order.position_idx, order.stop_order_type] = order

    def waiting(self, symbol: str) -> Collection[Order]:
        """The conditional orders of one symbol whose trigger has not come, in the order of their arrival."""
        return self._waiting.get(symbol, {}).values()

    def protecting(self, symbol: str, position_idx: int, kind: StopOrderType) -> Order | None:
        """The take-profit or stop-loss of a position."""
        return self._protecting.get((symbol, position_idx, kind))

    def executed(self, order: Order, qty: Decimal) -> None:
        """Free what a resting order held for a quantity that has just executed."""
        if not order.reduces:
            self.sums(order.symbol, order.position_idx).add(order.side, -qty, -qty * order.price)

    def closed(self, order: Order) -> None:
        """Remember an order that is over, for as long as the venue's memory goes."""
        self.recent_closed[order.order_id] = order
        if len(self.recent_closed) > RECENT_CLOSED:
            self.recent_closed.popitem(last=False)

    def closable(self, symbol: str, position_idx: int, side: Side) -> Decimal:
        """How much of the position a new order of `side` may close, next to those that already rest to do so."""
        held = self.position(symbol, position_idx).closable(side)
        return max(held - self.sums(symbol, position_idx).reducing_qty(side), ZERO)

    def order_margin(
        self, symbol: str, position_idx: int, extra: tuple[Side, Decimal, Decimal] | None = None
    ) -> Decimal:
        """Margin that the resting orders of one position need, `extra` (side, quantity, value) among them.

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

    def total_order_margin(self) -> Decimal:
        return sum(
            (self.order_margin(*key) for key, sums in self._sums.items() if sums.buy_qty or sums.sell_qty),
            ZERO,
        )

    def position_margin(self, position: Position, mark_price: Decimal) -> Decimal:
        return abs(position.size) * mark_price / self.leverage(position.symbol)

    def held(self) -> list[Position]:
        """The positions that are not flat."""
        return [position for position in self.positions.values() if position.size]

    def unrealised(self, mark_price: MarkPrice) -> Decimal:
        return sum((position.unrealised(mark_price(position.symbol)) for position in self.held()), ZERO)

    def total_position_margin(self, mark_price: MarkPrice) -> Decimal:
        margins = (self.position_margin(position, mark_price(position.symbol)) for position in self.held())
        return sum(margins, ZERO)

    def available(self, mark_price: MarkPrice) -> Decimal:
        """What new orders may use: balance + unrealised profit - margins of positions and resting orders."""
        equity = self.wallet.balance + self.unrealised(mark_price)
        return equity - self.total_position_margin(mark_price) - self.total_order_margin()
