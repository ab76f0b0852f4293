"""Amending an open order: another quantity, price, trigger, take-profit or stop-loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from exchanges.paper.accounts import PROTECTING, Account, MarkPrice
from exchanges.paper.admittance import allowed_price, require_coin, require_margin
from exchanges.paper.conditionals import Conditionals, check_trigger
from exchanges.paper.contract_admission import check_notional, check_sides
from exchanges.paper.market import SymbolMarket
from exchanges.paper.matching import MatchingEngine
from exchanges.paper.orders import Order
from exchanges.paper.refusals import (
    Refusal,
    SpotFault,
    bad_parameter,
    below_filled_quantity,
    nothing_to_amend,
    spot_refusal,
)
from exchanges.paper.spot_admission import check_spot_value
from exchanges.paper.turn import Turn
from exchanges.paper.vocabulary import OrderType, TriggerDirection
from exchanges.paper.wishes import Amendment, Protection, Trigger


@dataclass(frozen=True, slots=True)
class Amending:
    """Amends orders; what changes is collected in the caller's turn."""

    engine: MatchingEngine
    conditionals: Conditionals
    mark_price: MarkPrice

    def amend(self, turn: Turn, account: Account, order: Order, wish: Amendment) -> None:
        """Give an open order what is wished.

        Less quantity at the same price keeps the place in the queue; anything else goes to its end, and may match at
        once. Raises `Refusal`; then the order is as it was.
        """
        if wish.is_empty:
            raise nothing_to_amend()
        market = self.engine.markets[order.market_key]
        if order.is_waiting:
            self._amend_waiting(turn, account, market, order, wish)
            self.conditionals.settle(turn, market)
            return
        self._amend_resting(turn, account, market, order, wish)
        self.conditionals.settle(turn, market)

    def _amend_resting(self, turn: Turn, account: Account, market: SymbolMarket, order: Order, wish: Amendment) -> None:
        if wish.price and wish.price != order.price:
            wish = replace(wish, price=allowed_price(market, order.side, wish.price))
        qty, price = wish.qty or order.qty, wish.price or order.price
        if not self._changes(order, wish):
            raise nothing_to_amend()
        if qty <= order.cum_qty:
            raise spot_refusal(SpotFault.BELOW_FILLED) if order.is_spot else below_filled_quantity()
        _check_protection(order, wish, price)
        account.unrest(order)
        try:
            qty = self._admitted_qty(account, market, order, qty, price)
        except Exception:
            account.rest(order)
            raise
        _protect(order, wish)
        keeps_place = price == order.price and qty <= order.qty
        if keeps_place:
            order.qty = qty
            account.rest(order)
        else:
            market.resting.remove(order)
            order.qty, order.price = qty, price
        market.note_change()
        order.touch(self.engine.numbering.next_seq(), turn.at_ns)
        turn.touch(order, account.position_of(order))
        if not keeps_place:
            self.engine.match(turn, market, order)

    @staticmethod
    def _changes(order: Order, wish: Amendment) -> bool:
        pairs = (
            (wish.qty, order.qty),
            (wish.price, order.price),
            (wish.take_profit, order.take_profit),
            (wish.stop_loss, order.stop_loss),
            (wish.take_profit_limit, order.take_profit_limit),
            (wish.stop_loss_limit, order.stop_loss_limit),
            (wish.take_profit_by, order.take_profit_by),
            (wish.stop_loss_by, order.stop_loss_by),
        )
        return any(wanted is not None and wanted != now for wanted, now in pairs)

    def _amend_waiting(self, turn: Turn, account: Account, market: SymbolMarket, order: Order, wish: Amendment) -> None:
        """A conditional order: only its trigger is checked, and the coin of one that locks it.

        What protects a whole position is as large as it: the quantity is not for the user to change.
        """
        if wish.qty is not None and order.stop_order_type in PROTECTING:
            raise bad_parameter("Qty invalid")
        trigger_price = wish.trigger_price or order.trigger_price
        trigger_by = wish.trigger_by or order.trigger_by
        moved = wish.trigger_price is not None or trigger_by is not order.trigger_by
        if moved and trigger_by is not None and not order.is_spot:
            direction = TriggerDirection(order.trigger_direction)
            check_trigger(market, Trigger(trigger_price, direction, trigger_by))
        price = wish.price if wish.price is not None and order.order_type is OrderType.LIMIT else order.price
        _check_protection(order, wish, price or trigger_price)
        account.unrest(order)
        order.qty, order.price, order.trigger_price = wish.qty or order.qty, price, trigger_price
        if not order.is_spot:
            order.trigger_by = trigger_by
        if order.is_spot and wish.trigger_price is not None:
            rises = trigger_price > market.last_price
            order.trigger_direction = TriggerDirection.RISE if rises else TriggerDirection.FALL
        _protect(order, wish)
        account.rest(order)
        order.touch(self.engine.numbering.next_seq(), turn.at_ns)
        turn.touch(order, account.position_of(order))

    def _admitted_qty(
        self, account: Account, market: SymbolMarket, order: Order, qty: Decimal, price: Decimal
    ) -> Decimal:
        leaves = qty - order.cum_qty
        if order.is_spot:
            check_spot_value(market.instrument, qty * price)
            require_coin(account, market, order.side, leaves, price, None, self.mark_price)
            return qty
        if order.reduces:
            return order.cum_qty + min(leaves, account.closable(order.symbol, order.position_idx, order.side))
        check_notional(market.instrument, qty, price)
        require_margin(account, market, order.side, order.position_idx, leaves, price, self.mark_price)
        return qty


def _check_protection(order: Order, wish: Amendment, base_price: Decimal) -> None:
    """A new take-profit or stop-loss must lie on its side of the price: the limit, or the trigger of a market order."""
    protection = Protection(
        wish.take_profit,
        wish.stop_loss,
        wish.take_profit_by or order.take_profit_by,
        wish.stop_loss_by or order.stop_loss_by,
        order.tpsl_mode,
    )
    if protection.is_empty:
        return
    try:
        check_sides(protection, order.side, lambda _by: base_price)
    except Refusal as refusal:
        raise (spot_refusal(SpotFault.TRIGGER_MISSING) if order.is_spot else refusal) from None


def _protect(order: Order, wish: Amendment) -> None:
    """Zero takes a take-profit or stop-loss away, None leaves it."""
    for name in (
        "take_profit", "stop_loss", "take_profit_limit", "stop_loss_limit", "take_profit_by", "stop_loss_by",
    ):  # fmt: skip
        wanted = getattr(wish, name)
        if wanted is not None:
            setattr(order, name, wanted)
