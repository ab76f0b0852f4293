"""Orders that wait for a price.

A conditional order holds no margin and is in no book until its trigger price is reached; then it is an order like any
other, and cancelled if the account cannot pay for it. Take-profits, stop-losses and trailing stops are such orders too
(`protection`). Of two that belong together the one that triggers takes the other away.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from exchanges.paper.accounts import Account, MarkPrice
from exchanges.paper.admittance import protective_price, require_coin, require_margin
from exchanges.paper.exact import floored
from exchanges.paper.market import SymbolMarket
from exchanges.paper.matching import MatchingEngine
from exchanges.paper.orders import Order
from exchanges.paper.protection import Protections, trail
from exchanges.paper.refusals import Refusal, trigger_already_reached
from exchanges.paper.turn import Turn
from exchanges.paper.vocabulary import (
    CancelType,
    OrderType,
    RejectReason,
    Side,
    Status,
    TriggerBy,
    TriggerDirection,
)
from exchanges.paper.wishes import Trigger


def watched_price(market: SymbolMarket, by: TriggerBy | None) -> Decimal:
    """The price that a trigger looks at; the index is the mark price here."""
    return market.last_price if by is TriggerBy.LAST else market.mark_price


def direction_of(market: SymbolMarket, trigger: Trigger) -> TriggerDirection:
    """Whether the price has to rise or to fall: as the client says, on spot from where it is."""
    if trigger.direction is not None:
        return trigger.direction
    rises = trigger.price > watched_price(market, trigger.by)
    return TriggerDirection.RISE if rises else TriggerDirection.FALL


def check_trigger(market: SymbolMarket, trigger: Trigger) -> None:
    """Raises `Refusal` 110092 or 110093 if the price is there already."""
    if trigger.direction is None:
        return
    current = watched_price(market, trigger.by)
    rising = trigger.direction is TriggerDirection.RISE
    if (trigger.price <= current) if rising else (trigger.price >= current):
        raise trigger_already_reached(trigger.price, current, trigger.by, rising=rising)


def is_due(market: SymbolMarket, order: Order) -> bool:
    """True if the price is where the order waits for it. A trailing stop waits for its start first."""
    if order.active_price:
        return False
    current = watched_price(market, order.trigger_by)
    if order.trigger_direction == TriggerDirection.RISE:
        return current >= order.trigger_price
    return current <= order.trigger_price


@dataclass(frozen=True, slots=True)
class Conditionals:
    """Keeps the waiting orders of a venue in step with positions and prices."""

    engine: MatchingEngine
    protections: Protections
    mark_price: MarkPrice

    def settle(self, turn: Turn, market: SymbolMarket) -> None:
        """After an operation: protect what was opened, let go of what is closed, and trigger what is due.

        A triggered order may move the price and the position, so this goes on until nothing is due.
        """
        self.protections.follow(turn, market)
        while (order := self._first_due(turn, market)) is not None:
            self._trigger(turn, market, order)
            self.protections.follow(turn, market)

    def _first_due(self, turn: Turn, market: SymbolMarket) -> Order | None:
        key = market.instrument.key
        due = []
        for account in self.engine.accounts.values():
            for order in account.waiting(key):
                if order.trailing and trail(market, order):
                    turn.touch(order, account.position_of(order))
                if is_due(market, order):
                    due.append(order)
        return min(due, key=lambda order: order.placed_seq, default=None)

    def _trigger(self, turn: Turn, market: SymbolMarket, order: Order) -> None:
        account = self.engine.accounts[order.uid]
        self.engine.take_out(order)
        order.touch(self.engine.numbering.next_seq(), turn.at_ns)
        order.status = Status.TRIGGERED
        turn.milestones.append(msgspec.structs.replace(order))
        turn.triggered[order.uid, order.symbol, order.position_idx] = order.stop_order_type
        order.status = Status.NEW
        turn.touch(order, account.position_of(order))
        self._let_pair_go(turn, account, order)
        limit = order.price
        if order.order_type is OrderType.MARKET:
            limit = protective_price(market, order.side)
            if not order.is_spot:
                order.price = limit
        if order.reduces:
            closable = self._closable(account, order)
            if not closable:
                self.engine.end(turn, order, RejectReason.OTHERS, CancelType.BY_REDUCE_ONLY)
                return
            order.qty = min(order.qty, closable) if order.qty else closable
        elif not self._can_pay(account, market, order, limit):
            self.engine.end(turn, order, RejectReason.OTHERS)
            return
        self.engine.match(turn, market, order, limit)

    def _let_pair_go(self, turn: Turn, account: Account, order: Order) -> None:
        other = account.open_orders.get(order.paired_id)
        if other is not None:
            self.protections.let_go(turn, other, because_of=order.stop_order_type)

    def _closable(self, account: Account, order: Order) -> Decimal:
        """A closing order may take what other reducing orders rest for; they are cancelled when it has."""
        if order.close_on_trigger:
            return account.position(order.symbol, order.position_idx).closable(order.side)
        return account.closable(order.symbol, order.position_idx, order.side)

    def _can_pay(self, account: Account, market: SymbolMarket, order: Order, limit: Decimal) -> bool:
        """A spot order that protects what was bought sells what is left of it."""
        if order.is_spot and order.paired_id and order.side is Side.SELL:
            free = account.free(market.instrument.base, self.mark_price)
            order.qty = min(order.qty, floored(free, market.instrument.lot))
            return order.qty > 0
        try:
            if order.is_spot:
                unit = order.market_unit
                require_coin(account, market, order.side, order.qty, limit, unit, self.mark_price)
            else:
                idx = order.position_idx
                require_margin(account, market, order.side, idx, order.qty, limit, self.mark_price)
        except Refusal:
            return False
        return True
