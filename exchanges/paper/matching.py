"""Matching: what an order does when it meets the book, and what every fill does to orders, positions and wallets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from exchanges.paper.accounts import Account
from exchanges.paper.booking import Booking
from exchanges.paper.exact import ZERO
from exchanges.paper.market import Match, PublicTrade, SymbolMarket
from exchanges.paper.numbering import Numbering
from exchanges.paper.orders import Execution, Order
from exchanges.paper.store import Store
from exchanges.paper.turn import Turn
from exchanges.paper.vocabulary import (
    CancelType,
    CreateType,
    ExecType,
    RejectReason,
    Side,
    SmpType,
    Status,
    TimeInForce,
)

TAKEN = {
    CreateType.BY_LIQUIDATION: ExecType.BUST_TRADE,
    CreateType.BY_DELEVERAGING: ExecType.ADL_TRADE,
    CreateType.BY_SETTLEMENT: ExecType.SETTLE,
}
"""What the exchange closes by an order of its own."""


@dataclass(frozen=True, slots=True)
class MatchingEngine:
    """Matches orders over the accounts and markets of a venue. What happens is collected in the caller's turn."""

    booking: Booking
    store: Store
    numbering: Numbering
    accounts: Mapping[int, Account]
    markets: Mapping[str, SymbolMarket]

    def match(self, turn: Turn, market: SymbolMarket, order: Order, limit: Decimal | None = None) -> None:
        """Match an order that is not in the book; what is left rests or is cancelled, as its time in force says.

        `limit` is the worst price that it may trade at, if that is not the price of the order.
        """
        tif, limit = order.time_in_force, order.price if limit is None else limit
        if tif is TimeInForce.POST_ONLY and market.would_take(order.side, limit):
            self.end(turn, order, RejectReason.POST_ONLY_WOULD_TAKE)
            return
        if tif is TimeInForce.FOK and not market.available(order.side, limit, order.leaves_qty):
            self.end(turn, order, RejectReason.NOT_ENOUGH_QTY)
            return
        self._take(turn, market, order, limit)
        if not order.status.is_open:
            return
        if tif in {TimeInForce.IOC, TimeInForce.FOK}:
            reason = RejectReason.NO_FULL_FILL if order.cum_qty else RejectReason.NO_IMMEDIATE_QTY
            self.end(turn, order, reason)
            return
        market.resting.add(order)
        market.note_change()
        self.accounts[order.uid].rest(order)

    def _take(self, turn: Turn, market: SymbolMarket, order: Order, limit: Decimal) -> None:
        """Trade with what the book offers within `limit`, until the order is over or there is nothing more."""
        while order.status.is_open:
            left = order.qty - order.cum_qty
            if order.is_by_value:
                left = market.affordable(order.side, order.leaves_value)
            match = market.next_match(order.side, limit, left) if left else None
            if match is None:
                return
            maker = match.maker
            if maker is not None and maker.uid == order.uid and order.smp_type is not SmpType.NONE:
                self._prevent_self_match(turn, order, maker)
                continue
            self.fill(turn, market, order, match, is_maker=False)
            if maker is not None:
                self.fill(turn, market, maker, match, is_maker=True)
            else:
                self.booking.deal_with_market_maker(market.instrument, order.side, match)
            self._print_trade(turn, market, match, order.side)

    def _prevent_self_match(self, turn: Turn, order: Order, maker: Order) -> None:
        """One of two orders of an account that would meet goes, or both."""
        order.smp_order_id, maker.smp_order_id = maker.order_id, order.order_id
        if order.smp_type is not SmpType.CANCEL_TAKER:
            self.cancel(turn, maker, RejectReason.SELF_MATCH, CancelType.BY_SMP)
        if order.smp_type is not SmpType.CANCEL_MAKER:
            self.end(turn, order, RejectReason.SELF_MATCH, CancelType.BY_SMP)

    def fill(self, turn: Turn, market: SymbolMarket, order: Order, match: Match, *, is_maker: bool) -> None:
        """Book one fill of `order`: its sums, the position, the wallet, the execution."""
        account = self.accounts[order.uid]
        if is_maker:
            account.executed(order, match.qty)
        position = account.position_of(order)
        side_before = position.side if position is not None else None
        booked = self.booking.book(account, market.instrument, order, match, is_maker=is_maker)
        seq = self.numbering.next_seq()
        order.cum_qty += match.qty
        order.cum_value += booked.value
        order.cum_fee += booked.fee
        order.cum_pnl += booked.pnl
        order.cum_closing_fees += booked.open_fee + booked.close_fee
        order.touch(seq, turn.at_ns)
        if position is not None:
            position.seq, position.updated_at_ns = seq, turn.at_ns
            position.created_at_ns = position.created_at_ns or turn.at_ns
            if position.side is not side_before:
                position.opened_at_ns = turn.at_ns
        is_over = not order.leaves_value if order.is_by_value else order.qty == order.cum_qty
        order.status = Status.FILLED if is_over else Status.PARTIALLY_FILLED
        turn.touch(order, position)
        turn.executions.append(
            Execution(
                exec_id=self.numbering.new_id("execution", seq),
                order_id=order.order_id,
                order_link_id=order.order_link_id,
                uid=order.uid,
                symbol=order.symbol,
                category=order.category,
                side=order.side,
                position_idx=order.position_idx,
                order_type=order.order_type,
                order_price=order.price,
                order_qty=ZERO if order.is_by_value else order.qty,
                leaves_qty=order.leaves_qty,
                price=match.price,
                qty=match.qty,
                value=booked.value,
                fee=booked.fee,
                fee_coin=order.fee_coin,
                fee_rate=booked.fee_rate,
                is_maker=is_maker,
                closed_size=booked.closed_qty,
                pnl=booked.pnl,
                open_fee=booked.open_fee,
                close_fee=booked.close_fee,
                mark_price=market.mark_price,
                executed_at_ns=turn.at_ns,
                seq=seq,
                create_type=order.create_type,
                stop_order_type=order.stop_order_type,
                exec_type=TAKEN.get(order.create_type, ExecType.TRADE),
            )
        )
        if is_over:
            self._finish(market, account, order, in_book=is_maker)
        if position is not None:
            self._trim_reducing(turn, account, order.symbol, order.position_idx)

    def _finish(self, market: SymbolMarket, account: Account, order: Order, *, in_book: bool) -> None:
        if in_book:
            market.resting.remove(order)
            account.unrest(order)
        account.closed(order)

    def end(self, turn: Turn, order: Order, reason: RejectReason, cancel_type: CancelType = CancelType.UNKNOWN) -> None:
        """Cancel an order that is not in the book (any more)."""
        account = self.accounts[order.uid]
        spot_part = order.is_spot and order.cum_qty
        order.status = Status.PARTIALLY_FILLED_CANCELED if spot_part else Status.CANCELLED
        order.reject_reason = reason
        order.cancel_type = cancel_type
        order.touch(self.numbering.next_seq(), turn.at_ns)
        account.closed(order)
        turn.touch(order, account.position_of(order))

    def cancel(self, turn: Turn, order: Order, reason: RejectReason, cancel_type: CancelType) -> None:
        """Cancel an open order, whether it is in the book or waits for its trigger."""
        waiting = order.is_waiting
        self.take_out(order)
        self.end(turn, order, reason, cancel_type)
        if waiting:
            order.status = Status.DEACTIVATED

    def take_out(self, order: Order) -> None:
        """Take an open order out of its book, or out of those that wait for their trigger."""
        market = self.markets[order.market_key]
        if not order.is_waiting:
            market.resting.remove(order)
            market.note_change()
        self.accounts[order.uid].unrest(order)

    def _trim_reducing(self, turn: Turn, account: Account, symbol: str, idx: int) -> None:
        """Cancel reduce-only orders, the latest first, that together would close more than is held."""
        sums = account.sums(symbol, idx)
        if not sums.reducing:
            return
        position = account.position(symbol, idx)
        for order in reversed(tuple(sums.reducing.values())):
            if sums.reducing_qty(order.side) > position.closable(order.side):
                self.cancel(turn, order, RejectReason.OTHERS, CancelType.BY_REDUCE_ONLY)

    def _print_trade(self, turn: Turn, market: SymbolMarket, match: Match, taker_side: Side) -> None:
        seq = self.numbering.next_seq()
        market.traded_at(match.price)
        self.store.put_market(market.state)
        trade_id = self.numbering.new_id("trade", seq)
        symbol, version, tick = market.instrument.symbol, market.version, market.tick
        trade = PublicTrade(trade_id, symbol, match.price, match.qty, taker_side, turn.at_ns, seq, version, tick)
        market.recent_trades.append(trade)

    def fill_crossed(self, turn: Turn, market: SymbolMarket) -> None:
        """Fill the resting orders that the market maker's quotes have moved through."""
        for match in market.crossed():
            if match.maker is not None:
                self.fill(turn, market, match.maker, match, is_maker=True)
                self.booking.deal_with_market_maker(market.instrument, match.maker.side, match)
                self._print_trade(turn, market, match, match.maker.side.opposite)

    def let_crowd_take(self, turn: Turn, market: SymbolMarket) -> None:
        """Let the synthetic taker of this step, if it brings one, take from the best price."""
        taker = market.process.taker()
        best = market.best(taker.side.opposite) if taker is not None else None
        if taker is not None and best is not None:
            self.let_take(turn, market, taker.side, best, taker.qty)

    def let_take(self, turn: Turn, market: SymbolMarket, side: Side, limit: Decimal, qty: Decimal) -> None:
        """Let somebody outside of the accounts trade with the book."""
        for match in market.sweep(side, limit, qty):
            if match.maker is not None:
                self.fill(turn, market, match.maker, match, is_maker=True)
                self.booking.deal_with_market_maker(market.instrument, side.opposite, match)
            self._print_trade(turn, market, match, side)
