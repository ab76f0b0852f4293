"""Matching: what an order does when it meets the book, and what every fill does to orders, positions and wallets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exchanges.paper.accounts import Account
from exchanges.paper.market import Match, PublicTrade, SymbolMarket
from exchanges.paper.numbering import Numbering
from exchanges.paper.options import PaperOptions
from exchanges.paper.orders import Execution, Order
from exchanges.paper.store import Store
from exchanges.paper.turn import Turn
from exchanges.paper.vocabulary import (
    CancelType,
    CreateType,
    ExecType,
    RejectReason,
    Side,
    Status,
    TimeInForce,
)

BUSTS = {CreateType.BY_LIQUIDATION: ExecType.BUST_TRADE}


@dataclass(frozen=True, slots=True)
class MatchingEngine:
    """Matches orders over the accounts and markets of a venue. What happens is collected in the caller's turn."""

    options: PaperOptions
    store: Store
    numbering: Numbering
    accounts: Mapping[int, Account]
    markets: Mapping[str, SymbolMarket]

    def match(self, turn: Turn, market: SymbolMarket, order: Order) -> None:
        """Match an order that is not in the book; what is left rests or is cancelled, as its time in force says."""
        tif, leaves = order.time_in_force, order.leaves_qty
        if tif is TimeInForce.POST_ONLY and market.would_take(order.side, order.price):
            self.end(turn, order, RejectReason.POST_ONLY_WOULD_TAKE)
            return
        if tif is TimeInForce.FOK and not market.available(order.side, order.price, leaves):
            self.end(turn, order, RejectReason.NOT_ENOUGH_QTY)
            return
        for match in market.sweep(order.side, order.price, leaves):
            self.fill(turn, market, order, match, is_maker=False)
            if match.maker is not None:
                self.fill(turn, market, match.maker, match, is_maker=True)
            self._print_trade(turn, market, match, order.side)
        if not order.leaves_qty:
            return
        if tif in {TimeInForce.IOC, TimeInForce.FOK}:
            reason = RejectReason.NO_FULL_FILL if order.cum_qty else RejectReason.NO_IMMEDIATE_QTY
            self.end(turn, order, reason)
            return
        market.resting.add(order)
        market.changed = True
        self.accounts[order.uid].rest(order)

    def fill(self, turn: Turn, market: SymbolMarket, order: Order, match: Match, *, is_maker: bool) -> None:
        """Book one fill of `order`: its sums, the position, the wallet, the execution."""
        account = self.accounts[order.uid]
        rate = self.options.maker_fee_rate if is_maker else self.options.taker_fee_rate
        value = match.price * match.qty
        fee = value * rate
        position = account.position(order.symbol, order.position_idx)
        closing = position.apply(order.side, match.price, match.qty, fee)
        account.wallet.book(closing.pnl, fee)
        if is_maker:
            account.executed(order, match.qty)
        seq = self.numbering.next_seq()
        order.cum_qty += match.qty
        order.cum_value += value
        order.cum_fee += fee
        order.cum_pnl += closing.pnl
        order.seq, order.updated_at_ns = seq, turn.at_ns
        position.seq, position.updated_at_ns = seq, turn.at_ns
        position.created_at_ns = position.created_at_ns or turn.at_ns
        leaves = order.qty - order.cum_qty
        if leaves:
            order.status = Status.PARTIALLY_FILLED
        else:
            self._finish(market, account, order, in_book=is_maker)
        turn.touch(order, position)
        turn.executions.append(
            Execution(
                exec_id=self.numbering.new_id("execution", seq),
                order_id=order.order_id,
                order_link_id=order.order_link_id,
                uid=order.uid,
                symbol=order.symbol,
                side=order.side,
                position_idx=order.position_idx,
                order_type=order.order_type,
                order_price=order.price,
                order_qty=order.qty,
                leaves_qty=leaves,
                price=match.price,
                qty=match.qty,
                value=value,
                fee=fee,
                fee_rate=rate,
                is_maker=is_maker,
                closed_size=closing.closed_qty,
                pnl=closing.pnl,
                mark_price=market.mark_price,
                executed_at_ns=turn.at_ns,
                seq=seq,
                create_type=order.create_type,
                stop_order_type=order.stop_order_type,
                exec_type=BUSTS.get(order.create_type, ExecType.TRADE),
            )
        )
        self._trim_reducing(turn, account, order.symbol, order.position_idx)

    def _finish(self, market: SymbolMarket, account: Account, order: Order, *, in_book: bool) -> None:
        order.status = Status.FILLED
        if in_book:
            market.resting.remove(order)
            account.unrest(order)
        account.closed(order)

    def end(
        self, turn: Turn, order: Order, reason: RejectReason, cancel_type: CancelType = CancelType.UNKNOWN
    ) -> None:
        """Cancel an order that is not in the book (any more)."""
        account = self.accounts[order.uid]
        order.status = Status.CANCELLED
        order.reject_reason = reason
        order.cancel_type = cancel_type
        order.seq, order.updated_at_ns = self.numbering.next_seq(), turn.at_ns
        account.closed(order)
        turn.touch(order, account.position(order.symbol, order.position_idx))

    def cancel(self, turn: Turn, order: Order, reason: RejectReason, cancel_type: CancelType) -> None:
        """Cancel an open order, whether it is in the book or waits for its trigger."""
        waiting = order.is_waiting
        self.take_out(order)
        self.end(turn, order, reason, cancel_type)
        if waiting:
            order.status = Status.DEACTIVATED

    def take_out(self, order: Order) -> None:
        """Take an open order out of its book, or out of those that wait for their trigger."""
        market = self.markets[order.symbol]
        if not order.is_waiting:
            market.resting.remove(order)
            market.changed = True
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
        market.state.last_price = match.price
        self.store.put_market(market.state)
        trade_id = self.numbering.new_id("trade", seq)
        trade = PublicTrade(
            trade_id, market.instrument.symbol, match.price, match.qty, taker_side, turn.at_ns, seq
        )
        market.recent_trades.append(trade)

    def fill_crossed(self, turn: Turn, market: SymbolMarket) -> None:
        """Fill the resting orders that the market maker's quotes have moved through."""
        for match in market.crossed():
            if match.maker is not None:
                self.fill(turn, market, match.maker, match, is_maker=True)
                self._print_trade(turn, market, match, match.maker.side.opposite)

    def let_crowd_take(self, turn: Turn, market: SymbolMarket) -> None:
        """Let the synthetic taker of this step, if it brings one, take from the best price."""
        taker = market.process.taker()
        if taker is None:
            return
        side, qty = taker
        best = market.best(side.opposite)
        if best is None:
            return
        for match in market.sweep(side, best, qty):
            if match.maker is not None:
                self.fill(turn, market, match.maker, match, is_maker=True)
            self._print_trade(turn, market, match, side)
