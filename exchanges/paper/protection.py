"""Take-profits, stop-losses and trailing stops: orders that wait to close what is held.

For a whole position (Full) there is at most one of each kind; it is as large as the position for as long as it
stands, and goes with it. Partial ones belong to the quantity that an order filled, or that the user named, and come in
pairs: when one triggers, or is cancelled, the other goes. Spot orders have partial ones only, for what they bought or
sold.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchanges.paper.accounts import PROTECTING, Account
from exchanges.paper.booking import received_coin
from exchanges.paper.exact import ZERO, floored
from exchanges.paper.ledger import Position
from exchanges.paper.market import SymbolMarket
from exchanges.paper.matching import MatchingEngine
from exchanges.paper.orders import Order
from exchanges.paper.turn import Turn
from exchanges.paper.vocabulary import (
    ONE_WAY,
    CancelType,
    CreateType,
    OrderType,
    RejectReason,
    Side,
    Status,
    StopOrderType,
    TimeInForce,
    TpslMode,
    TriggerBy,
    TriggerDirection,
)

_CREATE_TYPES = {
    StopOrderType.TAKE_PROFIT: CreateType.BY_TAKE_PROFIT,
    StopOrderType.STOP_LOSS: CreateType.BY_STOP_LOSS,
    StopOrderType.PARTIAL_TAKE_PROFIT: CreateType.BY_PARTIAL_TAKE_PROFIT,
    StopOrderType.PARTIAL_STOP_LOSS: CreateType.BY_PARTIAL_STOP_LOSS,
    StopOrderType.TRAILING_STOP: CreateType.BY_TRAILING_STOP,
}


@dataclass(frozen=True, slots=True)
class Protector:
    """A take-profit, stop-loss or trailing stop that is wished for. `rises` says which way the price has to go; with
    a `limit` it becomes a limit order, else a market order."""

    kind: StopOrderType
    price: Decimal
    by: TriggerBy
    rises: bool
    limit: Decimal = ZERO
    trailing: Decimal = ZERO
    active_price: Decimal = ZERO

    @property
    def create_type(self) -> CreateType:
        if self.kind is StopOrderType.TRAILING_STOP and self.active_price:
            return CreateType.BY_TRAILING_PROFIT
        return _CREATE_TYPES.get(self.kind, CreateType.BY_STOP_ORDER)

    def stands_as(self, order: Order) -> bool:
        """True if `order` is already what is wished. A trailing stop's trigger moves, so only its distance counts."""
        if self.kind is StopOrderType.TRAILING_STOP:
            return (self.trailing, self.active_price) == (order.trailing, order.active_price)
        return (self.price, self.by) == (order.trigger_price, order.trigger_by)


def rises(kind: StopOrderType, held: Side) -> bool:
    """A long position takes profit when the price rises, and stops its loss when it falls; a short the reverse."""
    return (held is Side.BUY) == kind.is_profit


def trail(market: SymbolMarket, order: Order) -> bool:
    """Let a trailing stop follow the last price; true if it has moved, or has started."""
    last, falls = market.last_price, order.side is Side.SELL
    if order.active_price:
        if (last < order.active_price) if falls else (last > order.active_price):
            return False
        order.active_price = ZERO
    moved = last - order.trailing if falls else last + order.trailing
    if (moved <= order.trigger_price) if falls else (moved >= order.trigger_price):
        return False
    order.trigger_price = moved
    return True


