"""What the exchange does to positions of its own accord: funding, liquidation, deleveraging, settlement.

Neither happens by itself here. The control interface orders them, so that tests can see how a client takes executions
that none of its orders caused.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from exchanges.paper.accounts import Account
from exchanges.paper.exact import ZERO
from exchanges.paper.ledger import Position
from exchanges.paper.market import Match, PublicTrade, SymbolMarket
from exchanges.paper.matching import MatchingEngine
from exchanges.paper.orders import Execution, Order
from exchanges.paper.turn import Turn
from exchanges.paper.vocabulary import (
    CancelType,
    CreateType,
    ExecType,
    OrderType,
    RejectReason,
    Side,
    TimeInForce,
)

NS_PER_S = 1_000_000_000

CANCELLED_FOR = {
    CreateType.BY_LIQUIDATION: CancelType.BEFORE_LIQUIDATION,
    CreateType.BY_DELEVERAGING: CancelType.BEFORE_DELEVERAGING,
    CreateType.BY_SETTLEMENT: CancelType.BY_SETTLEMENT,
}
"""What is said of the orders that go before."""


@dataclass(frozen=True, slots=True)
class Interventions:
    """Acts of the exchange, collected in the caller's turn."""

    engine: MatchingEngine

    def fund(self, turn: Turn, market: SymbolMarket, account: Account, rate: Decimal) -> None:
        """Settle funding at the mark price: with a rate above zero who is long pays and who is short receives."""
        for position in account.held():
            if position.symbol == market.instrument.symbol:
                self._fund(turn, market, account, position, rate)

    def _fund(self, turn: Turn, market: SymbolMarket, account: Account, position: Position, rate: Decimal) -> None:
        side = Side.BUY if position.size > 0 else Side.SELL
        own_rate = rate * side.sign
        size, value = abs(position.size), position.value(market.mark_price)
        fee = value * own_rate
        position.charge(fee)
        account.wallet.book(position.settle, ZERO, fee)
        self.engine.booking.house.charge(position.settle, fee)
        seq = self.engine.numbering.next_seq()
        position.seq, position.updated_at_ns = seq, turn.at_ns
        turn.touch_position(position)
        turn.executions.append(
            Execution(
                exec_id=self.engine.numbering.new_id("execution", seq),
                order_id=f"{turn.at_ns // NS_PER_S}-{position.symbol}-{account.uid}-{side}",
                order_link_id="",
                uid=account.uid,
                symbol=position.symbol,
                category=position.category,
                fee_coin=position.settle,
                side=side,
                position_idx=position.position_idx,
                order_type=OrderType.MARKET,
                order_price=ZERO,
                order_qty=ZERO,
                leaves_qty=ZERO,
                price=market.mark_price,
                qty=size,
                value=value,
                fee=fee,
                fee_rate=own_rate,
                is_maker=False,
                closed_size=ZERO,
                pnl=ZERO,
                mark_price=market.mark_price,
                executed_at_ns=turn.at_ns,
                seq=seq,
                exec_type=ExecType.FUNDING,
            )
        )

    def take_over(
        self,
        turn: Turn,
        market: SymbolMarket,
        account: Account,
        position: Position,
        why: CreateType,
        qty: Decimal | None = None,
    ) -> None:
        """Cancel what rests for the position, then close it (or `qty` of it) at the mark price, by an order of the
        exchange. A settlement is a trade that names an order which nothing shows, as on the venue."""
        mine = (position.symbol, position.position_idx)
        for open_order in tuple(account.open_orders.values()):
            if (open_order.symbol, open_order.position_idx) == mine:
                self.engine.cancel(turn, open_order, RejectReason.NO_ERROR, CANCELLED_FOR[why])
        if not position.size:
            return
        seq = self.engine.numbering.next_seq()
        order = Order(
            order_id=self.engine.numbering.new_id("order", seq),
            uid=account.uid,
            symbol=position.symbol,
            category=position.category,
            fee_coin=position.settle,
            order_link_id="",
            side=Side.SELL if position.size > 0 else Side.BUY,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
            price=market.mark_price,
            qty=abs(position.size) if qty is None else min(qty, abs(position.size)),
            position_idx=position.position_idx,
            reduce_only=True,
            close_on_trigger=True,
            reduces=True,
            placed_seq=seq,
            seq=seq,
            created_at_ns=turn.at_ns,
            updated_at_ns=turn.at_ns,
            last_price_on_created=market.last_price,
            create_type=why,
        )
        match = Match(market.mark_price, order.qty, None)
        self.engine.fill(turn, market, order, match, is_maker=False)
        if why is CreateType.BY_SETTLEMENT:
            del turn.orders[order.order_id], account.recent_closed[order.order_id]
        self.engine.booking.deal_with_market_maker(market.instrument, order.side, match)
        if why is CreateType.BY_LIQUIDATION:
            told = PublicTrade(
                order.order_id, order.symbol, match.price, order.qty, order.side, turn.at_ns, order.placed_seq
            )
            market.liquidations.append(told)
            market.note_change()
