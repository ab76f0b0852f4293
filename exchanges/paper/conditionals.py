"""Orders that wait for a price: conditional orders, and the take-profits and stop-losses of positions.

A conditional order holds no margin and is in no book until its trigger price is reached; then it is an order like any
other, and cancelled if the account cannot pay for it. A take-profit or stop-loss is such an order too: made when the
order that carries it first fills, as large as the position for as long as it stands, and gone with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from exchanges.paper.accounts import PROTECTING, Account, MarkPrice
from exchanges.paper.admission import Trigger
from exchanges.paper.admittance import protective_price, require_margin
from exchanges.paper.exact import ZERO, plain
from exchanges.paper.ledger import Position
from exchanges.paper.market import SymbolMarket
from exchanges.paper.matching import MatchingEngine
from exchanges.paper.orders import Order
from exchanges.paper.refusals import Refusal, trigger_already_reached
from exchanges.paper.turn import Turn
from exchanges.paper.vocabulary import (
    CancelType,
    CreateType,
    OrderType,
    RejectReason,
    Side,
    Status,
    StopOrderType,
    TimeInForce,
    TriggerBy,
    TriggerDirection,
)


def watched_price(market: SymbolMarket, by: TriggerBy | None) -> Decimal:
    """The price that a trigger looks at; the index is the mark price here."""
    return market.last_price if by is TriggerBy.LAST else market.mark_price


def check_trigger(market: SymbolMarket, trigger: Trigger) -> None:
    """Raises `Refusal` 110092 or 110093 if the price is there already."""
    current = watched_price(market, trigger.by)
    rising = trigger.direction is TriggerDirection.RISE
    if (trigger.price <= current) if rising else (trigger.price >= current):
        raise trigger_already_reached(plain(trigger.price), plain(current), rising=rising)


def is_due(market: SymbolMarket, order: Order) -> bool:
    current = watched_price(market, order.trigger_by)
    if order.trigger_direction == TriggerDirection.RISE:
        return current >= order.trigger_price
    return current <= order.trigger_price


@dataclass(frozen=True, slots=True)
class Conditionals:
    """Keeps the waiting orders of a venue in step with positions and prices."""

    engine: MatchingEngine
    mark_price: MarkPrice

    def settle(self, turn: Turn, market: SymbolMarket) -> None:
        """After an operation: protect what was opened, let go of what is closed, and trigger what is due.

        A triggered order may move the price and the position, so this goes on until nothing is due.
        """
        self._follow_positions(turn, market)
        while (order := self._first_due(market)) is not None:
            self._trigger(turn, market, order)
            self._follow_positions(turn, market)

    def _first_due(self, market: SymbolMarket) -> Order | None:
        symbol = market.instrument.symbol
        due = [
            order
            for account in self.engine.accounts.values()
            for order in account.waiting(symbol)
            if is_due(market, order)
        ]
        return min(due, key=lambda order: order.placed_seq, default=None)

    def _trigger(self, turn: Turn, market: SymbolMarket, order: Order) -> None:
        account = self.engine.accounts[order.uid]
        self.engine.take_out(order)
        position = account.position(order.symbol, order.position_idx)
        order.seq, order.updated_at_ns = self.engine.numbering.next_seq(), turn.at_ns
        order.status = Status.TRIGGERED
        turn.milestones.append(msgspec.structs.replace(order))
        order.status = Status.NEW
        turn.touch(order, position)
        if order.order_type is OrderType.MARKET:
            order.price = protective_price(market, order.side)
        if order.reduces:
            held = position.closable(order.side)
            closable = (
                held
                if order.close_on_trigger
                else account.closable(order.symbol, order.position_idx, order.side)
            )
            if not closable:
                self.engine.end(turn, order, RejectReason.OTHERS, CancelType.BY_REDUCE_ONLY)
                return
            order.qty = min(order.qty, closable) if order.qty else closable
        else:
            try:
                require_margin(
                    account, market, order.side, order.position_idx, order.qty, order.price, self.mark_price
                )
            except Refusal:
                self.engine.end(turn, order, RejectReason.OTHERS)
                return
        self.engine.match(turn, market, order)

    # -- take-profit and stop-loss -------------------------------------------------------------------------------

    def _follow_positions(self, turn: Turn, market: SymbolMarket) -> None:
        for order in tuple(turn.orders.values()):
            if order.cum_qty and (order.take_profit or order.stop_loss):
                self._protect(turn, market, order)
        for position in tuple(turn.positions.values()):
            account = self.engine.accounts[position.uid]
            for kind in PROTECTING:
                standing = account.protecting(position.symbol, position.position_idx, kind)
                if standing is not None:
                    self._follow(turn, position, standing)

    def _protect(self, turn: Turn, market: SymbolMarket, parent: Order) -> None:
        """Set up, or move, what the filled order wishes for its position; done once per order."""
        account = self.engine.accounts[parent.uid]
        position = account.position(parent.symbol, parent.position_idx)
        wishes = (
            (StopOrderType.TAKE_PROFIT, parent.take_profit, parent.take_profit_by),
            (StopOrderType.STOP_LOSS, parent.stop_loss, parent.stop_loss_by),
        )
        if position.side is not parent.side or parent.protected_seq:
            return
        parent.protected_seq = self.engine.numbering.next_seq()
        for kind, price, by in wishes:
            if price:
                self._set(turn, market, account, position, parent, Protector(kind, price, by))

    def _set(
        self,
        turn: Turn,
        market: SymbolMarket,
        account: Account,
        position: Position,
        parent: Order,
        wish: Protector,
    ) -> None:
        standing = account.protecting(position.symbol, position.position_idx, wish.kind)
        if standing is not None:
            self._let_go(turn, standing)
        seq = self.engine.numbering.next_seq()
        order = Order(
            order_id=self.engine.numbering.new_id("order", seq),
            uid=account.uid,
            symbol=position.symbol,
            order_link_id="",
            side=parent.side.opposite,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            price=ZERO,
            qty=abs(position.size),
            position_idx=position.position_idx,
            reduce_only=True,
            close_on_trigger=True,
            reduces=True,
            placed_seq=seq,
            seq=seq,
            created_at_ns=turn.at_ns,
            updated_at_ns=turn.at_ns,
            last_price_on_created=market.last_price,
            status=Status.UNTRIGGERED,
            create_type=wish.create_type,
            stop_order_type=wish.kind,
            trigger_price=wish.price,
            trigger_direction=wish.direction(parent.side),
            trigger_by=wish.by,
            parent_link_id=parent.order_link_id,
        )
        account.rest(order)
        turn.touch(order, position)

    def _follow(self, turn: Turn, position: Position, order: Order) -> None:
        """As large as the position; gone when it is flat or on the other side."""
        held = position.closable(order.side)
        if not held:
            self._let_go(turn, order)
        elif held != order.qty:
            order.qty = held
            order.seq, order.updated_at_ns = self.engine.numbering.next_seq(), turn.at_ns
            turn.touch(order, position)

    def _let_go(self, turn: Turn, order: Order) -> None:
        self.engine.cancel(turn, order, RejectReason.NO_ERROR, CancelType.BY_TPSL_CLEAR)


@dataclass(frozen=True, slots=True)
class Protector:
    """A take-profit or stop-loss that is wished for."""

    kind: StopOrderType
    price: Decimal
    by: TriggerBy

    @property
    def create_type(self) -> CreateType:
        profit = self.kind is StopOrderType.TAKE_PROFIT
        return CreateType.BY_TAKE_PROFIT if profit else CreateType.BY_STOP_LOSS

    def direction(self, held: Side) -> TriggerDirection:
        """A long position takes profit when the price rises, and stops its loss when it falls; a short the reverse."""
        rises = (held is Side.BUY) == (self.kind is StopOrderType.TAKE_PROFIT)
        return TriggerDirection.RISE if rises else TriggerDirection.FALL
