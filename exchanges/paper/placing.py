"""Placing an order: who it is for, whether it may be, and its first meeting with the book."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from exchanges.paper.accounts import Account, MarkPrice
from exchanges.paper.admittance import allowed_price, protective_price, require_coin, require_margin
from exchanges.paper.booking import received_coin
from exchanges.paper.conditionals import Conditionals, check_trigger, direction_of, watched_price
from exchanges.paper.contract_admission import check_notional, check_sides
from exchanges.paper.exact import ZERO
from exchanges.paper.instruments import Instrument
from exchanges.paper.market import SymbolMarket
from exchanges.paper.matching import MatchingEngine
from exchanges.paper.orders import Order
from exchanges.paper.refusals import (
    bad_parameter,
    duplicate_client_order_id,
    duplicate_order_link_id,
    reduce_only_without_position,
    too_many_conditional_orders,
    too_many_open_orders,
    too_many_spot_orders,
)
from exchanges.paper.turn import Turn
from exchanges.paper.vocabulary import (
    HEDGE_BUY,
    HEDGE_SELL,
    CreateType,
    MarketUnit,
    OrderType,
    Side,
    Status,
    StopOrderType,
    TriggerBy,
)
from exchanges.paper.wishes import NewOrder, Trigger

MAX_WAITING_PER_SYMBOL = 10  # conditional orders of contracts; take-profits and stop-losses do not count
CLOSING_SIDES = {HEDGE_BUY: Side.SELL, HEDGE_SELL: Side.BUY}
MAX_SPOT_WAITING = 30  # of a pair, for conditional and for TP/SL orders each


@dataclass(frozen=True, slots=True)
class Placement:
    """Admits orders; what changes is collected in the caller's turn."""

    engine: MatchingEngine
    conditionals: Conditionals
    mark_price: MarkPrice
    max_open_per_symbol: int

    def place(self, turn: Turn, account: Account, wish: NewOrder) -> Order:
        """Admit an order and match it at once. Raises `Refusal`; then nothing has changed."""
        market = self.engine.markets[wish.instrument.key]
        self._check_identity(account, wish)
        if wish.price is None and not wish.protection.is_empty:
            _check_protection(market, wish)
        if wish.price is not None and wish.trigger is None:
            price = allowed_price(market, wish.side, wish.price)
            wish = wish if price == wish.price else replace(wish, price=price)
        limit = wish.price if wish.price is not None else protective_price(market, wish.side, wish.slippage)
        reduces = wish.reduce_only or wish.side is CLOSING_SIDES.get(wish.position_idx)
        qty = wish.qty
        if wish.trigger is not None:
            check_trigger(market, wish.trigger)
        if wish.instrument.is_spot:
            self._require_coin(account, market, wish, limit)
        elif wish.trigger is None:
            qty = self._admitted_qty(account, market, wish, limit, reduces=reduces)
        order = self._new_order(turn, account, market, wish, qty, reduces=reduces)
        turn.touch(order, account.position_of(order))
        if wish.trigger is None:
            if not wish.instrument.is_spot:
                order.price = limit
            self.engine.match(turn, market, order, limit)
        else:
            _park(account, market, order, wish.trigger)
        self.conditionals.settle(turn, market)
        return order

    def _new_order(
        self,
        turn: Turn,
        account: Account,
        market: SymbolMarket,
        wish: NewOrder,
        qty: Decimal,
        *,
        reduces: bool,
    ) -> Order:
        seq, instrument, protection = self.engine.numbering.next_seq(), wish.instrument, wish.protection
        return Order(
            order_id=self.engine.numbering.new_id("order", seq),
            uid=account.uid,
            symbol=instrument.symbol,
            category=instrument.category,
            order_link_id=wish.order_link_id,
            side=wish.side,
            order_type=wish.order_type,
            time_in_force=wish.time_in_force,
            price=wish.price or ZERO,
            qty=qty,
            position_idx=wish.position_idx,
            reduce_only=wish.reduce_only,
            close_on_trigger=wish.close_on_trigger,
            reduces=reduces,
            placed_seq=seq,
            seq=seq,
            created_at_ns=turn.at_ns,
            updated_at_ns=turn.at_ns,
            last_price_on_created=market.last_price,
            take_profit=protection.take_profit or ZERO,
            stop_loss=protection.stop_loss or ZERO,
            take_profit_by=protection.take_profit_by,
            stop_loss_by=protection.stop_loss_by,
            tpsl_mode=protection.mode,
            take_profit_type=protection.take_profit_type,
            stop_loss_type=protection.stop_loss_type,
            take_profit_limit=protection.take_profit_limit,
            stop_loss_limit=protection.stop_loss_limit,
            fee_coin=received_coin(instrument, wish.side),
            market_unit=wish.market_unit,
            smp_type=wish.smp_type,
            slippage_type=wish.slippage.kind,
            slippage=wish.slippage.tolerance,
        )

    # -- may it be -----------------------------------------------------------------------------------------------

    def _check_identity(self, account: Account, wish: NewOrder) -> None:
        link, instrument = wish.order_link_id, wish.instrument
        if link and (link in account.open_links or self.engine.store.knows_link(account.uid, link)):
            raise duplicate_client_order_id() if instrument.is_spot else duplicate_order_link_id()
        if instrument.is_spot:
            self._check_spot_count(account, wish)
            return
        if wish.position_idx not in account.position_indexes(instrument.symbol):
            raise bad_parameter("position idx not match position mode")
        limit = self.max_open_per_symbol
        rests = wish.order_type is OrderType.LIMIT and wish.trigger is None
        if limit and rests and account.open_count(instrument.key) >= limit:
            raise too_many_open_orders(limit)
        if wish.trigger is not None and _waiting(account, instrument, StopOrderType.STOP) >= MAX_WAITING_PER_SYMBOL:
            raise too_many_conditional_orders(MAX_WAITING_PER_SYMBOL)

    def _check_spot_count(self, account: Account, wish: NewOrder) -> None:
        limit, key = self.max_open_per_symbol, wish.instrument.key
        if limit and account.open_count(key) + len(account.waiting(key)) >= limit:
            raise too_many_spot_orders(limit)
        if wish.trigger is not None and _waiting(account, wish.instrument, wish.trigger.kind) >= MAX_SPOT_WAITING:
            raise too_many_spot_orders(MAX_SPOT_WAITING)

    def _admitted_qty(
        self, account: Account, market: SymbolMarket, wish: NewOrder, price: Decimal, *, reduces: bool
    ) -> Decimal:
        """The quantity to work with: a reducing order is cut to what it can close, any other needs its margin."""
        symbol, idx = wish.instrument.symbol, wish.position_idx
        if reduces:
            closable = account.closable(symbol, idx, wish.side)
            if not closable:
                raise reduce_only_without_position()
            return min(wish.qty, closable) if wish.qty else closable
        check_notional(wish.instrument, wish.qty, price if wish.price is not None else market.mark_price)
        require_margin(account, market, wish.side, idx, wish.qty, price, self.mark_price)
        return wish.qty

    def _require_coin(self, account: Account, market: SymbolMarket, wish: NewOrder, limit: Decimal) -> None:
        """A spot order's coin must be free; a conditional one asks for it only when it is triggered."""
        if wish.trigger is None:
            price = limit
        elif wish.trigger.kind is StopOrderType.SPOT_TPSL:
            price = wish.price or wish.trigger.price
        else:
            return
        unit = wish.market_unit
        if wish.trigger is not None and unit is MarketUnit.BASE:
            unit = None  # the book of today says nothing about the day of the trigger
        require_coin(account, market, wish.side, wish.qty, price, unit, self.mark_price)


def _check_protection(market: SymbolMarket, wish: NewOrder) -> None:
    """A market order's take-profit and stop-loss must not trigger at once: 10001 otherwise."""
    trigger = wish.trigger

    def base_price(by: TriggerBy) -> Decimal:
        return watched_price(market, by) if trigger is None else trigger.price

    check_sides(wish.protection, wish.side, base_price)


def _park(account: Account, market: SymbolMarket, order: Order, trigger: Trigger) -> None:
    """Let an order wait for its trigger."""
    order.status = Status.UNTRIGGERED
    order.create_type = CreateType.BY_STOP_ORDER
    order.stop_order_type = trigger.kind
    order.trigger_price, order.trigger_by = trigger.price, trigger.by
    order.trigger_direction = direction_of(market, trigger)
    account.rest(order)


def _waiting(account: Account, instrument: Instrument, kind: StopOrderType) -> int:
    return sum(order.stop_order_type is kind for order in account.waiting(instrument.key))