@dataclass(frozen=True, slots=True)
class Protections:
    """Makes, follows and removes the protecting orders of a venue; what changes is collected in the caller's turn."""

    engine: MatchingEngine

    def follow(self, turn: Turn, market: SymbolMarket) -> None:
        """After an operation: protect what orders have filled, and keep step with the positions."""
        for order in tuple(turn.orders.values()):
            if order.cum_qty and (order.take_profit or order.stop_loss):
                if order.tpsl_mode is TpslMode.PARTIAL:
                    self._protect_part(turn, market, order)
                else:
                    self._protect_all(turn, market, order)
        for position in tuple(turn.positions.values()):
            account = self.engine.accounts[position.uid]
            for kind in PROTECTING:
                standing = account.protecting(position.symbol, position.position_idx, kind)
                if standing is not None:
                    self._keep_step(turn, position, standing)
            for standing in tuple(account.waiting(position.symbol)):
                of_it = standing.stop_order_type.is_partial and standing.position_idx == position.position_idx
                if of_it and not position.closable(standing.side):
                    self.let_go(turn, standing)

    def _protect_all(self, turn: Turn, market: SymbolMarket, parent: Order) -> None:
        """Set up, or move, what the filled order wishes for its position; done once per order."""
        account = self.engine.accounts[parent.uid]
        position = account.position(parent.symbol, parent.position_idx)
        if position.side is not parent.side or parent.protected_seq:
            return
        parent.protected_seq = self.engine.numbering.next_seq()
        for kind, price, by in (
            (StopOrderType.TAKE_PROFIT, parent.take_profit, parent.take_profit_by),
            (StopOrderType.STOP_LOSS, parent.stop_loss, parent.stop_loss_by),
        ):
            if price:
                wish = Protector(kind, price, by, rises(kind, parent.side))
                self.set_whole(turn, market, account, position, wish, parent.order_link_id)

    def set_whole(
        self,
        turn: Turn,
        market: SymbolMarket,
        account: Account,
        position: Position,
        wish: Protector,
        parent_link_id: str = "",
    ) -> None:
        """Protect a whole position, in the place of what stood there of the same kind."""
        standing = account.protecting(position.symbol, position.position_idx, wish.kind)
        if standing is not None:
            self.let_go(turn, standing)
        side, qty = (Side.SELL if position.size > 0 else Side.BUY), abs(position.size)
        order = self._waiting_order(turn, market, account, side, qty, position.position_idx, wish)
        order.parent_link_id = parent_link_id
        account.rest(order)
        turn.touch(order, position)

    def set_pair(
        self,
        turn: Turn,
        market: SymbolMarket,
        account: Account,
        side: Side,
        qty: Decimal,
        position_idx: int,
        wishes: list[Protector],
    ) -> list[Order]:
        """Protect a part of what is held: orders of `side`, of which the one that triggers takes the other away."""
        orders = [self._waiting_order(turn, market, account, side, qty, position_idx, wish) for wish in wishes]
        if len(orders) == 2:
            orders[0].paired_id, orders[1].paired_id = orders[1].order_id, orders[0].order_id
        for order in orders:
            account.rest(order)
            turn.touch(order, account.position_of(order))
        return orders

    def _protect_part(self, turn: Turn, market: SymbolMarket, parent: Order) -> None:
        """Protect what an order has filled; when it fills on, what protects it grows."""
        filled = floored(parent.cum_qty - _fee_in_base(parent), market.instrument.lot)
        if filled <= parent.protected_qty:
            return
        account, side = self.engine.accounts[parent.uid], parent.side.opposite
        if not parent.is_spot and not account.position(parent.symbol, parent.position_idx).closable(side):
            return
        added, parent.protected_qty = filled - parent.protected_qty, filled
        mine = [order for order in account.waiting(parent.market_key) if order.parent_id == parent.order_id]
        for order in mine:
            account.unrest(order)
            order.qty += added
            order.touch(self.engine.numbering.next_seq(), turn.at_ns)
            account.rest(order)
            turn.touch(order, account.position_of(order))
        if not mine:
            wishes = _partial_wishes(parent)
            for order in self.set_pair(turn, market, account, side, added, parent.position_idx, wishes):
                order.parent_id, order.parent_link_id = parent.order_id, parent.order_link_id

    def _waiting_order(
        self,
        turn: Turn,
        market: SymbolMarket,
        account: Account,
        side: Side,
        qty: Decimal,
        position_idx: int,
        wish: Protector,
    ) -> Order:
        seq, instrument = self.engine.numbering.next_seq(), market.instrument
        return Order(
            order_id=self.engine.numbering.new_id("order", seq),
            uid=account.uid,
            symbol=instrument.symbol,
            category=instrument.category,
            fee_coin=received_coin(instrument, side),
            order_link_id="",
            side=side,
            order_type=OrderType.LIMIT if wish.limit else OrderType.MARKET,
            time_in_force=TimeInForce.GTC if wish.limit else TimeInForce.IOC,
            price=wish.limit,
            qty=qty,
            position_idx=ONE_WAY if instrument.is_spot else position_idx,
            reduce_only=not instrument.is_spot,
            close_on_trigger=not instrument.is_spot,
            reduces=not instrument.is_spot,
            placed_seq=seq,
            seq=seq,
            created_at_ns=turn.at_ns,
            updated_at_ns=turn.at_ns,
            last_price_on_created=market.last_price,
            status=Status.UNTRIGGERED,
            create_type=wish.create_type,
            stop_order_type=wish.kind,
            trigger_price=wish.price,
            trigger_direction=TriggerDirection.RISE if wish.rises else TriggerDirection.FALL,
            trigger_by=wish.by,
            trailing=wish.trailing,
            active_price=wish.active_price,
        )

    def _keep_step(self, turn: Turn, position: Position, order: Order) -> None:
        """As large as the position; gone when it is flat or on the other side."""
        held = position.closable(order.side)
        if not held:
            triggered = turn.triggered.get((position.uid, position.symbol, position.position_idx))
            self.let_go(turn, order, because_of=triggered)
        elif held != order.qty:
            order.qty = held
            order.touch(self.engine.numbering.next_seq(), turn.at_ns)
            turn.touch(order, position)

    def let_go(self, turn: Turn, order: Order, because_of: StopOrderType | None = None) -> None:
        """Take a protecting order away, because its position has gone or because its counterpart has triggered."""
        cancel_type = CancelType.BY_TPSL_CLEAR
        if because_of is not None and order.stop_order_type is not StopOrderType.TRAILING_STOP:
            if because_of.is_profit and not order.stop_order_type.is_profit:
                cancel_type = CancelType.LOSS_BY_PROFIT
            elif because_of in _LOSSES and order.stop_order_type.is_profit:
                cancel_type = CancelType.PROFIT_BY_LOSS
        self.engine.cancel(turn, order, RejectReason.NO_ERROR, cancel_type)


_LOSSES = frozenset({StopOrderType.STOP_LOSS, StopOrderType.PARTIAL_STOP_LOSS, StopOrderType.SPOT_STOP_LOSS})


def _fee_in_base(order: Order) -> Decimal:
    """What a spot buyer's fees took of the coin that was bought."""
    return order.cum_fee if order.is_spot and order.side is Side.BUY else ZERO


def _partial_wishes(parent: Order) -> list[Protector]:
    if parent.is_spot:
        kinds = (StopOrderType.SPOT_TPSL, StopOrderType.SPOT_STOP_LOSS)
    else:
        kinds = (StopOrderType.PARTIAL_TAKE_PROFIT, StopOrderType.PARTIAL_STOP_LOSS)
    profit = Protector(
        kinds[0], parent.take_profit, parent.take_profit_by, parent.side is Side.BUY, parent.take_profit_limit
    )
    loss = Protector(kinds[1], parent.stop_loss, parent.stop_loss_by, parent.side is Side.SELL, parent.stop_loss_limit)
    return [wish for wish in (profit, loss) if wish.price]
